// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "common/attention/cuda/decode_attention.h"
#include "common/device/graph.h"
#include "services/rollout_worker/engine/step_plan.h"

namespace attnrl::model {
class Transformer;
}

namespace attnrl::rollout {

// Decoding steps as graphs: one launch for the host instead of some hundred. A graph is of one
// version's weights and of one size of batch; a size is computed as it is the first time, recorded
// the second time, and replayed from then on. Steps with prompts in them aren't recorded. Where the
// device refuses to record, steps go on as they are, and the log says so once. One thread.
class StepGraphs {
 public:
  // Null: nothing is recorded.
  StepGraphs(std::unique_ptr<device::GraphRecorder> recorder, at::Device device);

  // Rows of the graph that such a plan would run in; 0 where it doesn't.
  int64_t RowsFor(const StepPlan& plan) const;

  // Memory for a step's numbers, int64, where all graphs read them: it stays where it is as long as
  // there is a graph.
  at::Tensor Place(int64_t numbers);

  // What decides what is launched, and with which arguments.
  struct Kind {
    const model::Transformer* weights = nullptr;
    attention::DecodeSize size = {};
    bool truncates = false;
    auto operator<=>(const Kind&) const = default;
  };
  // What `step` returns, which reads what it is called with from Place and from the weights alone.
  // Valid until the next call.
  at::Tensor Run(const Kind& kind, const std::function<at::Tensor()>& step);

  // These weights go.
  void Forget(const model::Transformer* weights);

 private:
  struct Recorded {
    std::unique_ptr<device::Graph> graph;  // null: was run once
    at::Tensor result;
  };

  const std::unique_ptr<device::GraphRecorder> recorder_;
  const at::Device device_;
  bool refused_ = false;
  at::Tensor place_;
  std::map<Kind, Recorded> kinds_;
};

}  // namespace attnrl::rollout
