// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/tree/overview.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/utf8.h"
#include "tools/attnrl/tree/markup.h"

namespace attnrl::tools {
namespace {

// User units; the drawing is scaled to the width of the page.
constexpr double kWidth = 1000;
constexpr double kLeft = 104;  // where token 0 of the response lies
constexpr double kRight = 76;  // room for outcomes and answers
constexpr double kTop = 10;
constexpr double kBar = 12;    // height of a response's bar
constexpr double kLane = 13;   // from one continuation to the next
constexpr double kGap = 16;    // between responses
constexpr double kRadius = 5;  // of a continuation's bend
constexpr int64_t kMostCells = 420;
constexpr size_t kAnswerCharacters = 9;

std::string Number(double value) { return absl::StrFormat("%.5g", value); }

class Drawing {
 public:
  explicit Drawing(const TreeProblem& problem) : problem_(problem) {
    longest_ = 1;
    for (const TreeResponse& response : problem.responses) {
      longest_ = std::max(longest_, response.leaf.tokens);
      for (const TreeBranch& branch : response.branches) {
        for (const TreeLeaf& leaf : branch.continuations) {
          longest_ = std::max(longest_, leaf.begin + leaf.tokens);
        }
      }
    }
  }

  std::string Draw() {
    std::vector<double> rows;
    for (size_t i = 0; i < problem_.responses.size(); ++i) {
      rows.push_back(y_ + kBar / 2);
      Row(i);
    }
    const double bottom = y_ - kGap + 6;
    std::string under;
    Axis(bottom, &under);
    Prompt(rows, bottom, &under);
    return absl::StrCat(
        R"(<svg class="overview" viewBox="0 0 )", Number(kWidth), " ", Number(bottom + 22),
        R"(" role="img" aria-label="The tree at the scale of tokens">)", under, body_, "</svg>\n");
  }

 private:
  double X(double token) const {
    return kLeft + token * (kWidth - kLeft - kRight) / static_cast<double>(longest_);
  }

  void Rect(double begin, double end, double y, double height, const std::string& attributes,
            std::string* out) const {
    absl::StrAppend(out, "<rect x=\"", Number(X(begin)), "\" y=\"", Number(y), "\" width=\"",
                    Number(std::max(X(end) - X(begin), 0.6)), "\" height=\"", Number(height), "\" ",
                    attributes, "/>");
  }

  // The symbol and the answer behind the end of a leaf.
  void Outcome(const TreeLeaf& leaf, double y) {
    const double x = X(static_cast<double>(leaf.begin + leaf.tokens)) + 9;
    absl::StrAppend(&body_, "<use href=\"#", leaf.mark(), "\" x=\"", Number(x - 5), "\" y=\"",
                    Number(y - 5), R"(" width="10" height="10"/>)");
    std::string answer = leaf.extracted.value_or(leaf.finish_reason == "length" ? "cut off" : "");
    if (answer.size() > kAnswerCharacters) {
      answer = LossyUtf8(answer.substr(0, kAnswerCharacters - 1));
      answer = answer.substr(0, answer.find("\ufffd")) + "\u2026";
    }
    absl::StrAppend(&body_, R"(<text class="answer" x=")", Number(x + 8), "\" y=\"",
                    Number(y + 3.2), "\">", Escaped(answer), "</text>");
  }

  // What a pointer that rests on the leaf reads.
  std::string Title(const std::string& name, const TreeLeaf& leaf) const {
    return absl::StrCat("<title>", name, ": ", Counted(leaf.tokens, "token", "tokens"),
                        leaf.reward ? ", reward " + Short(*leaf.reward) : std::string(),
                        "</title>");
  }

