// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/rpc/standby.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/testing/temporary_folder.h"
#include "services/branch_scheduler/client/admin.h"
#include "services/branch_scheduler/client/work_stream.h"

namespace attnrl::scheduler {
namespace {

using ::testing::HasSubstr;

TEST(StandbyTest, EveryCallHearsWhoHasTheRun) {
  const TemporaryFolder folder;
  const std::string address = absl::StrCat("unix:", folder.path(), "/s.sock");
  auto standby = Standby::Start({.address = address, .service_name = "branch-scheduler"}, "one");
  ASSERT_TRUE(standby.ok()) << standby.status();
  const auto admin = *ConnectAdmin(address);
  absl::Status status = admin->Status(absl::Seconds(30)).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("this branch-scheduler stands by: one has the run"));
  (*standby)->SetOwner("two");
  EXPECT_THAT(std::string(admin->Pause("why", absl::Seconds(30)).message()),
              HasSubstr("two has the run"));

  const auto work = *ConnectWork(address);
  auto stream = *work->Open();
  (void)stream->Send(Register{"worker", 4, "numerics", {}, 4});
  absl::Status end;
  for (int i = 0; i < 300 && end.ok(); ++i) end = stream->Receive(absl::Milliseconds(100)).status();
  EXPECT_THAT(std::string(end.message()), HasSubstr("two has the run"));

  standby->reset();
  EXPECT_TRUE(Standby::Start({.address = address}, "three").ok()) << "the address is free again";
}

}  // namespace
}  // namespace attnrl::scheduler
