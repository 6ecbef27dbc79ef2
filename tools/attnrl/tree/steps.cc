// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/tree/steps.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "tools/attnrl/tree/markup.h"

namespace attnrl::tools {
namespace {

constexpr size_t kShortLeaf = 48;  // pieces that are shown without folding
constexpr size_t kShownAtEnds = 5;
constexpr size_t kShownAround = 3;  // on both sides of a branch point
constexpr size_t kShownPeaks = 8;
constexpr size_t kShortestFold = 4;

// Pieces of about a token each make a text, not a list.
bool Flows(const TreeLeaf& leaf) {
  return leaf.pieces.size() > 12 && leaf.tokens < 2 * static_cast<int64_t>(leaf.pieces.size());
}

std::string TokenRange(int64_t begin, int64_t end) {
  if (end - begin == 1) return absl::StrCat("token ", Count(begin));
  return absl::StrCat("tokens ", Count(begin), "\u2013", Count(end - 1));
}

// The text of a step in its line: the newlines that end it are marks, not empty lines.
std::string StepText(const std::string& text) {
  const size_t end = text.find_last_not_of('\n') + 1;
  std::string marks;
  for (size_t i = end; i < text.size(); ++i) marks += "\u21b5";
  return absl::StrCat(
      Escaped(text.substr(0, end)),
      marks.empty() ? "" : R"(<span class="ends" aria-hidden="true">)" + marks + "</span>");
}

class List {
 public:
  List(const TreeProblem& problem, const TreeLeaf& leaf) : problem_(problem), leaf_(leaf) {
    flows_ = Flows(leaf);
  }

  bool flows() const { return flows_; }

  std::string Item(size_t index) const {
    const TreePiece& piece = leaf_.pieces[index];
    const double score = ScoreOf(piece, problem_.score).value_or(0);
    const double shade = Shade(score, problem_.max_score);
    std::string out =
        absl::StrCat(flows_ ? "<span" : "<li", " class=\"step\"",
                     shade > 0.02 ? " style=\"--s:" + Percent(shade) + "\"" : std::string(),
                     " title=\"", PieceTitle(problem_, leaf_, piece), "\">");
    if (flows_) return absl::StrCat(out, Escaped(piece.text), "</span>");
    const std::optional<double> advantage = AdvantageAt(leaf_, piece.begin);
    absl::StrAppend(
        &out, "<i ",
        advantage ? AdvantageAttributes("rail", *advantage, problem_.max_advantage)
                  : std::string("class=\"rail\""),
        "></i><span class=\"no\">",
        index > 0 && leaf_.pieces[index - 1].step == piece.step ? std::string("\u22ef")
                                                                : absl::StrCat(piece.step),
        "</span><span class=\"text\">", StepText(piece.text), "</span>",
        shade > 0.02 ? "<span class=\"score\">" + Short(score) + "</span>" : std::string(),
        "</li>\n");
    return out;
  }

  // The summary of a folded run [begin, end).
  std::string FoldSummary(size_t begin, size_t end) const {
    std::string out =
        absl::StrCat(Counted(static_cast<int64_t>(end - begin), "step", "steps"), " folded, ",
                     TokenRange(leaf_.pieces[begin].begin, leaf_.pieces[end - 1].end));
    double highest = 0;
    bool scored = false;
    for (size_t i = begin; i < end; ++i) {
      const std::optional<double> score = ScoreOf(leaf_.pieces[i], problem_.score);
      scored = scored || score.has_value();
      highest = std::max(highest, score.value_or(0));
    }
    if (scored) absl::StrAppend(&out, ", ", ScoreName(problem_.score), " up to ", Short(highest));
    return out;
  }

