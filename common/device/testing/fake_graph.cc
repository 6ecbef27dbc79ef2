// SPDX-License-Identifier: Apache-2.0
#include "common/device/testing/fake_graph.h"

#include <c10/core/DeviceGuard.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>

#include <utility>
#include <vector>

#include "common/device/testing/fake_device.h"
#include "common/device/testing/fake_memory.h"
#include "common/kernels/cuda/testing/emulator.h"

namespace attnrl::device {
namespace {

int64_t graphs = 0;
int64_t all_replays = 0;

class FakeGraph final : public Graph {
 public:
  FakeGraph() { ++graphs; }
  ~FakeGraph() override { --graphs; }

  void Replay() override {
    const c10::InferenceMode inference;
    const c10::DeviceGuard here(FakeDevice());
    ++all_replays;
    for (const auto& each : work) each();
  }

  KeptMemory memory;  // goes last
  std::vector<std::function<void()>> work;
};

}  // namespace

int64_t FakeGraphRecorder::alive() { return graphs; }
int64_t FakeGraphRecorder::replays() { return all_replays; }

std::unique_ptr<Graph> FakeGraphRecorder::Record(const std::function<void()>& work) {
  TORCH_CHECK(!refuses_, "this fake device records nothing");
  auto graph = std::make_unique<FakeGraph>();
  struct Recording {
    explicit Recording(FakeGraph& into) : graph(into) {
      RecordOperations(&into.work);
      cuda::RecordLaunches([&into](cuda::Launched launch) {
        into.work.push_back(
            [launch = std::move(launch)] { TORCH_CHECK(launch().ok(), "a kernel stood still"); });
      });
    }
    ~Recording() {
      RecordOperations(nullptr);
      cuda::RecordLaunches(nullptr);
      graph.memory.Close();
    }
    FakeGraph& graph;
  };
  {
    const Recording now(*graph);
    work();
  }
  ++recorded_;
  return graph;
}

}  // namespace attnrl::device
