// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "services/verifier/grading/reading/token_parser.h"
#include "services/verifier/grading/tokens/characters.h"

namespace attnrl::verifier {
namespace {

constexpr std::string_view kFunctions[] = {
    "sin",  "cos",  "tan",    "cot",   "sec",  "csc",  "arcsin", "arccos", "arctan", "sinh",
    "cosh", "tanh", "log",    "ln",    "lg",   "exp",  "sqrt",   "gcd",    "lcm",    "max",
    "min",  "abs",  "arccot", "floor", "ceil", "asin", "acos",   "atan"};

constexpr std::string_view kGreek[] = {
    "\\alpha",  "\\beta",  "\\gamma",    "\\delta", "\\epsilon", "\\varepsilon", "\\zeta",
    "\\eta",    "\\theta", "\\vartheta", "\\iota",  "\\kappa",   "\\lambda",     "\\mu",
    "\\nu",     "\\xi",    "\\rho",      "\\sigma", "\\tau",     "\\upsilon",    "\\phi",
    "\\varphi", "\\chi",   "\\psi",      "\\omega", "\\Gamma",   "\\Delta",      "\\Theta",
    "\\Lambda", "\\Xi",    "\\Pi",       "\\Sigma", "\\Phi",     "\\Psi",        "\\Omega",
    "\\hbar",   "\\ell",   "\\partial",  "\\nabla", "\\emptyset"};

bool IsFunctionName(std::string_view name) {
  return std::find(std::begin(kFunctions), std::end(kFunctions), name) != std::end(kFunctions);
}

// One spelling for each function.
std::string Canonical(std::string_view name) {
  if (name == "asin") return "\\arcsin";
  if (name == "acos") return "\\arccos";
  if (name == "atan") return "\\arctan";
  return "\\" + std::string(name);
}

}  // namespace

bool IsGreek(std::string_view token) {
  return std::find(std::begin(kGreek), std::end(kGreek), token) != std::end(kGreek);
}

bool IsLetterToken(std::string_view text) {
  return text.size() == 1 &&
         ((text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z'));
}

std::optional<Expression> TokenParser::Primary() {
  if (!work_.Spend(1) || AtEnd()) return std::nullopt;
  const std::string_view next = Peek();
  if (IsDigit(next[0])) return Number();
  if (next == "(" || next == "[" || next == "\\{" || next == "\\langle") return Bracketed();
  if (next == "{") return Braced();
  if (next == "|") return Between("|", "\\abs");
  if (next == "\\lfloor") return Between("\\rfloor", "\\floor");
  if (next == "\\lceil") return Between("\\rceil", "\\ceil");
  if (next == "\\frac" || next == "\\binom") return Fraction();
  if (next == "\\sqrt") return Root();
  if (next == "\\begin") return Matrix();
  if (next == "\\sum" || next == "\\prod") return OverRange();
  if (next == "\\$") {
    const Level level(*this);
    if (!level) return std::nullopt;
    ++at_;
    Result value = Factor();
    if (!value) return std::nullopt;
    std::vector<Expression> arguments;
    arguments.push_back(*std::move(value));
    arguments.push_back(MakeNumber(Rational(1)));
    return MakeNode(Kind::kQuantity, "$", std::move(arguments));
  }
  if (next.size() > 1 && next[0] == '\\' && IsFunctionName(next.substr(1))) {
    const std::string name(next);
    ++at_;
    return Function(name);
  }
  return Symbol();
}

std::optional<Expression> TokenParser::Number() {
  const Token& token = Current();
  // "0500" of 22,0500; all others come without needless zeros.
  if (token.text.size() > 1 && token.text[0] == '0' && token.text[1] != '.') return std::nullopt;
  Expression number = MakeNumber(Rational::FromDecimal(token.text));
  number.decimals = token.decimals;
  number.significant = token.significant;
  ++at_;
  if (Peek() == "\\overline" || Peek() == "\\bar" || Peek() == "\\dot") {
    if (!Repeating(&number)) return std::nullopt;
    return number;
  }
  if (IsScientific()) return Scientific(std::move(number));
  // "3.(4)" and "3.x" are read in several ways.
  if (number.decimals == 0 && BeginsFactor() && !BeginsUnit()) return std::nullopt;
  // 2\frac{1}{2} and 2 1/2: a mixed number, where the fraction is a proper one of integers.
  if (number.decimals >= 0) return number;
  std::string_view numerator;
  std::string_view denominator;
  size_t length = 0;
  if (Peek() == "\\frac" && Peek(1) == "{" && Peek(3) == "}" && Peek(4) == "{" && Peek(6) == "}") {
    numerator = Peek(2);
    denominator = Peek(5);
    length = 7;
  } else if (!AtEnd() && Current().spaced && Peek(1) == "/") {
    numerator = Peek();
    denominator = Peek(2);
    length = 3;
  }
  if (length == 0 || !IsDigit(numerator[0]) || denominator.empty() || !IsDigit(denominator[0]) ||
      numerator.find('.') != std::string_view::npos ||
      denominator.find('.') != std::string_view::npos) {
    return number;
  }
  const Rational above = Rational::FromDecimal(numerator);
  const Rational below = Rational::FromDecimal(denominator);
  if (above.IsZero() || !(above < below)) return std::nullopt;
  at_ += length;
  // Behind it nothing that would make the fraction the base of a power.
  if (Peek() == "^" || Peek() == "!" || Peek() == "_") return std::nullopt;
  number.number = number.number + above / below;
  return number;
}

// Whether what follows a number makes it "1.5e7" or "2E-3". With a space it is Euler's number.
bool TokenParser::IsScientific() const {
  if (Peek() != "e" && Peek() != "E") return false;
  const size_t sign = at_ + 1 < end_ && (Peek(1) == "-" || Peek(1) == "+") ? 1 : 0;
  if (at_ + 1 + sign >= end_) return false;
  for (size_t i = at_; i <= at_ + 1 + sign; ++i) {
    if (tokens_[i].spaced || tokens_[i].styled) return false;
  }
  const Token& exponent = tokens_[at_ + 1 + sign];
  constexpr int64_t kMostDigits = 4;
  return IsNumber(exponent) && exponent.decimals < 0 && exponent.digits <= kMostDigits;
}

std::optional<Expression> TokenParser::Scientific(Expression number) {
  ++at_;
  const bool negative = Peek() == "-";
  if (negative || Peek() == "+") ++at_;
  const Rational exponent = Rational::FromDecimal(Current().text);
  ++at_;
  std::vector<Expression> factors;
  factors.push_back(std::move(number));
  factors.push_back(
      MakePower(MakeNumber(Rational(10)), MakeNumber(negative ? Rational() - exponent : exponent)));
  return MakeProduct(std::move(factors));
}

// Behind "0.1", the digits that are repeated: "\overline{36}", "\dot{3}". True, with nothing read,
// where the mark is over a name: 2\overline{AB}.
bool TokenParser::Repeating(Expression* number) {
  const bool braced = Peek(1) == "{";
  const size_t at = at_ + (braced ? 2 : 1);
  if (at >= end_ || !IsNumber(tokens_[at])) return number->decimals < 0;
  const Token& digits = tokens_[at];
  constexpr int64_t kLongest = 1000;
  if (number->decimals < 0 || number->decimals > kLongest || digits.decimals >= 0 ||
      digits.digits > kLongest || (braced && (at + 1 >= end_ || tokens_[at + 1].text != "}"))) {
    return false;
  }
  at_ = at + (braced ? 2 : 1);
  const Rational nines = Rational::Power(Rational(10), digits.digits) - Rational(1);
  const Rational scale = Rational::Power(Rational(10), -number->decimals);
  number->number = number->number + Rational::FromDecimal(digits.text) / nines * scale;
  number->decimals = -1;
  // What follows would be a digit or a factor.
  return !BeginsFactor() || BeginsUnit();
}

std::optional<Expression> TokenParser::Fraction() {
  const bool binomial = Peek() == "\\binom";
  ++at_;
  const size_t begin = at_;
  Result above = Braced();
  // d/dx, m d^2y/dt^2, \partial f/\partial x: no quotient, so that the d's don't cancel.
  const bool below_derivative =
      !binomial && Peek() == "{" && (Peek(1) == "d" || Peek(1) == "\\partial") && Peek(2) != "}" &&
      std::any_of(tokens_.begin() + static_cast<std::ptrdiff_t>(begin),
                  tokens_.begin() + static_cast<std::ptrdiff_t>(at_),
                  [this](const Token& token) { return token.text == Peek(1); });
  Result below = Braced();
  if (!above || !below) return std::nullopt;
  std::vector<Expression> arguments;
  if (binomial || below_derivative) {
    arguments.push_back(*std::move(above));
    arguments.push_back(*std::move(below));
    if (binomial) return MakeNode(Kind::kFunction, "\\binom", std::move(arguments));
    return MakeNode(Kind::kCall, "derivative", std::move(arguments));
  }
  // \frac{2 (5 cm)}{2}
  std::optional<Expression> quantity;
  if (above->kind == Kind::kQuantity && below->kind == Kind::kNumber) {
    quantity = std::move(above);
    above = std::move(quantity->arguments[0]);
  }
  arguments.push_back(*std::move(above));
  arguments.push_back(Reciprocal(*std::move(below)));
  if (!quantity) return MakeProduct(std::move(arguments));
  quantity->arguments[0] = MakeProduct(std::move(arguments));
  return quantity;
}

std::optional<Expression> TokenParser::Root() {
  ++at_;
  Expression degree = MakeNumber(Rational(2));
  if (Take("[")) {
    Separators separators;
    std::optional<std::vector<Expression>> members = Members(&separators);
    if (!members || members->size() != 1 || !Take("]")) return std::nullopt;
    degree = std::move(members->front());
  }
  Result radicand = Braced();
  if (!radicand) return std::nullopt;
  return MakePower(*std::move(radicand), degree.kind == Kind::kNumber && !degree.number.IsZero()
                                             ? MakeNumber(Rational(1) / degree.number)
                                             : Reciprocal(std::move(degree)));
}

std::optional<Expression> TokenParser::Between(std::string_view close, const char* function) {
  const Level level(*this);
  if (!level) return std::nullopt;
  ++at_;
  const int bars = std::exchange(bars_, close == "|" ? 1 : 0);
  Result inside = Sum();
  bars_ = bars;
  if (!inside || !Take(close)) return std::nullopt;
  std::vector<Expression> arguments;
  if (inside->kind == Kind::kMatrix && close == "|") return std::nullopt;
  arguments.push_back(*std::move(inside));
  return MakeNode(Kind::kFunction, function, std::move(arguments));
}

// Behind the name of a function: its base, its power, its argument.
std::optional<Expression> TokenParser::Function(std::string name) {
  const Level level(*this);
  if (!level) return std::nullopt;
  std::vector<Expression> arguments;
  std::optional<Expression> base;
  std::optional<Expression> power;
  while (Peek() == "^" || Peek() == "_") {
    const bool subscript = Peek() == "_";
    ++at_;
    std::optional<Expression>& script = subscript ? base : power;
    if (script) return std::nullopt;
    script = Braced();
    if (!script) return std::nullopt;
  }
  if (base && name != "\\log") return std::nullopt;
  if (name == "\\gcd" || name == "\\lcm" || name == "\\max" || name == "\\min") {
    if (Peek() != "(" || power) return std::nullopt;
    Result list = Bracketed();
    if (!list || list->kind != Kind::kTuple || list->name != "()") return std::nullopt;
    return MakeNode(Kind::kFunction, std::move(name), std::move(list->arguments));
  }
  Result argument = FunctionArgument();
  if (!argument) return std::nullopt;
  if (name == "\\sqrt") return MakePower(*std::move(argument), MakeNumber(Rational(1, 2)));
  if (name == "\\exp") {
    argument = MakePower(MakeSymbol("e"), *std::move(argument));
  } else {
    // sin^{-1} x is the arc sine to some and the cosecant to others.
    if (power && power->kind == Kind::kNumber && power->number.IsNegative()) return std::nullopt;
    arguments.push_back(*std::move(argument));
    if (base) arguments.push_back(*std::move(base));
    if (name == "\\lg") {
      arguments.push_back(MakeNumber(Rational(10)));
      name = "\\log";
    }
    if (name == "\\log" && arguments.size() == 1) name = "\\ln";
    argument = MakeNode(Kind::kFunction, std::move(name), std::move(arguments));
  }
  if (!power) return argument;
  return MakePower(*std::move(argument), *std::move(power));
}

// In parentheses or braces; or the factors up to the next sign or function.
std::optional<Expression> TokenParser::FunctionArgument() {
  if (Peek() == "(") {
    Result inside = Bracketed();
    // "\sin(x)^2" is read in two ways.
    if (Peek() == "^") return std::nullopt;
    return inside;
  }
  if (Peek() == "{") return Braced();
  std::vector<Expression> factors;
  while ((BeginsFactor() && !BeginsUnit()) || (factors.empty() && Peek() == "-")) {
    const std::string_view next = Peek();
    const bool function =
        next.size() > 1 && next[0] == '\\' && IsFunctionName(next.substr(1)) && next != "\\sqrt";
    if (!factors.empty() && (function || next == "(" || IsFunctionName(Word()))) break;
    if (!factors.empty() && IsDigit(next[0])) return std::nullopt;  // "\sin 1 5"
    Result factor = Factor();
    if (!factor) return std::nullopt;
    factors.push_back(*std::move(factor));
  }
  if (factors.empty()) return std::nullopt;
  // "\sin x/2" is read in two ways.
  if (Peek() == "/" &&
      !(Peek(1).size() > 1 && Peek(1)[0] == '\\' && IsFunctionName(Peek(1).substr(1)))) {
    return std::nullopt;
  }
  return WithUnit(MakeProduct(std::move(factors)));
}

// Whether parentheses behind this symbol hold the arguments of a function rather than a factor.
bool TokenParser::IsCall(const std::string& name) const {
  const char letter = name[0];
  if (std::string_view("fghFGHPQ").find(letter) != std::string_view::npos) return true;
  if (name.find('\'') != std::string::npos) return true;
  // x(t), I(0)
  return Peek(2) == ")" && (IsLetterToken(Peek(1)) || IsGreek(Peek(1)) || IsDigit(Peek(1)[0]));
}

std::optional<Expression> TokenParser::Call(std::string name) {
  Result inside = Bracketed();
  if (!inside) return std::nullopt;
  std::vector<Expression> arguments;
  if (inside->kind == Kind::kTuple) {
    if (inside->name != "()") return std::nullopt;
    arguments = std::move(inside->arguments);
  } else {
    arguments.push_back(*std::move(inside));
  }
  return MakeNode(Kind::kCall, std::move(name), std::move(arguments));
}

std::optional<Expression> TokenParser::Symbol() {
  const std::string_view next = Peek();
  std::string name(next);
  if (IsLetterToken(next)) {
    const std::string word = Word();
    if (IsFunctionName(word)) {
      at_ += word.size();
      return Function(Canonical(word));
    }
    if (word == "pi" || word == "infinity" || word == "inf" || word == "infty") {
      at_ += word.size();
      return MakeSymbol(word == "pi" ? "\\pi" : "\\infty");
    }
    constexpr size_t kLongestProduct = 3;
    if (Current().styled && word.size() > 1) return Words();
    if (word.size() > kLongestProduct) {
      at_ += word.size();
      return MakeSymbol(word);
    }
  } else if (name == "\\overline" || name == "\\bar" || name == "\\vec" || name == "\\hat" ||
             name == "\\dot" || name == "\\ddot" || name == "\\mathbb" || name == "\\mathcal") {
    ++at_;
    if (Peek() == "{") {
      const std::optional<std::string> spelling = Spelling();
      if (!spelling) return std::nullopt;
      return MakeSymbol(name + "{" + *spelling + "}");
    }
    if (!IsLetterToken(Peek()) && !IsGreek(Peek())) return std::nullopt;
    name += "{" + std::string(Peek()) + "}";
    ++at_;
    return MakeSymbol(std::move(name));
  } else if (name == "\\emptyset") {
    ++at_;
    return MakeNode(Kind::kSet, "", {});
  } else if (name != "\\pi" && name != "\\infty" && !IsGreek(name)) {
    return std::nullopt;
  }
  ++at_;
  if (Peek() == "(" && name != "\\pi" && name != "e" && name != "i" && IsCall(name)) {
    return Call(std::move(name));
  }
  return MakeSymbol(std::move(name));
}

}  // namespace attnrl::verifier
