// SPDX-License-Identifier: Apache-2.0
// What the host costs a decoding step: all own kernels of 28 layers, launch by launch and as one
// graph. The products between them, LibTorch's, aren't here.
#include <cstring>
#include <string>
#include <vector>

#include "common/attention/cuda/append_rows.h"
#include "common/attention/cuda/paged_decode.h"
#include "common/attention/cuda/testing/paged_case.h"
#include "common/kernels/cuda/rows.h"
#include "tests/bench/gpu/gpu_check.h"

namespace attnrl::bench {
namespace {

using attention::PagedCase;
using attention::PagedSequence;
using cuda::BFloat16;

constexpr int64_t kLayers = 28;
constexpr int64_t kRows = 64;
constexpr int64_t kTokens = 512;
constexpr int64_t kHidden = 1536;
constexpr int64_t kInner = 8960;
constexpr int64_t kProjected = 16 * 128;  // queries of 12 heads, keys and values of 2

// Numbers whose bits are what they are: nothing is compared but graph and launches.
OnGpu<BFloat16> Numbers(int64_t count) {
  std::vector<BFloat16> x(static_cast<size_t>(count));
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = cuda::FromFloat<BFloat16>(static_cast<float>(i % 211) / 211 - 0.5F);
  }
  return OnGpu<BFloat16>(x);
}

// The memory of a step whose layers share all of it.
struct Step {
  PagedCase<BFloat16> of{{.heads = 12, .kv_heads = 2, .head_dim = 128},
                         std::vector<PagedSequence>(kRows, {.tokens = kTokens})};
  OnGpu<attention::DecodeUnit> units{of.decode.units()};
  OnGpu<attention::BlockTask> tasks{of.plan.tasks()};
  OnGpu<attention::BlockPiece> pieces{of.plan.pieces()};
  OnGpu<int32_t> visible{of.plan.visible()};
  OnGpu<int32_t> first_part{of.decode.first_part()}, part_of{of.decode.part_of()};
  OnGpu<attention::RowPlace> places{of.plan.places()};
  OnGpu<BFloat16> keys{of.keys}, values{of.values};
  OnGpu<float> angles{std::vector<float>(static_cast<size_t>(kTokens * 128), 0.5F)};
  OnGpu<BFloat16> projected = Numbers(kRows * kProjected);
  OnGpu<BFloat16> queries{static_cast<size_t>(kRows * 12 * 128)};
  OnGpu<BFloat16> attended{static_cast<size_t>(kRows * 12 * 128)};
  OnGpu<float> part_out{static_cast<size_t>(of.decode.parts() * 12 * 128)};
  OnGpu<float> part_largest{static_cast<size_t>(of.decode.parts() * 12)};
  OnGpu<float> part_sum{static_cast<size_t>(of.decode.parts() * 12)};
  OnGpu<BFloat16> x = Numbers(kRows * kHidden), added = Numbers(kRows * kHidden);
  OnGpu<BFloat16> weight = Numbers(kHidden);
  OnGpu<BFloat16> normed{static_cast<size_t>(kRows * kHidden)};
  OnGpu<BFloat16> gate_up = Numbers(kRows * 2 * kInner);
  OnGpu<BFloat16> gated{static_cast<size_t>(kRows * kInner)};

  cuda::LaunchError Norm(cuda::Stream stream) const {
    // Nothing is added, or each step would begin with other numbers.
    const cuda::ResidualNorm<BFloat16> norm{
        .x = x.get(), .weight = weight.get(), .y = normed.get(), .n = kHidden, .eps = 1e-6F};
    return LaunchResidualNorm(norm, kRows, stream);
  }

  cuda::LaunchError Attend(cuda::Stream stream) const {
    const attention::AppendRows<BFloat16> append{.q = projected.get(),
                                                 .k = projected.get() + 12 * 128,
                                                 .v = projected.get() + 14 * 128,
                                                 .q_stride = kProjected,
                                                 .k_stride = kProjected,
                                                 .v_stride = kProjected,
                                                 .heads = 12,
                                                 .kv_heads = 2,
                                                 .head_dim = 128,
                                                 .cosine = angles.get(),
                                                 .sine = angles.get(),
                                                 .visible = visible.get(),
                                                 .places = places.get(),
                                                 .turned = queries.get(),
                                                 .keys = keys.get(),
                                                 .values = values.get()};
    if (auto error = LaunchAppendRows(append, kRows, stream)) return error;
    const attention::PagedDecode<BFloat16> pass{.units = units.get(),
                                                .tasks = tasks.get(),
                                                .pieces = pieces.get(),
                                                .visible = visible.get(),
                                                .first_part = first_part.get(),
                                                .part_of = part_of.get(),
                                                .keys = keys.get(),
                                                .values = values.get(),
                                                .q = queries.get(),
                                                .heads = 12,
                                                .kv_heads = 2,
                                                .scale = of.scale,
                                                .part_out = part_out.get(),
                                                .part_largest = part_largest.get(),
                                                .part_sum = part_sum.get(),
                                                .out = attended.get()};
    return LaunchPagedDecode(pass, static_cast<int64_t>(of.decode.units().size()), kRows, 128,
                             stream);
  }

  cuda::LaunchError Silu(cuda::Stream stream) const {
    const cuda::GatedSilu<BFloat16> silu{.gate = gate_up.get(),
                                         .up = gate_up.get() + kInner,
                                         .stride = 2 * kInner,
                                         .y = gated.get(),
                                         .n = kInner};
    return LaunchGatedSilu(silu, kRows, stream);
  }

  cuda::LaunchError Launch(cuda::Stream stream) const {
    for (int64_t layer = 0; layer < kLayers; ++layer) {
      if (auto error = Norm(stream)) return error;
      if (auto error = Attend(stream)) return error;
      if (auto error = Norm(stream)) return error;
      if (auto error = Silu(stream)) return error;
    }
    return nullptr;
  }
};

bool SameBits(const std::vector<BFloat16>& a, const std::vector<BFloat16>& b) {
  return std::memcmp(a.data(), b.data(), a.size() * sizeof(BFloat16)) == 0;
}

}  // namespace

void AddStep(Table& table) {
  const Step step;
  const std::string shape = "64 rows of 512 tokens, 28 layers, 12 on 2 heads of 128, bfloat16";
  const double launched = SecondsOf([&](cuda::Stream stream) { return step.Launch(stream); });
  const std::vector<BFloat16> attended = step.attended.Fetch(), gated = step.gated.Fetch();
  table.Add({"own kernels of a step, launch by launch", shape, {}, 0, launched});

  cudaStream_t stream = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  Check(cudaStreamCreate(&stream), "stream");
  Check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
  Check(step.Launch(stream), "capture");
  Check(cudaStreamEndCapture(stream, &graph), "capture");
  Check(cudaGraphInstantiate(&executable, graph, 0), "graph");
  Check(cudaMemset(step.attended.get(), 0, attended.size() * sizeof(BFloat16)), "memory");
  const double replayed = SecondsOf([&](cuda::Stream on) -> cuda::LaunchError {
    const cudaError_t error = cudaGraphLaunch(executable, on);
    return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
  });
  const bool same =
      SameBits(step.attended.Fetch(), attended) && SameBits(step.gated.Fetch(), gated);
  table.Add(
      {"own kernels of a step, one graph; 0: the same bits", shape, same ? 0.0 : 1.0, 0, replayed});
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
}

}  // namespace attnrl::bench
