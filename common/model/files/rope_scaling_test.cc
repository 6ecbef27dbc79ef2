// SPDX-License-Identifier: Apache-2.0
#include "common/model/files/rope_scaling.h"

#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "common/base/status.h"

namespace attnrl::model {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using Kind = RopeScaling::Kind;

constexpr int64_t kPositions = 131072;

absl::StatusOr<RopeScaling> Read(const json& file) {
  return ReadRopeScaling(JsonFile("config.json", file), kPositions);
}
std::string Refused(const json& file) {
  const auto scaling = Read(file);
  EXPECT_TRUE(IsInputError(scaling.status())) << file;
  return std::string(scaling.status().message());
}

TEST(RopeScaling, IsNoneWhereNothingAsksForIt) {
  for (const json& file :
       {json::object(), json{{"rope_scaling", nullptr}},
        json{{"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 1e6}}}}}) {
    EXPECT_EQ(*Read(file), RopeScaling()) << file;
  }
}

TEST(RopeScaling, ReadsTheKindsUnderTheirOldAndNewNames) {
  const auto linear = Read({{"rope_scaling", {{"type", "linear"}, {"factor", 2}}}});
  ASSERT_TRUE(linear.ok()) << linear.status();
  EXPECT_EQ(linear->kind, Kind::kLinear);
  EXPECT_EQ(linear->factor, 2);
  const auto llama = Read({{"rope_parameters",
                            {{"rope_type", "llama3"},
                             {"factor", 8.0},
                             {"low_freq_factor", 1.0},
                             {"high_freq_factor", 4.0},
                             {"original_max_position_embeddings", 8192}}}});
  ASSERT_TRUE(llama.ok()) << llama.status();
  EXPECT_EQ(llama->kind, Kind::kLlama3);
  EXPECT_EQ(llama->original_positions, 8192);
  EXPECT_EQ(llama->attention_factor, 1);
  const json yarn = {{"type", "yarn"}, {"factor", 4.0}};
  EXPECT_EQ(Read({{"rope_scaling", yarn}})->original_positions, kPositions);
  EXPECT_EQ(Read({{"rope_scaling", yarn}, {"rope_parameters", yarn}})->kind, Kind::kYarn);
}

TEST(RopeScaling, TakesYarnsFactorOfAttentionFromWhereItIs) {
  const auto factor = [](json more) {
    more["type"] = "yarn";
    const auto scaling = Read({{"rope_scaling", std::move(more)}});
    EXPECT_TRUE(scaling.ok()) << scaling.status();
    return scaling->attention_factor;
  };
  EXPECT_DOUBLE_EQ(factor({{"factor", 4.0}}), 1.138629436111989);
  EXPECT_DOUBLE_EQ(factor({{"factor", 0.5}}), 1);
  EXPECT_DOUBLE_EQ(factor({{"factor", 40}, {"mscale", 0.7}, {"mscale_all_dim", 1.3}}),
                   0.8504057857806258);
  EXPECT_DOUBLE_EQ(factor({{"factor", 4.0}, {"attention_factor", 1.5}}), 1.5);
  EXPECT_DOUBLE_EQ(factor({{"original_max_position_embeddings", kPositions / 4}}),
                   1.138629436111989)
      << "without a factor it is the quotient of the contexts";
}

TEST(RopeScaling, RefusesByFileAndKey) {
  const auto with = [](json rope) { return json{{"rope_scaling", std::move(rope)}}; };
  EXPECT_THAT(Refused(with({{"type", "dynamic"}, {"factor", 2}})),
              HasSubstr("config.json: rope_scaling asks for rope scaling of type \"dynamic\"; "
                        "\"default\" (none), \"linear\", \"llama3\" and \"yarn\" are supported"));
  EXPECT_THAT(Refused(with({{"rope_type", "longrope"}})), HasSubstr("type \"longrope\""));
  EXPECT_THAT(Refused(with({{"type", "linear"}})), HasSubstr("rope_scaling.factor is missing"));
  EXPECT_THAT(Refused(with({{"type", "linear"}, {"factor", 0}})), HasSubstr("rope_scaling.factor"));
  EXPECT_THAT(Refused(with({{"factor", 2}})), HasSubstr("without a kind of scaling"));
  EXPECT_THAT(Refused(with({{"type", "llama3"}, {"factor", 8}})),
              HasSubstr("rope_scaling.low_freq_factor is missing"));
  EXPECT_THAT(
      Refused(with(
          {{"type", "llama3"}, {"factor", 8}, {"low_freq_factor", 4}, {"high_freq_factor", 4}})),
      HasSubstr("high_freq_factor is not above low_freq_factor"));
  EXPECT_THAT(Refused(with({{"partial_rotary_factor", 0.5}})),
              HasSubstr("rope_scaling.partial_rotary_factor is 0.5; only 1"));
  EXPECT_THAT(Refused(with("yarn")), HasSubstr("is not an object"));
  EXPECT_THAT(Refused({{"rope_scaling", {{"type", "linear"}, {"factor", 2}}},
                       {"rope_parameters", {{"type", "linear"}, {"factor", 3}}}}),
              HasSubstr("says something else than rope_parameters"));
}

}  // namespace
}  // namespace attnrl::model
