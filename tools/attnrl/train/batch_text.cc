// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/batch_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/json/json_words.h"

namespace attnrl::tools {
namespace {

using nlohmann::json;

constexpr size_t kLongestWord = 2000;

// A value as one word: strings without quotes, null as a dash.
std::string Word(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return "-";
  // Ids and answers are others' texts: they stay on their line.
  return OneLine(found->is_string() ? found->get<std::string>() : PrintJson(*found), kLongestWord);
}

// "+0.40 x 31, -1.20 x 55", or why there is none.
std::string Advantages(const json& leaf) {
  const auto segments = leaf.find("segments");
  if (segments == leaf.end() || segments->is_null()) return "not trained";
  std::string text;
  for (const json& segment : *segments) {
    absl::StrAppend(
        &text, text.empty() ? "" : ", ",
        absl::StrFormat("%+.2f x %d", segment.at(1).get<double>(), segment.at(0).get<int64_t>()));
  }
  return absl::StrCat("advantages ", text);
}

std::string Indented(const std::string& text, const std::string& margin) {
  std::string out;
  size_t start = 0;
  while (start < text.size()) {
    const size_t end = std::min(text.find('\n', start), text.size());
    if (end > start) {
      absl::StrAppend(&out, margin, Escaped(text.substr(start, end - start)), "\n");
    }
    start = end + 1;
  }
  return out;
}

// How a wrong answer was read, where that was found out.
std::string Explanation(const json& leaf, const std::string& margin) {
  return leaf.contains("explanation") ? Indented(leaf["explanation"].get<std::string>(), margin)
                                      : "";
}

std::string LeafHeader(const json& leaf) {
  const json& ids = leaf.at("token_ids");
  return absl::StrCat("W(", Word(leaf, "version"), ") ", Word(leaf, "worker"), ", ", ids.size(),
                      " tokens, ", Word(leaf, "finish_reason"), ", reward ", Word(leaf, "reward"),
                      leaf.contains("verdict") ? " (" + Word(leaf, "verdict") : " (",
                      leaf.contains("extracted") ? ", answer " + Word(leaf, "extracted") : "",
                      "), ", Advantages(leaf), "\n");
}

// The score of the step that holds token `split` of the response; nothing where there is none.
std::string FciAt(const json& response, int64_t split) {
  const json steps = response.value("steps", json());
  const json fci = response.value("fci", json());
  if (!steps.is_array() || !fci.is_array() || steps.empty()) return "";
  const auto prompt_tokens = steps[0].at(1).get<int64_t>();
  for (size_t step = 1; step < std::min(steps.size(), fci.size()); ++step) {
    const json& range = steps[step];
    if (split + prompt_tokens >= range.at(0).get<int64_t>() &&
        split + prompt_tokens < range.at(1).get<int64_t>() && fci[step].is_number()) {
      return absl::StrFormat("FCI %.3g", fci[step].get<double>());
    }
  }
  return "";
}

// How point `index` came about, in parentheses: " (threshold, FCI 0.0123)".
std::string Origin(const json& response, size_t index, int64_t split) {
  const json origins = response.value("point_origin", json());
  std::string text = index < origins.size() ? origins[index].get<std::string>() : "";
  const std::string fci = FciAt(response, split);
  absl::StrAppend(&text, text.empty() || fci.empty() ? "" : ", ", fci);
  return text.empty() ? "" : absl::StrCat(" (", text, ")");
}

// "    branches at token 48 (threshold, FCI 0.0123), 96 (fill, FCI 0)", or that it isn't expanded;
// nothing in a run without branches.
std::string PointsText(const json& response) {
  const json points = response.value("points", json::array());
  if (points.empty()) {
    const bool branches = response.contains("steps") && response["steps"].is_array();
    return branches && response.contains("expanded") ? "    not expanded\n" : "";
  }
  std::string text;
  for (size_t i = 0; i < points.size(); ++i) {
    const auto split = points[i].get<int64_t>();
    absl::StrAppend(&text, text.empty() ? "    branches at token " : ", ", split,
                    Origin(response, i, split));
  }
  return text + "\n";
}

std::string BranchText(const json& response, size_t index, const DecodeIds& decode) {
  const json& branch = response.at("branches")[index];
  const auto split = branch.at("split").get<int64_t>();
  std::string text;
  size_t child_index = 0;
  for (const json& child : branch.at("children")) {
    absl::StrAppend(&text, "    from token ", split, Origin(response, index, split),
                    ", continuation ", child_index++, ": ", LeafHeader(child));
    absl::StrAppend(&text,
                    Indented(decode(child.at("token_ids").get<std::vector<int32_t>>()), "      | "),
                    Explanation(child, "      "));
  }
  return text;
}

std::string ResponseText(size_t index, const json& response, const DecodeIds& decode) {
  const auto ids = response.at("token_ids").get<std::vector<int32_t>>();
  std::string text = absl::StrCat("  response ", index, ": ", LeafHeader(response));
  absl::StrAppend(&text, PointsText(response), Indented(decode(ids), "    | "),
                  Explanation(response, "    "));
  const size_t branches = response.value("branches", json::array()).size();
  for (size_t b = 0; b < branches; ++b) {
    absl::StrAppend(&text, BranchText(response, b, decode));
  }
  return text;
}

}  // namespace

absl::StatusOr<std::string> ProblemText(const json& problem, const DecodeIds& decode) {
  try {
    const auto prompt = problem.at("prompt_ids").get<std::vector<int32_t>>();
    std::string text =
        absl::StrCat("problem ", Word(problem, "problem_id"), " (batch ", Word(problem, "batch"),
                     ", position ", Word(problem, "position"), ", kept: ", Word(problem, "kept"),
                     ")\n", Indented(decode(prompt), "  > "));
    size_t index = 0;
    for (const json& response : problem.at("responses")) {
      absl::StrAppend(&text, ResponseText(index++, response, decode));
    }
    return text;
  } catch (const json::exception& error) {
    return absl::InvalidArgumentError(JsonWords(error));
  }
}

}  // namespace attnrl::tools
