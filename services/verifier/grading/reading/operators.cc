// SPDX-License-Identifier: Apache-2.0
// Sums and products over a range: \sum_{k=1}^{n} k^2, \prod_{k=1}^{n} k.
#include <algorithm>
#include <utility>

#include "services/verifier/grading/reading/token_parser.h"

namespace attnrl::verifier {
namespace {

// Terms and nodes of a sum that is written out.
constexpr int64_t kMostTerms = 1000;
constexpr int64_t kMostNodes = 20'000;
// Steps of work of a node that is copied and later compared.
constexpr int64_t kCopy = 2 * kCopyWork;

// Whether `variable` is a part of a name: the k of "F_{n-k}". What such a name means for one value
// of the variable is not known.
bool IsInName(const Expression& node, const std::string& variable) {
  const size_t brace = node.name.find('{');
  if (brace != std::string::npos && node.name.find(variable, brace) != std::string::npos) {
    return true;
  }
  return std::any_of(node.arguments.begin(), node.arguments.end(),
                     [&](const Expression& argument) { return IsInName(argument, variable); });
}

Expression Substituted(const Expression& node, const std::string& variable,
                       const Expression& value) {
  if (node.kind == Kind::kSymbol && node.name == variable) return value;
  return Changed(
      node, [&](const Expression& argument) { return Substituted(argument, variable, value); });
}

// The sums within, so that variables of nested ones get different names.
int64_t Height(const Expression& node) {
  int64_t height = 0;
  for (const Expression& argument : node.arguments) height = std::max(height, Height(argument));
  const bool is_range = node.name.starts_with("\\sum") || node.name.starts_with("\\prod");
  return height + (node.kind == Kind::kFunction && is_range ? 1 : 0);
}

struct Range {
  bool product = false;
  std::string variable;
  Expression first;
  Expression last;
};

bool IsInfinity(const Expression& node) {
  return node.kind == Kind::kSymbol && node.name == "\\infty";
}

// Term by term where the range is one of integers; nullopt: it isn't, or it is long.
std::optional<Expression> WrittenOut(const Range& range, const Expression& body, Work& work) {
  int64_t first = 0;
  int64_t last = 0;
  constexpr int64_t kLargest = 1'000'000'000;
  if (range.first.kind != Kind::kNumber || range.last.kind != Kind::kNumber ||
      !range.first.number.ToInteger(kLargest, &first) ||
      !range.last.number.ToInteger(kLargest, &last) || last < first || last - first >= kMostTerms) {
    return std::nullopt;
  }
  const int64_t nodes = (last - first + 1) * Size(body);
  if (nodes > kMostNodes || !work.Spend(kCopy * nodes)) return std::nullopt;
  std::vector<Expression> terms;
  for (int64_t k = first; k <= last; ++k) {
    terms.push_back(Substituted(body, range.variable, MakeNumber(Rational(k))));
  }
  return range.product ? MakeProduct(std::move(terms)) : MakeSum(std::move(terms));
}

// A sum nobody writes out is an unknown function of its range and its term, whatever the name of
// its variable.
Expression AsFunction(Range range, Expression body) {
  std::string name = range.product ? "\\prod" : "\\sum";
  std::string bound = "#" + std::to_string(Height(body));
  if (IsInName(body, range.variable)) {
    bound = "#" + range.variable;
    name += ":" + range.variable;
  }
  std::vector<Expression> arguments;
  arguments.push_back(MakeSymbol(bound));
  arguments.push_back(Substituted(body, range.variable, MakeSymbol(bound)));
  arguments.push_back(std::move(range.first));
  if (IsInfinity(range.last)) {
    name += "^\\infty";
  } else {
    arguments.push_back(std::move(range.last));
  }
  return MakeNode(Kind::kFunction, std::move(name), std::move(arguments));
}

}  // namespace

// Reads "_{k=1}^{n}" in either order, and the term.
std::optional<Expression> TokenParser::OverRange() {
  const Level level(*this);
  if (!level) return std::nullopt;
  Range range;
  range.product = Peek() == "\\prod";
  ++at_;
  bool has_first = false;
  bool has_last = false;
  while (Peek() == "_" || Peek() == "^") {
    const bool lower = Peek() == "_";
    ++at_;
    if (lower ? has_first : has_last) return std::nullopt;
    Result bound = Braced();
    if (!bound) return std::nullopt;
    if (!lower) {
      range.last = *std::move(bound);
      has_last = true;
      continue;
    }
    const bool begins = bound->kind == Kind::kRelation && bound->name == "=" &&
                        bound->arguments.size() == 2 && bound->arguments[0].kind == Kind::kSymbol;
    if (!begins) return std::nullopt;
    range.variable = bound->arguments[0].name;
    range.first = std::move(bound->arguments[1]);
    has_first = true;
  }
  const bool is_variable = IsLetterToken(range.variable) || IsGreek(range.variable);
  if (!has_first || !has_last || !is_variable) return std::nullopt;
  const size_t begin = at_;
  Result body = Product();
  if (!body || body->kind == Kind::kText || body->kind == Kind::kQuantity ||
      !work_.Spend(kCopy * Size(*body))) {
    return std::nullopt;
  }
  // "\prod 2k \cdot 3" is read in two ways; of a sum both are the same.
  int open = 0;
  for (size_t at = begin; range.product && at < at_; ++at) {
    const std::string& token = tokens_[at].text;
    open += token == "(" || token == "{" || token == "[" ? 1 : 0;
    open -= token == ")" || token == "}" || token == "]" ? 1 : 0;
    if (open == 0 && (token == "*" || token == "/")) return std::nullopt;
  }
  if (!IsInName(*body, range.variable)) {
    if (Result terms = WrittenOut(range, *body, work_)) return terms;
  }
  return AsFunction(std::move(range), *std::move(body));
}

}  // namespace attnrl::verifier
