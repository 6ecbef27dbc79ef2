// SPDX-License-Identifier: Apache-2.0
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/jsonl.h"
#include "common/tree/advantages.h"
#include "tools/attnrl/command.h"

namespace attnrl::tools {
namespace {

using Json = nlohmann::json;
using Record = nlohmann::ordered_json;

struct Options {
  std::string input = "-";
  std::string output = "-";
  bool skip_bad = false;
};

// The members of a record's nested objects, with errors that say where in it they lie.
absl::StatusOr<int64_t> Whole(const Json& object, const char* name, const std::string& where) {
  const Json value = object.is_object() ? object.value(name, Json()) : Json();
  if (!value.is_number_integer() || (value.is_number_unsigned() && value > INT64_MAX)) {
    return InputError(where + "." + name, "is missing or not a whole number",
                      "a whole number is needed");
  }
  return value.get<int64_t>();
}

absl::StatusOr<double> Reward(const Json& object, const std::string& where) {
  const Json value = object.is_object() ? object.value("reward", Json()) : Json();
  if (!value.is_number()) {
    return InputError(where + ".reward", "is missing or not a number", "a number is needed");
  }
  return value.get<double>();
}

// A list; nothing counts as an empty one where it is optional.
absl::StatusOr<Json> List(const Json& object, const char* name, bool optional,
                          const std::string& where) {
  Json value = object.is_object() ? object.value(name, Json()) : Json();
  if (value.is_null() && optional) return Json::array();
  if (!value.is_array()) {
    return InputError(where + name, "is missing or not a list", "a list is needed");
  }
  return value;
}

absl::StatusOr<tree::Branch> ParseBranch(const Json& value, const std::string& where) {
  tree::Branch branch;
  ATTNRL_ASSIGN_OR_RETURN(branch.split, Whole(value, "split", where));
  ATTNRL_ASSIGN_OR_RETURN(const Json children, List(value, "children", false, where + "."));
  for (size_t c = 0; c < children.size(); ++c) {
    const std::string place = absl::StrCat(where, ".children[", c, "]");
    tree::Child child;
    ATTNRL_ASSIGN_OR_RETURN(child.tokens, Whole(children[c], "tokens", place));
    ATTNRL_ASSIGN_OR_RETURN(child.reward, Reward(children[c], place));
    branch.children.push_back(child);
  }
  return branch;
}

absl::StatusOr<tree::ProblemTree> ParseProblem(const Json& record) {
  tree::ProblemTree problem;
  ATTNRL_ASSIGN_OR_RETURN(const Json responses, List(record, "responses", false, ""));
  for (size_t i = 0; i < responses.size(); ++i) {
    const std::string where = absl::StrCat("responses[", i, "]");
    tree::Response response;
    ATTNRL_ASSIGN_OR_RETURN(response.tokens, Whole(responses[i], "tokens", where));
    ATTNRL_ASSIGN_OR_RETURN(response.reward, Reward(responses[i], where));
    ATTNRL_ASSIGN_OR_RETURN(const Json branches, List(responses[i], "branches", true, where + "."));
    for (size_t b = 0; b < branches.size(); ++b) {
      ATTNRL_ASSIGN_OR_RETURN(tree::Branch branch,
                              ParseBranch(branches[b], absl::StrCat(where, ".branches[", b, "]")));
      response.branches.push_back(std::move(branch));
    }
    problem.responses.push_back(std::move(response));
  }
  return problem;
}

Record LeafRecord(const tree::Leaf& leaf) {
  const auto index = [](const std::optional<int64_t>& value) {
    return value ? Record(*value) : Record();
  };
  Record segments = Record::array();
  for (const tree::Segment& segment : leaf.segments) {
    segments.push_back(Record::array({segment.length, segment.advantage}));
  }
  return {{"response", leaf.response},
          {"branch", index(leaf.branch)},
          {"child", index(leaf.child)},
          {"reward", leaf.reward},
          {"segments", std::move(segments)}};
}

absl::StatusOr<Record> Convert(const storage::JsonLine& line) {
  ATTNRL_ASSIGN_OR_RETURN(Json id, storage::AnyField(line, "id"));
  ATTNRL_ASSIGN_OR_RETURN(const std::optional<int64_t> longest,
                          storage::OptionalIntField(line, "max_response_length"));
  absl::StatusOr<tree::ProblemTree> problem = ParseProblem(line.value);
  if (!problem.ok()) return Annotate(problem.status(), line.where);
  problem->max_response_length = longest;
  const absl::StatusOr<tree::TreeAdvantages> advantages = ComputeTreeAdvantages(*problem);
  if (!advantages.ok()) return Annotate(advantages.status(), line.where);
  Record leaves = Record::array();
  for (const tree::Leaf& leaf : advantages->leaves) leaves.push_back(LeafRecord(leaf));
  return Record{
      {"id", std::move(id)}, {"dropped", advantages->dropped}, {"leaves", std::move(leaves)}};
}

absl::Status Advantages(const Options& options) {
  ATTNRL_ASSIGN_OR_RETURN(storage::JsonLinesWriter writer,
                          storage::JsonLinesWriter::Open(options.output));
  int64_t skipped = 0;
  ATTNRL_RETURN_IF_ERROR(storage::ReadJsonLines(
      options.input, options.skip_bad, &skipped, [&](const storage::JsonLine& line) {
        const absl::StatusOr<Record> record = Convert(line);
        return record.ok() ? writer.Write(*record) : record.status();
      }));
  if (skipped > 0) std::cerr << skipped << " bad records were left out" << std::endl;
  return writer.Close();
}

}  // namespace

// `attnrl advantages`: the tree advantages of problems, one a line.
void AddAdvantagesCommand(Command& app, Work* run) {
  Command& command = app.AddCommand("advantages", "Compute the advantages of trees of responses");
  auto options = std::make_shared<Options>();
  command.Add("--input", &options->input,
              "JSON Lines, one problem a line: {\"id\",\"responses\":[{\"tokens\","
              "\"reward\",\"branches\":[{\"split\",\"children\":[{\"tokens\",\"reward\"}]}]"
              "}]}; - is stdin");
  command.Add("--output", &options->output, "File for the advantages; - is stdout");
  command.AddSwitch("--skip-bad", &options->skip_bad, "Leave bad records out and count them");
  command.Footer(
      "A result is {\"id\",\"dropped\",\"leaves\":[{\"response\",\"branch\",\"child\",\"reward\","
      "\"segments\":[[length,advantage],..]}]}.\nExample:\n  attnrl advantages --input trees.jsonl "
      "--output advantages.jsonl");
  command.WhenChosen([options, run] { *run = [options] { return Advantages(*options); }; });
}

}  // namespace attnrl::tools
