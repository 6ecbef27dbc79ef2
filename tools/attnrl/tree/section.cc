// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/tree/section.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/attnrl/tree/markup.h"
#include "tools/attnrl/tree/overview.h"
#include "tools/attnrl/tree/steps.h"

namespace attnrl::tools {
namespace {

constexpr int64_t kMostBars = 600;
constexpr size_t kDigestCharacters = 8;

std::string Outcome(const TreeLeaf& leaf) {
  const char* name = !leaf.reward ? "not graded" : leaf.correct() ? "correct" : "not correct";
  return absl::StrCat(R"(<svg class="mark" role="img" aria-label=")", name, "\"><use href=\"#",
                      leaf.mark(), "\"/></svg>");
}

std::string Answer(const TreeLeaf& leaf) {
  // Why it is wrong stands beside the pointer.
  const std::string why = leaf.explanation.empty() ? "" : "&#10;" + Escaped(leaf.explanation);
  if (leaf.extracted || !leaf.explanation.empty()) {
    return absl::StrCat(R"(<span class="answer" title="extracted answer)", why, "\">",
                        Escaped(leaf.extracted.value_or("why")), "</span>");
  }
  return leaf.verdict == "no_answer" ? "<span class=\"answer none\">no answer</span>" : "";
}

// Facts about a leaf in one line of small print; what isn't recorded is left out.
std::string Facts(const TreeLeaf& leaf, int64_t steps) {
  std::vector<std::string> facts;
  if (leaf.reward) facts.push_back("reward " + Short(*leaf.reward));
  if (!leaf.verdict.empty()) facts.push_back(Escaped(leaf.verdict));
  facts.push_back(Counted(leaf.tokens, "token", "tokens"));
  if (steps > 0) facts.push_back(Counted(steps, "step", "steps"));
  if (leaf.finish_reason == "length") {
    facts.emplace_back("<b class=\"cut\">cut off</b>");
  } else if (!leaf.finish_reason.empty()) {
    facts.push_back(Escaped(leaf.finish_reason));
  }
  if (leaf.version) {
    facts.push_back(absl::StrCat("<span title=\"weights ", *leaf.version, ", digest ",
                                 Escaped(leaf.digest), "\">W(", *leaf.version, ") <code>",
                                 Escaped(leaf.digest.substr(0, kDigestCharacters)),
                                 "</code></span>"));
  }
  if (!leaf.worker.empty()) facts.push_back(Escaped(leaf.worker));
  std::string out = "<span class=\"facts\">";
  for (const std::string& fact : facts) absl::StrAppend(&out, "<span>", fact, "</span>");
  return absl::StrCat(out, "</span>");
}

std::string AdvantageChip(std::optional<double> advantage, double largest) {
  if (!advantage) return "<span class=\"chip\">not trained</span>";
  return absl::StrCat("<span ", AdvantageAttributes("chip adv", *advantage, largest),
                      " title=\"advantage of each of its tokens\">A ", Signed(*advantage),
                      "</span>");
}

int64_t StepCount(const TreeLeaf& leaf) {
  return leaf.pieces.empty() ? 0 : leaf.pieces.back().step - leaf.pieces.front().step + 1;
}

// Scores over tokens as bars of true height, the branch points above, the advantages below.
std::string Strip(const TreeProblem& problem, const TreeResponse& response, size_t index) {
  const TreeLeaf& leaf = response.leaf;
  const auto share = [&leaf](double token) {
    return Percent(token / static_cast<double>(std::max<int64_t>(leaf.tokens, 1)));
  };
  std::string out =
      absl::StrCat("<div class=\"strip", response.branches.empty() ? " plain" : "", "\">");
  const std::vector<ScoreCell> cells = ScoreCells(leaf, problem.score, kMostBars);
  if (!cells.empty()) {
    absl::StrAppend(&out, "<svg viewBox=\"0 0 ", leaf.tokens,
                    R"( 100" preserveAspectRatio="none" role="img" aria-label=")",
                    ScoreName(problem.score), " of the steps\">");
    for (const ScoreCell& cell : cells) {
      const double height =
          problem.max_score > 0 ? std::clamp(100 * cell.score / problem.max_score, 0.0, 100.0) : 0;
      absl::StrAppend(&out,
                      absl::StrFormat("<rect x=\"%.6g\" y=\"%.4g\" width=\"%.6g\" "
                                      "height=\"%.4g\"/>",
                                      cell.begin, 100 - height, cell.end - cell.begin, height));
    }
    absl::StrAppend(&out, "</svg>");
  }
  absl::StrAppend(&out, "<div class=\"bands\">");
  double begin = 0;
  for (const auto& [length, advantage] : leaf.segments) {
    const std::string place =
        absl::StrCat("left:", share(begin), ";width:", share(static_cast<double>(length)));
    absl::StrAppend(&out, "<i ",
                    AdvantageAttributes("band", advantage, problem.max_advantage, place),
                    " title=\"", Counted(length, "token", "tokens"), " \u00b7 advantage ",
                    Signed(advantage), "\"></i>");
    begin += static_cast<double>(length);
  }
  absl::StrAppend(&out, "</div>");
  for (size_t b = 0; b < response.branches.size(); ++b) {
    absl::StrAppend(&out, R"(<a class="pin" href="#r)", index, "b", b,
                    "\" style=\"left:", share(static_cast<double>(response.branches[b].split)),
                    "\">", PointMark(static_cast<int64_t>(b) + 1, response.branches[b].origin),
                    "</a>");
  }
  return absl::StrCat(out, "</div>\n");
}

