// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/tree/record.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/json/json_words.h"

namespace attnrl::tools {
namespace {

using nlohmann::json;
using Ranges = std::vector<std::pair<int64_t, int64_t>>;

// The member of that name; null where there is none.
const json& Member(const json& object, const char* name) {
  static const json null;
  const auto found = object.find(name);
  return found == object.end() ? null : *found;
}

// A member of a simple type; nullopt where it is null or missing.
template <typename T>
std::optional<T> Optional(const json& object, const char* name) {
  const json& value = Member(object, name);
  return value.is_null() ? std::nullopt : std::optional<T>(value.get<T>());
}

std::string Text(const json& object, const char* name) {
  return Optional<std::string>(object, name).value_or("");
}

// Mean over entries [begin, end) that are numbers; what isn't finite is null in JSON.
std::optional<double> Mean(const json& values, int64_t begin, int64_t end) {
  double sum = 0;
  int64_t count = 0;
  end = std::min(end, values.is_array() ? static_cast<int64_t>(values.size()) : 0);
  for (int64_t i = begin; i < end; ++i) {
    const json& value = values[static_cast<size_t>(i)];
    if (!value.is_number()) continue;
    sum += value.get<double>();
    ++count;
  }
  return count > 0 ? std::optional<double>(sum / static_cast<double>(count)) : std::nullopt;
}

// The record's own steps, or cut anew where it has none.
absl::StatusOr<Ranges> Steps(const json& leaf, int64_t prompt_tokens,
                             const std::vector<int32_t>& ids, const TreeText& text) {
  const json& recorded = Member(leaf, "steps");
  if (recorded.is_null() || recorded.empty()) return text.steps(prompt_tokens, ids);
  Ranges steps = recorded.get<Ranges>();
  int64_t reached = 0;
  for (const auto& [begin, end] : steps) {
    if (begin != reached || end < begin) {
      return InputError("steps", "have a gap or overlap", "ranges that follow each other");
    }
    reached = end;
  }
  const int64_t tokens = prompt_tokens + static_cast<int64_t>(ids.size());
  if (reached != tokens || steps.front().second != prompt_tokens) {
    return InputError("steps", absl::StrCat("end at ", reached, " of ", tokens, " tokens"),
                      "they cover the prompt (the first) and the response");
  }
  return steps;
}

// Cuts the leaf's steps where branches start, and fills in what is known of each piece.
// `steps` as in the record, the prompt first; the leaf's own first step has number `first_step`.
void AddPieces(const json& leaf, const std::vector<int32_t>& ids, const Ranges& steps,
               int64_t first_step, const std::vector<TreeBranch>& branches, const TreeText& text,
               TreeLeaf* out) {
  const json& fci = Member(leaf, "fci");
  const int64_t prompt_tokens = steps.empty() ? 0 : steps.front().second;
  for (size_t step = 1; step < steps.size(); ++step) {
    int64_t begin = steps[step].first - prompt_tokens;
    const int64_t end = steps[step].second - prompt_tokens;
    while (begin < end) {
      int64_t stop = end;
      for (const TreeBranch& branch : branches) {
        if (branch.split > begin && branch.split < stop) stop = branch.split;
      }
      TreePiece piece;
      piece.step = first_step + static_cast<int64_t>(step) - 1;
      piece.begin = out->begin + begin;
      piece.end = out->begin + stop;
      piece.text = text.decode({ids.begin() + begin, ids.begin() + stop});
      if (fci.is_array() && step < fci.size() && fci[step].is_number()) piece.fci = fci[step];
      piece.entropy = Mean(Member(leaf, "entropy"), begin, stop);
      piece.logprob = Mean(Member(leaf, "logprobs"), begin, stop);
      out->pieces.push_back(std::move(piece));
      begin = stop;
    }
  }
}

TreeLeaf LeafOf(const json& record, int64_t begin, int64_t tokens) {
  TreeLeaf leaf;
  leaf.begin = begin;
  leaf.tokens = tokens;
  leaf.finish_reason = Text(record, "finish_reason");
  leaf.worker = Text(record, "worker");
  leaf.digest = Text(record, "digest");
  leaf.verdict = Text(record, "verdict");
  leaf.extracted = Optional<std::string>(record, "extracted");
  leaf.explanation = Text(record, "explanation");
  leaf.version = Optional<int64_t>(record, "version");
  leaf.reward = Optional<double>(record, "reward");
  const json& segments = Member(record, "segments");
  if (!segments.is_null()) segments.get_to(leaf.segments);
  return leaf;
}

TreeLeaf ContinuationOf(const json& record, int64_t split, int64_t first_step,
                        const TreeText& text) {
  const auto ids = record.at("token_ids").get<std::vector<int32_t>>();
  TreeLeaf leaf = LeafOf(record, split, static_cast<int64_t>(ids.size()));
  AddPieces(record, ids, text.steps(0, ids), first_step, {}, text, &leaf);
  return leaf;
}

// The children of a recorded branch; their steps are counted on from the one that they replace.
void AddContinuations(const json& record, const TreeLeaf& response, const TreeText& text,
                      TreeBranch* branch) {
  int64_t first_step = 1;
  for (const TreePiece& piece : response.pieces) {
    if (piece.begin <= branch->split) first_step = piece.step;
  }
  for (const json& child : record.at("children")) {
    branch->continuations.push_back(ContinuationOf(child, branch->split, first_step, text));
  }
}

// The points, by ascending split; a point may have no branch (yet), and a branch no recorded
// origin. `order` says which of the record's branches each one is.
std::vector<TreeBranch> Points(const json& response, std::vector<size_t>* order) {
  const json& records = Member(response, "branches");
  const json& points = Member(response, "points");
  const json& origins = Member(response, "point_origin");
  std::vector<TreeBranch> branches(std::max(records.size(), points.size()));
  for (size_t i = 0; i < branches.size(); ++i) {
    branches[i].split = (i < records.size() ? records[i].at("split") : points[i]).get<int64_t>();
    if (i < origins.size()) branches[i].origin = origins[i].get<std::string>();
  }
  order->resize(branches.size());
  std::iota(order->begin(), order->end(), size_t{0});
  std::stable_sort(order->begin(), order->end(),
                   [&](size_t a, size_t b) { return branches[a].split < branches[b].split; });
  std::vector<TreeBranch> sorted;
  for (const size_t i : *order) sorted.push_back(std::move(branches[i]));
  return sorted;
}

absl::StatusOr<TreeResponse> Response(const json& record, int64_t prompt_tokens,
                                      const TreeText& text) {
  const auto ids = record.at("token_ids").get<std::vector<int32_t>>();
  TreeResponse response;
  response.leaf = LeafOf(record, 0, static_cast<int64_t>(ids.size()));
  std::vector<size_t> order;
  response.branches = Points(record, &order);
  for (const TreeBranch& branch : response.branches) {
    if (branch.split < 0 || branch.split >= response.leaf.tokens) {
      return InputError("points", absl::StrCat(branch.split, " is outside the response"),
                        absl::StrCat("0 to ", response.leaf.tokens - 1));
    }
  }
  response.expanded = Optional<bool>(record, "expanded").value_or(!response.branches.empty());
  ATTNRL_ASSIGN_OR_RETURN(const Ranges steps, Steps(record, prompt_tokens, ids, text));
  AddPieces(record, ids, steps, 1, response.branches, text, &response.leaf);
  const json& records = Member(record, "branches");
  for (size_t i = 0; i < order.size(); ++i) {
    if (order[i] >= records.size()) continue;
    AddContinuations(records[order[i]], response.leaf, text, &response.branches[i]);
  }
  return response;
}

// What the colours of the page are relative to.
void FindExtremes(TreeProblem* problem) {
  const auto see = [problem](const TreeLeaf& leaf) {
    for (const auto& [length, advantage] : leaf.segments) {
      problem->max_advantage = std::max(problem->max_advantage, std::abs(advantage));
    }
  };
  for (const TreeResponse& response : problem->responses) {
    see(response.leaf);
    problem->any_expanded = problem->any_expanded || response.expanded;
    for (const TreeBranch& branch : response.branches) {
      for (const TreeLeaf& leaf : branch.continuations) see(leaf);
    }
    for (const TreePiece& piece : response.leaf.pieces) {
      const TreeScore score = piece.fci       ? TreeScore::kFci
                              : piece.entropy ? TreeScore::kEntropy
                                              : TreeScore::kNone;
      problem->score = std::max(problem->score, score);
    }
  }
  for (const TreeResponse& response : problem->responses) {
    for (const TreePiece& piece : response.leaf.pieces) {
      problem->max_score = std::max(problem->max_score, ScoreOf(piece, problem->score).value_or(0));
    }
  }
}

}  // namespace

std::optional<double> ScoreOf(const TreePiece& piece, TreeScore score) {
  if (score == TreeScore::kFci) return piece.fci;
  return score == TreeScore::kEntropy ? piece.entropy : std::nullopt;
}

std::optional<double> AdvantageAt(const TreeLeaf& leaf, int64_t token) {
  int64_t end = 0;
  for (const auto& [length, advantage] : leaf.segments) {
    end += length;
    if (token < end) return advantage;
  }
  return std::nullopt;
}

absl::StatusOr<TreeProblem> ReadTreeProblem(const json& record, const TreeText& text) {
  try {
    TreeProblem problem;
    problem.batch = Optional<int64_t>(record, "batch").value_or(0);
    problem.position = Optional<int64_t>(record, "position").value_or(0);
    const json& id = Member(record, "problem_id");
    problem.id = id.is_string() ? id.get<std::string>() : PrintJson(id);
    problem.kept = Text(record, "kept");
    const auto prompt = record.at("prompt_ids").get<std::vector<int32_t>>();
    problem.prompt = text.decode(prompt);
    problem.prompt_tokens = static_cast<int64_t>(prompt.size());
    for (const json& item : record.at("responses")) {
      absl::StatusOr<TreeResponse> response = Response(item, problem.prompt_tokens, text);
      if (!response.ok()) {
        return Annotate(response.status(),
                        absl::StrCat("responses[", problem.responses.size(), "]"));
      }
      problem.responses.push_back(*std::move(response));
    }
    FindExtremes(&problem);
    return problem;
  } catch (const json::exception& error) {
    return InputError("record", JsonWords(error), "a problem's record of trees/batch-N.jsonl.zst");
  }
}

}  // namespace attnrl::tools
