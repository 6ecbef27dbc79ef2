// SPDX-License-Identifier: Apache-2.0
// Versions that come from two sources at the same time, over real sockets.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "services/learner/testing/relays.h"

namespace attnrl::learner {
namespace {

// Sends so many chunks of a version, then waits until `after` says how that ends.
class EndingSource final : public VersionSource {
 public:
  EndingSource(std::shared_ptr<const VersionData> data, int chunks,
               std::function<absl::Status()> after)
      : data_(std::move(data)), left_(chunks), after_(std::move(after)) {}
  absl::StatusOr<SentVersion> Send(const Version&, absl::Duration) override {
    return SentVersion{.data = data_, .wait = [this](size_t, absl::Duration) {
                         return left_-- > 0 ? absl::OkStatus() : after_();
                       }};
  }

 private:
  const std::shared_ptr<const VersionData> data_;
  std::atomic<int> left_;
  const std::function<absl::Status()> after_;
};

class TwoSources : public Relays {};

TEST_F(TwoSources, SendAVersionAtTheSameTime) {
  std::vector<std::unique_ptr<Worker>> holders;
  for (int i = 0; i < 2; ++i) {
    holders.push_back(std::make_unique<Worker>(server_->address()));
    ExpectRight(*holders.back());
  }
  const size_t asked = asked_.chunks;
  const int before = holders[0]->sent();  // to the other holder
  Worker worker(server_->address());
  ExpectRight(worker);
  EXPECT_EQ(asked_.chunks, asked) << "the learner sends nothing";
  EXPECT_GT(holders[0]->sent(), before);
  EXPECT_GT(holders[1]->sent(), 0);
  EXPECT_EQ(worker.client().received_bytes(), bytes_) << "no chunk comes twice";
}

TEST_F(TwoSources, WhatOneOfThemDoesNotSendTheOtherDoes) {
  HeldVersions held;
  held.Add({.data = Data()});
  RelayService good(held);
  const auto good_server = Start(&good);
  std::atomic<bool> ended = false;
  const auto stand_still = [&] {
    for (int i = 0; i < 10'000 && !ended; ++i) absl::SleepFor(absl::Milliseconds(2));
    return absl::CancelledError("the test has ended");
  };
  const std::vector<std::function<absl::Status()>> faults = {
      [] { return absl::UnavailableError("it lost its own source"); },
      [] { return absl::NotFoundError("it doesn't have the version any more"); },
      [] { return absl::AbortedError("others came"); }, stand_still};
  for (size_t fault = 0; fault < faults.size(); ++fault) {
    for (const int chunks : {0, 2}) {
      // A tree of its own, whose first two are these.
      version_ = Publish(*store_, static_cast<uint32_t>(2 + 2 * fault) + (chunks == 0 ? 0 : 1),
                         {{"w", at::arange(kNumbers).to(at::kFloat)}})
                     .value();
      held.Add({.data = Data()});
      EndingSource source(Data(), chunks, faults[fault]);
      RelayService bad(source);
      const auto bad_server = Start(&bad);
      TakePlace(PortOf(*bad_server));
      TakePlace(PortOf(*good_server));
      const size_t asked = asked_.chunks;
      Worker worker(server_->address());
      ExpectRight(worker);
      EXPECT_EQ(worker.client().received_bytes(), bytes_) << fault << " " << chunks;
      EXPECT_EQ(asked_.chunks, asked) << "of the learner";
      ended = true;
      bad_server->Shutdown(absl::ZeroDuration());
      ended = false;
    }
  }
  good_server->Shutdown(absl::ZeroDuration());
}

}  // namespace
}  // namespace attnrl::learner
