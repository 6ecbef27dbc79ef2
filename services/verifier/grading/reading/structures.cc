// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "services/verifier/grading/expression/matrices.h"
#include "services/verifier/grading/reading/parser.h"
#include "services/verifier/grading/reading/token_parser.h"

namespace attnrl::verifier {
namespace {

// Of an answer that is read as mathematics.
constexpr size_t kMaxTokens = 50'000;

constexpr std::string_view kRelations[] = {
    "=",      "<",          ">",        "\\leq",      "\\geq",     "\\neq",
    "\\in",   "\\notin",    ":",        "\\approx",   "\\sim",     "\\equiv",
    "\\to",   "\\iff",      "\\cong",   "\\simeq",    "\\mapsto",  "\\propto",
    "\\perp", "\\parallel", "\\subset", "\\subseteq", "\\implies", "\\Rightarrow"};

bool IsRelation(std::string_view token) {
  return std::find(std::begin(kRelations), std::end(kRelations), token) != std::end(kRelations);
}

bool IsMatrix(const std::string& environment) {
  return environment == "pmatrix" || environment == "bmatrix" || environment == "matrix" ||
         environment == "Bmatrix" || environment == "array" || environment == "vmatrix" ||
         environment == "smallmatrix";
}

}  // namespace

bool TokenParser::Take(std::string_view text) {
  if (AtEnd() || Peek() != text) return false;
  ++at_;
  return true;
}

std::optional<size_t> TokenParser::GroupEnd() const {
  if (Peek() != "{") return std::nullopt;
  int level = 0;
  for (size_t i = at_; i < end_; ++i) {
    if (tokens_[i].text == "{") ++level;
    if (tokens_[i].text == "}" && --level == 0) return i;
  }
  return std::nullopt;
}

std::optional<Expression> TokenParser::Braced() {
  const Level level(*this);
  const std::optional<size_t> close = GroupEnd();
  if (!level || !close) return std::nullopt;
  ++at_;
  const size_t end = std::exchange(end_, *close);
  Separators separators;
  std::optional<std::vector<Expression>> members = Members(&separators);
  const bool whole = AtEnd();
  end_ = end;
  at_ = *close + 1;
  if (!members || !whole || members->size() != 1) return std::nullopt;
  return std::move(members->front());
}

std::optional<std::string> TokenParser::Spelling() {
  const std::optional<size_t> close = GroupEnd();
  if (!close) return std::nullopt;
  std::string text;
  for (size_t i = at_ + 1; i < *close; ++i) text += tokens_[i].text;
  at_ = *close + 1;
  return text;
}

// Of "((x))", so that thousands of them cost no nesting: the outer pair, while another is right
// inside of it.
void TokenParser::SkipNeedlessParentheses() {
  std::vector<size_t> closing(end_, 0);
  std::vector<size_t> open;
  for (size_t i = at_; i < end_; ++i) {
    if (tokens_[i].text == "(") open.push_back(i);
    if (tokens_[i].text == ")" && !open.empty()) {
      closing[open.back()] = i;
      open.pop_back();
    }
  }
  while (end_ - at_ > 3 && Peek() == "(" && Peek(1) == "(" && closing[at_] == end_ - 1 &&
         closing[at_ + 1] == end_ - 2) {
    ++at_;
    --end_;
  }
}

std::optional<Expression> TokenParser::Answer() {
  while (Take("\\quad")) {
  }
  while (end_ > at_ && tokens_[end_ - 1].text == "\\quad") --end_;
  if (AtEnd()) return std::nullopt;
  SkipNeedlessParentheses();
  if (std::optional<std::string> words = OnlyWords()) return MakeNode(Kind::kText, *words, {});
  Separators separators;
  std::optional<std::vector<Expression>> members = Members(&separators);
  if (!members || !AtEnd() || members->empty()) return std::nullopt;
  if (!separators.any) return std::move(members->front());
  return MakeNode(Kind::kList, separators.all_or ? "or" : "", *std::move(members));
}

// "AB", "Friday", "no solution": words, or a name of two points; no products, whose order would not
// count. "x y" is one.
std::optional<std::string> TokenParser::OnlyWords() {
  const auto is_letter = [](const Token& token) { return IsLetterToken(token.text); };
  if (!std::all_of(tokens_.begin() + static_cast<std::ptrdiff_t>(at_),
                   tokens_.begin() + static_cast<std::ptrdiff_t>(end_), is_letter)) {
    return std::nullopt;
  }
  const size_t begin = at_;
  std::string text;
  bool long_word = false;
  bool list = false;
  while (!AtEnd()) {
    const std::string word = Word();
    long_word = long_word || word.size() > 1;
    list = list || word == "and" || word == "or";
    if (!text.empty()) text += ' ';
    text += word;
    at_ += word.size();
  }
  if (long_word && !list) return text;
  at_ = begin;
  return std::nullopt;
}

bool TokenParser::AtClose() const {
  const std::string_view next = Peek();
  return AtEnd() || next == ")" || next == "]" || next == "\\}" || next == "\\rangle" ||
         next == "}";
}

// A comma, a semicolon, a wide space, "and", "or", or several of these.
bool TokenParser::TakeSeparator(Separators* separators) {
  bool taken = false;
  bool has_and = false;
  bool has_or = false;
  while (!AtEnd()) {
    const std::string word = Word();
    if (Peek() == "," || Peek() == ";" || Peek() == "\\quad") {
      ++at_;
    } else if (word == "and" || word == "or") {
      has_and = has_and || word == "and";
      has_or = has_or || word == "or";
      at_ += word.size();
    } else {
      break;
    }
    taken = true;
  }
  separators->any = separators->any || taken;
  separators->all_or = separators->all_or && has_or && !has_and;
  return taken;
}

std::optional<std::vector<Expression>> TokenParser::Members(Separators* separators) {
  std::vector<Expression> members;
  while (true) {
    Result member = Relation();
    if (!member) return std::nullopt;
    members.push_back(*std::move(member));
    if (AtClose()) return members;
    if (!TakeSeparator(separators)) return std::nullopt;
    if (AtClose()) return std::nullopt;
  }
}

std::optional<Expression> TokenParser::Relation() {
  std::vector<Expression> sides;
  std::string operators;
  // "\approx 8.24": a mark in front of a value.
  if (Peek() == "\\approx" || Peek() == "\\sim") {
    ++at_;
    Result value = SetExpression();
    if (!value) return std::nullopt;
    sides.push_back(*std::move(value));
    return MakeNode(Kind::kRelation, "\\approx", std::move(sides));
  }
  while (true) {
    Result side = SetExpression();
    if (!side) return std::nullopt;
    sides.push_back(*std::move(side));
    if (!IsRelation(Peek())) break;
    if (!operators.empty()) operators += '|';
    operators += Peek();
    ++at_;
  }
  if (sides.size() == 1) return std::move(sides[0]);
  // 3:1 is as large as 3/1.
  if (operators == ":") return MakeNode(Kind::kFunction, "\\ratio", std::move(sides));
  return MakeNode(Kind::kRelation, std::move(operators), std::move(sides));
}

std::optional<Expression> TokenParser::SetExpression() {
  std::vector<Expression> sets;
  std::string name;
  while (true) {
    Result set = Sum();
    if (!set) return std::nullopt;
    sets.push_back(*std::move(set));
    const std::string_view next = Peek();
    if (next != "\\cup" && next != "\\cap" && next != "\\setminus" && next != "\\backslash") break;
    if (!name.empty() && name != next) return std::nullopt;  // no precedence is agreed on
    name = next;
    ++at_;
  }
  if (sets.size() == 1) return std::move(sets[0]);
  return MakeNode(Kind::kUnion, std::move(name), std::move(sets));
}

// What stands in (), [], \{\} or a mixture of the first two.
std::optional<Expression> TokenParser::Bracketed() {
  const Level level(*this);
  if (!level) return std::nullopt;
  const std::string open(Peek());
  ++at_;
  const int bars = std::exchange(bars_, 0);
  const bool set = open == "\\{";
  if (set && Take("\\}")) {
    bars_ = bars;
    return MakeNode(Kind::kSet, "", {});
  }
  Separators separators;
  std::optional<std::vector<Expression>> members = Members(&separators);
  bars_ = bars;
  if (!members || AtEnd()) return std::nullopt;
  const std::string close(Peek());
  ++at_;
  if (set) {
    if (close != "\\}") return std::nullopt;
    return MakeNode(Kind::kSet, "", *std::move(members));
  }
  if (open == "\\langle" && close == "\\rangle") {
    return MakeNode(Kind::kTuple, "()", *std::move(members));
  }
  if ((open != "(" && open != "[") || (close != ")" && close != "]")) return std::nullopt;
  if (!separators.any && (open == "(") == (close == ")")) {
    Expression& only = members->front();
    // [\begin{array}...\end{array}], (x), [x]^2: nothing but a group.
    const bool base = Peek() == "^";
    if (open == "(" || base || only.kind == Kind::kMatrix) return std::move(only);
  }
  return MakeNode(Kind::kTuple, open + close, *std::move(members));
}

std::optional<Expression> TokenParser::Matrix() {
  const Level level(*this);
  ++at_;  // \begin
  const std::optional<std::string> environment = Spelling();
  if (!level || !environment || !IsMatrix(*environment)) return std::nullopt;
  if (*environment == "array" && Peek() == "{" && !Spelling()) return std::nullopt;
  std::vector<Expression> rows;
  std::vector<Expression> row;
  while (true) {
    while (Take("\\hline")) {
    }
    if (Peek() == "\\end" && row.empty()) break;  // behind a last \\ of the rows
    Result entry = Sum();
    if (!entry) return std::nullopt;
    row.push_back(*std::move(entry));
    if (Take("&")) continue;
    if (Peek() != "\\\\" && Peek() != "\\end") return std::nullopt;
    rows.push_back(MakeNode(Kind::kTuple, "row", std::exchange(row, {})));
    if (!Take("\\\\")) break;
  }
  if (!Take("\\end") || Spelling() != environment || rows.empty()) return std::nullopt;
  return MakeNode(Kind::kMatrix, *environment == "vmatrix" ? "vmatrix" : "matrix", std::move(rows));
}

std::optional<Expression> Parse(const Tokens& tokens, int depth, Work& work) {
  if (tokens.size() > kMaxTokens) work.Exhaust();
  if (!work.Spend(static_cast<int64_t>(tokens.size()) + 1)) return std::nullopt;
  std::optional<Expression> answer = TokenParser(tokens, depth, work).Answer();
  if (!answer) return std::nullopt;
  return WithMatricesWorkedOut(*std::move(answer), work);
}

}  // namespace attnrl::verifier
