// SPDX-License-Identifier: Apache-2.0
#include "services/learner/versions/growing_version.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "services/learner/testing/sample_version.h"

namespace attnrl::learner {
namespace {

std::shared_ptr<GrowingVersion> Begin() {
  VersionData manifest = SampleVersion();
  manifest.bytes = WeightBytes::Room(14).value();
  return GrowingVersion::Begin(std::move(manifest));
}

TEST(GrowingVersion, AChunkIsWaitedForUntilItIsThere) {
  const auto growing = Begin();
  std::thread writer([&] { growing->SetReady(1); });
  EXPECT_TRUE(GrowingVersion::Reader(growing).WaitFor(1, absl::Minutes(1)).ok());
  writer.join();
  EXPECT_EQ(growing->ready(), 1u);
}

TEST(GrowingVersion, SaysWhetherAChunkThatIsNotThereIsStillToCome) {
  VersionData data;
  data.bytes = WeightBytes(std::string(10000, 'x'));
  data.chunk_bytes = 1;
  Seal(&data);
  const auto growing = GrowingVersion::Begin(std::move(data));
  const SentVersion reader = GrowingVersion::Reader(growing);
  EXPECT_TRUE(absl::IsUnavailable(reader.WaitFor(0, absl::ZeroDuration())));
  std::atomic<bool> seen = false;
  std::thread writer([&] {
    for (size_t chunk = 1; chunk < 10000 && !seen; ++chunk) {
      growing->SetReady(chunk);
      absl::SleepFor(absl::Milliseconds(1));
    }
  });
  while (!seen && growing->ready() < 9999) {
    seen = absl::IsAborted(reader.WaitFor(0, absl::Milliseconds(50)));
  }
  EXPECT_TRUE(seen);
  writer.join();
  growing->End();
  EXPECT_TRUE(absl::IsUnavailable(reader.WaitFor(0, absl::Minutes(1)))) << "and is not waited for";
}

}  // namespace
}  // namespace attnrl::learner
