// SPDX-License-Identifier: Apache-2.0
#include "common/tree/criteria/criterion.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "common/testing/shared_data.h"
#include "common/tree/criteria/points.h"
#include "common/tree/criteria/testing/splits.h"

namespace attnrl::tree {
namespace {

using Json = nlohmann::json;

TEST(ScoredPoints, EqualTheReferenceOnItsOwnCases) {
  const std::string path = SharedData("data/oracle/tree/select.jsonl");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  std::ifstream in(path);
  int cases = 0;
  for (std::string line; std::getline(in, line); ++cases) {
    const Json record = Json::parse(line);
    SCOPED_TRACE(record["id"].dump() + record["kind"].dump());
    const auto steps = record["step_ranges"].get<std::vector<StepRange>>();
    const auto fci = record["expected"]["masked_scores"].get<std::vector<float>>();
    ASSERT_EQ(fci.size(), steps.size());
    PointOptions options{record["num_splits"], record["quantile"], record["min_distance"]};
    const auto expected = [&record](const char* name) {  // null: the reference loops forever
      const Json& offsets = record["expected"][name];
      return offsets.is_null() ? std::vector<int64_t>() : offsets.get<std::vector<int64_t>>();
    };
    EXPECT_EQ(Splits(PositionalPoints(steps, fci, options)), expected("branch_offsets"));
    EXPECT_EQ(Splits(TopPoints(steps, fci, options)), expected("top_n_offsets"));
    options.spaced = true;
    EXPECT_EQ(Splits(TopPoints(steps, fci, options)), expected("top_n_spaced_offsets"));
  }
  EXPECT_GT(cases, 0);
}

TEST(Criteria, HaveOneLineInTheTableAndOneWordEach) {
  std::set<std::string_view> words;
  std::set<Criterion> criteria;
  for (const CriterionEntry& each : Criteria()) {
    words.insert(each.word);
    criteria.insert(each.criterion);
    EXPECT_EQ(WordOf(each.criterion), each.word);
    EXPECT_EQ(ValueOf<Criterion>(each.word), each.criterion);
  }
  EXPECT_GE(Criteria().size(), 6u);
  EXPECT_EQ(words.size(), Criteria().size());
  EXPECT_EQ(criteria.size(), Criteria().size());
}

TEST(Criteria, GiveAscendingPointsWithinTheResponse) {
  const std::vector<float> fci = {0, 0, 3, 9, 1};
  const std::vector<float> entropy(20, 0.5F);
  const ScoredResponse response{kSteps, fci, entropy, KeyOfNode(1)};
  for (const CriterionEntry& each : Criteria()) {
    const std::vector<int64_t> splits =
        Splits(ChoosePoints(each.criterion, response, {.count = 2, .min_distance = 0}));
    EXPECT_EQ(splits.size(), each.criterion == Criterion::kNone ? 0U : 2U) << each.word;
    EXPECT_TRUE(std::is_sorted(splits.begin(), splits.end())) << each.word;
    for (const int64_t split : splits) {
      EXPECT_GE(split, 0) << each.word;
      EXPECT_LT(split, 20) << each.word;
    }
  }
}

TEST(Criteria, ChooseNothingBelowOnePoint) {
  const std::vector<float> fci = {0, 0, 3, 9, 1};
  const std::vector<float> entropy(20, 0.5F);
  for (const int64_t count : {-1, 0}) {
    for (const CriterionEntry& each : Criteria()) {
      for (const ChoiceEntry& choice : Choices()) {
        const PointOptions options{.count = count, .min_distance = 0, .choice = choice.choice};
        EXPECT_TRUE(each.points({kSteps, fci, entropy, KeyOfNode(1)}, options).empty())
            << each.word << " " << choice.word << " " << count;
      }
    }
  }
}

TEST(Choices, HaveOneWordEach) {
  EXPECT_EQ(WordOf(Choice::kPositional), "positional");
  EXPECT_EQ(WordOf(Choice::kTop), "top");
  EXPECT_EQ(ValueOf<Choice>("top"), Choice::kTop);
  EXPECT_EQ(WordsOf(Choice{}).size(), Choices().size());
}

TEST(Criteria, AreTheFunctionsOfTheirNames) {
  const std::vector<float> fci = {0, 0, 3, 9, 1};
  const std::vector<float> entropy = {0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0};
  const ScoredResponse response{kSteps, fci, entropy, KeyOfNode(1)};
  const PointOptions options{.count = 2, .quantile = 0.5, .min_distance = 0};
  EXPECT_EQ(ChoosePoints(Criterion::kFci, response, options),
            PositionalPoints(kSteps, fci, options));
  PointOptions top = options;
  top.choice = Choice::kTop;
  EXPECT_EQ(ChoosePoints(Criterion::kFci, response, top), TopPoints(kSteps, fci, top));
  EXPECT_EQ(ChoosePoints(Criterion::kEntropy, response, options), EntropyPoints(entropy, 2));
  EXPECT_EQ(ChoosePoints(Criterion::kRandom, response, options),
            RandomPoints(kSteps, 2, response.key));
  EXPECT_EQ(ChoosePoints(Criterion::kFixedLength, response, options),
            FixedLengthPoints(20, 2, response.key));
  EXPECT_EQ(ChoosePoints(Criterion::kEarliest, response, options), EarliestPoints(kSteps, 2));
}

TEST(Criteria, AskForAttentionScoresOnlyWhereTheyReadThem) {
  const std::vector<float> fci = {0, 0, 3, 9, 1};
  const std::vector<float> other = {0, 0, 9, 0, 1};
  const std::vector<float> entropy(20, 0.5F);
  for (const CriterionEntry& each : Criteria()) {
    const PointOptions options{.count = 1, .quantile = 1, .min_distance = 0};
    const auto points = [&](const std::vector<float>& scores) {
      return each.points({kSteps, scores, entropy, KeyOfNode(1)}, options);
    };
    EXPECT_EQ(points(fci) != points(other), each.reads_fci) << each.word;
    EXPECT_EQ(ReadsFci(each.criterion), each.reads_fci) << each.word;
  }
}

TEST(PointOrigin, HasTheWordsOfTheTreeRecords) {
  EXPECT_EQ(WordOf(PointOrigin::kThreshold), "threshold");
  EXPECT_EQ(WordOf(PointOrigin::kFill), "fill");
  EXPECT_EQ(WordOf(PointOrigin::kDuplicate), "duplicate");
  EXPECT_EQ(WordOf(PointOrigin::kChosen), "chosen");
}

}  // namespace
}  // namespace attnrl::tree
