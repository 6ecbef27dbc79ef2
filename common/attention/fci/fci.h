// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/attention/attention.h"
#include "common/attention/fci/kernel.h"
#include "common/attention/fci/sequence.h"

namespace attnrl::attention {

// InvalidArgument with one sentence that names the first range that breaks the rules above, a
// think_end_step that is no step's index, or a delta below 0.
absl::Status CheckFciSequence(const FciSequence& sequence, const FciOptions& options);

// Causal attention of whole sequences without a cache that scores their steps on the way
// ("recompute"). For each layer and query head, with p the softmax probabilities,
//   y_k = sum over steps j >= k + delta of mean over the queries of j and the keys of k of p,
// set to 0 for the prompt, the first response step and from think_end_step on; a step's score is
// the maximum of its y over all layers and heads.
//
//   FciAttention attention({{.steps = {{0, 17}, {17, 29}, {29, 50}}}}, config.layers, {});
//   transformer.RunAttention(ids, positions, attention);  // ids of 50 tokens
//   std::vector<float> scores = attention.Scores().front();
//
// On the CPU by tiled float32 kernels (kernel.h) on at::get_num_threads() threads; q, k and v
// are float32 or bfloat16. What a sequence gives, rows and scores, depends on its own queries, keys
// and values alone: not on the other sequences of the pass, nor on the number of threads. Memory
// for T rows and S steps: O(T) beside the result, while a layer runs 8 * heads * S doubles.
// Elsewhere ATen operations of the device, head by head: O(T^2) of the longest sequence.
//
// One pass, one thread; without gradients. The layers come in order, each once.
class FciAttention final : public Attention {
 public:
  // kAten: as on a device without kernels of its own, for tests.
  enum class Kernels { kBest, kAten };
  // `sequences` as checked by CheckFciSequence; the rows of the pass are theirs, one after the
  // other. The last of `layers` layers is scored only: its Forward returns an undefined tensor.
  FciAttention(std::vector<FciSequence> sequences, int64_t layers, const FciOptions& options,
               Kernels kernels = Kernels::kBest);

  at::Tensor Forward(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                     const at::Tensor& v) override;

  // One float a step, in the order of the sequences; complete once the last layer has run.
  const std::vector<std::vector<float>>& Scores() const { return scores_; }

 private:
  at::Tensor ForwardOnCpu(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                          bool with_output);
  at::Tensor ForwardByAten(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           bool with_output);
  // The score of a step, raised to what a head gives where it counts.
  void Raise(size_t sequence, int64_t step, double influence);

  std::vector<FciSequence> sequences_;
  std::vector<FciPlan> plans_;  // of the sequences
  int64_t layers_;
  FciOptions options_;
  Kernels kernels_;
  std::vector<std::vector<float>> scores_;
};

}  // namespace attnrl::attention
