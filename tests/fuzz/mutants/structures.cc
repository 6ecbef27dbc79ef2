// SPDX-License-Identifier: Apache-2.0
// Members, brackets, lists and numbers, matrices.
#include <algorithm>
#include <set>
#include <utility>

#include "tests/fuzz/mutants/rules.h"

namespace attnrl::fuzz {
namespace {

using Made = std::optional<std::string>;

bool IsInteger(const std::string& text) { return Describe(text).integer; }

std::string Joined(const std::vector<std::string>& members, const std::string& open,
                   const std::string& close) {
  std::string text = open;
  for (size_t i = 0; i < members.size(); ++i) text += (i > 0 ? ", " : "") + members[i];
  return text + close;
}

bool AllIntegers(const Gold& gold) {
  return !gold.members.empty() && std::all_of(gold.members.begin(), gold.members.end(), IsInteger);
}

Made DropMember(const Gold& gold, RandomStream& random) {
  if (gold.members.empty()) return std::nullopt;
  std::vector<std::string> members = gold.members;
  members.erase(members.begin() + static_cast<std::ptrdiff_t>(random.Below(members.size())));
  return Joined(members, gold.open, gold.close);
}

// In sets and lists of points, a member that is said twice is still one.
bool CountsOnce(const Gold& gold) {
  return gold.open == "\\{" ||
         std::any_of(gold.members.begin(), gold.members.end(), [](const std::string& member) {
           return member.find('(') != std::string::npos;
         });
}

Made AddMember(const Gold& gold, RandomStream& random) {
  if (gold.members.empty()) return std::nullopt;
  std::vector<std::string> members = gold.members;
  static constexpr const char* kMembers[] = {"0", "7919", "x", "\\pi", "-1", "\\text{none}"};
  const auto at = members.begin() + static_cast<std::ptrdiff_t>(random.Below(members.size() + 1));
  const bool again = random.Below(2) == 0 && !CountsOnce(gold);
  members.insert(at, again ? Pick(gold.members, random) : Pick(kMembers, random));
  return Joined(members, gold.open, gold.close);
}

// One member twice, and another one not at all.
Made MemberForAnother(const Gold& gold, RandomStream& random) {
  if (!AllIntegers(gold)) return std::nullopt;
  std::set<std::string> different(gold.members.begin(), gold.members.end());
  if (different.size() != gold.members.size()) return std::nullopt;
  std::vector<std::string> members = gold.members;
  const size_t lost = random.Below(members.size());
  const size_t twice = random.Below(members.size());
  if (lost == twice) return std::nullopt;
  members[lost] = members[twice];
  if (random.Below(2) == 0) members.push_back(members[twice]);
  return Joined(members, gold.open, gold.close);
}

Made ReplaceMember(const Gold& gold, RandomStream& random) {
  if (!AllIntegers(gold)) return std::nullopt;
  std::vector<std::string> members = gold.members;
  std::string& one = members[random.Below(members.size())];
  one = random.Below(2) == 0 ? "(" + one + ")+1" : "7919";
  return Joined(members, gold.open, gold.close);
}

// Tuples and intervals have an order.
Made Permute(const Gold& gold, RandomStream& random) {
  if (!AllIntegers(gold) || (gold.open != "(" && gold.open != "[")) return std::nullopt;
  std::vector<std::string> members = gold.members;
  const size_t a = random.Below(members.size());
  const size_t b = random.Below(members.size());
  if (Describe(members[a]).value == Describe(members[b]).value) return std::nullopt;
  std::swap(members[a], members[b]);
  return Joined(members, gold.open, gold.close);
}

Made OtherBrackets(const Gold& gold, RandomStream& random) {
  if (gold.members.empty()) return std::nullopt;
  static constexpr std::pair<const char*, const char*> kBrackets[] = {{"(", ")"},
                                                                      {"[", "]"},
                                                                      {"(", "]"},
                                                                      {"[", ")"},
                                                                      {"\\{", "\\}"},
                                                                      {"", ""},
                                                                      {"|", "|"},
                                                                      {"\\left]", "\\right["},
                                                                      {"\\lfloor", "\\rfloor"},
                                                                      {"((", "))"},
                                                                      {"\\{(", ")\\}"}};
  const auto [open, close] = Pick(kBrackets, random);
  const auto kind = [](const std::string& bracket) {
    // A list is a set, and another pair of parentheses changes nothing.
    if (bracket.empty() || bracket == "\\{") return std::string("set");
    return bracket == "((" ? std::string("(") : bracket;
  };
  const auto closing = [](const std::string& bracket) {
    if (bracket.empty() || bracket == "\\}") return std::string("set");
    return bracket == "))" ? std::string(")") : bracket;
  };
  if (kind(open) == kind(gold.open) && closing(close) == closing(gold.close)) return std::nullopt;
  return Joined(gold.members, open, close);
}

Made Nest(const Gold& gold, RandomStream& random) {
  if (gold.members.size() < 3) return std::nullopt;
  std::vector<std::string> members = gold.members;
  const bool set = random.Below(2) == 0;
  members[0] = (set ? "\\{" : "(") + members[0] + ", " + members[1] + (set ? "\\}" : ")");
  members.erase(members.begin() + 1);
  return Joined(members, gold.open, gold.close);
}

// "12" becomes "1, 2": a list is no number, whatever stands between.
Made Split(const Gold& gold, RandomStream& random) {
  if (!gold.integer || gold.text.size() < 2 || gold.text[0] == '-') return std::nullopt;
  static constexpr const char* kBetween[] = {", ",
                                             ",",
                                             "\\quad ",
                                             " \\text{ } ",
                                             ";",
                                             "\\\\ ",
                                             " \\text{ and } ",
                                             "\\ ",
                                             "~",
                                             "\\,",
                                             "\n",
                                             "\\(",
                                             "$ $",
                                             "|",
                                             "&",
                                             "\\;",
                                             "\\qquad",
                                             " ",
                                             "\\] \\[",
                                             " or ",
                                             "\\text{, }",
                                             "\\left.",
                                             "\\right.",
                                             "\\mbox{ }",
                                             "\t",
                                             ":",
                                             " \\text{or} ",
                                             "\\cdot ",
                                             "\\times ",
                                             "*",
                                             "\u00d7",
                                             "\u2009",
                                             "\\colon ",
                                             "_",
                                             "^",
                                             "\\hspace{1cm}",
                                             "\\big.",
                                             "\\&",
                                             "/",
                                             "\u200b",
                                             "'",
                                             "\u2019",
                                             "\\_",
                                             "{:}"};
  const size_t at = 1 + random.Below(gold.text.size() - 1);
  // Groups of three digits may be thousands.
  if ((gold.text.size() - at) % 3 == 0 && at <= 3) return std::nullopt;
  return gold.text.substr(0, at) + Pick(kBetween, random) + gold.text.substr(at);
}

Made Merge(const Gold& gold, RandomStream& random) {
  if (!AllIntegers(gold)) return std::nullopt;
  static constexpr const char* kBetween[] = {"",    "{}", "\\!", " ",        "\\cdot ", "+",
                                             "{,}", ".",  "\\,", "\\text{}", "-"};
  const std::string between = Pick(kBetween, random);
  std::string text = gold.open;
  for (const std::string& member : gold.members) {
    text += (text.size() > gold.open.size() ? between : "") + member;
  }
  // A decimal comma may also be a list.
  if (between == "{,}") return std::nullopt;
  return text + gold.close;
}

std::vector<std::string> Rows(const std::string& inside) {
  std::vector<std::string> rows;
  size_t begin = 0;
  while (true) {
    const size_t end = inside.find("\\\\", begin);
    rows.push_back(inside.substr(begin, end == std::string::npos ? end : end - begin));
    if (end == std::string::npos) return rows;
    begin = end + 2;
  }
}

std::string Squeezed(const std::string& text) { return ReplacedAll(text, " ", ""); }

// Rows or columns swapped, a row dropped or added, an entry changed.
Made OtherMatrix(const Gold& gold, RandomStream& random) {
  const std::string begin = "\\begin{pmatrix}";
  const std::string end = "\\end{pmatrix}";
  if (!gold.text.starts_with(begin) || !gold.text.ends_with(end)) return std::nullopt;
  const std::string inside =
      gold.text.substr(begin.size(), gold.text.size() - begin.size() - end.size());
  if (inside.find("begin") != std::string::npos) return std::nullopt;
  std::vector<std::string> rows = Rows(inside);
  if (Squeezed(rows.back()).empty()) rows.pop_back();
  const std::vector<std::string> before = rows;
  switch (random.Below(5)) {
    case 0:
      std::swap(rows.front(), rows.back());
      break;
    case 1:
      rows.pop_back();
      break;
    case 2:
      rows.push_back(rows.front());
      break;
    case 3:
      rows.front() += "+1";
      break;
    default:
      rows.back() += " & 0";
  }
  if (Squeezed(rows.front()) == Squeezed(before.front()) && rows.size() == before.size() &&
      Squeezed(rows.back()) == Squeezed(before.back())) {
    return std::nullopt;
  }
  // Rows of other spellings may be equal.
  if (inside.find_first_not_of("0123456789-& \\") != std::string::npos || rows.empty()) {
    return std::nullopt;
  }
  std::string text = begin;
  for (size_t i = 0; i < rows.size(); ++i) text += (i > 0 ? " \\\\ " : "") + rows[i];
  return text + end;
}

Made MatrixAsOther(const Gold& gold, RandomStream& random) {
  if (!gold.text.starts_with("\\begin{pmatrix}") || !gold.Has("\\\\")) return std::nullopt;
  // Of the zero matrix everything is itself.
  if (gold.text.find_first_of("123456789") == std::string::npos) return std::nullopt;
  switch (random.Below(8)) {
    case 0:
      return ReplacedAll(gold.text, "pmatrix", "vmatrix");
    case 1:
      return "-" + gold.text + "\\cdot 2";
    case 2:
      return gold.text + "^T" + "\\cdot 3";
    case 3:
      return gold.text + " + " + gold.text;
    case 4:
      return gold.text + " + 1";
    case 5:
      return "A" + gold.text;
    case 6:
      return gold.text + "^{-1}" + gold.text + gold.text + "^0 \\cdot 2";
    default:
      return "\\frac{" + gold.text + "}{2}";
  }
}

Made OtherUnion(const Gold& gold, RandomStream& random) {
  const std::string cup = "\\cup";
  const size_t at = gold.text.find(cup);
  if (at == std::string::npos) return std::nullopt;
  switch (random.Below(4)) {
    case 0:
      return ReplacedAll(gold.text, cup, "\\cap");
    case 1:
      return gold.text.substr(0, at);
    case 2:
      return gold.text.substr(at + cup.size());
    default:
      return gold.text + " \\cup (7919, 7920)";
  }
}

Made OneSign(const Gold& gold, RandomStream& random) {
  if (!gold.Has("\\pm") || gold.Has("\\pm 0")) return std::nullopt;
  static constexpr const char* kSigns[] = {"+ ", "- ", "\\pm 2 + ", "\\pm \\pi "};
  return ReplacedAll(gold.text, "\\pm", Pick(kSigns, random));
}

Made Choices(const Gold& gold, RandomStream& random) {
  const std::string& text = gold.text;
  if (text.size() != 10 || !text.starts_with("\\text{(") || !text.ends_with(")}") ||
      text[7] < 'A' || text[7] > 'E') {
    return std::nullopt;
  }
  const std::string own(1, text[7]);
  const std::string other(1, text[7] == 'E' ? 'A' : static_cast<char>(text[7] + 1));
  switch (random.Below(5)) {
    case 0:
      return other;
    case 1:
      return own + ", " + other;
    case 2:
      return own + other;
    case 3:
      return "\\text{" + own + " or " + other + "}";
    default:
      return "\\text{not (" + own + ")}";
  }
}

}  // namespace

std::vector<Rule> StructureRules() {
  return {{"drop a member", DropMember},
          {"add a member", AddMember},
          {"replace a member", ReplaceMember},
          {"permute", Permute},
          {"a member for another", MemberForAnother},
          {"other brackets", OtherBrackets},
          {"nest members", Nest},
          {"split a number", Split},
          {"merge members", Merge},
          {"another matrix", OtherMatrix},
          {"a matrix as something else", MatrixAsOther},
          {"another union", OtherUnion},
          {"one sign of two", OneSign},
          {"another choice", Choices}};
}

}  // namespace attnrl::fuzz