// "both continuations correct", "1 of 2 continuations correct: they disagree".
std::string Agreement(const TreeBranch& branch) {
  const auto all = static_cast<int64_t>(branch.continuations.size());
  if (all == 0) return "no continuations";
  const auto right = std::count_if(branch.continuations.begin(), branch.continuations.end(),
                                   [](const TreeLeaf& leaf) { return leaf.correct(); });
  return absl::StrCat(right, " of ", Counted(all, "continuation", "continuations"), " correct",
                      right > 0 && right < all ? ", <b>they disagree</b>" : "");
}

std::string Continuation(const TreeProblem& problem, const TreeLeaf& leaf, const std::string& id,
                         size_t number) {
  const std::optional<double> advantage = AdvantageAt(leaf, leaf.begin);
  return absl::StrCat("<article ",
                      advantage ? AdvantageAttributes("child", *advantage, problem.max_advantage)
                                : std::string("class=\"child\""),
                      " id=\"", id, "\"><header>", Outcome(leaf), "<h4>continuation ", number,
                      "</h4>", Answer(leaf), AdvantageChip(advantage, problem.max_advantage),
                      Facts(leaf, StepCount(leaf)), "</header>\n",
                      StepList(problem, leaf, {}, [](size_t) { return std::string(); }),
                      "</article>\n");
}

// The point and its continuations, side by side where there is room.
std::string Branch(const TreeProblem& problem, const TreeBranch& branch, const std::string& id,
                   size_t number) {
  const std::string origin = OriginText(branch.origin);
  std::string out =
      absl::StrCat(R"(<section class="branch" id=")", id, "\"><h3>",
                   PointMark(static_cast<int64_t>(number) + 1, branch.origin), " from token ",
                   Count(branch.split), "<span class=\"facts\">",
                   origin.empty() ? "" : "<span>" + origin + "</span>", "<span>", Agreement(branch),
                   "</span></span></h3><div class=\"children\">\n");
  for (size_t c = 0; c < branch.continuations.size(); ++c) {
    absl::StrAppend(&out,
                    Continuation(problem, branch.continuations[c], absl::StrCat(id, "c", c), c));
  }
  return absl::StrCat(out, "</div></section>\n");
}

// What the response's own tokens are worth, segment by segment.
std::string OwnAdvantages(const TreeProblem& problem, const TreeLeaf& leaf) {
  if (leaf.segments.empty()) return "";
  std::string out = "<span class=\"advantages\">";
  for (const auto& [length, advantage] : leaf.segments) {
    absl::StrAppend(&out, "<span ",
                    AdvantageAttributes("chip adv", advantage, problem.max_advantage), " title=\"",
                    Counted(length, "token", "tokens"), "\">", Signed(advantage), "</span>");
  }
  return absl::StrCat(out, "</span>");
}

}  // namespace

std::string OriginText(const std::string& origin) {
  if (origin == "threshold") return "above the threshold";
  if (origin == "fill") return "filled up";
  if (origin == "duplicate") return "repeated, because there are too few steps";
  return Escaped(origin);
}

std::string PointMark(int64_t number, const std::string& origin) {
  const bool hollow = origin == "fill" || origin == "duplicate";
  return absl::StrCat("<span class=\"point", hollow ? " hollow" : "", "\"><i>", number,
                      "</i></span>");
}

std::string ResponseSection(const TreeProblem& problem, size_t index) {
  const TreeResponse& response = problem.responses[index];
  const TreeLeaf& leaf = response.leaf;
  // Where nothing is expanded (outcome training), no response is less than another.
  const bool shown = response.expanded || !problem.any_expanded;
  std::string out =
      absl::StrCat("<details class=\"response", shown ? "\" open" : " calm\"", " id=\"r", index,
                   "\"><summary>", Outcome(leaf), "<h2>Response ", index, "</h2>", Answer(leaf),
                   shown ? "" : "<span class=\"chip\">not expanded</span>",
                   OwnAdvantages(problem, leaf), Facts(leaf, StepCount(leaf)), "</summary>\n");
  absl::StrAppend(&out, Strip(problem, response, index));
  std::vector<int64_t> points;
  points.reserve(response.branches.size());
  for (const TreeBranch& branch : response.branches) points.push_back(branch.split);
  absl::StrAppend(&out, StepList(problem, leaf, points, [&](size_t piece) {
    std::string branches;
    for (size_t b = 0; b < points.size(); ++b) {
      if (points[b] != leaf.pieces[piece].begin) continue;
      absl::StrAppend(&branches,
                      Branch(problem, response.branches[b], absl::StrCat("r", index, "b", b), b));
    }
    return branches;
  }));
  return absl::StrCat(out, "</details>\n");
}

}  // namespace attnrl::tools
