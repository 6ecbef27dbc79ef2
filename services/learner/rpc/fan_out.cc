// SPDX-License-Identifier: Apache-2.0
#include "services/learner/rpc/fan_out.h"

#include <algorithm>

namespace attnrl::learner {
namespace {

constexpr size_t kTrees = 4;
constexpr size_t kLearner = 0;

}  // namespace

FanOut::Tree& FanOut::TreeOf(const Version& version) {
  for (Tree& tree : trees_) {
    if (tree.version == version) return tree;
  }
  trees_.push_front({.version = version, .nodes = {{.address = ""}}});
  if (trees_.size() > kTrees) trees_.pop_back();
  return trees_.front();
}

std::vector<bool> FanOut::Below(const Tree& tree, size_t from, bool failed_too) {
  std::vector<bool> below(tree.nodes.size(), false);
  below[from] = true;
  for (bool more = true; more;) {  // once, but for those that have asked again
    more = false;
    for (size_t i = 0; i < tree.nodes.size(); ++i) {
      const Node& node = tree.nodes[i];
      const bool gets = !below[i] && (failed_too || !node.failed) &&
                        std::any_of(node.sources.begin(), node.sources.end(),
                                    [&](size_t source) { return below[source]; });
      if (gets) below[i] = more = true;
    }
  }
  return below;
}

std::vector<int> FanOut::Receivers(const Tree& tree, size_t rank) {
  std::vector<int> receivers(tree.nodes.size(), 0);
  for (const Node& node : tree.nodes) {
    if (!node.failed && node.sources.size() > rank) ++receivers[node.sources[rank]];
  }
  return receivers;
}

std::vector<std::string> FanOut::SourcesFor(const Version& version, const std::string& address,
                                            const std::vector<std::string>& failed) {
  absl::MutexLock lock(&mutex_);
  Tree& tree = TreeOf(version);
  size_t own = tree.nodes.size();
  for (size_t i = 1; i < tree.nodes.size(); ++i) {
    Node& node = tree.nodes[i];
    if (std::find(failed.begin(), failed.end(), node.address) != failed.end()) node.failed = true;
    if (node.address == address) own = i;
  }
  if (own == tree.nodes.size()) tree.nodes.push_back({.address = address});
  Node& node = tree.nodes[own];
  node.sources.clear();
  const std::vector<bool> fed = Below(tree, kLearner, /*failed_too=*/false);
  const std::vector<bool> dependent = Below(tree, own, /*failed_too=*/true);
  const auto find = [&](size_t rank) {
    const std::vector<int> receivers = Receivers(tree, rank);
    for (size_t i = rank; i < tree.nodes.size(); ++i) {  // not the learner as the second one
      const bool taken = !node.sources.empty() && node.sources[0] == i;
      if (fed[i] && !dependent[i] && !taken && receivers[i] < kCopies) return i;
    }
    return kLearner;  // all others have failed
  };
  node.sources.push_back(find(0));
  if (const size_t second = find(1); second != kLearner) node.sources.push_back(second);
  std::vector<std::string> addresses;
  for (const size_t source : node.sources) addresses.push_back(tree.nodes[source].address);
  return addresses;
}

}  // namespace attnrl::learner
