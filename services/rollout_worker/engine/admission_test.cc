// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attnrl::rollout {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

WaitingSequence Waiting(uint64_t id, uint32_t version = 0, int64_t tokens = 10, bool ready = true) {
  return {id, version, tokens, ready};
}

TEST(Admissions, FillFreeSlotsInOrderOfArrival) {
  const Admission admission =
      ChooseAdmissions({.waiting = {Waiting(7), Waiting(3), Waiting(5)}, .free_slots = 2});
  EXPECT_THAT(admission.ids, ElementsAre(7, 3));
  EXPECT_EQ(admission.version, 0u);
}

TEST(Admissions, StayBelowThePromptTokensOfAStep) {
  const Admission admission =
      ChooseAdmissions({.waiting = {Waiting(1, 0, 60), Waiting(2, 0, 40), Waiting(3, 0, 1)},
                        .free_slots = 9,
                        .max_prefill_tokens = 100});
  EXPECT_THAT(admission.ids, ElementsAre(1, 2));
}

TEST(Admissions, TakeAPromptLongerThanTheStepAlone) {
  const Admission admission = ChooseAdmissions({.waiting = {Waiting(1, 0, 500), Waiting(2, 0, 1)},
                                                .free_slots = 9,
                                                .max_prefill_tokens = 100});
  EXPECT_THAT(admission.ids, ElementsAre(1));
}

TEST(Admissions, NeverMixVersions) {
  const Admission admission = ChooseAdmissions(
      {.waiting = {Waiting(1, 4), Waiting(2, 3), Waiting(3, 4), Waiting(4, 3)}, .free_slots = 9});
  EXPECT_EQ(admission.version, 3u);
  EXPECT_THAT(admission.ids, ElementsAre(2, 4));
}

TEST(Admissions, LetTheRunningVersionGoOnBeforeANewerOne) {
  const Admission admission = ChooseAdmissions(
      {.waiting = {Waiting(1, 4), Waiting(2, 3)}, .running_version = 3, .free_slots = 9});
  EXPECT_EQ(admission.version, 3u);
  EXPECT_THAT(admission.ids, ElementsAre(2));
}

TEST(Admissions, WaitForTheSlotsBeforeAnotherVersion) {
  AdmissionView view{.waiting = {Waiting(1, 4)}, .running_version = 3, .free_slots = 9};
  EXPECT_EQ(ChooseAdmissions(view).version, 3u);
  EXPECT_THAT(ChooseAdmissions(view).ids, IsEmpty());
  view.running_version = std::nullopt;
  EXPECT_EQ(ChooseAdmissions(view).version, 4u);
  EXPECT_THAT(ChooseAdmissions(view).ids, ElementsAre(1));
}

TEST(Admissions, MakeRoomForOlderWorkThatWasHandedOutAgain) {
  const Admission admission = ChooseAdmissions(
      {.waiting = {Waiting(1, 4), Waiting(2, 3)}, .running_version = 4, .free_slots = 9});
  EXPECT_EQ(admission.version, 4u);
  EXPECT_THAT(admission.ids, IsEmpty());
}

TEST(Admissions, LeaveOutVersionsWhoseWeightsAreNotThere) {
  const Admission admission =
      ChooseAdmissions({.waiting = {Waiting(1, 3, 10, false), Waiting(2, 4)}, .free_slots = 9});
  EXPECT_EQ(admission.version, 4u);
  EXPECT_THAT(admission.ids, ElementsAre(2));
}

TEST(Admissions, AreAPureFunction) {
  const AdmissionView view{.waiting = {Waiting(9, 2), Waiting(4, 1), Waiting(8, 1)},
                           .free_slots = 1};
  for (int i = 0; i < 3; ++i) EXPECT_THAT(ChooseAdmissions(view).ids, ElementsAre(4));
}

}  // namespace
}  // namespace attnrl::rollout
