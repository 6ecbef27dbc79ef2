// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/runner/step_graphs.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <exception>
#include <string>
#include <utility>

#include "common/base/status.h"
#include "common/observe/log.h"

namespace attnrl::rollout {
namespace {

constexpr int64_t kMostRows = 256;
constexpr size_t kMostKinds = 128;  // with more of them than that, sizes come only once
constexpr int64_t kFirstPlace = 1 << 15;

}  // namespace

StepGraphs::StepGraphs(std::unique_ptr<device::GraphRecorder> recorder, at::Device device)
    : recorder_(std::move(recorder)), device_(device) {}

// 1, 2, 4, 8, then multiples of 8, then of 32: little is computed for nothing.
int64_t StepGraphs::RowsFor(const StepPlan& plan) const {
  const int64_t rows = plan.rows();
  const bool decodes = static_cast<int64_t>(plan.samples.size()) == rows &&
                       static_cast<int64_t>(plan.groups.size()) == rows;
  if (recorder_ == nullptr || refused_ || !decodes || rows > kMostRows) return 0;
  int64_t room = 1;
  while (room < rows && room < 8) room *= 2;
  const int64_t step = rows <= 64 ? 8 : 32;
  return rows <= 8 ? room : (rows + step - 1) / step * step;
}

at::Tensor StepGraphs::Place(int64_t numbers) {
  if (!place_.defined() || place_.size(0) < numbers) {
    kinds_.clear();
    const int64_t size = place_.defined() ? 2 * place_.size(0) : kFirstPlace;
    place_ = at::Tensor();
    place_ = at::empty({std::max(size, numbers)}, at::TensorOptions(at::kLong).device(device_));
  }
  return place_;
}

at::Tensor StepGraphs::Run(const Kind& kind, const std::function<at::Tensor()>& step) {
  if (const auto found = kinds_.find(kind); found != kinds_.end() && !refused_) {
    Recorded& recorded = found->second;
    if (recorded.graph == nullptr) {
      try {
        recorded.graph = recorder_->Record([&] { recorded.result = step(); });
      } catch (const std::exception& error) {
        observe::LogWarning("decoding steps aren't recorded as graphs",
                            {{"reason", OneLine(std::string(error.what()))}});
        refused_ = true;
        kinds_.clear();
        return step();
      }
    }
    recorded.graph->Replay();
    return recorded.result;
  }
  if (kinds_.size() >= kMostKinds) kinds_.clear();
  kinds_[kind] = {};
  return step();
}

void StepGraphs::Forget(const model::Transformer* weights) {
  std::erase_if(kinds_, [&](const auto& each) { return each.first.weights == weights; });
}

}  // namespace attnrl::rollout
