// SPDX-License-Identifier: Apache-2.0
#include "services/learner/ranks/place.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace attnrl::learner {
namespace {

using ::testing::HasSubstr;

class ReadRankPlaceTest : public ::testing::Test {
 protected:
  ReadRankPlaceTest() { Clear(); }
  ~ReadRankPlaceTest() override { Clear(); }

  static void Clear() {
    for (const char* name :
         {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_USE_AGENT_STORE"}) {
      unsetenv(name);
    }
  }
  static void Set(const char* rank, const char* size, const char* address, const char* port) {
    setenv("RANK", rank, 1);
    setenv("WORLD_SIZE", size, 1);
    setenv("MASTER_ADDR", address, 1);
    setenv("MASTER_PORT", port, 1);
  }
  static std::string Refusal(int64_t ranks, bool allow_plaintext = false) {
    return std::string(ReadRankPlace(ranks, allow_plaintext).status().message());
  }
};

TEST_F(ReadRankPlaceTest, WithoutAnEnvironmentAProcessIsAlone) {
  const auto place = ReadRankPlace(1, false);
  ASSERT_TRUE(place.ok()) << place.status();
  EXPECT_TRUE(place->alone());
  EXPECT_THAT(Refusal(2), HasSubstr("learner.ranks: is 2, but WORLD_SIZE is not set"));
}

TEST_F(ReadRankPlaceTest, TheEnvironmentSaysAll) {
  Set("3", "4", "127.0.0.1", "29500");
  for (const int64_t ranks : {1, 4}) {
    const auto place = ReadRankPlace(ranks, false);
    ASSERT_TRUE(place.ok()) << place.status();
    EXPECT_EQ(place->rank, 3);
    EXPECT_EQ(place->size, 4);
    EXPECT_EQ(place->address, "127.0.0.1");
    EXPECT_EQ(place->port, 29500);
  }
}

TEST_F(ReadRankPlaceTest, RefusesWhatDoesNotFitByTheNameOfTheVariable) {
  Set("4", "4", "127.0.0.1", "29500");
  EXPECT_THAT(Refusal(4),
              HasSubstr("RANK: is \"4\"; a whole number from 0 to 3, since WORLD_SIZE is 4"));
  EXPECT_THAT(Refusal(2), HasSubstr("WORLD_SIZE: is 4; 2, as learner.ranks says"));
  Set("0", "two", "127.0.0.1", "29500");
  EXPECT_THAT(Refusal(1), HasSubstr("WORLD_SIZE: is \"two\""));
  Set("0", "2", "127.0.0.1", "");
  EXPECT_THAT(Refusal(1),
              HasSubstr("MASTER_PORT: not set; a whole number from 1 to 65535, since "));
  Set("0", "2", "", "29500");
  EXPECT_THAT(Refusal(1),
              HasSubstr("MASTER_ADDR: not set; the host of rank 0, since WORLD_SIZE is 2"));
}

TEST_F(ReadRankPlaceTest, TorchrunSaysWhetherItListensOnThePortItself) {
  Set("0", "2", "127.0.0.1", "29500");
  const auto listens = [] { return ReadRankPlace(2, false)->agent; };
  EXPECT_FALSE(listens());
  setenv("TORCHELASTIC_USE_AGENT_STORE", "False", 1);
  EXPECT_FALSE(listens());
  setenv("TORCHELASTIC_USE_AGENT_STORE", "True", 1);
  EXPECT_TRUE(listens());
}

TEST_F(ReadRankPlaceTest, ANetworkOfOthersHasToBeAllowed) {
  Set("0", "2", "learner-0.learner", "29500");
  EXPECT_THAT(Refusal(2), HasSubstr("security.allow_plaintext"));
  Set("0", "2", "127.example.org", "29500");
  EXPECT_THAT(Refusal(2), HasSubstr("security.allow_plaintext"));
  EXPECT_TRUE(ReadRankPlace(2, true).ok());
}

}  // namespace
}  // namespace attnrl::learner