  void Row(size_t index) {
    const TreeResponse& response = problem_.responses[index];
    const double center = y_ + kBar / 2;
    absl::StrAppend(&body_, "<a href=\"#r", index, "\" class=\"row",
                    response.expanded || !problem_.any_expanded ? "" : " calm", "\">",
                    Title(absl::StrCat("response ", index), response.leaf));
    absl::StrAppend(&body_, R"(<text class="name" x=")", Number(kLeft - 7), "\" y=\"",
                    Number(center + 3.4), "\">", index, "</text>");
    Rect(0, static_cast<double>(response.leaf.tokens), y_, kBar, R"(rx="1.5" class="track")",
         &body_);
    for (const ScoreCell& cell : ScoreCells(response.leaf, problem_.score, kMostCells)) {
      const double shade = Shade(cell.score, problem_.max_score);
      if (shade < 0.02) continue;
      Rect(cell.begin, cell.end, y_, kBar,
           absl::StrCat(R"(class="cell" style="--s:)", Percent(shade), "\""), &body_);
    }
    double begin = 0;
    for (const auto& [length, advantage] : response.leaf.segments) {
      const double end = begin + static_cast<double>(length);
      Rect(begin, end, y_ + kBar + 1, 3,
           AdvantageAttributes("band", advantage, problem_.max_advantage), &body_);
      begin = end;
    }
    Outcome(response.leaf, center);
    absl::StrAppend(&body_, "</a>");
    const double bar = y_;
    y_ += kBar + 4;
    Continuations(response, index, bar);
    y_ += kGap;
  }

  // The continuations of the last point come first, so that no line crosses another.
  void Continuations(const TreeResponse& response, size_t index, double bar) {
    for (size_t b = response.branches.size(); b-- > 0;) {
      const TreeBranch& branch = response.branches[b];
      const double x = X(static_cast<double>(branch.split));
      for (size_t c = 0; c < branch.continuations.size(); ++c) {
        const TreeLeaf& leaf = branch.continuations[c];
        y_ += kLane;
        const double y = y_ - kLane / 2 + 2;
        const std::optional<double> advantage = AdvantageAt(leaf, leaf.begin);
        const std::string attributes =
            advantage ? AdvantageAttributes("twig", *advantage, problem_.max_advantage)
                      : std::string("class=\"twig\"");
        absl::StrAppend(
            &body_, "<a href=\"#r", index, "b", b, "c", c, R"(" class="row">)",
            Title(absl::StrCat("response ", index, ", point ", b + 1, ", continuation ", c), leaf),
            "<path ", attributes, " d=\"M", Number(x), " ", Number(bar + kBar + 4), "V",
            Number(y - kRadius), "q0 ", Number(kRadius), " ", Number(kRadius), " ", Number(kRadius),
            "H",
            Number(std::max(X(static_cast<double>(leaf.begin + leaf.tokens)), x + kRadius + 1)),
            "\"/>");
        Outcome(leaf, y);
        absl::StrAppend(&body_, "</a>");
      }
      Pin(x, bar, branch.origin);
    }
  }

  void Pin(double x, double bar, const std::string& origin) {
    absl::StrAppend(&body_, "<path class=\"pin",
                    origin == "fill" || origin == "duplicate" ? " hollow" : "", "\" d=\"M",
                    Number(x), " ", Number(bar + kBar / 2 - 5), "l5 5l-5 5l-5 -5z\"/>");
  }

  void Prompt(const std::vector<double>& rows, double bottom, std::string* out) const {
    const double middle = rows.empty() ? bottom / 2 : (rows.front() + rows.back()) / 2;
    for (const double row : rows) {
      absl::StrAppend(out, R"(<path class="root" d="M64 )", Number(middle), "C80 ", Number(middle),
                      " 72 ", Number(row), " ", Number(kLeft - 18), " ", Number(row), "\"/>");
    }
    absl::StrAppend(out, R"(<rect class="prompt" x="2" y=")", Number(middle - 15),
                    R"(" width="62" height="30" rx="6"/><text class="prompt" x="33" y=")",
                    Number(middle - 1.5), R"(">prompt</text><text class="prompt small" x="33" y=")",
                    Number(middle + 9.5), "\">", Counted(problem_.prompt_tokens, "token", "tokens"),
                    "</text>");
  }

  // Ticks at 1, 2 or 5 times a power of ten, five to ten of them.
  void Axis(double bottom, std::string* out) const {
    double step = std::pow(10, std::floor(std::log10(static_cast<double>(longest_))));
    while (static_cast<double>(longest_) / step < 5 && step > 1) {
      step /= static_cast<double>(longest_) / step < 2.5 ? 5 : 2;
    }
    step = std::max(1.0, std::round(step));
    for (double token = 0; token <= static_cast<double>(longest_); token += step) {
      absl::StrAppend(out, R"(<path class="grid" d="M)", Number(X(token)), " ", Number(kTop - 6),
                      "V", Number(bottom), R"("/><text class="tick" x=")", Number(X(token)),
                      "\" y=\"", Number(bottom + 13), "\">", Count(static_cast<int64_t>(token)),
                      "</text>");
    }
    absl::StrAppend(out, R"(<text class="tick" x="33" y=")", Number(bottom + 13),
                    "\">token</text>");
  }

  const TreeProblem& problem_;
  int64_t longest_ = 1;  // tokens of the longest leaf
  double y_ = kTop;
  std::string body_;
};

}  // namespace

std::string OverviewSvg(const TreeProblem& problem) { return Drawing(problem).Draw(); }

std::vector<ScoreCell> ScoreCells(const TreeLeaf& leaf, TreeScore score, int64_t most) {
  std::vector<ScoreCell> cells;
  const double width = static_cast<double>(leaf.tokens) / static_cast<double>(most);
  const bool merge = static_cast<int64_t>(leaf.pieces.size()) > most;
  for (const TreePiece& piece : leaf.pieces) {
    const std::optional<double> value = ScoreOf(piece, score);
    if (!value) continue;
    const auto begin = static_cast<double>(piece.begin);
    const auto end = static_cast<double>(piece.end);
    if (merge && !cells.empty() && cells.back().end - cells.back().begin < width) {
      cells.back().end = end;
      cells.back().score = std::max(cells.back().score, *value);
    } else {
      cells.push_back({begin, end, *value});
    }
  }
  return cells;
}

std::string OutcomeSymbols() {
  return "<svg class=\"symbols\" aria-hidden=\"true\"><symbol id=\"right\" viewBox=\"0 0 16 16\">"
         "<circle class=\"disc\" cx=\"8\" cy=\"8\" r=\"7.5\"/>"
         "<path class=\"tick\" d=\"M4.4 8.3l2.4 2.5 4.8-5.3\"/></symbol>"
         "<symbol id=\"wrong\" viewBox=\"0 0 16 16\">"
         "<circle class=\"ring\" cx=\"8\" cy=\"8\" r=\"6.8\"/>"
         "<path class=\"cross\" d=\"M5.4 5.4l5.2 5.2M10.6 5.4l-5.2 5.2\"/></symbol>"
         "<symbol id=\"ungraded\" viewBox=\"0 0 16 16\">"
         "<circle class=\"ring open\" cx=\"8\" cy=\"8\" r=\"6.8\"/></symbol></svg>\n";
}

}  // namespace attnrl::tools
