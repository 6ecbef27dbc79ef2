// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/work/lease_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace attnrl::rollout {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

scheduler::Lease LeaseOf(uint64_t number, std::vector<scheduler::SampleRequest> samples) {
  scheduler::Lease lease;
  lease.lease = scheduler::LeaseId{number};
  lease.item.item = scheduler::ItemId{number + 100};
  lease.item.batch = 5;
  lease.item.position = 6;
  lease.item.version = {.number = 3, .digest = "d3"};
  lease.item.prompt_ids = {1, 2};
  lease.item.response_ids = {10, 11, 12};
  lease.item.samples = std::move(samples);
  lease.item.sampling.seed = 9;
  lease.item.sampling.stop_ids = {0};
  return lease;
}

Completion Done(uint64_t request, int32_t token, double start = 1, double end = 2) {
  Completion completion;
  completion.id = request;
  completion.token_ids = {token};
  completion.logprobs = {-0.5f};
  completion.entropy = {0.25f};
  completion.finish = FinishReason::kStop;
  completion.start = absl::UnixEpoch() + absl::Seconds(start);
  completion.end = absl::UnixEpoch() + absl::Seconds(end);
  completion.prefill_tokens = 4;
  return completion;
}

TEST(LeaseBook, AContinuationKeepsThePrefixAndCountsFromTheResponsesStart) {
  LeaseBook book(100, 50);
  const auto requests = book.Add(LeaseOf(1, {{.node = 7, .split = 2, .max_new_tokens = 20}}));
  ASSERT_EQ(requests->size(), 1u);
  const Request& request = requests->front();
  EXPECT_THAT(request.prompt_ids, ElementsAre(1, 2, 10, 11));
  EXPECT_EQ(request.first_index, 2u);
  EXPECT_EQ(request.max_new_tokens, 20);
  EXPECT_EQ(request.version, 3u);
  EXPECT_EQ(request.key.seed, 9u);
  EXPECT_EQ(request.key.purpose, kSampleToken);
  EXPECT_EQ(request.key.batch, 5u);
  EXPECT_EQ(request.key.position, 6u);
  EXPECT_EQ(request.key.node, 7u);
  EXPECT_THAT(request.stop_ids, ElementsAre(0));
}

TEST(LeaseBook, NamesWhatItsSamplesShareWithOthers) {
  LeaseBook book(100, 50);
  scheduler::Lease initial = LeaseOf(1, {{.node = 7, .max_new_tokens = 20}});
  initial.item.response_ids.clear();
  const Request first = book.Add(initial)->front();
  ASSERT_EQ(first.shared.size(), 1u);
  EXPECT_EQ(first.shared[0].tokens, 2);
  ASSERT_TRUE(first.becomes.has_value());

  scheduler::Lease rest = LeaseOf(2, {{.node = 9, .split = 2, .max_new_tokens = 20},
                                      {.node = 10, .split = 3, .max_new_tokens = 20}});
  rest.item.kind = scheduler::ItemKind::kContinuation;
  rest.item.parent = 7;
  const auto children = book.Add(rest);
  for (size_t i = 0; i < 2; ++i) {
    const Request& child = (*children)[i];
    ASSERT_EQ(child.shared.size(), 2u);
    EXPECT_EQ(child.shared[0].id, first.shared[0].id) << "the prompt";
    EXPECT_EQ(child.shared[1].id, *first.becomes) << "the response";
    EXPECT_EQ(child.shared[1].tokens, static_cast<int64_t>(child.prompt_ids.size()));
    EXPECT_EQ(child.becomes, std::nullopt);
  }
}

TEST(LeaseBook, ScoresTravelWithTheirSample) {
  LeaseBook book(100, 50);
  scheduler::Lease lease = LeaseOf(1, {{.node = 7, .split = 0, .max_new_tokens = 5}});
  lease.item.score_delta = 3;
  const auto requests = book.Add(lease);
  EXPECT_EQ(requests->front().score_delta, 3u);
  Completion completion = Done(requests->front().id, 4);
  completion.reused_tokens = 2;
  completion.scores = {{2, 3}, {0, 0.5f}};
  const auto result = book.Complete(completion);
  ASSERT_TRUE(result.has_value());
  EXPECT_THAT(result->samples[0].steps, ElementsAre(StepRange{0, 2}, StepRange{2, 3}));
  EXPECT_THAT(result->samples[0].fci, ElementsAre(0, 0.5f));
  EXPECT_EQ(result->reused_tokens, 2u);
}

