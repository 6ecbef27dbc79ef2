// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/batch_bytes.h"

#include <cstring>
#include <type_traits>
#include <vector>

namespace attnrl::learner {
namespace {

using scheduler::TrainingBatch;
using scheduler::TrainingSample;

class Writer {
 public:
  template <typename T>
  void operator()(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  template <typename T>
  void operator()(const std::vector<T>& values) {
    static_assert(std::is_trivially_copyable_v<T>);
    (*this)(static_cast<uint64_t>(values.size()));
    bytes_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(const std::string& bytes) : bytes_(bytes) {}

  template <typename T>
  void operator()(T& value) {
    if (!Has(sizeof(T))) return;
    std::memcpy(&value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
  }
  template <typename T>
  void operator()(std::vector<T>& values) {
    uint64_t size = 0;
    (*this)(size);
    if (size > bytes_.size() || !Has(size * sizeof(T))) return;
    values.resize(size);
    std::memcpy(values.data(), bytes_.data() + at_, size * sizeof(T));
    at_ += size * sizeof(T);
  }
  bool Has(size_t count) {
    whole_ = whole_ && count <= bytes_.size() - at_;
    return whole_;
  }
  // Everything was there, and nothing is left.
  bool finished() const { return whole_ && at_ == bytes_.size(); }

 private:
  const std::string& bytes_;
  size_t at_ = 0;
  bool whole_ = true;
};

// The fields in one place, for both directions.
template <typename Visitor, typename Sample>
void Visit(Visitor& visit, Sample& sample) {
  visit(sample.position);
  visit(sample.response);
  visit(sample.node);
  visit(sample.prompt_ids);
  visit(sample.response_ids);
  visit(sample.logprobs);
  visit(sample.advantages);
  visit(sample.versions);
  visit(sample.reward);
  visit(sample.truncated);
}

template <typename Visitor, typename Batch>
void VisitHead(Visitor& visit, Batch& batch) {
  visit(batch.batch);
  visit(batch.base);
  visit(batch.problems);
  visit(batch.last);
  visit(batch.graded_responses);
  visit(batch.right_responses);
}

}  // namespace

std::string BatchBytes(const TrainingBatch& batch) {
  Writer writer;
  VisitHead(writer, batch);
  writer(static_cast<uint64_t>(batch.samples.size()));
  for (const TrainingSample& sample : batch.samples) Visit(writer, sample);
  return writer.Take();
}

absl::StatusOr<TrainingBatch> ParseBatchBytes(const std::string& bytes) {
  Reader reader(bytes);
  TrainingBatch batch;
  VisitHead(reader, batch);
  uint64_t samples = 0;
  reader(samples);
  for (uint64_t i = 0; i < samples && reader.Has(1); ++i) {
    Visit(reader, batch.samples.emplace_back());
  }
  if (!reader.finished()) return absl::DataLossError("a batch from rank 0 is cut or too long");
  return batch;
}

}  // namespace attnrl::learner
