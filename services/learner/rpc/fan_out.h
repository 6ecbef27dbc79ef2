// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/version.h"

namespace attnrl::learner {

// Who sends a version to whom: a tree in which the learner and each that gets it from the learner
// or from another send it to two. Each but the first has a second source, so that a version comes
// in two halves and who has nobody below itself in the tree sends, too: each is the second one of
// two at most. The learner is nobody's, and so sends two copies at most. Nobody gets anything by
// way of itself. Knows only addresses; of the newest versions asked for. Thread-safe.
class FanOut {
 public:
  // Of each kind: who gets it first, and who gets it second, from one source.
  static constexpr int kCopies = 2;

  // From whom the one at `address` shall get `version`, one or two: addresses, or empty for the
  // learner. `failed`: who didn't send it to that one; they send it to nobody any more. Asked
  // again, the place of `address` in the tree is given up for another.
  std::vector<std::string> SourcesFor(const Version& version, const std::string& address,
                                      const std::vector<std::string>& failed);

 private:
  struct Node {
    std::string address;
    std::vector<size_t> sources = {};  // numbers of nodes; none: no place yet
    bool failed = false;
  };
  struct Tree {
    Version version;
    std::vector<Node> nodes;  // the learner, then the others in the order in which they came
  };

  // Who gets something from the node `from`, itself, too: by way of whomever, or of those only that
  // haven't failed.
  static std::vector<bool> Below(const Tree& tree, size_t from, bool failed_too);
  // How many get it from each, as their first or second source.
  static std::vector<int> Receivers(const Tree& tree, size_t rank);
  Tree& TreeOf(const Version& version) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  std::deque<Tree> trees_ ABSL_GUARDED_BY(mutex_);  // newest first
};

}  // namespace attnrl::learner
