// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/sampling/sampling_flags.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace attnrl::tools {
namespace {

std::string Refused(const SamplingFlags& flags) {
  const absl::Status status = CheckSamplingFlags(flags);
  return status.ok() ? "" : std::string(status.message().substr(0, status.message().find(':')));
}

TEST(SamplingFlags, NameTheFlagThatIsOutOfRange) {
  EXPECT_EQ(Refused({}), "");
  EXPECT_EQ(Refused({.samples = 0}), "--samples");
  EXPECT_EQ(Refused({.max_new_tokens = -1}), "--max-new-tokens");
  EXPECT_EQ(Refused({.temperature = -1}), "--temperature");
  EXPECT_EQ(Refused({.temperature = 0}), "");
  EXPECT_EQ(Refused({.temperature = 1e-6}), "");
  EXPECT_EQ(Refused({.temperature = 1e-40}), "--temperature");
  EXPECT_EQ(Refused({.temperature = std::numeric_limits<double>::infinity()}), "--temperature");
  EXPECT_EQ(Refused({.top_p = 0}), "--top-p");
  EXPECT_EQ(Refused({.top_p = 1.01}), "--top-p");
  EXPECT_EQ(Refused({.top_k = -1}), "--top-k");
  EXPECT_EQ(Refused({.max_batch = 0}), "--max-batch");
}

TEST(SamplingFlags, BecomeAJob) {
  const SamplingJob job = MakeJob({.samples = 3, .temperature = 0.5, .top_k = 4, .seed = 9});
  EXPECT_EQ(job.samples, 3);
  EXPECT_EQ(job.sampling.temperature, 0.5);
  EXPECT_EQ(job.sampling.top_k, 4);
  EXPECT_EQ(job.seed, 9u);
  EXPECT_TRUE(job.prompts.empty());
}

}  // namespace
}  // namespace attnrl::tools
