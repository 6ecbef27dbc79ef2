// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>

namespace attnrl::device {

// What was recorded on a device, launched again as one: a CUDA graph.
class Graph {
 public:
  virtual ~Graph() = default;
  // On LibTorch's current stream, without waiting. Throws what LibTorch does.
  virtual void Replay() = 0;
};

// Records graphs of one device, on one thread. What a graph reads from outside must stay where it
// was. Memory that is taken while one is recorded is the recorder's, and its graphs use it one
// after the other: what a replay leaves there holds until the next one.
class GraphRecorder {
 public:
  virtual ~GraphRecorder() = default;
  // What `work` launches, none of which is computed yet. Throws what LibTorch does where something
  // can't be recorded, such as a wait or a copy to the host.
  virtual std::unique_ptr<Graph> Record(const std::function<void()>& work) = 0;
};

// Null where the device has no graphs.
std::unique_ptr<GraphRecorder> MakeGraphRecorder(at::Device device);

}  // namespace attnrl::device
