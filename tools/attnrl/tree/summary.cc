// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/tree/summary.h"

#include <cstdint>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/attnrl/tree/markup.h"
#include "tools/attnrl/tree/section.h"
#include "tools/attnrl/tree/steps.h"

namespace attnrl::tools {
namespace {

struct Totals {
  int64_t solved = 0, graded = 0, graded_leaves = 0, expanded = 0, points = 0, disagree = 0,
          continuations = 0;
  int64_t initial_tokens = 0, continuation_tokens = 0;
  double reward = 0;
  std::map<std::string, int64_t> origins;
  std::set<int64_t> initial_versions, continuation_versions;
};

void AddBranch(const TreeBranch& branch, Totals* totals) {
  ++totals->points;
  if (!branch.origin.empty()) ++totals->origins[branch.origin];
  size_t right = 0;
  for (const TreeLeaf& leaf : branch.continuations) {
    right += leaf.correct() ? 1 : 0;
    ++totals->continuations;
    totals->continuation_tokens += leaf.tokens;
    totals->reward += leaf.reward.value_or(0);
    totals->graded_leaves += leaf.reward ? 1 : 0;
    if (leaf.version) totals->continuation_versions.insert(*leaf.version);
  }
  if (right > 0 && right < branch.continuations.size()) ++totals->disagree;
}

Totals Sum(const TreeProblem& problem) {
  Totals totals;
  for (const TreeResponse& response : problem.responses) {
    totals.solved += response.leaf.correct() ? 1 : 0;
    totals.graded += response.leaf.reward ? 1 : 0;
    totals.expanded += response.expanded ? 1 : 0;
    totals.initial_tokens += response.leaf.tokens;
    totals.reward += response.leaf.reward.value_or(0);
    if (response.leaf.version) totals.initial_versions.insert(*response.leaf.version);
    for (const TreeBranch& branch : response.branches) AddBranch(branch, &totals);
  }
  totals.graded_leaves += totals.graded;
  return totals;
}

std::string Versions(const std::set<int64_t>& versions) {
  std::string out;
  for (const int64_t version : versions) {
    absl::StrAppend(&out, out.empty() ? "" : ", ", "W(", version, ")");
  }
  return out.empty() ? "\u2013" : out;
}

std::string KeptText(const std::string& kept) {
  if (kept == "all") return "trained";
  if (kept == "filtered") return "not trained: filtered as solved";
  if (kept == "zero_advantage") return "not trained: its samples do not differ";
  if (kept == "ungradable") return "not trained: could not be graded";
  return kept.empty() ? "not recorded whether it trains" : Escaped(kept);
}

std::string Figure(const std::string& name, const std::string& value, const std::string& note) {
  return absl::StrCat("<div><dt>", name, "</dt><dd>", value, "<small>", note,
                      "</small></dd></div>\n");
}

// What only a tree with branches has.
std::string BranchFigures(const TreeProblem& problem, const Totals& totals) {
  std::string origins;
  for (const char* origin : {"threshold", "fill", "duplicate", "chosen"}) {
    const auto found = totals.origins.find(origin);
    if (found == totals.origins.end()) continue;
    absl::StrAppend(&origins, origins.empty() ? "" : ", ", found->second, " ", OriginText(origin));
  }
  return absl::StrCat(
      Figure("expanded", absl::StrCat(totals.expanded, " of ", problem.responses.size()),
             "responses"),
      Figure("branch points", Count(totals.points), origins),
      Figure("branch gain", absl::StrCat(totals.disagree, " of ", totals.points),
             "points whose continuations disagree"));
}

std::string Figures(const TreeProblem& problem, const Totals& totals) {
  const auto responses = static_cast<int64_t>(problem.responses.size());
  const int64_t ungraded = responses - totals.graded;
  std::string out = absl::StrCat(
      "<dl class=\"figures\">\n",
      Figure("solved", absl::StrCat(totals.solved, " of ", totals.graded),
             ungraded > 0 ? absl::StrCat("initial responses, ", ungraded, " not graded")
                          : std::string("initial responses")));
  if (totals.graded_leaves > 0) {
    const double value = totals.reward / static_cast<double>(totals.graded_leaves);
    absl::StrAppend(&out,
                    Figure("value of the root", absl::StrFormat("%.2f", value),
                           "mean reward of " + Counted(totals.graded_leaves, "leaf", "leaves")));
  }
  std::string tokens = "sampled";
  std::string weights = "of the responses";
  if (totals.points > 0) {
    absl::StrAppend(&out, BranchFigures(problem, totals));
    tokens = absl::StrCat(Count(totals.initial_tokens), " initial, ",
                          Count(totals.continuation_tokens), " continued");
    weights = absl::StrCat("initial; ", Versions(totals.continuation_versions), " continued");
  }
  absl::StrAppend(
      &out, Figure("tokens", Count(totals.initial_tokens + totals.continuation_tokens), tokens),
      Figure("weights", Versions(totals.initial_versions), weights));
  return absl::StrCat(out, "</dl>\n");
}

// The shades with the scores that they stand for, the two colours of advantages, the marks.
std::string Legend(const TreeProblem& problem) {
  std::string out = "<ul class=\"legend\">\n";
  if (problem.score != TreeScore::kNone && problem.max_score > 0) {
    absl::StrAppend(&out, "<li><b>", ScoreName(problem.score),
                    problem.score == TreeScore::kEntropy ? " (nats)" : "",
                    "</b><span class=\"scale\">");
    for (const double shade : {0.0, 0.25, 0.5, 0.75, 1.0}) {
      absl::StrAppend(&out, R"(<i class="shade" style="--s:)", Percent(shade), "\">",
                      absl::StrFormat("%.2g", shade * shade * problem.max_score), "</i>");
    }
    absl::StrAppend(&out, "</span></li>\n");
  }
  if (problem.max_advantage > 0) {
    absl::StrAppend(&out, "<li><b>advantage</b><span class=\"scale\">");
    for (const double shade : {-1.0, -0.5, 0.0, 0.5, 1.0}) {
      const double advantage = (shade < 0 ? -1 : 1) * shade * shade * problem.max_advantage;
      absl::StrAppend(&out, "<i ", AdvantageAttributes("tint", advantage, problem.max_advantage),
                      ">", Signed(advantage), "</i>");
    }
    absl::StrAppend(&out, "</span></li>\n");
  }
  absl::StrAppend(&out,
                  "<li><svg class=\"mark\"><use href=\"#right\"/></svg> correct</li>"
                  "<li><svg class=\"mark\"><use href=\"#wrong\"/></svg> not correct</li>");
  if (Sum(problem).graded < static_cast<int64_t>(problem.responses.size())) {
    absl::StrAppend(&out,
                    "<li><svg class=\"mark\"><use href=\"#ungraded\"/></svg> not graded</li>");
  }
  if (Sum(problem).points > 0) {
    absl::StrAppend(&out, "<li>", PointMark(1, ""), " branch point</li><li>", PointMark(1, "fill"),
                    " filled up or repeated</li>");
  }
  return absl::StrCat(out, "</ul>\n");
}

}  // namespace

std::string SummarySection(const TreeProblem& problem, const std::string& source) {
  return absl::StrCat("<header class=\"page\">\n<p class=\"source\">", Escaped(source),
                      "</p>\n<h1>", Escaped(problem.id), "</h1>\n<p class=\"where\">batch ",
                      Count(problem.batch), ", position ", Count(problem.position),
                      "<span class=\"kept", problem.kept == "all" ? " yes" : "", "\">",
                      KeptText(problem.kept), "</span></p>\n", Figures(problem, Sum(problem)),
                      Legend(problem), "</header>\n");
}

}  // namespace attnrl::tools
