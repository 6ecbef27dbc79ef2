// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/tree/batch_file.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/base/status.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::tools {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

class BatchFiles : public testing::Test {
 protected:
  BatchFiles() { std::filesystem::create_directories(run_ + "/trees"); }

  std::string Write(int64_t batch, const std::string& lines) const {
    return folder_.Write("trees/batch-" + std::to_string(batch) + ".jsonl", lines);
  }

  template <typename T>
  static std::string Refusal(const absl::StatusOr<T>& result) {
    EXPECT_TRUE(IsInputError(result.status())) << result.status();
    return std::string(result.status().message());
  }

  const TemporaryFolder folder_;
  const std::string run_ = folder_.path();
};

TEST_F(BatchFiles, AreFoundByTheirNumber) {
  const std::string path = Write(12, "");
  const auto found = BatchFile(run_, 12);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(*found, path);
}

TEST_F(BatchFiles, SayWhichBatchesThereAre) {
  EXPECT_THAT(Refusal(BatchFile(run_, 0)), EndsWith("; the run has trained no batch yet"));
  Write(2, "");
  EXPECT_THAT(Refusal(BatchFile(run_, 0)), EndsWith("; the run has batch 2"));
  Write(10, "");
  Write(9, "");
  std::ofstream(run_ + "/trees/batch-x.jsonl") << "";
  EXPECT_THAT(Refusal(BatchFile(run_, 11)), EndsWith("; the run has batches 2 to 10"));
}

TEST_F(BatchFiles, RefuseADirectoryWithoutARun) {
  EXPECT_THAT(Refusal(BatchFile(run_ + "/trees", 0)), HasSubstr("holds no run"));
  EXPECT_THAT(Refusal(BatchFile(run_ + "/nowhere", 0)), HasSubstr("there is no such directory"));
  folder_.Write("new/config.yaml", "");  // of a run without a batch
  EXPECT_THAT(Refusal(BatchFile(run_ + "/new", 0)), EndsWith("; the run has trained no batch yet"));
}

TEST_F(BatchFiles, GiveTheFirstRecordOfAProblem) {
  const std::string path = Write(
      0, "{\"problem_id\":\"a\"}\n{\"problem_id\":\"b\",\"position\":1}\n{\"problem_id\":\"b\"}\n");
  const auto record = FindProblem(path, "b");
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ((*record)["position"], 1);
}

TEST_F(BatchFiles, NameTheNearestProblems) {
  const std::string path = Write(
      0,
      "{\"problem_id\":\"train-17\"}\n{\"problem_id\":\"train-2\"}\n{\"problem_id\":\"train-18\"}\n"
      "{\"problem_id\":\"other\"}\n");
  EXPECT_THAT(Refusal(FindProblem(path, "train-19")),
              EndsWith("; the nearest of 4 are train-17, train-18, train-2"));
  EXPECT_THAT(Refusal(FindProblem(Write(1, ""), "x")), EndsWith("; the batch is empty"));
  EXPECT_THAT(Refusal(FindProblem(Write(2, "{\"problem_id\":\"a\"}\n"), "x")),
              EndsWith("; the batch has a"));
}

TEST_F(BatchFiles, NameTheLineThatIsNoRecord) {
  EXPECT_THAT(Refusal(FindProblem(Write(0, "{\"problem_id\":\"a\"}\n{\"batch\n"), "b")),
              HasSubstr("batch-0.jsonl:2: not JSON"));
}

}  // namespace
}  // namespace attnrl::tools
