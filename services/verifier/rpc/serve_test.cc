// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/rpc/serve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/base/status.h"
#include "common/config/config.h"

namespace attnrl::verifier {
namespace {

using ::testing::EndsWith;
using ::testing::StartsWith;

TEST(Serve, NeedsAnAddressBeforeAnythingIsStarted) {
  const absl::Status status = Serve(config::Config(), {}, rpc::ShutdownSignal::Install());
  EXPECT_TRUE(IsInputError(status));
  EXPECT_EQ(status.message(), "verifier.address: not set; unix:/path or host:port");
}

TEST(Serve, NamesTheGraderThatIsNotBesideIt) {
  config::Config config;
  config.verifier.address = "unix:/nowhere/verifier.sock";
  const absl::Status status = Serve(config, {}, rpc::ShutdownSignal::Install());
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), StartsWith("grader /"));
  EXPECT_THAT(std::string(status.message()), EndsWith("/attnrl-grader: No such file or directory"));
}

}  // namespace
}  // namespace attnrl::verifier
