// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace attnrl::fuzz {

// What an accepted answer looks like, found without the grader's own reader: rules ask it whether
// what they make is wrong for certain.
struct Gold {
  std::string text;  // trimmed, out of its box, without $

  bool integer = false;     // -12
  bool decimal = false;     // 3.50
  bool fraction = false;    // \frac{2}{3}, 2/3 of integers, not 0 and reduced
  bool word = false;        // \text{odd}, Friday
  bool percentage = false;  // ends with %
  // One expression of numbers, variables, roots and functions: nothing about lists, relations,
  // units, words, sets or plus-minus. Adding to it gives another value.
  bool expression = false;
  bool constant = false;  // an expression without variables
  // Letters that are variables of an expression, without e and i.
  std::string variables = {};
  // Of "a, b", "(a, b)", "[a, b)" and "\{a, b\}"; brackets are empty for the first.
  std::vector<std::string> members = {};
  std::string open = {};
  std::string close = {};

  // The value of an integer of at most 15 digits, else 0.
  long long value = 0;
  bool IsValue() const { return integer || decimal || fraction; }
  bool IsZero() const { return text.find_first_of("123456789") == std::string::npos; }
  bool HasPoint() const { return text.find('.') != std::string::npos; }
  bool Has(std::string_view part) const { return text.find(part) != std::string::npos; }
};

Gold Describe(std::string_view answer);

// Accepted answers of all kinds, so that nothing depends on data beside the repository.
std::vector<std::string> BuiltInGolds();

// Those of the JSON Lines files in `folder`; empty where there is none.
std::vector<std::string> GoldsOf(const std::string& folder);

// Where digits stand in the text: numbers with their point, outside of commands.
struct Span {
  size_t begin = 0;
  size_t size = 0;
};
std::vector<Span> NumbersOf(std::string_view text);

bool IsDigit(char c);
bool IsLetter(char c);
// `text` with the bytes of `span` replaced.
std::string Replaced(const std::string& text, const Span& span, const std::string& with);
// With every `from` as `to`.
std::string ReplacedAll(std::string text, std::string_view from, const std::string& to);
// With every variable `name` (a letter outside of commands) as `to`.
std::string WithVariable(const std::string& text, char name, const std::string& to);

}  // namespace attnrl::fuzz
