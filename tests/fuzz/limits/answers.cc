// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/limits/answers.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace attnrl::fuzz {
namespace {

constexpr size_t kMostBytes = 60'000;

struct Around {
  std::string_view before;
  std::string_view behind;
};

// What nests: groups, and operations on them.
constexpr Around kArounds[] = {
    {"(", ")"},
    {"(", ")!"},
    {"(", "!!)"},
    {"(", "!^2)"},
    {"(", ")^2"},
    {"(", ")^{-1}"},
    {"(", "+y)"},
    {"(", "+\\sqrt{2})"},
    {"(1-", ")^3"},
    {"-(", ")"},
    {"3(", ")"},
    {"\\pm(", ")"},
    {"{", "}"},
    {"2^{", "}"},
    {"x^{", "}"},
    {"e^{", "}"},
    {"1.5^{", "}"},
    {"\\sqrt{", "}"},
    {"\\sqrt{2+", "}"},
    {"\\sqrt[3]{", "}"},
    {"\\frac{1}{", "}"},
    {"\\frac{1}{2+", "}"},
    {"\\frac{", "}{x+1}"},
    {"|", "|"},
    {"|", "-x|"},
    {"\\lfloor ", "\\rfloor"},
    {"\\lceil x+", "\\rceil"},
    {"\\sin(", ")"},
    {"\\sin(\\frac{\\pi}{2}", ")"},
    {"\\cos ", ""},
    {"\\tan(i", ")"},
    {"\\tanh(9", ")"},
    {"\\ln(1+", ")"},
    {"\\log_{2}(", ")"},
    {"\\arcsin(", ")"},
    {"\\exp(", ")"},
    {"\\binom{", "}{2}"},
    {"\\binom{9}{", "}"},
    {"\\max(1,", ")"},
    {"\\gcd(12,", ")"},
    {"f(", ")"},
    {"g(x,", ",y)"},
    {"\\sum_{k=1}^{3}(", ")"},
    {"\\prod_{k=1}^{5}(k", ")"},
    {"\\sum_{k=1}^{n}(", ")"},
    {"\\{", "\\}"},
    {"\\{1,", "\\}"},
    {"(1,", ")"},
    {"[0,", ")"},
    {"(0,1)\\cup(2,", ")"},
    {"x=", ""},
    {"(x<", ")"},
    {"(x\\neq ", ")"},
    {"\\begin{pmatrix}", "\\end{pmatrix}"},
    {"\\begin{pmatrix}1&2\\\\3&", "\\end{pmatrix}"},
    {"\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}(", ")"},
    {"(", ")^T"},
    {"(", ")\\text{ cm}"},
    {"(", ")^\\circ"},
    {"(", ")\\%"},
    {"\\$", ""},
    {"\\text{", "}"},
    {"\\overline{", "}"},
};

constexpr std::string_view kAtoms[] = {"1",
                                       "7",
                                       "x",
                                       "y",
                                       "n",
                                       "0.5",
                                       "\\pi",
                                       "e",
                                       "i",
                                       "2",
                                       "-3",
                                       "10^{9}",
                                       "2^{-64}",
                                       "\\sqrt{2}",
                                       "\\frac{1}{3}",
                                       "9999!",
                                       "20000!",
                                       "x!",
                                       "2.5!",
                                       "k",
                                       "\\infty",
                                       "5\\text{ cm}",
                                       "30^\\circ",
                                       "50\\%",
                                       "1_2",
                                       "F_{n}",
                                       "0.\\overline{3}",
                                       "2^{10^{6}}",
                                       "\\binom{20000}{10000}",
                                       "x^{100}",
                                       "\\lfloor x\\rfloor",
                                       "|x-5|",
                                       "yes",
                                       "\\emptyset"};

constexpr std::string_view kBetween[] = {
    "+",         "-",       "\\cdot ", "",       ",",           ";",     "=",
    "<",         " \\leq ", "\\cup ",  "\\cap ", "/",           "\\pm ", " \\text{ and } ",
    "\\approx ", "&",       "\\\\",    "\\neq ", "\\setminus ", ":",     "\\quad "};

template <typename Table>
const auto& OneOf(const Table& table, RandomStream& random) {
  return table[random.Below(std::size(table))];
}

// Near to a power of two as often as to the bounds that are documented.
uint64_t Count(RandomStream& random, uint64_t most) {
  switch (random.Below(4)) {
    case 0:
      return random.Below(4) + 1;
    case 1:
      return std::min<uint64_t>(190 + random.Below(20), most);
    default:
      return std::min<uint64_t>(random.Below(uint64_t{2} << random.Below(13)) + 1, most);
  }
}

std::string Made(RandomStream& random, size_t bytes, int level);

std::string Number(RandomStream& random, size_t bytes) {
  const uint64_t digits = Count(random, bytes);
  std::string number(digits, static_cast<char>('1' + random.Below(9)));
  if (random.Below(3) == 0) number.insert(random.Below(digits + 1), ".");
  if (random.Below(4) == 0) number += "^{" + std::string(random.Below(7) + 1, '9') + "}";
  if (random.Below(6) == 0) number += std::string(random.Below(250), '!');
  return number;
}

// Some kinds of nesting in turn around something.
std::string Nested(RandomStream& random, size_t bytes, int level) {
  Around kinds[3];
  const uint64_t different = random.Below(std::size(kinds)) + 1;
  for (uint64_t i = 0; i < different; ++i) kinds[i] = OneOf(kArounds, random);
  const uint64_t times = Count(random, 3000);
  // So many factorials behind each as the levels above still allow.
  const bool factorials = random.Below(8) == 0;
  std::string before;
  std::string behind;
  for (uint64_t i = 0; i < times; ++i) {
    const Around& around = kinds[i % different];
    std::string more(around.behind);
    if (factorials && i < 200) more.insert(0, std::string(200 - i, '!'));
    if (before.size() + behind.size() + around.before.size() + more.size() > bytes) break;
    before += around.before;
    behind.insert(0, more);
  }
  const size_t left = bytes - before.size() - behind.size();
  return before + Made(random, left, level + 1) + behind;
}

std::string Repeated(RandomStream& random, size_t bytes, int level) {
  const std::string_view between = OneOf(kBetween, random);
  const std::string one = Made(random, bytes / 50, level + 1);
  const uint64_t times = Count(random, 30'000);
  const bool numbered = random.Below(2) == 0;
  std::string text = one;
  for (uint64_t i = 1; i < times; ++i) {
    const std::string more = numbered ? std::to_string(i) : "";
    if (text.size() + between.size() + more.size() + one.size() > bytes) break;
    text += between;
    text += more;
    text += one;
  }
  return text;
}

std::string Matrix(RandomStream& random, size_t bytes, int level) {
  const uint64_t rows = Count(random, 200);
  const uint64_t columns = Count(random, 200);
  const std::string entry = Made(random, bytes / (rows * columns + 1) / 2, level + 1);
  if (rows * columns * (entry.size() + 2) > bytes / 2) return entry;
  std::string matrix = "\\begin{pmatrix}";
  for (uint64_t row = 0; row < rows; ++row) {
    for (uint64_t column = 0; column < columns; ++column) {
      matrix += entry;
      if (column + 1 < columns) matrix += '&';
    }
    if (row + 1 < rows) matrix += "\\\\";
  }
  matrix += "\\end{pmatrix}";
  const std::string_view between = OneOf(kBetween, random);
  std::string product = matrix;
  for (uint64_t i = random.Below(6); i > 0 && product.size() + matrix.size() < bytes; --i) {
    product += std::string(between) + matrix;
  }
  return random.Below(2) == 0 ? product : "(" + product + ")^{6}";
}

std::string Made(RandomStream& random, size_t bytes, int level) {
  constexpr int kLevels = 3;
  constexpr size_t kSmall = 40;
  if (level > kLevels || bytes < kSmall) return std::string(OneOf(kAtoms, random));
  switch (random.Below(7)) {
    case 0:
      return Number(random, bytes / 2);
    case 1:
      return Matrix(random, bytes, level);
    case 2:
    case 3:
      return Repeated(random, bytes, level);
    default:
      return Nested(random, bytes, level);
  }
}

}  // namespace

Costly MakeCostly(RandomStream& random) {
  // Small ones, too: what can be written short is found more easily.
  const size_t bytes = random.Below(3) == 0 ? kMostBytes : 200 + random.Below(4000);
  Costly costly;
  costly.answer = Made(random, bytes, 0);
  switch (random.Below(4)) {
    case 0:
      costly.accepted = OneOf(kAtoms, random);
      break;
    case 1:
      costly.accepted = Made(random, bytes, 0);
      break;
    case 2:  // the same in other tokens: compared to the end
      costly.accepted = costly.answer + "+0";
      break;
    default:
      costly.accepted = "0+" + costly.answer;
      break;
  }
  return costly;
}

}  // namespace attnrl::fuzz
