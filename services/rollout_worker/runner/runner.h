// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/attention/cuda/decode_kernels.h"
#include "common/device/graph.h"
#include "common/model/files/config.h"
#include "common/model/files/weights.h"
#include "common/text/steps.h"
#include "services/rollout_worker/engine/step_runner.h"
#include "services/rollout_worker/runner/sample_launch.h"

namespace attnrl::rollout {

// Kernels of a device that a step may use; null where the device has none.
struct StepKernels {
  const attention::DecodeKernels* attention = nullptr;  // for shapes that DecodeAttention fits
  SampleLaunch sample = nullptr;
  // Graphs of steps by both kernels.
  std::function<std::unique_ptr<device::GraphRecorder>()> graphs = nullptr;

  // Those of GPUs where it is one.
  static StepKernels Of(at::Device device);
};

struct RunnerOptions {
  int64_t blocks = 0;  // of the KV cache; see engine/kv_budget.h
  // Own kernels with one fixed order of sums: the bits of a sequence don't depend on the batch, the
  // slots or the threads. CPU only, slower.
  bool deterministic = false;
  int threads = 1;
  model::DType dtype = model::DType::kFloat32;
  at::Device device = at::Device(at::kCPU);
  // Cuts responses into the steps whose attention is scored; null: Score fails.
  std::shared_ptr<const text::StepSegmenter> segmenter = nullptr;
  // Score them while decoding, where CanScoreOnline; else in a pass of its own over what has ended.
  bool online_scores = false;
  std::optional<StepKernels> kernels = std::nullopt;  // those of the device; tests have others
};

// Runs steps with LibTorch on models of `config`. The KV cache is made here, once: in the dtype of
// the model, or float32 when deterministic. INVALID_ARGUMENT for a device that can't be
// deterministic.
absl::StatusOr<std::unique_ptr<StepRunner>> MakeRunner(const RunnerOptions& options,
                                                       const model::ModelConfig& config);

// Whether steps can be scored while decoding: on the CPU, and on a device whose kernels know the
// model's shapes.
bool CanScoreOnline(const RunnerOptions& options, const model::ModelConfig& config);

// Bytes of a block of the KV cache.
int64_t KvBlockBytes(const RunnerOptions& options, const model::ModelConfig& config);

// Bytes that one version of the weights takes on the device, and those that the largest step takes
// beside the cache, with an allowance for LibTorch's libraries: for the size of the cache.
int64_t ResidentWeightBytes(const RunnerOptions& options, const model::ModelConfig& config);
int64_t StepWorkspaceBytes(const RunnerOptions& options, const model::ModelConfig& config,
                           int64_t step_rows);

// A model over `weights` (complete for `config`) that fits such a runner. INTERNAL for what
// LibTorch refuses.
absl::StatusOr<std::shared_ptr<const model::Transformer>> MakeModel(
    const model::ModelConfig& config, model::Tensors weights, bool deterministic);

// Limits LibTorch and its OpenMP to `threads` in this process. Call first thing.
void LimitThreads(int threads);

}  // namespace attnrl::rollout
