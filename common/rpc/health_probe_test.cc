// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/health_probe.h"

#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "common/rpc/channel.h"
#include "common/rpc/server.h"
#include "common/testing/temporary_folder.h"
#include "proto/attnrl/v1/verifier.grpc.pb.h"

namespace attnrl::rpc {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

// Asks until an answer comes.
bool Answers(HealthProbe& probe) {
  for (const absl::Time until = absl::Now() + kPatience; absl::Now() < until;) {
    if (probe.Answered(kPatience)) return true;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return false;
}

TEST(HealthProbe, TakesAnyAnswerForLifeAndSilenceForNone) {
  const TemporaryFolder folder;
  v1::Verifier::Service service;
  const std::string address = "unix:" + (folder / "s.sock");
  HealthProbe probe(*Connect(address));
  EXPECT_FALSE(probe.Answered(kPatience)) << "nobody was asked before";
  auto server = Server::Start({.address = address}, {&service});
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_TRUE(Answers(probe)) << "it is not serving, but there";
  (*server)->SetServing(true);
  EXPECT_TRUE(Answers(probe));
  (*server)->Shutdown(absl::ZeroDuration());
  server->reset();
  // The answer that may still be on its way, and then none.
  for (int i = 0; i < 3; ++i) (void)probe.Answered(absl::Milliseconds(1));
  const absl::Time until = absl::Now() + absl::Milliseconds(50);
  bool answered = false;
  while (absl::Now() < until) answered = probe.Answered(absl::Milliseconds(1));
  EXPECT_FALSE(answered);
}

TEST(HealthProbe, MayEndWhileAQuestionIsOpen) {
  const TemporaryFolder folder;
  v1::Verifier::Service service;
  const std::string address = "unix:" + (folder / "s.sock");
  auto server = Server::Start({.address = address}, {&service});
  ASSERT_TRUE(server.ok()) << server.status();
  for (int i = 0; i < 50; ++i) {
    HealthProbe probe(*Connect(address));
    (void)probe.Answered(kPatience);
  }
}

}  // namespace
}  // namespace attnrl::rpc