 private:
  const TreeProblem& problem_;
  const TreeLeaf& leaf_;
  bool flows_ = false;
};

}  // namespace

std::string ScoreName(TreeScore score) { return score == TreeScore::kFci ? "FCI" : "entropy"; }

std::string PieceTitle(const TreeProblem& problem, const TreeLeaf& leaf, const TreePiece& piece) {
  std::string out =
      absl::StrCat("step ", piece.step, " \u00b7 ", TokenRange(piece.begin, piece.end), " (",
                   Count(piece.end - piece.begin), ")");
  if (piece.fci) absl::StrAppend(&out, " \u00b7 FCI ", Short(*piece.fci));
  if (problem.score == TreeScore::kFci && problem.max_score > 0 && piece.fci) {
    absl::StrAppend(&out, " (", Percent(std::round(100 * *piece.fci / problem.max_score) / 100),
                    " of the highest)");
  }
  if (piece.entropy) absl::StrAppend(&out, " \u00b7 entropy ", Short(*piece.entropy), " nats");
  if (piece.logprob) absl::StrAppend(&out, " \u00b7 mean log-prob ", Short(*piece.logprob));
  const std::optional<double> advantage = AdvantageAt(leaf, piece.begin);
  absl::StrAppend(&out, " \u00b7 ",
                  advantage ? "advantage " + Signed(*advantage) : std::string("not trained"));
  return out;
}

std::vector<bool> ShownPieces(const TreeLeaf& leaf, TreeScore score,
                              const std::vector<int64_t>& points) {
  const size_t count = leaf.pieces.size();
  std::vector<bool> shown(count, count <= kShortLeaf);
  if (count <= kShortLeaf) return shown;
  const auto show = [&shown, count](size_t center, size_t before, size_t after) {
    for (size_t i = center - std::min(center, before); i < std::min(count, center + after); ++i) {
      shown[i] = true;
    }
  };
  show(0, 0, kShownAtEnds);
  show(count, kShownAtEnds, 0);
  std::vector<size_t> peaks;
  for (size_t i = 0; i < count; ++i) {
    if (std::find(points.begin(), points.end(), leaf.pieces[i].begin) != points.end()) {
      show(i, kShownAround, kShownAround);
    }
    if (ScoreOf(leaf.pieces[i], score).value_or(0) > 0) peaks.push_back(i);
  }
  std::stable_sort(peaks.begin(), peaks.end(), [&](size_t a, size_t b) {
    return ScoreOf(leaf.pieces[a], score).value_or(0) > ScoreOf(leaf.pieces[b], score).value_or(0);
  });
  for (size_t i = 0; i < std::min(peaks.size(), kShownPeaks); ++i) show(peaks[i], 0, 1);
  for (size_t begin = 0; begin < count;) {
    size_t end = begin;
    while (end < count && shown[end] == shown[begin]) ++end;
    if (!shown[begin] && end - begin < kShortestFold) show(begin, 0, end - begin);
    begin = end;
  }
  return shown;
}

std::string StepList(const TreeProblem& problem, const TreeLeaf& leaf,
                     const std::vector<int64_t>& points,
                     const std::function<std::string(size_t piece)>& before) {
  const List list(problem, leaf);
  const std::vector<bool> shown = ShownPieces(leaf, problem.score, points);
  const std::string open = list.flows() ? "<p class=\"flow\">" : "<ol class=\"steps\">";
  const std::string close = list.flows() ? "</p>\n" : "</ol>\n";
  std::string out = absl::StrCat("<div class=\"walk\">\n", open);
  for (size_t begin = 0; begin < shown.size();) {
    if (shown[begin]) {
      const std::string branches = before(begin);
      if (!branches.empty()) absl::StrAppend(&out, close, branches, open);
      absl::StrAppend(&out, list.Item(begin++));
      continue;
    }
    size_t end = begin;
    while (end < shown.size() && !shown[end]) ++end;
    absl::StrAppend(&out, close, "<details class=\"fold\"><summary>", list.FoldSummary(begin, end),
                    "</summary>", open);
    for (; begin < end; ++begin) absl::StrAppend(&out, list.Item(begin));
    absl::StrAppend(&out, close, "</details>\n", open);
  }
  return absl::StrCat(out, close, "</div>\n");
}

}  // namespace attnrl::tools
