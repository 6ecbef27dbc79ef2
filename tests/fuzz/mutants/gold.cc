// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/mutants/gold.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <optional>
#include <set>

#include "common/json/json.h"
#include "services/verifier/grading/reading/answer.h"

namespace attnrl::fuzz {
namespace {

bool All(std::string_view text, bool (*is)(char)) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is);
}

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

bool IsReduced(std::string_view above, std::string_view below) {
  if (!All(above, IsDigit) || !All(below, IsDigit) || above.size() > 15 || below.size() > 15) {
    return false;
  }
  const long long a = std::atoll(std::string(above).c_str());
  const long long b = std::atoll(std::string(below).c_str());
  return a > 0 && b > 1 && std::gcd(a, b) == 1;
}

bool IsFraction(std::string_view text) {
  if (text.starts_with("-")) text.remove_prefix(1);
  for (const std::string_view name : {"\\frac{", "\\dfrac{", "\\tfrac{"}) {
    if (!text.starts_with(name) || !text.ends_with("}")) continue;
    text = text.substr(name.size(), text.size() - name.size() - 1);
    const size_t middle = text.find("}{");
    return middle != std::string_view::npos &&
           IsReduced(text.substr(0, middle), text.substr(middle + 2));
  }
  const size_t slash = text.find('/');
  return slash != std::string_view::npos &&
         IsReduced(text.substr(0, slash), text.substr(slash + 1));
}

// Parts between commas outside of all brackets; empty where brackets don't match.
std::vector<std::string> SplitAtCommas(std::string_view text) {
  std::vector<std::string> parts;
  int level = 0;
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '(' || c == '[' || c == '{') ++level;
    if (c == ')' || c == ']' || c == '}') --level;
    if (level < 0) return {};
    if (c != ',' || level > 0) continue;
    parts.emplace_back(Trimmed(text.substr(begin, i - begin)));
    begin = i + 1;
  }
  parts.emplace_back(Trimmed(text.substr(begin)));
  for (const std::string& part : parts) {
    if (part.empty()) return {};
  }
  return level == 0 ? parts : std::vector<std::string>();
}

void FindMembers(Gold& gold) {
  std::string text = ReplacedAll(ReplacedAll(gold.text, "\\left", ""), "\\right", "");
  text = Trimmed(text);
  constexpr std::pair<std::string_view, std::string_view> kBrackets[] = {
      {"(", ")"}, {"[", "]"}, {"(", "]"}, {"[", ")"}, {"\\{", "\\}"}, {"", ""}};
  if (gold.Has("\\text") || gold.Has("=") || gold.Has("\\cup") || gold.Has("begin") ||
      gold.Has("\\pm") || gold.Has("\\mbox")) {
    return;
  }
  for (const auto& [open, close] : kBrackets) {
    if (!text.starts_with(open) || !text.ends_with(close)) continue;
    const std::string_view inside =
        std::string_view(text).substr(open.size(), text.size() - open.size() - close.size());
    std::vector<std::string> members = SplitAtCommas(inside);
    // "1,234" may be one number.
    if (members.size() < 2 || (open.empty() && inside.find(", ") == std::string_view::npos)) {
      continue;
    }
    gold.members = std::move(members);
    gold.open = open;
    gold.close = close;
    return;
  }
}

// Commands that may occur in an expression.
const std::set<std::string, std::less<>>& Mathematics() {
  static const auto& commands = *new std::set<std::string, std::less<>>{
      "frac", "dfrac", "tfrac", "sqrt",  "pi",     "sin",   "cos",   "tan",   "ln",
      "left", "right", "cdot",  "binom", "arctan", "theta", "alpha", "times", "beta"};
  return commands;
}

void FindExpression(Gold& gold) {
  std::string letters;
  const std::string& text = gold.text;
  if (text.empty() || gold.Has("\\ ") || !gold.members.empty()) return;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\') {
      size_t end = i + 1;
      while (end < text.size() && IsLetter(text[end])) ++end;
      if (Mathematics().count(text.substr(i + 1, end - i - 1)) == 0) return;
      i = end - 1;
      continue;
    }
    if (IsLetter(c)) {
      // Words, calls, derivatives, bases and names with subscripts are left to other rules.
      if (i + 1 < text.size() && (IsLetter(text[i + 1]) || text[i + 1] == '(')) return;
      if (c != 'e' && c != 'i' && letters.find(c) == std::string::npos) letters += c;
    } else if (!IsDigit(c) && std::string_view("+-*/^(){}. !").find(c) == std::string_view::npos) {
      return;
    }
  }
  if (text.back() == '.' || letters.find('d') != std::string::npos) return;
  gold.expression = true;
  gold.variables = letters;
  gold.constant = letters.empty() && !gold.Has("theta") && !gold.Has("alpha") && !gold.Has("beta");
}

}  // namespace

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::string Replaced(const std::string& text, const Span& span, const std::string& with) {
  return text.substr(0, span.begin) + with + text.substr(span.begin + span.size);
}

