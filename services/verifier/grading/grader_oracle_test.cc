// SPDX-License-Identifier: Apache-2.0
// The grader against labelled records from outside the repository; skips where they are absent.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/testing/shared_data.h"
#include "services/verifier/grading/grader.h"

namespace attnrl::verifier {
namespace {

struct Tally {
  int records = 0;
  int right = 0;
  std::vector<std::string> false_accepts;
};

// Text, or lists of texts and [text, times] pairs.
std::string Expanded(const nlohmann::json& parts) {
  if (parts.is_string()) return parts;
  std::string out;
  for (const auto& part : parts) {
    if (part.is_string()) {
      out += part.get<std::string>();
      continue;
    }
    for (int i = 0; i < part[1].get<int>(); ++i) out += part[0].get<std::string>();
  }
  return out;
}

GradeRequest RequestOf(const nlohmann::json& record) {
  GradeRequest request;
  request.id = record["id"];
  if (record.contains("response_parts") && record["response"].is_null()) {
    request.response = Expanded(record["response_parts"]);
  } else if (record["response"].is_string()) {
    request.response = record["response"];
  }
  const auto& answers = record["answers"].is_null() ? record["answers_parts"] : record["answers"];
  for (const auto& answer : answers) request.answers.push_back(Expanded(answer));
  return request;
}

TEST(GraderOracle, AgreesWithTheLabelsAndAcceptsNothingWrong) {
  std::ifstream file(SharedData("data/verify/public.jsonl"));
  if (!file) GTEST_SKIP() << "no labelled answers: " << SharedData("data/verify/public.jsonl");
  Tally ordinary;
  Tally adversarial;
  for (std::string line; std::getline(file, line);) {
    nlohmann::json record = nlohmann::json::parse(line);
    if (record.value("policy", false)) continue;
    GradeRequest request = RequestOf(record);
    request.anywhere = true;
    const GradeResult result = Grade(request);
    Tally& tally = request.id.starts_with("adv-") ? adversarial : ordinary;
    ++tally.records;
    tally.right += result.correct == record["label"].get<bool>() ? 1 : 0;
    if (result.correct && !record["label"].get<bool>()) tally.false_accepts.push_back(request.id);
  }
  EXPECT_GT(ordinary.records, 1000);
  EXPECT_GE(ordinary.right, 0.995 * ordinary.records);
  EXPECT_EQ(adversarial.right, adversarial.records);
  EXPECT_EQ(ordinary.false_accepts, std::vector<std::string>{});
  EXPECT_EQ(adversarial.false_accepts, std::vector<std::string>{});
}

}  // namespace
}  // namespace attnrl::verifier
