// SPDX-License-Identifier: Apache-2.0
// Results of items, whole and in parts: convert.h and parts.h.
#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/branch_scheduler/convert/convert.h"
#include "services/branch_scheduler/convert/parts.h"

namespace attnrl::scheduler {
namespace {

// Tokens and steps of one part: at most 22 bytes for each of both, so 3 MB with what is around.
constexpr size_t kPartSize = size_t{128} * 1024;

size_t Size(const ItemResult& result) {
  size_t size = 0;
  for (const SampleResult& sample : result.samples) {
    size += sample.token_ids.size() + sample.steps.size();
  }
  return size;
}

// `count` elements from `first` on, or as many as there are.
template <typename T, typename List>
void SetSlice(const std::vector<T>& from, size_t first, size_t count, List* to) {
  const size_t begin = std::min(first, from.size());
  const size_t end = begin + std::min(count, from.size() - begin);
  to->Assign(from.begin() + static_cast<std::ptrdiff_t>(begin),
             from.begin() + static_cast<std::ptrdiff_t>(end));
}

// `count` tokens from `first` on, and as many steps.
void SetSample(const SampleResult& from, size_t first, size_t count, v1::SampleResult* to) {
  to->set_node(from.node);
  to->set_continued(first > 0);
  to->set_finish_reason(from.finish == FinishReason::kStop
                            ? v1::SampleResult::FINISH_REASON_STOP
                            : v1::SampleResult::FINISH_REASON_LENGTH);
  SetSlice(from.token_ids, first, count, to->mutable_token_ids());
  SetSlice(from.logprobs, first, count, to->mutable_logprobs());
  SetSlice(from.entropy, first, count, to->mutable_entropy());
  for (size_t i = first; i < std::min(first + count, from.steps.size()); ++i) {
    to->add_step_ends(static_cast<uint32_t>(from.steps[i].second));
  }
  SetSlice(from.fci, first, count, to->mutable_fci());
}

size_t Length(const SampleResult& sample) {
  return std::max({sample.token_ids.size(), sample.logprobs.size(), sample.entropy.size(),
                   sample.steps.size(), sample.fci.size()});
}

void SetHead(const ItemResult& from, v1::ItemResult* to) {
  to->set_lease(Number(from.lease));
  to->set_item(Number(from.item));
  SetVersion(from.version, to->mutable_version());
  SetSpan(from.span, to->mutable_span());
  to->set_prefill_tokens(from.prefill_tokens);
  to->set_reused_tokens(from.reused_tokens);
}

size_t Size(const v1::ItemResult& part) {
  size_t size = 0;
  for (const v1::SampleResult& sample : part.samples()) {
    size +=
        static_cast<size_t>(sample.token_ids_size()) + static_cast<size_t>(sample.step_ends_size());
  }
  return size;
}

template <typename T, typename List>
void Append(const List& from, std::vector<T>* to) {
  to->insert(to->end(), from.begin(), from.end());
}

absl::Status AddSample(const v1::SampleResult& from, std::vector<SampleResult>* samples) {
  if (!from.continued()) {
    samples->emplace_back().node = from.node();
  } else if (samples->empty() || samples->back().node != from.node()) {
    return absl::InvalidArgumentError("samples.continued: there is no such sample before");
  }
  SampleResult& sample = samples->back();
  switch (from.finish_reason()) {
    case v1::SampleResult::FINISH_REASON_STOP:
      sample.finish = FinishReason::kStop;
      break;
    case v1::SampleResult::FINISH_REASON_LENGTH:
      sample.finish = FinishReason::kLength;
      break;
    default:
      return absl::InvalidArgumentError("samples.finish_reason: neither stop nor length");
  }
  Append(from.token_ids(), &sample.token_ids);
  Append(from.logprobs(), &sample.logprobs);
  Append(from.entropy(), &sample.entropy);
  if (sample.steps.empty()) sample.steps.reserve(static_cast<size_t>(from.step_ends_size()));
  int64_t begin = sample.steps.empty() ? 0 : sample.steps.back().second;
  for (const uint32_t end : from.step_ends()) {
    sample.steps.emplace_back(begin, end);
    begin = end;
  }
  Append(from.fci(), &sample.fci);
  return absl::OkStatus();
}

}  // namespace

void SetResult(const ItemResult& from, v1::ItemResult* to) {
  SetHead(from, to);
  for (const SampleResult& sample : from.samples) {
    SetSample(sample, 0, Length(sample), to->add_samples());
  }
}

absl::StatusOr<ItemResult> GetResult(const v1::ItemResult& from) {
  std::optional<ItemResult> whole;
  const absl::Status status = AddPart(from, &whole);
  if (!status.ok()) return status;
  return *std::move(whole);
}

absl::StatusOr<std::vector<v1::WorkerMessage>> ToParts(const ItemResult& from) {
  if (const size_t size = Size(from); size > kMaxResultSize) {
    return absl::OutOfRangeError(absl::StrCat("the result of item ", Number(from.item), " has ",
                                              size, " tokens and scored steps; at most ",
                                              kMaxResultSize, " can be sent"));
  }
  std::vector<v1::WorkerMessage> parts;
  size_t room = 0;
  const auto open_part = [&] {
    if (!parts.empty()) parts.back().mutable_result()->set_more(true);
    SetHead(from, parts.emplace_back().mutable_result());
    room = kPartSize;
  };
  open_part();
  for (const SampleResult& sample : from.samples) {
    const size_t length = std::max(Length(sample), size_t{1});
    for (size_t first = 0; first < length;) {
      if (room == 0) open_part();
      const size_t count = std::min(room, length - first);
      SetSample(sample, first, count, parts.back().mutable_result()->add_samples());
      first += count;
      room -= count;
    }
  }
  return parts;
}

absl::Status AddPart(const v1::ItemResult& part, std::optional<ItemResult>* whole) {
  if (!whole->has_value()) {
    whole->emplace();
  } else if ((*whole)->lease != LeaseId{part.lease()}) {
    return absl::InvalidArgumentError(absl::StrCat("result: a part of lease ", part.lease(),
                                                   ", while parts of lease ",
                                                   Number((*whole)->lease), " are missing"));
  }
  ItemResult& to = **whole;
  // Before it is added: a step has one byte on the wire and sixteen in memory.
  if (Size(to) + Size(part) > kMaxResultSize) {
    return absl::InvalidArgumentError(absl::StrCat(
        "result: more than ", kMaxResultSize, " tokens and scored steps of lease ", part.lease()));
  }
  to.lease = LeaseId{part.lease()};
  to.item = ItemId{part.item()};
  to.version = GetVersion(part.version());
  to.span = GetSpan(part.span());
  to.prefill_tokens = part.prefill_tokens();
  to.reused_tokens = part.reused_tokens();
  for (const v1::SampleResult& sample : part.samples()) {
    const absl::Status status = AddSample(sample, &to.samples);
    if (!status.ok()) return status;
  }
  if (to.samples.size() <= kMaxResultSamples) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("result: more than ", kMaxResultSamples, " samples of lease ", part.lease()));
}

}  // namespace attnrl::scheduler
