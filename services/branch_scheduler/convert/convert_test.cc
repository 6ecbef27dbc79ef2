// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/convert/convert.h"

#include <gtest/gtest.h>

#include <limits>
#include <optional>
#include <set>
#include <string>

#include "services/branch_scheduler/options.h"

namespace attnrl::scheduler {
namespace {

WorkItem Item() {
  WorkItem item;
  item.item = ItemId{77};
  item.kind = ItemKind::kContinuation;
  item.parent = 3;
  item.batch = 3;
  item.position = 4;
  item.version = Version{2, "abc"};
  item.prompt_ids = {1, 2};
  item.response_ids = {3, 4, 5};
  item.samples = {{6, 1, 100}, {7, 2, 99}};
  item.sampling = SamplingParams{0.7f, 1, 0, 1234567890123ull, {9, 10}};
  return item;
}

ItemResult Result() {
  ItemResult result;
  result.lease = LeaseId{5};
  result.item = ItemId{77};
  result.version = Version{2, "abc"};
  result.samples = {{6, {1, 2}, {-0.5f, -0.25f}, {0.1f, 0.2f}, FinishReason::kLength}};
  result.span = Span{1.5, 2.5};
  result.prefill_tokens = 11;
  result.reused_tokens = 12;
  return result;
}

template <typename Message, typename Proto>
Message ThereAndBack(const Message& message) {
  Proto proto;
  ToProto(message, &proto);
  Proto wire;
  EXPECT_TRUE(wire.ParseFromString(proto.SerializeAsString()));
  auto back = FromProto(wire);
  EXPECT_TRUE(back.ok()) << back.status();
  return *back;
}

TEST(Convert, AWorkItemComesThroughWhole) {
  const SchedulerMessage sent = Lease{LeaseId{8}, Item()};
  const auto back = ThereAndBack<SchedulerMessage, v1::SchedulerMessage>(sent);
  EXPECT_EQ(std::get<Lease>(back).lease, LeaseId{8});
  EXPECT_EQ(std::get<Lease>(back).item, Item());
}

// Settings that allow more are refused at the start (SchedulerOptions::Validate).
TEST(Convert, TheLongestSequenceFitsIntoALeaseAndIntoAPieceOfABatch) {
  constexpr size_t kMessage = 4 << 20;
  constexpr size_t kPiece = 64 * 1024;  // of a batch: so many tokens, and one sample more
  constexpr int32_t kLargest = std::numeric_limits<int32_t>::max();
  constexpr uint32_t kLast = std::numeric_limits<uint32_t>::max();
  WorkItem item = Item();
  item.prompt_ids.assign(kMaxSequenceTokens / 2, kLargest);
  item.response_ids.assign(kMaxSequenceTokens / 2, kLargest);
  item.samples.assign(size_t{64} * 64, {kLast, kLast, kLast});
  v1::SchedulerMessage lease;
  ToProto(Lease{LeaseId{8}, item}, &lease);
  EXPECT_LT(lease.ByteSizeLong(), kMessage);

  TrainingSample sample;
  sample.response_ids.assign(kMaxSequenceTokens, kLargest);
  sample.logprobs.assign(kMaxSequenceTokens, -1.0F);
  sample.advantages.assign(65, {kLast, 1});
  TrainingSample rest = sample;
  rest.response_ids.resize(kPiece);
  rest.logprobs.resize(kPiece);
  v1::NextBatchReply reply;
  ToProto(rest, reply.mutable_samples()->add_samples());
  ToProto(sample, reply.mutable_samples()->add_samples());
  EXPECT_LT(reply.ByteSizeLong(), kMessage);
}

// What comes of a result that is sent in parts, and how many they were.
ItemResult InParts(const ItemResult& result, size_t* count) {
  const auto parts = ToParts(result);
  EXPECT_TRUE(parts.ok()) << parts.status();
  *count = parts->size();
  std::optional<ItemResult> whole;
  for (size_t i = 0; i < parts->size(); ++i) {
    v1::WorkerMessage wire;
    const std::string bytes = (*parts)[i].SerializeAsString();
    EXPECT_LT(bytes.size(), size_t{3} << 20) << "what a server takes";
    EXPECT_TRUE(wire.ParseFromString(bytes));
    EXPECT_EQ(wire.result().more(), i + 1 < parts->size());
    EXPECT_TRUE(AddPart(wire.result(), &whole).ok());
  }
  return *whole;
}

TEST(Convert, ALargeResultComesThroughInPartsBitForBit) {
  size_t count = 0;
  EXPECT_EQ(InParts(Result(), &count), Result());
  EXPECT_EQ(count, 1u);
  ItemResult large = Result();
  for (uint32_t node = 7; node < 10; ++node) {
    SampleResult& sample = large.samples.emplace_back();
    sample.node = node;
    for (int32_t i = 0; i < 200'000; ++i) {
      sample.token_ids.push_back(i);
      sample.logprobs.push_back(-static_cast<float>(i));
      sample.entropy.push_back(static_cast<float>(i));
      sample.steps.emplace_back(3 * i, 3 * i + 3);
      sample.fci.push_back(1.0F / static_cast<float>(i + 1));
    }
  }
  EXPECT_EQ(InParts(large, &count), large);
  EXPECT_EQ(count, 5u) << "600,002 tokens, 131,072 a part";
}

TEST(Convert, AResultThatIsTooLargeIsRefusedOnBothSides) {
  ItemResult large = Result();
  large.samples[0].token_ids.resize(kMaxResultSize);
  std::optional<ItemResult> whole;
  EXPECT_TRUE(ToParts(large).ok());
  large.samples[0].token_ids.resize(kMaxResultSize + 1);
  EXPECT_EQ(ToParts(large).status(),
            absl::OutOfRangeError("the result of item 77 has 3000001 tokens and scored steps; at "
                                  "most 3000000 can be sent"));
  v1::WorkerMessage wire;
  ToProto(WorkerMessage(large), &wire);
  EXPECT_TRUE(absl::IsInvalidArgument(AddPart(wire.result(), &whole)));
  wire.Clear();
  for (size_t i = 0; i <= kMaxResultSamples; ++i) {
    wire.mutable_result()->add_samples()->set_finish_reason(v1::SampleResult::FINISH_REASON_STOP);
  }
  whole.reset();
  EXPECT_EQ(AddPart(wire.result(), &whole),
            absl::InvalidArgumentError("result: more than 65536 samples of lease 0"));
}

TEST(Convert, PartsThatDoNotBelongTogetherAreRefused) {
  v1::WorkerMessage wire;
  ToProto(WorkerMessage(Result()), &wire);
  std::optional<ItemResult> whole;
  ASSERT_TRUE(AddPart(wire.result(), &whole).ok());
  wire.mutable_result()->set_lease(6);
  EXPECT_EQ(AddPart(wire.result(), &whole),
            absl::InvalidArgumentError("result: a part of lease 6, while parts of lease 5 are "
                                       "missing"));
  whole.reset();
  wire.mutable_result()->mutable_samples(0)->set_continued(true);
  EXPECT_EQ(AddPart(wire.result(), &whole),
            absl::InvalidArgumentError("samples.continued: there is no such sample before"));
}

TEST(Convert, AResultComesThroughBitForBit) {
  const auto back = ThereAndBack<WorkerMessage, v1::WorkerMessage>(WorkerMessage(Result()));
  EXPECT_EQ(std::get<ItemResult>(back), Result());
}

TEST(Convert, EveryKindOfWorkerMessageHasItsWay) {
  Register hello{"w", 4, "id", {{LeaseId{1}, ItemId{2}}, {LeaseId{3}, ItemId{4}}}, 9};
  const auto back = ThereAndBack<WorkerMessage, v1::WorkerMessage>(WorkerMessage(hello));
  EXPECT_EQ(std::get<Register>(back).worker, "w");
  EXPECT_EQ(std::get<Register>(back).held[1].item, ItemId{4});
  EXPECT_EQ(std::get<Register>(back).credits, 9u);
  for (const WorkerMessage& message :
       {WorkerMessage(Renew{{LeaseId{1}, LeaseId{2}}, {5, 6}}),
        WorkerMessage(GiveBack{{LeaseId{3}}, "why", true}), WorkerMessage(Credits{7})}) {
    EXPECT_EQ((ThereAndBack<WorkerMessage, v1::WorkerMessage>(message).index()), message.index());
  }
}

TEST(Convert, EveryKindOfSchedulerMessageHasItsWay) {
  for (const SchedulerMessage& message :
       {SchedulerMessage(Registered{1, {LeaseId{2}}, 60}),
        SchedulerMessage(Ack{LeaseId{1}, AckVerdict::kFenced, "late"}),
        SchedulerMessage(Ack{LeaseId{1}, AckVerdict::kAccepted, ""}),
        SchedulerMessage(Ack{LeaseId{1}, AckVerdict::kInvalid, "x"}),
        SchedulerMessage(Cancel{{LeaseId{1}}}), SchedulerMessage(Prefetch{Version{1, "a"}}),
        SchedulerMessage(DrainWorker{})}) {
    const auto back = ThereAndBack<SchedulerMessage, v1::SchedulerMessage>(message);
    ASSERT_EQ(back.index(), message.index());
    if (const auto* ack = std::get_if<Ack>(&message)) {
      EXPECT_EQ(std::get<Ack>(back).verdict, ack->verdict);
    }
  }
}

TEST(Convert, TheLimitOfALeaseComesThrough) {
  Lease lease{LeaseId{1}, {}, 2.5};
  lease.item.kind = ItemKind::kContinuation;
  const auto there = ThereAndBack<SchedulerMessage, v1::SchedulerMessage>(SchedulerMessage(lease));
  EXPECT_EQ(std::get<Lease>(there).limit_seconds, 2.5);
  const WorkerMessage late = GiveBack{{LeaseId{1}}, "why", false, true};
  const auto back = ThereAndBack<WorkerMessage, v1::WorkerMessage>(late);
  EXPECT_TRUE(std::get<GiveBack>(back).late);
  EXPECT_FALSE(std::get<GiveBack>(back).failed);
}

TEST(Convert, AMessageOfNoKindIsRefused) {
  EXPECT_EQ(FromProto(v1::WorkerMessage()).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(FromProto(v1::SchedulerMessage()).ok());
  v1::WorkerMessage result;
  result.mutable_result()->add_samples();
  EXPECT_FALSE(FromProto(result).ok()) << "no finish reason";
  v1::SchedulerMessage lease;
  lease.mutable_lease()->mutable_item();
  EXPECT_FALSE(FromProto(lease).ok()) << "no kind";
}

// What a newer or broken sender may write where an enum is expected.
template <typename Message, typename Set>
void ExpectOnlyKnown(const std::string& message, std::set<int> known, const Set& set) {
  for (int value = -1; value <= 9; ++value) {
    Message wire;
    set(value, &wire);
    const auto back = FromProto(wire);
    EXPECT_EQ(back.ok(), known.contains(value)) << value;
    if (known.contains(value)) continue;
    EXPECT_EQ(back.status(), absl::InvalidArgumentError(message)) << value;
  }
}

TEST(Convert, AnUnknownValueOfAnEnumIsRefusedByItsField) {
  ExpectOnlyKnown<v1::SchedulerMessage>(
      "item.kind: neither initial nor continuation", {1, 2}, [](int value, auto* wire) {
        wire->mutable_lease()->mutable_item()->set_kind(static_cast<v1::WorkItem::Kind>(value));
      });
  ExpectOnlyKnown<v1::SchedulerMessage>(
      "ack.verdict: unknown verdict", {1, 2, 3}, [](int value, auto* wire) {
        wire->mutable_ack()->set_verdict(static_cast<v1::Ack::Verdict>(value));
      });
  ExpectOnlyKnown<v1::WorkerMessage>("samples.finish_reason: neither stop nor length", {1, 2},
                                     [](int value, auto* wire) {
                                       wire->mutable_result()->add_samples()->set_finish_reason(
                                           static_cast<v1::SampleResult::FinishReason>(value));
                                     });
  EXPECT_EQ(FromProto(v1::WorkerMessage()).status(),
            absl::InvalidArgumentError("message: of no known kind"));
  v1::SchedulerMessage goodbye;
  goodbye.mutable_goodbye();
  EXPECT_EQ(FromProto(goodbye).status(), absl::InvalidArgumentError("message: of no known kind"))
      << "the stream's status is the client's matter";
}

TEST(Convert, AnUnknownStateOfTheRunIsTakenForStarting) {
  for (int value = -1; value <= 9; ++value) {
    v1::StatusReply wire;
    wire.set_state(static_cast<v1::StatusReply::State>(value));
    const RunState state = FromProto(wire).state;
    v1::StatusReply again;
    ToProto(RunStatus{.state = state}, &again);
    const bool known =
        value >= v1::StatusReply::STATE_STARTING && value <= v1::StatusReply::STATE_FINISHED;
    EXPECT_EQ(again.state(), known ? value : v1::StatusReply::STATE_STARTING);
  }
}

TEST(Convert, AMessageThatIsCutShortIsNeverTakenForWhole) {
  v1::WorkerMessage whole;
  ItemResult result = Result();
  result.samples[0].steps = {{0, 1}, {1, 3}};
  result.samples[0].fci = {0, 0.5f};
  ToProto(WorkerMessage(result), &whole);
  const std::string bytes = whole.SerializeAsString();
  for (size_t size = 0; size < bytes.size(); ++size) {
    v1::WorkerMessage cut;
    if (!cut.ParseFromString(bytes.substr(0, size))) continue;
    EXPECT_FALSE(FromProto(cut).ok()) << size;
  }
}

TEST(Convert, StepsComeBackFromTheirEnds) {
  ItemResult result = Result();
  result.samples[0].steps = {{0, 3}, {3, 4}, {4, 9}};
  result.samples[0].fci = {0, 0, 0.25f};
  const auto back = ThereAndBack<WorkerMessage, v1::WorkerMessage>(WorkerMessage(result));
  EXPECT_EQ(std::get<ItemResult>(back), result);
  WorkItem item = Item();
  item.kind = ItemKind::kInitial;
  item.score_delta = 4;
  const auto lease = ThereAndBack<SchedulerMessage, v1::SchedulerMessage>(Lease{LeaseId{1}, item});
  EXPECT_EQ(std::get<Lease>(lease).item, item);
}

TEST(Convert, ABatchItsRequestAndItsReplyComeThroughWhole) {
  TrainingBatch batch{.batch = 4,
                      .base = 3,
                      .problems = 9,
                      .last = true,
                      .samples = {{}, {}},
                      .graded_responses = 36,
                      .right_responses = 20};
  v1::BatchHeader header;
  ToProto(batch, &header);
  EXPECT_EQ(header.samples(), 2u);
  batch.samples.clear();  // they come in messages of their own
  EXPECT_EQ(FromProto(header), batch);
  v1::NextBatchRequest wire;
  ToProto(BatchRequest{5, {6, "d"}, 7, true}, &wire);
  const BatchRequest request = FromProto(wire);
  EXPECT_EQ(request.batch, 5u);
  EXPECT_EQ(request.version, (Version{6, "d"}));
  EXPECT_EQ(request.checkpoint_step, 7u);
  EXPECT_TRUE(request.replay);
  v1::CommitBatchReply reply;
  ToProto(CommitReply{8, true}, &reply);
  EXPECT_EQ(FromProto(reply).oldest_version_needed, 8u);
  EXPECT_TRUE(FromProto(reply).finished);
}

TEST(Convert, ASampleComesThroughBitForBit) {
  TrainingSample sample{
      1, 2, 3, {4}, {5, 6}, {-0.5f, -1e-20f}, {{2, 0.1}}, {{1, 7, false}, {1, 8, true}}, 1.0, true};
  v1::TrainingSample wire;
  ToProto(sample, &wire);
  EXPECT_EQ(FromProto(wire), sample);
}

TEST(Convert, WhatACommitLacksStaysAbsent) {
  BatchCommit commit;
  commit.batch = 4;
  commit.version = Version{5, "d"};
  commit.checkpoint_step = 3;
  commit.replayed = true;
  commit.statistics.loss = 0.5;
  commit.statistics.train = Span{1, 2};
  v1::CommitBatchRequest wire;
  ToProto(commit, &wire);
  EXPECT_FALSE(FromProto(wire).best.has_value());
  commit.best = BestCheckpoint{3, 0.25};
  ToProto(commit, &wire);
  const BatchCommit back = FromProto(wire);
  EXPECT_EQ(back.best, commit.best);
  EXPECT_EQ(back.batch, 4u);
  EXPECT_EQ(back.version, commit.version);
  EXPECT_TRUE(back.replayed);
  EXPECT_EQ(back.statistics.loss, 0.5);
  EXPECT_EQ(back.statistics.train, commit.statistics.train);
  EXPECT_FALSE(back.statistics.sync.has_value());
  EXPECT_FALSE(back.statistics.checkpoint.has_value());
}

TEST(Convert, AStatusComesThroughWhole) {
  RunStatus status;
  status.state = RunState::kPaused;
  status.reason = "why";
  status.steps_done = 3;
  status.workers.push_back({"w", 1, 2, 3, 4, "stuck", 0, 1.5});
  status.workers.push_back({"new"});
  status.batches.push_back({1, 2, 3, 4, 5, 6, 7, "ready"});
  status.last_metrics_json = "{}";
  status.epoch = 9;
  v1::StatusReply wire;
  ToProto(status, &wire);
  const RunStatus back = FromProto(wire);
  EXPECT_EQ(back.state, RunState::kPaused);
  EXPECT_EQ(back.workers[0].results, 4u);
  EXPECT_EQ(back.workers[0].version, 0u);
  EXPECT_EQ(back.workers[0].last_seen_seconds, 1.5);
  EXPECT_EQ(back.workers[1].version, std::nullopt);
  EXPECT_EQ(back.batches[0].phase, "ready");
  EXPECT_EQ(back.epoch, 9u);
}

}  // namespace
}  // namespace attnrl::scheduler
