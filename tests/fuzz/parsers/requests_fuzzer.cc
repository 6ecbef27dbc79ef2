// SPDX-License-Identifier: Apache-2.0
// Any bytes as a message of the contract, the first byte saying which, through the conversion and
// the admission that stand between a peer and the run: what they let through keeps its promises,
// and is the same when it is sent on.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/storage/digest.h"
#include "proto/attnrl/v1/branch_scheduler.pb.h"
#include "proto/attnrl/v1/verifier.pb.h"
#include "proto/attnrl/v1/weight_store.pb.h"
#include "services/branch_scheduler/admission/admission.h"
#include "services/branch_scheduler/convert/convert.h"
#include "services/learner/client/version_receiver.h"
#include "services/verifier/convert/convert.h"
#include "tests/fuzz/targets/require.h"

namespace attnrl::fuzz {
namespace {

constexpr int64_t kVocabulary = 50;
constexpr uint64_t kMaxVersionBytes = uint64_t{1} << 30;

// What results are held against: two samples, scored; id 9 stops.
scheduler::WorkItem Item() {
  scheduler::WorkItem item;
  item.item = scheduler::ItemId{7};
  item.version = {3, "digest"};
  item.prompt_ids = {1, 2};
  item.samples = {{.node = 4, .max_new_tokens = 6}, {.node = 5, .max_new_tokens = 6}};
  item.sampling.stop_ids = {9};
  item.score_delta = 1;
  return item;
}

// A step ends with every token 3.
std::vector<StepRange> Steps(uint32_t prompt, const std::vector<int32_t>& response) {
  std::vector<StepRange> steps = {{0, prompt}};
  for (size_t i = 0; i < response.size(); ++i) {
    if (response[i] != 3 && i + 1 < response.size()) continue;
    steps.emplace_back(steps.back().second, prompt + static_cast<int64_t>(i) + 1);
  }
  return steps;
}

void CheckAdmitted(const scheduler::ItemResult& result) {
  Require(result.samples.size() == 2, "as many samples as asked for");
  Require(std::isfinite(result.span.start) && result.span.start <= result.span.end, "a span");
  for (const scheduler::SampleResult& sample : result.samples) {
    const size_t tokens = sample.token_ids.size();
    Require(tokens > 0 && tokens <= 6, "a length within the item's");
    Require(sample.logprobs.size() == tokens && sample.entropy.size() == tokens, "one a token");
    for (size_t i = 0; i < tokens; ++i) {
      Require(sample.token_ids[i] >= 0 && sample.token_ids[i] < kVocabulary, "an id of the model");
      Require(sample.logprobs[i] <= scheduler::kRounding && std::isfinite(sample.logprobs[i]),
              "a log-prob");
      Require(sample.entropy[i] >= -scheduler::kRounding && std::isfinite(sample.entropy[i]),
              "an entropy");
    }
  }
}

void CheckResult(const scheduler::ItemResult& result) {
  const scheduler::TextTools text{{}, Steps};
  const auto admitted = scheduler::AdmitResult(result, Item(), kVocabulary, text);
  if (admitted.ok()) CheckAdmitted(**admitted);
}

template <typename Message>
std::optional<Message> Parse(std::string_view bytes) {
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  return message;
}

// What a worker sends, whole and as the only part of a result.
void FromWorker(std::string_view bytes) {
  const auto message = Parse<v1::WorkerMessage>(bytes);
  if (!message) return;
  std::optional<scheduler::ItemResult> whole;
  if (message->has_result() && scheduler::AddPart(message->result(), &whole).ok()) {
    (void)scheduler::AddPart(message->result(), &whole);  // a second part, as the first
    CheckResult(*whole);
  }
  auto plain = scheduler::FromProto(*message);
  if (!plain.ok() || !scheduler::CheckMessage(*plain).ok()) return;
  scheduler::MemoryOf(*plain);
  if (const auto* result = std::get_if<scheduler::ItemResult>(&*plain)) CheckResult(*result);
  v1::WorkerMessage sent;
  scheduler::ToProto(*plain, &sent);
  Require(scheduler::FromProto(sent).ok(), "what was understood can be said");
}

void FromScheduler(std::string_view bytes) {
  const auto message = Parse<v1::SchedulerMessage>(bytes);
  if (!message) return;
  const auto plain = scheduler::FromProto(*message);
  if (!plain.ok()) return;
  v1::SchedulerMessage sent;
  scheduler::ToProto(*plain, &sent);
  Require(scheduler::FromProto(sent).ok(), "what was understood can be said");
}

void FromLearner(std::string_view bytes) {
  if (const auto request = Parse<v1::NextBatchRequest>(bytes)) {
    scheduler::FromProto(*request);
  }
  if (const auto commit = Parse<v1::CommitBatchRequest>(bytes)) {
    const scheduler::BatchCommit plain = scheduler::FromProto(*commit);
    if (!scheduler::CheckStatistics(plain.statistics).ok()) return;
    Require(!std::isinf(plain.statistics.loss), "a loss");
    const auto& train = plain.statistics.train;
    Require(!train || (std::isfinite(train->start) && train->start <= train->end), "a span");
  }
}

void ToLearner(std::string_view bytes) {
  const auto reply = Parse<v1::NextBatchReply>(bytes);
  if (!reply) return;
  scheduler::FromProto(reply->header());
  for (const v1::TrainingSample& sample : reply->samples().samples()) {
    v1::TrainingSample sent;
    const scheduler::TrainingSample plain = scheduler::FromProto(sample);
    scheduler::ToProto(plain, &sent);
    // Compared as bytes: a NaN is not itself.
    Require(
        sent.SerializeAsString() ==
            [&] {
              v1::TrainingSample again;
              scheduler::ToProto(scheduler::FromProto(sent), &again);
              return again.SerializeAsString();
            }(),
        "a sample stays the same");
  }
}

void ToPeople(std::string_view bytes) {
  if (const auto status = Parse<v1::StatusReply>(bytes)) {
    const scheduler::RunStatus plain = scheduler::FromProto(*status);
    Require(!scheduler::RunStateName(plain.state).empty(), "a state has a name");
  }
}

void ToVerifier(std::string_view bytes) {
  const auto request = Parse<v1::VerifyRequest>(bytes);
  if (!request) return;
  const auto plain = verifier::FromProto(*request);
  Require(plain.size() == static_cast<size_t>(request->responses_size()), "each is asked");
}

// Of a verifier that may be anybody's.
void FromVerifier(std::string_view bytes) {
  const auto reply = Parse<v1::VerifyReply>(bytes);
  if (!reply) return;
  std::vector<verifier::GradeRequest> requests(2);
  requests[0].answers = requests[1].answers = {"1", "2"};
  const auto results = verifier::FromProto(*reply, requests);
  if (!results.ok()) return;
  Require(results->size() == 2, "a result for each");
  for (const verifier::GradeResult& result : *results) {
    Require(!verifier::StatusName(result.status).empty(), "a status has a name");
    Require(!result.correct || (result.matched >= 0 && result.matched < 2), "an answer matched");
  }
}

// Of the weight store: a manifest, and the first chunks of its version.
void FromWeightStore(std::string_view bytes) {
  const auto manifest = Parse<v1::VersionManifest>(bytes);
  if (!manifest) return;
  learner::VersionData data;
  data.version = {manifest->version().number(), manifest->version().digest()};
  data.chunk_bytes = manifest->chunk_bytes();
  data.chunk_digests = manifest->chunk_digests();
  for (const v1::TensorInfo& info : manifest->tensors()) {
    data.tensors.push_back({.name = info.name(),
                            .dtype = info.dtype(),
                            .shape = {info.shape().begin(), info.shape().end()},
                            .size = info.bytes()});
  }
  learner::VersionReceiver receiver({data.version.number, ""}, kMaxVersionBytes);
  const uint64_t total = manifest->total_bytes();
  if (!receiver.Manifest(std::move(data), total).ok()) return;
  Require(total <= kMaxVersionBytes, "a version has a bound");
  learner::ChunkReceiver source = receiver.FromSource(nullptr);
  std::vector<size_t> chunks = receiver.Missing();
  chunks.resize(std::min<size_t>(chunks.size(), 4));
  for (const size_t chunk : chunks) {
    const std::span<char> at = source.Room(chunk);
    std::fill(at.begin(), at.end(), 'x');
    (void)source.Filled(chunk, storage::Crc32c({at.data(), at.size()}));
  }
  Require(source.Settle().ok() || !receiver.complete(), "a version has its digests");
}

void Check(std::string_view bytes) {
  using Target = void (*)(std::string_view);
  constexpr Target kTargets[] = {FromWorker, FromScheduler, FromLearner,  ToLearner,
                                 ToPeople,   ToVerifier,    FromVerifier, FromWeightStore};
  if (bytes.empty()) return;
  kTargets[static_cast<uint8_t>(bytes[0]) % std::size(kTargets)](bytes.substr(1));
}

}  // namespace
}  // namespace attnrl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  attnrl::fuzz::Check({reinterpret_cast<const char*>(data), size});
  return 0;
}
