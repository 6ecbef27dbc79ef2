// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "services/verifier/grading/expression/exact.h"
#include "services/verifier/grading/reading/token_parser.h"

namespace attnrl::verifier {
namespace {

bool IsPlusMinus(std::string_view token) { return token == "\\pm" || token == "\\mp"; }

bool IsNumberText(std::string_view text) {
  return !text.empty() && text[0] >= '0' && text[0] <= '9';
}

bool IsPowerOfNumber(const Expression& node) {
  return node.kind == Kind::kPower && node.arguments[0].kind == Kind::kNumber;
}

bool IsFactorial(const Expression& node) {
  return node.kind == Kind::kFunction && (node.name == "!" || node.name == "!!");
}

bool HasUnit(const Expression& term) {
  return term.kind == Kind::kQuantity && term.name != "deg" && term.name != "%";
}

// "1 \cdot (5 cm)": the unit of one factor is that of the product; that of an angle or a
// percentage, which are numbers themselves, only of a multiple.
std::optional<Expression> WithLiftedUnit(std::vector<Expression>& factors) {
  const auto is_quantity = [](const Expression& factor) { return factor.kind == Kind::kQuantity; };
  if (factors.size() < 2 || std::count_if(factors.begin(), factors.end(), is_quantity) != 1) {
    return std::nullopt;
  }
  const auto quantity = std::find_if(factors.begin(), factors.end(), is_quantity);
  const auto is_number = [](const Expression& factor) {
    return factor.kind == Kind::kNumber || factor.kind == Kind::kQuantity ||
           IsPowerOfNumber(factor);
  };
  if (!HasUnit(*quantity) && !std::all_of(factors.begin(), factors.end(), is_number)) {
    return std::nullopt;
  }
  Expression lifted = std::move(*quantity);
  *quantity = Expression(std::move(lifted.arguments[0]));
  lifted.arguments[0] = MakeProduct(std::move(factors));
  return lifted;
}

// 0.003^{\prime\prime}, 0.003'': minutes or seconds of an arc, or feet or inches.
Expression Primed(Expression number, const char* marks) {
  std::vector<Expression> arguments;
  arguments.push_back(std::move(number));
  arguments.push_back(MakeNumber(Rational(1)));
  return MakeNode(Kind::kQuantity, marks, std::move(arguments));
}

// "5 cm + 3 - 3": the one term with a unit, where all others together are nothing.
bool IsAllOfIt(const std::vector<Expression>& terms, const Expression& quantity, Work& work) {
  Rational others;
  for (const Expression& term : terms) {
    if (&term == &quantity) continue;
    if (term.kind != Kind::kNumber || !work.Spend(term.number.Bits() / 8 + 1)) return false;
    others = others + term.number;
  }
  return others.IsZero();
}

// "480 + 480\sqrt{3} feet": the unit behind the last term is that of all.
Expression WithCommonUnit(std::vector<Expression> terms, Work& work) {
  const auto is_quantity = [](const Expression& term) { return term.kind == Kind::kQuantity; };
  if (terms.size() > 1 && std::count_if(terms.begin(), terms.end(), is_quantity) == 1) {
    Expression& quantity = *std::find_if(terms.begin(), terms.end(), is_quantity);
    if (IsAllOfIt(terms, quantity, work)) return std::move(quantity);
  }
  if (terms.size() > 1 && std::all_of(terms.begin(), terms.end(), [&](const Expression& term) {
        return is_quantity(term) && term.name == terms[0].name &&
               term.arguments[1] == terms[0].arguments[1];
      })) {
    // 180^\circ - 72^\circ
    Expression quantity = terms[0];
    for (Expression& term : terms) term = Expression(std::move(term.arguments[0]));
    quantity.arguments[0] = MakeSum(std::move(terms));
    return quantity;
  }
  const bool last = HasUnit(terms.back());
  if (!last || std::count_if(terms.begin(), terms.end(), HasUnit) != 1 || terms.size() == 1) {
    return MakeSum(std::move(terms));
  }
  Expression quantity = std::move(terms.back());
  terms.back() = std::move(quantity.arguments[0]);
  quantity.arguments[0] = MakeSum(std::move(terms));
  return quantity;
}

}  // namespace

std::optional<Expression> TokenParser::Sum() {
  std::vector<Expression> terms;
  bool first = true;
  while (true) {
    bool negative = false;
    std::string both;  // "+" for \pm, "-" for \mp
    bool sign = false;
    while (Peek() == "+" || Peek() == "-" || IsPlusMinus(Peek())) {
      if (!work_.Spend(1)) return std::nullopt;
      negative ^= Peek() == "-";
      if (IsPlusMinus(Peek())) {
        if (!both.empty()) return std::nullopt;
        both = Peek() == "\\pm" ? "+" : "-";
      }
      sign = true;
      ++at_;
    }
    if (!first && !sign) return WithCommonUnit(std::move(terms), work_);
    Result term = Product();
    if (!term) return std::nullopt;
    if (!both.empty()) {
      std::vector<Expression> arguments;
      arguments.push_back(*std::move(term));
      if (negative) both = both == "+" ? "-" : "+";
      terms.push_back(MakeNode(Kind::kPlusMinus, both, std::move(arguments)));
    } else {
      terms.push_back(negative ? Negated(*std::move(term)) : *std::move(term));
    }
    first = false;
  }
}

// Whether what follows is multiplied with what was read, without a sign between them.
bool TokenParser::BeginsFactor() const {
  const std::string_view next = Peek();
  if (next.empty() || AtClose()) return false;
  if (next == "|") return bars_ == 0;
  if (next == "(" || next == "{") return true;
  // \frac{1}{2} [\begin{array}...\end{array}]
  if (next == "[") return Peek(1) == "\\begin";
  if (IsNumberText(next)) return true;
  if (IsLetterToken(next)) {
    const std::string word = Word();
    return word != "and" && word != "or";
  }
  static constexpr std::string_view kCommands[] = {
      "\\frac", "\\sqrt", "\\pi",    "\\infty",    "\\binom",  "\\lfloor", "\\lceil",
      "\\sin",  "\\cos",  "\\tan",   "\\cot",      "\\sec",    "\\csc",    "\\log",
      "\\ln",   "\\lg",   "\\exp",   "\\arcsin",   "\\arccos", "\\arctan", "\\sinh",
      "\\cosh", "\\tanh", "\\begin", "\\overline", "\\hbar",   "\\ell",    "\\partial",
      "\\dot",  "\\ddot", "\\vec",   "\\hat",      "\\bar",    "\\nabla",  "\\$",
      "\\sum",  "\\prod"};
  for (const std::string_view command : kCommands) {
    if (next == command) return true;
  }
  return IsGreek(next);
}

// Whether the number that is next is a factor behind `last` without a sign between them. "1 2",
// "x2", "\frac12 3" are products to nobody; "2^3 5^2", "(n-2) 2^n", "\binom{5}{2} 3!" and "3! 7!"
// are, and "3! 7", as nothing goes on behind a factorial.
bool TokenParser::MayFollow(const Expression& last) const {
  if (IsFactorial(last)) return true;
  if (Peek(1) != "^" && Peek(1) != "!") return false;
  return IsPowerOfNumber(last) || FollowsParenthesis() ||
         (last.kind == Kind::kFunction && last.name == "\\binom");
}

std::optional<Expression> TokenParser::Product() {
  std::vector<Expression> factors;
  Result first = Factor();
  if (!first) return std::nullopt;
  factors.push_back(*std::move(first));
  // "a/bc" and "1/2(3)" are read in two ways; a plain fraction in front is read in one.
  bool divided = false;
  bool plain = factors[0].kind == Kind::kNumber;
  while (true) {
    if (!work_.Spend(1)) return std::nullopt;
    if (Take("*")) {
      Result factor = Factor();
      if (!factor) return std::nullopt;
      factors.push_back(*std::move(factor));
      plain = false;
      divided = false;
      continue;
    }
    if (Take("/")) {
      Result factor = Factor();
      if (!factor) return std::nullopt;
      plain = plain && factors.size() == 1 && factor->kind == Kind::kNumber;
      divided = true;
      factors.push_back(Reciprocal(*std::move(factor)));
      continue;
    }
    if (BeginsUnit() || !BeginsFactor()) break;
    if (divided && (!plain || Peek() == "(" || IsNumberText(Peek()))) return std::nullopt;
    if (IsNumberText(Peek()) && !MayFollow(factors.back())) return std::nullopt;
    Result factor = Factor();
    if (!factor) return std::nullopt;
    factors.push_back(*std::move(factor));
  }
  if (factors.size() > 1) {
    for (const Expression& factor : factors) {
      if (factor.kind == Kind::kText) return std::nullopt;
    }
  }
  if (Result lifted = WithLiftedUnit(factors)) return lifted;
  return WithUnit(MakeProduct(std::move(factors)));
}

std::optional<Expression> TokenParser::Factor() {
  // "4 \cdot -3"
  bool negative = false;
  while (Peek() == "-" || Peek() == "+") {
    if (!work_.Spend(1)) return std::nullopt;
    negative ^= Peek() == "-";
    ++at_;
  }
  // Levels below this factor, next to those of the factors beside it.
  const int beside = std::exchange(height_, 0);
  Result base = Primary();
  if (!base) return std::nullopt;
  Result factor = Postfix(*std::move(base));
  height_ = std::max(height_, beside);
  if (!factor || !negative) return factor;
  return Negated(*std::move(factor));
}

std::optional<Expression> TokenParser::Postfix(Expression base) {
  while (!AtEnd()) {
    if (!work_.Spend(1)) return std::nullopt;
    const std::string_view next = Peek();
    if (next == "^" || next == "_" || next == "'") {
      Result scripted = Script(std::move(base));
      if (!scripted) return std::nullopt;
      base = *std::move(scripted);
    } else if (next == "!") {
      // "((3!!)!!)!!": each one is a level of the tree, as parentheses are.
      if (height_++ > depth_) work_.Exhaust();
      ++at_;
      std::vector<Expression> arguments;
      arguments.push_back(std::move(base));
      base = MakeNode(Kind::kFunction, Take("!") ? "!!" : "!", std::move(arguments));
    } else {
      break;
    }
  }
  return base;
}

std::optional<Expression> TokenParser::Script(Expression base) {
  if (base.kind == Kind::kNumber && Take("'"))
    return Primed(std::move(base), Take("'") ? "''" : "'");
  if (Take("'")) {
    if (base.kind != Kind::kSymbol && base.kind != Kind::kCall) return std::nullopt;
    base.name += "'";
    // y'(x)
    if (base.kind == Kind::kSymbol && Peek() == "(" && IsCall(base.name)) return Call(base.name);
    return base;
  }
  if (Take("_")) {
    const bool number = base.kind == Kind::kNumber;
    if (!number && base.kind != Kind::kSymbol) return std::nullopt;
    std::optional<std::string> subscript = Spelling();
    if (!subscript || subscript->empty()) return std::nullopt;
    if (number) {
      std::vector<Expression> arguments;
      arguments.push_back(std::move(base));
      return MakeNode(Kind::kBased, *std::move(subscript), std::move(arguments));
    }
    base.name += "_{" + *subscript + "}";
    if (Peek() == "(" && IsCall(base.name)) return Call(base.name);
    return base;
  }
  ++at_;  // ^
  const size_t begin = at_;
  std::optional<std::string> spelling = Spelling();
  if (!spelling || spelling->empty()) return std::nullopt;
  if (base.kind == Kind::kNumber && (*spelling == "\\prime" || *spelling == "\\prime\\prime")) {
    return Primed(std::move(base), *spelling == "\\prime" ? "'" : "''");
  }
  if (spelling->find_first_not_of("'") == std::string::npos || spelling->find("\\prime") == 0) {
    if (base.kind != Kind::kSymbol && base.kind != Kind::kCall) return std::nullopt;
    for (size_t at = 0; at < spelling->size();) {
      const bool prime = spelling->compare(at, 6, "\\prime") == 0;
      if (!prime && (*spelling)[at] != '\'') return std::nullopt;
      base.name += "'";
      at += prime ? 6 : 1;
    }
    if (base.kind == Kind::kSymbol && Peek() == "(" && IsCall(base.name)) return Call(base.name);
    return base;
  }
  // f^{-1}(x): an inverse function, named by all of it.
  const bool function = base.kind == Kind::kSymbol && base.name.size() == 1 &&
                        std::string_view("fghFGH").find(base.name[0]) != std::string_view::npos;
  if (function && *spelling == "-1" && Peek() == "(") return Call(base.name + "^{-1}");
  at_ = begin;
  Result exponent = Braced();
  if (!exponent) return std::nullopt;
  if (Peek() == "^") return std::nullopt;  // TeX refuses x^2^3
  // x^{2/3}: a number, so that its root is known.
  if (exponent->kind == Kind::kProduct) {
    Work folding(200);
    if (std::optional<Rational> value = ExactValue(*exponent, folding)) {
      exponent = MakeNumber(*std::move(value));
    }
  }
  return MakePower(std::move(base), *std::move(exponent));
}

}  // namespace attnrl::verifier
