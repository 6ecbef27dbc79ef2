// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tools/attnrl/tree/page.h"
#include "tools/attnrl/tree/record.h"

namespace attnrl::tools {

// For tests: ids are characters, and a step ends with a newline.
inline TreeText CharacterText() {
  return {.decode =
              [](const std::vector<int32_t>& ids) {
                std::string text;
                for (const int32_t id : ids) text.push_back(static_cast<char>(id));
                return text;
              },
          .steps =
              [](int64_t prompt_tokens, std::span<const int32_t> response) {
                std::vector<std::pair<int64_t, int64_t>> steps = {{0, prompt_tokens}};
                for (size_t i = 0; i < response.size(); ++i) {
                  if (response[i] != '\n' && i + 1 < response.size()) continue;
                  steps.emplace_back(steps.back().second,
                                     prompt_tokens + static_cast<int64_t>(i) + 1);
                }
                return steps;
              }};
}

inline nlohmann::json Ids(const std::string& text) {
  return nlohmann::json(std::vector<int32_t>(text.begin(), text.end()));
}

// A record of one response with everything: a prompt of 3 tokens, the steps "a=1\n", "b=22\n" and
// "c\n", and from token 4 on (a step's start, taken by threshold) and token 6 (within a step,
// filled up) two continuations and one.
inline nlohmann::json FullRecord() {
  nlohmann::json record = nlohmann::json::parse(R"({
    "batch": 3, "position": 1, "problem_id": "p7", "kept": "all", "responses": [{
      "logprobs": [-1, -1, -1, -1, -2, -2, -4, -4, -4, -3, -3],
      "entropy": [0.5, 0.5, 0.5, 0.5, 1, 1, 2, 2, 2, 0, 0],
      "finish_reason": "stop", "version": 2, "digest": "0123456789abcdef", "worker": "worker-0",
      "steps": [[0, 3], [3, 7], [7, 12], [12, 14]], "fci": [0, 0, 0.25, 0.0625],
      "reward": 1.0, "verdict": "graded", "extracted": "22", "expanded": true,
      "points": [4, 6], "point_origin": ["threshold", "fill"],
      "segments": [[4, 0.125], [2, -0.25], [5, 0.5]],
      "branches": [{"split": 4, "children": [
        {"logprobs": [-1, -1, -1], "finish_reason": "length", "version": 3, "digest": "fedcba98",
         "worker": "worker-1", "reward": 0.0, "verdict": "no_answer",
         "segments": [[4, 0.125], [3, -1]]},
        {"logprobs": [-1, -1], "finish_reason": "stop", "version": 3, "digest": "fedcba98",
         "worker": "worker-1", "reward": 1.0, "verdict": "graded",
         "segments": [[4, 0.125], [2, 0.75]]}]},
       {"split": 6, "children": [
        {"logprobs": [-1], "finish_reason": "stop", "version": 3, "digest": "fedcba98",
         "worker": "worker-1", "reward": 1.0, "verdict": "graded", "segments": null}]}]}]})");
  record["prompt_ids"] = Ids("b?\n");
  nlohmann::json& response = record["responses"][0];
  response["token_ids"] = Ids("a=1\nb=22\nc\n");
  response["branches"][0]["children"][0]["token_ids"] = Ids("x\ny");
  response["branches"][0]["children"][1]["token_ids"] = Ids("z\n");
  response["branches"][1]["children"][0]["token_ids"] = Ids("q");
  return record;
}

// A record whose only response has but what can't be missing: outcome training knows no steps,
// points or entropies.
inline nlohmann::json BareRecord(const std::string& response) {
  return {{"problem_id", "bare"},
          {"prompt_ids", Ids("?")},
          {"responses",
           {{{"token_ids", Ids(response)},
             {"logprobs", nullptr},
             {"entropy", nullptr},
             {"steps", nullptr},
             {"fci", nullptr},
             {"segments", nullptr},
             {"extracted", nullptr},
             {"reward", nullptr},
             {"branches", nlohmann::json::array()}}}}};
}

// `steps` steps "s\n" with rising FCI, of 2 tokens each.
inline nlohmann::json LongRecord(int64_t steps) {
  std::string text;
  nlohmann::json ranges = {{0, 1}};
  nlohmann::json fci = {0};
  for (int64_t i = 0; i < steps; ++i) {
    text += "s\n";
    ranges.push_back({1 + 2 * i, 3 + 2 * i});
    fci.push_back(static_cast<double>(i));
  }
  nlohmann::json record = BareRecord(text);
  record["responses"][0]["steps"] = ranges;
  record["responses"][0]["fci"] = fci;
  return record;
}

inline TreeProblem ReadProblem(const nlohmann::json& record) {
  auto problem = ReadTreeProblem(record, CharacterText());
  EXPECT_TRUE(problem.ok()) << problem.status();
  return *std::move(problem);
}

inline std::string PageOf(const nlohmann::json& record) {
  return TreePage(ReadProblem(record), "run/trees/batch-3.jsonl");
}

// How often `what` is in the text.
inline size_t Times(const std::string& text, const std::string& what) {
  size_t times = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++times;
  return times;
}

}  // namespace attnrl::tools
