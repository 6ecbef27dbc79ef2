// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/jsonl.h"
#include "common/tree/criteria/criterion.h"
#include "tools/attnrl/command.h"

namespace attnrl::tools {
namespace {

using Record = nlohmann::ordered_json;

constexpr int64_t kMaxPoints = 64;  // as in the configuration

struct Options {
  std::string input = "-";
  std::string output = "-";
  bool skip_bad = false;
  tree::PointOptions selection;
  std::string choice = "positional";  // in words, until the callback
};

// The record's own values win over the flags.
absl::StatusOr<tree::PointOptions> Selection(const storage::JsonLine& line,
                                             tree::PointOptions selection) {
  ATTNRL_ASSIGN_OR_RETURN(const auto points, storage::OptionalIntField(line, "points"));
  ATTNRL_ASSIGN_OR_RETURN(const auto quantile, storage::OptionalNumberField(line, "quantile"));
  ATTNRL_ASSIGN_OR_RETURN(const auto distance, storage::OptionalIntField(line, "min_distance"));
  if (points && (*points < 1 || *points > kMaxPoints)) {
    return storage::BadRecord(line, absl::StrCat("\"points\" is ", *points),
                              absl::StrCat("1 to ", kMaxPoints, " are allowed"));
  }
  if (quantile && !(*quantile >= 0 && *quantile <= 1)) {
    return storage::BadRecord(line, absl::StrCat("\"quantile\" is ", *quantile),
                              "0 to 1 is allowed");
  }
  if (distance && *distance < 0) {
    return storage::BadRecord(line, absl::StrCat("\"min_distance\" is ", *distance),
                              "0 or more is allowed");
  }
  selection.count = points.value_or(selection.count);
  selection.quantile = quantile.value_or(selection.quantile);
  selection.min_distance = distance.value_or(selection.min_distance);
  return selection;
}

absl::StatusOr<std::vector<StepRange>> Steps(const storage::JsonLine& line) {
  constexpr char kNeeded[] = "[start,end] pairs from 0 on without gaps, the prompt first";
  if (!line.value.contains("steps")) {
    return storage::BadRecord(line, "field \"steps\" is missing", kNeeded);
  }
  const nlohmann::json& value = line.value["steps"];
  if (!value.is_array() || value.empty()) {
    return storage::BadRecord(line, "\"steps\" is no list of steps", kNeeded);
  }
  std::vector<StepRange> steps;
  int64_t reached = 0;
  for (const nlohmann::json& item : value) {
    const std::string name = absl::StrCat("\"steps\"[", steps.size(), "]");
    if (!item.is_array() || item.size() != 2 || !item[0].is_number_integer() ||
        !item[1].is_number_integer() || item[1] > INT64_MAX) {
      return storage::BadRecord(line, name + " is no pair of whole numbers", kNeeded);
    }
    const auto step = item.get<StepRange>();
    // Only the prompt may be empty.
    if (step.first != reached || step.second < step.first ||
        (step.second == step.first && !steps.empty())) {
      return storage::BadRecord(
          line, absl::StrCat(name, " is [", step.first, ",", step.second, "]"), kNeeded);
    }
    steps.push_back(step);
    reached = step.second;
  }
  return steps;
}

absl::StatusOr<std::vector<float>> Scores(const storage::JsonLine& line, size_t steps) {
  ATTNRL_ASSIGN_OR_RETURN(const std::vector<double> values, storage::NumberListField(line, "fci"));
  if (values.size() != steps) {
    return storage::BadRecord(
        line, absl::StrCat("\"fci\" has ", values.size(), " scores for ", steps, " steps"),
        "one a step is needed, the prompt's included");
  }
  std::vector<float> scores;
  for (const double value : values) {
    scores.push_back(static_cast<float>(value));
    if (!std::isfinite(scores.back())) {
      return storage::BadRecord(line, absl::StrCat("\"fci\" holds ", value),
                                "numbers within float32 are needed");
    }
  }
  return scores;
}

absl::StatusOr<Record> Convert(const storage::JsonLine& line, const Options& options) {
  ATTNRL_ASSIGN_OR_RETURN(nlohmann::json id, storage::AnyField(line, "id"));
  ATTNRL_ASSIGN_OR_RETURN(const std::vector<StepRange> steps, Steps(line));
  ATTNRL_ASSIGN_OR_RETURN(const std::vector<float> fci, Scores(line, steps.size()));
  ATTNRL_ASSIGN_OR_RETURN(const tree::PointOptions selection, Selection(line, options.selection));
  const std::vector<tree::BranchPoint> points =
      tree::ChoosePoints(tree::Criterion::kFci, {.steps = steps, .fci = fci}, selection);
  Record splits = Record::array();
  for (const tree::BranchPoint& point : points) splits.push_back(point.split);
  return Record{{"id", std::move(id)}, {"points", std::move(splits)}};
}

absl::Status Branch(const Options& options) {
  if (options.selection.spaced && options.selection.choice != tree::Choice::kTop) {
    return InputError("--spaced", "has no effect with --choice positional",
                      "--choice top --spaced (positional always keeps the distance)");
  }
  ATTNRL_ASSIGN_OR_RETURN(storage::JsonLinesWriter writer,
                          storage::JsonLinesWriter::Open(options.output));
  int64_t skipped = 0;
  ATTNRL_RETURN_IF_ERROR(storage::ReadJsonLines(
      options.input, options.skip_bad, &skipped, [&](const storage::JsonLine& line) {
        const absl::StatusOr<Record> record = Convert(line, options);
        return record.ok() ? writer.Write(*record) : record.status();
      }));
  if (skipped > 0) std::cerr << skipped << " bad records were left out" << std::endl;
  return writer.Close();
}

std::vector<std::string> ChoiceWords() {
  std::vector<std::string> words;
  for (const tree::ChoiceEntry& each : tree::Choices()) words.emplace_back(each.word);
  return words;
}

}  // namespace

// `attnrl branch`: the branch points of scored responses, one a line.
void AddBranchCommand(Command& app, Work* run) {
  Command& command = app.AddCommand("branch", "Choose branch points of responses by their FCI");
  auto options = std::make_shared<Options>();
  tree::PointOptions& selection = options->selection;
  command.Add("--input", &options->input,
              "JSON Lines as `attnrl fci` writes them: {\"id\",\"steps\":[[start,end],..],"
              "\"fci\":[..]}, the prompt first; - is stdin");
  command.Add("--output", &options->output, "File for the branch points; - is stdout");
  command.Add("--points", &selection.count, "Branch points of each response")
      .Between(1, kMaxPoints);
  command
      .Add("--quantile", &selection.quantile,
           "A step qualifies if its score reaches this quantile of the scores")
      .BetweenReals(0.0, 1.0);
  command
      .Add("--min-distance", &selection.min_distance,
           "Minimum distance in tokens from the start of the sequence and between branch points")
      .AtLeastZero();
  command
      .Add("--choice", &options->choice,
           "positional: the earliest steps that qualify; top: those with the highest scores")
      .OneOf(ChoiceWords());
  command.AddSwitch("--spaced", &selection.spaced, "Keep --min-distance with --choice top, too");
  command.AddSwitch("--skip-bad", &options->skip_bad, "Leave bad records out and count them");
  command.Footer(
      "\"points\", \"quantile\" and \"min_distance\" of a record override the flags. A result is "
      "{\"id\",\"points\":[..]}, token indices in the response, ascending.\nExample:\n  attnrl "
      "branch --input fci.jsonl --output points.jsonl --points 2 --min-distance 16");
  command.WhenChosen([options, run] {
    options->selection.choice = *ValueOf<tree::Choice>(options->choice);
    *run = [options] { return Branch(*options); };
  });
}

}  // namespace attnrl::tools