std::string ReplacedAll(std::string text, std::string_view from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::string WithVariable(const std::string& text, char name, const std::string& to) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      const size_t begin = i++;
      while (i < text.size() && IsLetter(text[i])) ++i;
      out += text.substr(begin, i - begin);
      --i;
    } else if (text[i] == name) {
      out += to;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::vector<Span> NumbersOf(std::string_view text) {
  std::vector<Span> numbers;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!IsDigit(text[i])) continue;
    const bool point_first = i > 0 && text[i - 1] == '.';  // ".5"
    const size_t begin = point_first ? i - 1 : i;
    bool point = point_first;
    while (i < text.size() && (IsDigit(text[i]) || (text[i] == '.' && !point &&
                                                    i + 1 < text.size() && IsDigit(text[i + 1])))) {
      point = point || text[i] == '.';
      ++i;
    }
    numbers.push_back({begin, i - begin});
  }
  return numbers;
}

Gold Describe(std::string_view answer) {
  Gold gold = {.text = verifier::Unwrapped(answer)};
  if (gold.text.size() > 2 && gold.text.front() == '$' && gold.text.back() == '$' &&
      gold.text.find('$', 1) == gold.text.size() - 1) {
    gold.text = gold.text.substr(1, gold.text.size() - 2);
  }
  gold.text = Trimmed(gold.text);
  std::string_view digits = gold.text;
  if (digits.starts_with("-")) digits.remove_prefix(1);
  gold.integer = All(digits, IsDigit);
  if (gold.integer && digits.size() <= 15) gold.value = std::atoll(gold.text.c_str());
  const size_t point = digits.find('.');
  gold.decimal = point != std::string_view::npos && All(digits.substr(0, point), IsDigit) &&
                 All(digits.substr(point + 1), IsDigit);
  gold.fraction = IsFraction(gold.text);
  std::string_view word = gold.text;
  if (word.starts_with("\\text{") && word.ends_with("}")) word = word.substr(6, word.size() - 7);
  gold.word = word.size() > 2 && All(word, IsLetter);
  gold.percentage = gold.text.ends_with("%");
  FindMembers(gold);
  if (!gold.word) FindExpression(gold);
  return gold;
}

std::vector<std::string> BuiltInGolds() {
  return {"0",
          "7",
          "-12",
          "42",
          "2024",
          "123456789012345678901234567890",
          "0.5",
          "3.14",
          "-2.75",
          "\\frac{2}{3}",
          "-\\frac{7}{11}",
          "3/4",
          "2\\frac{1}{3}",
          "0.\\overline{36}",
          "\\sqrt{2}",
          "2\\sqrt{3}",
          "\\frac{1+\\sqrt{5}}{2}",
          "\\sqrt[3]{4}",
          "2\\pi",
          "e^2",
          "3+4i",
          "\\ln 2",
          "\\log_2 5",
          "\\binom{10}{4}",
          "5!",
          "2^{100}-1",
          "x^2+2x+1",
          "\\frac{x-1}{x+2}",
          "a\\sqrt{b}",
          "x_1+x_2",
          "\\sin x+\\cos y",
          "f(2x)",
          "n(n+1)",
          "xyz",
          "x = 5",
          "y = 2x-3",
          "x^2+y^2=25",
          "x > 5",
          "-1 \\leq x < 3",
          "(1, 2)",
          "(2, -1, 3)",
          "[0, 1)",
          "(-\\infty, 4]",
          "1, 2, 3",
          "\\{1, 2, 5\\}",
          "(0,1) \\cup (2,3)",
          "1 \\pm \\sqrt{2}",
          "\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}",
          "3:1",
          "20\\%",
          "5\\text{ cm}",
          "40\\text{ minutes}",
          "\\$12",
          "90^\\circ",
          "10 \\text{ m/s}",
          "16\\text{ square feet}",
          "2215_6",
          "\\text{Saturday}",
          "\\text{no solution}",
          "\\text{(C)}",
          "\\frac{dy}{dx}",
          "\\infty",
          "\\emptyset"};
}

std::vector<std::string> GoldsOf(const std::string& folder) {
  std::vector<std::string> golds;
  std::error_code ignored;
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == ".jsonl") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  for (const std::string& path : files) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
      const auto record = ParseJson(line);
      if (!record.ok() || !record->is_object() || !record->contains("answers")) continue;
      for (const auto& answer : (*record)["answers"]) {
        if (answer.is_string()) golds.push_back(answer.get<std::string>());
      }
    }
  }
  return golds;
}

}  // namespace attnrl::fuzz
