// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/notices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/observe/notice.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class NoticesTest : public ::testing::Test {
 protected:
  NoticesTest() { std::filesystem::create_directory(folder_ / "logs"); }
  ~NoticesTest() override { observe::StopLog(); }
  // What follows is said by this service.
  void As(const std::string& service) {
    ASSERT_TRUE(
        observe::StartLog({.service = service, .file = LogPath(folder_.path(), service)}).ok());
  }
  Notices Read() { return Notices(folder_.path(), {"learner", "worker-0"}); }

  const TemporaryFolder folder_;
};

TEST_F(NoticesTest, AreLinesThatNameTheirServiceAndNothingElseIsSaid) {
  Notices notices = Read();
  EXPECT_THAT(notices.New(), IsEmpty()) << "there are no logs yet";
  As("learner");
  observe::LogWarning("lease expired");
  observe::Notify("a damaged checkpoint is set aside", {{"step", 3}, {"reason", "bad bytes"}});
  observe::Notify("all is made anew");
  EXPECT_THAT(notices.New(),
              ElementsAre("warning: learner: a damaged checkpoint is set aside (step 3, reason bad "
                          "bytes)",
                          "warning: learner: all is made anew"));
  EXPECT_THAT(notices.New(), IsEmpty()) << "each is said once";
}

TEST_F(NoticesTest, OfAnEarlierStartAreNotSaidAgain) {
  As("learner");
  observe::Notify("before");
  Notices notices = Read();
  notices.Skip();
  observe::Notify("after");
  EXPECT_THAT(notices.New(), ElementsAre("warning: learner: after"));
}

TEST_F(NoticesTest, ThatCannotEndAreSaidFourTimesByEachService) {
  Notices notices = Read();
  As("worker-0");
  observe::Notify("again", {{"batch", 7}});
  As("learner");
  for (int batch = 0; batch < 9; ++batch) observe::Notify("again", {{"batch", batch}});
  const std::vector<std::string> lines = notices.New();
  ASSERT_THAT(lines, SizeIs(5));
  EXPECT_EQ(lines[2], "warning: learner: again (batch 2)");
  EXPECT_THAT(lines[3], EndsWith("again (batch 3); more of these are only in " +
                                 LogPath(folder_.path(), "learner")));
  EXPECT_EQ(lines[4], "warning: worker-0: again (batch 7)");
  observe::Notify("something else");
  EXPECT_THAT(notices.New(), ElementsAre("warning: learner: something else"));
}

TEST_F(NoticesTest, AreReadFromALogThatIsPutAsideAndFromTheOneBehindIt) {
  Notices notices = Read();
  As("learner");
  observe::Notify("a long one", {{"file", std::string(400, 'x')}});
  EXPECT_THAT(notices.New(), SizeIs(1));
  observe::Notify("the last one");
  observe::StopLog();
  std::filesystem::rename(LogPath(folder_.path(), "learner"), folder_ / "logs/learner.1.log");
  As("learner");
  observe::Notify("a short one");
  EXPECT_THAT(notices.New(),
              ElementsAre("warning: learner: the last one", "warning: learner: a short one"));
}

}  // namespace
}  // namespace attnrl::tools
