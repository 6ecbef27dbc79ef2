// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/version.h"

namespace attnrl::learner {

// Who sends a version to whom: a tree in which the learner and each that gets it from the learner
// or from another send it to two. Knows only addresses; of the newest versions asked for.
// Thread-safe.
class FanOut {
 public:
  static constexpr int kCopies = 2;

  // From whom the one at `address` shall get `version`: an address, or empty for the learner.
  // `failed`: who didn't send it to that one; they send it to nobody any more. Asked again, the
  // place of `address` in the tree is given up for another.
  std::string SourceFor(const Version& version, const std::string& address,
                        const std::vector<std::string>& failed);

 private:
  struct Node {
    std::string address;
    std::optional<std::string> source;  // empty: the learner; nullopt: no place yet
    bool failed = false;
  };
  struct Tree {
    Version version;
    std::vector<Node> nodes;  // in the order in which they came
  };

  // Whether `source` may send to one more.
  static bool HasRoom(const Tree& tree, const std::string& source);
  // Whether what `node` gets comes from the learner by way of others than those that failed and
  // than `without`.
  static bool IsFed(const Tree& tree, const Node& node, const std::string& without);
  Tree& TreeOf(const Version& version) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  std::deque<Tree> trees_ ABSL_GUARDED_BY(mutex_);  // newest first
};

}  // namespace attnrl::learner
