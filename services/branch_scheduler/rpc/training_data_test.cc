// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/rpc/training_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/testing/temporary_folder.h"
#include "services/verifier/testing/fake_verifier_client.h"

namespace attnrl::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::Key;
using ::testing::SizeIs;

TEST(TrainingData, AFileOfTwoStagesIsReadAndGradedOnceAndIsAPartOfEach) {
  const TemporaryFolder folder;
  const std::string a = folder.Write(
      "a.jsonl",
      "{\"prompt\": \"1\", \"answer\": \"2\"}\n{\"prompt\": \"3\", \"answer\": \"?\"}\n");
  const std::string b = folder.Write("b.jsonl", "{\"prompt\": \"5\", \"answer\": \"6\"}\n");
  config::Config config;
  config.data.train = a;
  config.stages = {{.from_step = 10, .settings = {{"data.train", b}}},
                   {.from_step = 20, .settings = {{"data.train", a}}}};
  int encoded = 0;
  auto data = TrainingData::Load(config, [&](const data_set::Question&) {
    ++encoded;
    return std::vector<int32_t>{1};
  });
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(encoded, 3);
  const std::string first = data->first_digest();

  verifier::FakeVerifierClient verifier([](const verifier::GradeRequest& request) {
    verifier::GradeResult result;
    result.status = request.answers[0] == "?" ? verifier::GradeStatus::kUnparsable
                                              : verifier::GradeStatus::kGraded;
    return result;
  });
  const absl::Status status =
      data->LeaveOutUnreadable("math", verifier, [](absl::Duration) { return false; });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(verifier.requests(), SizeIs(3));

  std::map<std::string, std::string> fingerprint;
  data->AddTo(fingerprint);
  EXPECT_THAT(fingerprint,
              ElementsAre(Key("data.train (left out)"), Key("data.train from step 10 (content)"),
                          Key("data.train from step 10 (left out)"),
                          Key("data.train from step 20 (content)"),
                          Key("data.train from step 20 (left out)")));
  EXPECT_EQ(fingerprint["data.train from step 20 (content)"], first);
  EXPECT_EQ(fingerprint["data.train from step 20 (left out)"],
            fingerprint["data.train (left out)"]);
  EXPECT_EQ(fingerprint["data.train from step 10 (left out)"], "none");

  const DataSet joined = std::move(*data).Join();
  EXPECT_EQ(joined.digest, first);
  EXPECT_THAT(joined.parts, ElementsAre(DataPart{0, 1}, DataPart{1, 1}, DataPart{2, 1}));
}

}  // namespace
}  // namespace attnrl::scheduler
