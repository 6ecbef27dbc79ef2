// SPDX-License-Identifier: Apache-2.0
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <exception>

#include "common/device/graph.h"

namespace attnrl::device {
namespace {

class CudaGraph final : public Graph {
 public:
  void Replay() override { graph.replay(); }
  at::cuda::CUDAGraph graph;
};

// What other threads do meanwhile, such as loading weights, neither counts nor is refused: capture
// is this thread's.
class CudaRecorder final : public GraphRecorder {
 public:
  explicit CudaRecorder(at::Device device)
      : stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index())) {}

  std::unique_ptr<Graph> Record(const std::function<void()>& work) override {
    auto recorded = std::make_unique<CudaGraph>();
    // The default stream can't be captured.
    const c10::cuda::CUDAStreamGuard guard(stream_);
    recorded->graph.capture_begin(pool_, cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      try {
        recorded->graph.capture_end();
      } catch (const std::exception&) {  // the first error says more
      }
      throw;
    }
    recorded->graph.capture_end();
    return recorded;
  }

 private:
  const c10::cuda::CUDAStream stream_;
  const at::cuda::MempoolId_t pool_ = at::cuda::graph_pool_handle();
};

}  // namespace

std::unique_ptr<GraphRecorder> MakeGraphRecorder(at::Device device) {
  if (!device.is_cuda()) return nullptr;
  return std::make_unique<CudaRecorder>(device);
}

}  // namespace attnrl::device
