// SPDX-License-Identifier: Apache-2.0
// What a numeric comparison could take for zero, and what nobody may take for anything.
#include "tests/fuzz/mutants/rules.h"

namespace attnrl::fuzz {
namespace {

using Made = std::optional<std::string>;

std::string Number(uint64_t value) { return std::to_string(value); }

// The n-th difference of a smooth function: a sum of n+1 large terms that nearly vanishes.
std::string Difference(const std::string& before, const std::string& behind, uint64_t order,
                       uint64_t start) {
  std::string sum;
  uint64_t binomial = 1;
  for (uint64_t k = 0; k <= order; ++k) {
    sum += (k % 2 == 0 ? "+" : "-") + Number(binomial) + before + Number(start + k) + behind;
    binomial = binomial * (order - k) / (k + 1);
  }
  return sum;
}

// Adds a constant that is almost zero.
Made NearZero(const Gold& gold, RandomStream& random) {
  if (!gold.expression || gold.HasPoint()) return std::nullopt;
  const std::string k = Number(1 + random.Below(120));
  const std::string t = "10^{-" + k + "}";
  const std::string& text = gold.text;
  switch (random.Below(12)) {
    case 0:
      return text + "+\\sin(\\tan(" + t + "))-\\tan(\\sin(" + t + "))";
    case 1:
      return text + "+\\sin(" + t + ")-" + t;
    case 2:
      return text + "+\\cos(" + t + ")-1";
    case 3:
      return text +
             Difference("\\sqrt{", "}", 1 + random.Below(12), 1'000'000 + random.Below(1000));
    case 4:
      return text + Difference("\\ln(", ")", 1 + random.Below(8), 1'000'000 + random.Below(1000));
    case 5:
      return text + Difference("\\frac{1}{", "}", 1 + random.Below(20), 1'000'000'000);
    case 6:
      return text + "+(\\sqrt{2}-1)^{" + Number(1 + random.Below(400)) + "}";
    case 7:
      return text + "+e^{-" + k + "}";
    case 8:
      return text + "+\\sqrt{10^{" + k + "}+1}-\\sqrt{10^{" + k + "}}";
    case 9:
      return text + "+\\sqrt[3]{10^{" + k + "}+1}-\\sqrt[3]{10^{" + k + "}}";
    case 10:
      return text + "+\\arctan(10^{" + k + "})-\\frac{\\pi}{2}";
    default:
      return text + "+\\frac{1}{" + Number(2 + random.Below(1000)) + "!}";
  }
}

// Adds what is zero for some values of its variables only.
Made SometimesZero(const Gold& gold, RandomStream& random) {
  if (!gold.expression) return std::nullopt;
  static constexpr const char* kTerms[] = {"|V|-V",
                                           "\\sqrt{V^2}-V",
                                           "\\ln(V^2)-2\\ln V",
                                           "\\sin(\\pi V)",
                                           "\\cos(2\\pi V)-1",
                                           "\\lfloor V \\rfloor-V",
                                           "\\lfloor V^2/1000 \\rfloor",
                                           "\\lceil V/100 \\rceil - 1",
                                           "\\frac{|V|}{V}-1",
                                           "|Vy|-Vy",
                                           "\\sqrt{V}\\sqrt{y}-\\sqrt{Vy}",
                                           "f(2V)-2f(V)",
                                           "f(V+y)-f(V)-f(y)",
                                           "\\frac{dy}{dV}-\\frac{y}{V}",
                                           "\\frac{2dy}{dV}-\\frac{2y}{V}",
                                           "V'-V",
                                           "V_1-V",
                                           "\\log_2 V-\\log_3 V",
                                           "\\ln V-\\lg V",
                                           "\\sqrt[4]{V^4}-V",
                                           "(V^2)^{1/2}-V",
                                           "(-1)^{2V}-1",
                                           "e^{2\\pi i V}-1",
                                           "\\arctan(\\tan(V+4))-V-4",
                                           "\\ln(e^{V+9})-V",
                                           "V^2-V",
                                           "\\sin V - V",
                                           "\\max(V, -100)-V",
                                           "\\sqrt{V^2y^2}-Vy",
                                           "\\sqrt{V^2y^2z^2}-Vyz",
                                           "|V|+|y|-|V+y|",
                                           "f(V+4)-4f(V+3)+6f(V+2)-4f(V+1)+f(V)",
                                           "f(V,1)+f(y,2)-f(V,2)-f(y,1)",
                                           "\\frac{2V}{|V|+V}-1",
                                           "f(V,y)-f(y,V)",
                                           "\\gcd(V, 1)-1",
                                           "\\bar{V}-V",
                                           "\\dot{V}-V",
                                           "f(V)-g(V)",
                                           "f(V)g(V)-g(f(V))",
                                           "f'(V)-f(V)",
                                           "P(V)-Q(V)",
                                           "V!-V",
                                           "10^{-40}V",
                                           "\\frac{V}{10^{300}}",
                                           "\\frac{1}{V+10^{30}}",
                                           "\\frac{\\partial f}{\\partial V}-\\frac{f}{V}",
                                           "\\binom{V}{2}-V",
                                           "\\sqrt{V^2+10^{-80}}-\\sqrt{V^2}",
                                           "\\sin(\\tan(V/10^{30}))-\\tan(\\sin(V/10^{30}))"};
  std::string term = Pick(kTerms, random);
  static constexpr char kNames[] = {'x', 't', 'n', 'a', 'b', 'k', 'm',
                                    'r', 'u', 'v', 'w', 's', 'c'};
  const std::string name(1, Pick(kNames, random));
  // arctan(tan x), ln(e^x) are x for small x, and 9 is small for the latter.
  if (term.find("\\ln(e^") == 0) return std::nullopt;
  std::string text = gold.text + "+";
  for (const char c : term) text += c == 'V' ? name : std::string(1, c);
  return text;
}

// Adds what has no value, or multiplies with it.
Made Undefined(const Gold& gold, RandomStream& random) {
  if (!gold.expression) return std::nullopt;
  static constexpr const char* kTerms[] = {"\\frac{0}{0}",
                                           "\\infty-\\infty",
                                           "\\frac{1}{0}-\\frac{1}{0}",
                                           "\\ln 0",
                                           "0\\cdot\\infty",
                                           "\\tan\\frac{\\pi}{2}",
                                           "0^0",
                                           "\\log_1 2",
                                           "0^{-1}",
                                           "\\frac{1}{\\sqrt{2}-\\sqrt{2}}",
                                           "\\frac{x-x}{x-x}",
                                           "(-1)!",
                                           "0\\cdot\\ln 0",
                                           "\\frac{0}{\\sqrt{4}-2}",
                                           "0/0",
                                           "\\frac{1}{0}\\cdot 0",
                                           "\\infty",
                                           "-\\infty",
                                           "\\cot 0",
                                           "\\sec(\\pi/2)",
                                           "\\frac{1}{\\ln 1}",
                                           "\\lim 0",
                                           "\\emptyset",
                                           "0 \\cdot \\emptyset",
                                           "\\text{wrong}",
                                           "\\frac{0}{1-1}",
                                           "0:0"};
  const std::string term = Pick(kTerms, random);
  if (random.Below(2) == 0) return gold.text + "+" + term;
  return "(" + gold.text + ")(1 + " + term + ")";
}

// Divides and multiplies with what is not the same.
Made AlmostOne(const Gold& gold, RandomStream& random) {
  const bool zero = gold.text.find_first_of("123456789") == std::string::npos;
  if (!gold.expression || (zero && gold.variables.empty()) || gold.text[0] == '-' ||
      gold.HasPoint()) {
    return std::nullopt;
  }
  static constexpr const char* kFactors[] = {
      "\\frac{|x|}{x}",
      "\\frac{x}{\\sqrt{x^2}}",
      "\\sin^2 x+\\cos^2 y",
      "\\frac{dy}{dx}\\cdot\\frac{x}{y}",
      "e^{2\\pi i n}",
      "\\frac{f(2x)}{2f(x)}",
      "\\log_2 3 \\cdot \\log_2 3",
      "(-1)^{2n}",
      "\\frac{10^{60}+1}{10^{60}}",
      "\\frac{\\sin 10^{-30}}{10^{-30}}",
      "\\frac{x+10^{-30}}{x}",
      "\\frac{x!}{x}",
      "i^2",
      "\\frac{\\ln 8}{\\ln 3}",
      "2^{x-x+1}",
      "\\sqrt{\\frac{x}{y}}\\cdot\\frac{\\sqrt{y}}{\\sqrt{x}}",
      "\\frac{\\sqrt{xy}}{\\sqrt{x}\\sqrt{y}}"};
  return "(" + gold.text + ")\\cdot(" + Pick(kFactors, random) + ")";
}

// One sign or one term of a sum.
Made OtherSign(const Gold& gold, RandomStream& random) {
  if (!gold.expression || gold.text.size() < 3) return std::nullopt;
  int level = 0;
  std::vector<size_t> signs;
  for (size_t i = 0; i < gold.text.size(); ++i) {
    const char c = gold.text[i];
    if (c == '(' || c == '{') ++level;
    if (c == ')' || c == '}') --level;
    if (level == 0 && i > 0 && i + 1 < gold.text.size() && (c == '+' || c == '-') &&
        (IsLetter(gold.text[i - 1]) || IsDigit(gold.text[i - 1]) || gold.text[i - 1] == ' ' ||
         gold.text[i - 1] == '}')) {
      signs.push_back(i);
    }
  }
  if (signs.empty()) return std::nullopt;
  const size_t at = Pick(signs, random);
  const std::string behind = gold.text.substr(at + 1);
  if (behind.find_first_of("123456789abcdefghjklmnopqrstuvwxyz") == std::string::npos) {
    return std::nullopt;
  }
  // The terms behind, dropped or with the sign of the first one turned.
  if (random.Below(2) == 0 && signs.size() == 1) return gold.text.substr(0, at);
  return Replaced(gold.text, {at, 1}, gold.text[at] == '+' ? "-" : "+");
}

}  // namespace

std::vector<Rule> TrapRules() {
  return {{"add nearly zero", NearZero},
          {"add what is sometimes zero", SometimesZero},
          {"add what has no value", Undefined},
          {"multiply with almost one", AlmostOne},
          {"turn a sign", OtherSign}};
}

}  // namespace attnrl::fuzz
