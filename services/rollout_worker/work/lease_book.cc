// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/work/lease_book.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/status.h"

namespace attnrl::rollout {
namespace {

Request MakeRequest(const scheduler::WorkItem& item, const scheduler::SampleRequest& sample) {
  Request request;
  request.version = item.version.number;
  request.prompt_ids = item.prompt_ids;
  request.prompt_ids.insert(request.prompt_ids.end(), item.response_ids.begin(),
                            item.response_ids.begin() + sample.split);
  request.first_index = sample.split;
  // Node 0 of the text stands for the prompt, n + 1 for the response of node n.
  request.shared.push_back(
      {{item.batch, item.position, 0}, static_cast<int64_t>(item.prompt_ids.size())});
  if (item.kind == scheduler::ItemKind::kContinuation) {
    request.shared.push_back({{item.batch, item.position, item.parent + 1},
                              static_cast<int64_t>(request.prompt_ids.size())});
  } else {
    request.becomes = {item.batch, item.position, sample.node + 1};
  }
  request.max_new_tokens = sample.max_new_tokens;
  request.sampling = {item.sampling.temperature, item.sampling.top_p, item.sampling.top_k};
  request.stop_ids = item.sampling.stop_ids;
  request.score_delta = item.score_delta;
  request.key = {item.sampling.seed, kSampleToken, item.batch, item.position, sample.node};
  return request;
}

}  // namespace

absl::StatusOr<std::vector<Request>> LeaseBook::MakeRequests(
    const scheduler::WorkItem& item) const {
  const std::string name = absl::StrCat("item ", item.item, " of batch ", item.batch);
  if (item.samples.empty()) return InputError(name, "no samples", "at least one");
  std::vector<Request> requests;
  for (const scheduler::SampleRequest& sample : item.samples) {
    if (sample.split > item.response_ids.size()) {
      return InputError(name, absl::StrCat("a split at token ", sample.split),
                        absl::StrCat("at most ", item.response_ids.size()));
    }
    requests.push_back(MakeRequest(item, sample));
    ATTNRL_RETURN_IF_ERROR(Annotate(CheckRequest(requests.back(), max_tokens_, vocabulary_), name));
  }
  return requests;
}

absl::StatusOr<std::vector<Request>> LeaseBook::Add(const scheduler::Lease& lease,
                                                    absl::Duration now) {
  if (entries_.contains(lease.lease)) return std::vector<Request>{};
  ATTNRL_ASSIGN_OR_RETURN(std::vector<Request> requests, MakeRequests(lease.item));
  Entry& entry = entries_[lease.lease];
  entry.result.lease = lease.lease;
  entry.result.item = lease.item.item;
  entry.result.version = lease.item.version;
  entry.result.samples.resize(lease.item.samples.size());
  entry.open = lease.item.samples.size();
  if (lease.limit_seconds > 0) entry.limit = now + absl::Seconds(lease.limit_seconds);
  for (size_t i = 0; i < requests.size(); ++i) {
    requests[i].id = next_request_++;
    entry.result.samples[i].node = lease.item.samples[i].node;
    entry.requests.push_back(requests[i].id);
    requests_[requests[i].id] = {lease.lease, i};
  }
  return requests;
}

std::optional<scheduler::ItemResult> LeaseBook::Complete(const Completion& completion) {
  const auto found = requests_.find(completion.id);
  if (found == requests_.end()) return std::nullopt;
  const auto [lease, index] = found->second;
  requests_.erase(found);
  Entry& entry = entries_[lease];
  scheduler::ItemResult& result = entry.result;
  scheduler::SampleResult& sample = result.samples[index];
  sample.token_ids = completion.token_ids;
  sample.logprobs = completion.logprobs;
  sample.entropy = completion.entropy;
  uint32_t begin = 0;
  for (const uint32_t end : completion.scores.ends) {
    sample.steps.emplace_back(begin, end);
    begin = end;
  }
  sample.fci = completion.scores.fci;
  sample.finish = completion.finish == FinishReason::kStop ? scheduler::FinishReason::kStop
                                                           : scheduler::FinishReason::kLength;
  const double start = UnixSeconds(completion.start);
  const bool first = entry.open == result.samples.size();
  result.span.start = first ? start : std::min(result.span.start, start);
  result.span.end = std::max(result.span.end, UnixSeconds(completion.end));
  result.prefill_tokens += static_cast<uint64_t>(completion.prefill_tokens);
  result.reused_tokens += static_cast<uint64_t>(completion.reused_tokens);
  if (--entry.open > 0) return std::nullopt;
  return result;
}

std::vector<uint64_t> LeaseBook::Forget(const std::vector<scheduler::LeaseId>& leases) {
  std::vector<uint64_t> open;
  for (const scheduler::LeaseId lease : leases) {
    const auto found = entries_.find(lease);
    if (found == entries_.end()) continue;
    for (const uint64_t request : found->second.requests) {
      if (requests_.erase(request) > 0) open.push_back(request);
    }
    entries_.erase(found);
  }
  return open;
}

std::optional<scheduler::LeaseRef> LeaseBook::LeaseOf(uint64_t request) const {
  const auto found = requests_.find(request);
  if (found == requests_.end()) return std::nullopt;
  const scheduler::LeaseId lease = found->second.first;
  return scheduler::LeaseRef{lease, entries_.at(lease).result.item};
}

std::vector<scheduler::LeaseRef> LeaseBook::Held() const {
  std::vector<scheduler::LeaseRef> held;
  for (const auto& [lease, entry] : entries_) held.push_back({lease, entry.result.item});
  return held;
}

std::vector<scheduler::LeaseId> LeaseBook::Leases() const {
  std::vector<scheduler::LeaseId> leases;
  for (const auto& [lease, entry] : entries_) leases.push_back(lease);
  return leases;
}

std::vector<uint64_t> LeaseBook::Tokens(const std::map<uint64_t, uint64_t>& open) const {
  std::vector<uint64_t> tokens;
  for (const auto& [lease, entry] : entries_) {
    uint64_t sum = 0;
    for (const scheduler::SampleResult& sample : entry.result.samples) {
      sum += sample.token_ids.size();
    }
    for (const uint64_t request : entry.requests) {
      const auto found = open.find(request);
      // One that has ended since counts by its tokens.
      if (found != open.end() && requests_.contains(request)) sum += found->second;
    }
    tokens.push_back(sum);
  }
  return tokens;
}

std::vector<scheduler::LeaseId> LeaseBook::Unfinished() const {
  std::vector<scheduler::LeaseId> leases;
  for (const auto& [lease, entry] : entries_) {
    if (entry.open > 0) leases.push_back(lease);
  }
  return leases;
}

std::vector<scheduler::LeaseId> LeaseBook::Unfinished(const Version& version) const {
  std::vector<scheduler::LeaseId> leases;
  for (const auto& [lease, entry] : entries_) {
    if (entry.open > 0 && entry.result.version == version) leases.push_back(lease);
  }
  return leases;
}

std::vector<scheduler::LeaseId> LeaseBook::Late(absl::Duration now) const {
  std::vector<scheduler::LeaseId> leases;
  for (const auto& [lease, entry] : entries_) {
    if (entry.open > 0 && entry.limit <= now) leases.push_back(lease);
  }
  return leases;
}

absl::Duration LeaseBook::next_late() const {
  absl::Duration next = absl::InfiniteDuration();
  for (const auto& [lease, entry] : entries_) {
    if (entry.open > 0) next = std::min(next, entry.limit);
  }
  return next;
}

std::vector<scheduler::ItemResult> LeaseBook::Unacknowledged() const {
  std::vector<scheduler::ItemResult> results;
  for (const auto& [lease, entry] : entries_) {
    if (entry.open == 0) results.push_back(entry.result);
  }
  return results;
}

std::vector<Version> LeaseBook::VersionsNeeded() const {
  std::map<uint32_t, Version> versions;
  for (const auto& [lease, entry] : entries_) {
    if (entry.open > 0) versions[entry.result.version.number] = entry.result.version;
  }
  std::vector<Version> needed;
  for (const auto& [number, version] : versions) needed.push_back(version);
  return needed;
}

}  // namespace attnrl::rollout
