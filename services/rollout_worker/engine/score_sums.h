// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace attnrl::rollout {

// Where the attention of a response's tokens to its earlier steps is added up, for OnlineScores: a
// row for each layer and head, a column for each step; those of the step that is being decoded
// apart from those of the steps that have ended. In the memory of the device that decodes.
class ScoreSums {
 public:
  virtual ~ScoreSums() = default;

  // Columns that there are; those beyond what was added to are zeros.
  virtual int64_t stride() const = 0;
  // More columns; what is in the others stays.
  virtual void Widen(int64_t stride) = 0;
  // For a pass to add to, [rows, stride] of the step that is being decoded, until it is widened.
  virtual float* current() = 0;
  // Scratch of so many numbers for a pass; null where the device needs none.
  virtual float* Scratch(int64_t numbers) = 0;

  // The step that was decoded has ended: its first `steps` columns, divided by its queries, are
  // added to those of the steps before, and begin anew.
  virtual void EndStep(int64_t steps, int64_t queries) = 0;
  // Forgets all.
  virtual void Clear() = 0;
  // Of the first `steps` columns of the steps that have ended, the largest number of each.
  virtual std::vector<float> Largest(int64_t steps) = 0;
};

// On the host.
class HostScoreSums final : public ScoreSums {
 public:
  explicit HostScoreSums(int64_t rows) : rows_(rows) {}

  int64_t stride() const override { return stride_; }
  void Widen(int64_t stride) override;
  float* current() override { return current_.data(); }
  float* Scratch(int64_t numbers) override;
  void EndStep(int64_t steps, int64_t queries) override;
  void Clear() override;
  std::vector<float> Largest(int64_t steps) override;

 private:
  const int64_t rows_;
  int64_t stride_ = 0;
  std::vector<float> current_;  // [rows, stride]
  std::vector<float> total_;    // [rows, stride]
  std::vector<float> scratch_;
};

}  // namespace attnrl::rollout
