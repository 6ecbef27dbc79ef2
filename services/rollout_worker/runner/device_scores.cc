// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/runner/device_scores.h"

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/InferenceMode.h>

#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>

#include "common/attention/cuda/score_updates.h"

namespace attnrl::rollout {

class DeviceScoreSums final : public ScoreSums {
 public:
  explicit DeviceScoreSums(DeviceScores& of) : of_(of) {}
  ~DeviceScoreSums() override { of_.waiting_.erase(this); }

  int64_t stride() const override { return current_.defined() ? current_.size(1) : 0; }

  void Widen(int64_t stride) override {
    const c10::InferenceMode inference;
    for (at::Tensor* sums : {&current_, &total_}) {
      const at::Tensor wider =
          at::zeros({of_.rows_, stride}, at::TensorOptions(at::kFloat).device(of_.device_));
      if (sums->defined()) wider.narrow(1, 0, sums->size(1)).copy_(*sums);
      *sums = wider;
    }
  }

  float* current() override { return current_.mutable_data_ptr<float>(); }
  float* Scratch(int64_t) override { return nullptr; }

  void EndStep(int64_t steps, int64_t queries) override {
    if (waits_) Settle();
    waits_ = {steps, queries};
    of_.waiting_.insert(this);
  }
  void Clear() override {
    if (!current_.defined()) return;
    waits_ = {stride(), 0};
    of_.waiting_.insert(this);
  }

  std::vector<float> Largest(int64_t steps) override {
    const c10::InferenceMode inference;
    std::vector<float> largest(static_cast<size_t>(steps), 0);
    if (steps == 0) return largest;
    if (waits_) Settle();
    const at::Tensor most = total_.narrow(1, 0, steps).amax(0).clamp_min(0).to(at::kCPU);
    std::memcpy(largest.data(), most.const_data_ptr<float>(), largest.size() * sizeof(float));
    return largest;
  }

  attention::ScoreUpdate TakeUpdate() {
    const attention::ScoreUpdate update{.current = current(),
                                        .total = total_.mutable_data_ptr<float>(),
                                        .stride = stride(),
                                        .steps = static_cast<int32_t>(waits_->steps),
                                        .queries = static_cast<float>(waits_->queries)};
    waits_.reset();
    return update;
  }

 private:
  struct Ended {
    int64_t steps = 0;
    int64_t queries = 0;  // 0: all is forgotten
  };

  // What waits, now, by operations of LibTorch.
  void Settle() {
    const c10::InferenceMode inference;
    at::Tensor current = current_.narrow(1, 0, waits_->steps);
    at::Tensor total = total_.narrow(1, 0, waits_->steps);
    if (waits_->queries == 0) {
      total.zero_();
    } else {
      total.add_(current / static_cast<float>(waits_->queries));
    }
    current.zero_();
    waits_.reset();
    of_.waiting_.erase(this);
  }

  DeviceScores& of_;
  at::Tensor current_, total_;  // [rows, stride]
  std::optional<Ended> waits_;
};

std::unique_ptr<ScoreSums> DeviceScores::Make() { return std::make_unique<DeviceScoreSums>(*this); }

void DeviceScores::Add(device::Upload& upload) {
  count_ = static_cast<int32_t>(waiting_.size());
  if (count_ == 0) return;
  static_assert(sizeof(attention::ScoreUpdate) % sizeof(int64_t) == 0);
  constexpr int64_t kNumbers = sizeof(attention::ScoreUpdate) / sizeof(int64_t);
  part_ = upload.Add(count_ * kNumbers);
  int64_t* to = upload.At(part_);
  for (DeviceScoreSums* sums : waiting_) {
    const attention::ScoreUpdate update = sums->TakeUpdate();
    std::memcpy(to, &update, sizeof(update));
    to += kNumbers;
  }
  waiting_.clear();
}

void DeviceScores::Apply(const device::Upload& upload, const attention::DecodeKernels& kernels) {
  if (count_ == 0) return;
  const at::Tensor updates = upload.Integers(part_);
  const c10::DeviceGuard here(updates.device());
  const attention::ScoreUpdates all{
      .updates = static_cast<const attention::ScoreUpdate*>(updates.const_data_ptr()),
      .count = count_,
      .rows = static_cast<int32_t>(rows_)};
  if (const cuda::LaunchError error = kernels.Update(all)) {
    throw std::runtime_error(std::string("the GPU: ") + error);
  }
}

}  // namespace attnrl::rollout