TEST(LeaseBook, AResultIsWholeWhenItsLastSampleIs) {
  LeaseBook book(100, 50);
  const auto requests = book.Add(LeaseOf(1, {{7, 1, 5}, {8, 2, 5}}));
  EXPECT_EQ(book.Complete(Done((*requests)[1].id, 41, 3, 9)), std::nullopt);
  EXPECT_THAT(book.Unacknowledged(), IsEmpty());
  const auto result = book.Complete(Done((*requests)[0].id, 40, 2, 4));
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->lease, scheduler::LeaseId{1});
  EXPECT_EQ(result->item, scheduler::ItemId{101});
  EXPECT_EQ(result->version.digest, "d3");
  EXPECT_THAT(result->samples[0].token_ids, ElementsAre(40));
  EXPECT_EQ(result->samples[0].node, 7u);
  EXPECT_THAT(result->samples[1].token_ids, ElementsAre(41));
  EXPECT_EQ(result->span.start, 2);
  EXPECT_EQ(result->span.end, 9);
  EXPECT_EQ(result->prefill_tokens, 8u);
  EXPECT_THAT(book.Unacknowledged(), ElementsAre(*result));
  EXPECT_THAT(book.Unfinished(), IsEmpty());
  book.Forget({scheduler::LeaseId{1}});
  EXPECT_TRUE(book.empty());
}

TEST(LeaseBook, ALeaseThatIsHeldAlreadyGivesNoSecondWork) {
  LeaseBook book(100, 50);
  EXPECT_EQ(book.Add(LeaseOf(1, {{7, 0, 5}}))->size(), 1u);
  EXPECT_THAT(*book.Add(LeaseOf(1, {{7, 0, 5}})), IsEmpty());
}

TEST(LeaseBook, ForgettingNamesTheSequencesToAbort) {
  LeaseBook book(100, 50);
  const auto requests = book.Add(LeaseOf(1, {{7, 0, 5}, {8, 0, 5}}));
  book.Complete(Done((*requests)[0].id, 1));
  EXPECT_THAT(book.Forget({scheduler::LeaseId{1}, scheduler::LeaseId{2}}),
              ElementsAre((*requests)[1].id));
  EXPECT_EQ(book.Complete(Done((*requests)[1].id, 1)), std::nullopt);
  EXPECT_EQ(book.open_samples(), 0);
}

TEST(LeaseBook, RefusesItemsThatCannotBeWorkedOnNamingWhatIsWrong) {
  LeaseBook book(10, 50);
  const auto refusal = [&](const scheduler::Lease& lease) {
    const absl::Status status = book.Add(lease).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  };
  const auto changed = [](const auto& change) {
    scheduler::Lease lease = LeaseOf(1, {{7, 3, 5}});
    change(lease.item);
    return lease;
  };
  using Item = scheduler::WorkItem;
  EXPECT_EQ(refusal(LeaseOf(1, {})), "item 101 of batch 5: no samples; at least one");
  EXPECT_EQ(refusal(LeaseOf(1, {{7, 4, 1}})), "item 101 of batch 5: a split at token 4; at most 3");
  EXPECT_EQ(refusal(LeaseOf(1, {{7, 3, 6}})),
            "item 101 of batch 5: a sequence of up to 11 tokens; at most 10 are allowed");
  EXPECT_EQ(refusal(LeaseOf(1, {{7, 3, 0}})),
            "item 101 of batch 5: max_new_tokens is 0; at least 1 is allowed");
  EXPECT_EQ(refusal(changed([](Item& item) {
              item.prompt_ids.clear();
              item.samples[0].split = 0;
            })),
            "item 101 of batch 5: the prompt has no token; at least 1 is allowed");
  EXPECT_EQ(refusal(changed([](Item& item) { item.prompt_ids[1] = 50; })),
            "item 101 of batch 5: token id 50; the model has ids from 0 to 49");
  EXPECT_EQ(refusal(changed([](Item& item) { item.response_ids[0] = -1; })),
            "item 101 of batch 5: token id -1; the model has ids from 0 to 49");
  EXPECT_EQ(refusal(changed([](Item& item) { item.sampling.temperature = -1; })),
            "item 101 of batch 5: the temperature is -1; 0 or at least 1e-06 is allowed");
  EXPECT_EQ(refusal(changed([](Item& item) { item.sampling.top_p = 0; })),
            "item 101 of batch 5: top-p is 0; more than 0 and at most 1 is allowed");
  EXPECT_EQ(refusal(changed([](Item& item) { item.sampling.top_p = 1.5; })),
            "item 101 of batch 5: top-p is 1.5; more than 0 and at most 1 is allowed");
  EXPECT_TRUE(book.empty()) << "none is held";
  EXPECT_TRUE(book.Add(LeaseOf(1, {{7, 3, 5}})).ok());
}

TEST(LeaseBook, NeedsTheVersionsOfUnfinishedLeasesOldestFirst) {
  LeaseBook book(100, 50);
  scheduler::Lease newer = LeaseOf(1, {{7, 0, 5}});
  newer.item.version = {.number = 4, .digest = "d4"};
  book.Add(newer).IgnoreError();
  const auto requests = book.Add(LeaseOf(2, {{7, 0, 5}}));
  EXPECT_THAT(book.VersionsNeeded(), ElementsAre(Version{3, "d3"}, Version{4, "d4"}));
  book.Complete(Done(requests->front().id, 1));
  EXPECT_THAT(book.VersionsNeeded(), ElementsAre(Version{4, "d4"}));
}

}  // namespace
}  // namespace attnrl::rollout
