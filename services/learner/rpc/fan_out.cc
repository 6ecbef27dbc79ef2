// SPDX-License-Identifier: Apache-2.0
#include "services/learner/rpc/fan_out.h"

#include <algorithm>

namespace attnrl::learner {
namespace {

constexpr size_t kTrees = 4;

}  // namespace

FanOut::Tree& FanOut::TreeOf(const Version& version) {
  for (Tree& tree : trees_) {
    if (tree.version == version) return tree;
  }
  trees_.push_front({.version = version, .nodes = {}});
  if (trees_.size() > kTrees) trees_.pop_back();
  return trees_.front();
}

bool FanOut::HasRoom(const Tree& tree, const std::string& source) {
  const auto receives = [&](const Node& node) { return !node.failed && node.source == source; };
  return std::count_if(tree.nodes.begin(), tree.nodes.end(), receives) < kCopies;
}

bool FanOut::IsFed(const Tree& tree, const Node& node, const std::string& without) {
  const Node* at = &node;
  for (size_t steps = 0; steps <= tree.nodes.size(); ++steps) {
    if (at->failed || at->address == without || !at->source.has_value()) return false;
    if (at->source->empty()) return true;
    const auto source = std::find_if(tree.nodes.begin(), tree.nodes.end(),
                                     [&](const Node& n) { return n.address == *at->source; });
    if (source == tree.nodes.end()) return false;
    at = &*source;
  }
  return false;
}

std::string FanOut::SourceFor(const Version& version, const std::string& address,
                              const std::vector<std::string>& failed) {
  absl::MutexLock lock(&mutex_);
  Tree& tree = TreeOf(version);
  size_t own = tree.nodes.size();
  for (size_t i = 0; i < tree.nodes.size(); ++i) {
    Node& node = tree.nodes[i];
    if (std::find(failed.begin(), failed.end(), node.address) != failed.end()) node.failed = true;
    if (node.address == address) own = i;
  }
  if (own == tree.nodes.size()) tree.nodes.push_back({.address = address, .source = std::nullopt});
  tree.nodes[own].source = std::nullopt;
  std::string source;
  if (!HasRoom(tree, "")) {
    for (const Node& node : tree.nodes) {
      if (!IsFed(tree, node, address) || !HasRoom(tree, node.address)) continue;
      source = node.address;
      break;
    }
  }
  tree.nodes[own].source = source;
  return source;
}

}  // namespace attnrl::learner
