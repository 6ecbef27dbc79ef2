// SPDX-License-Identifier: Apache-2.0
// The recursive-descent parser behind Parse. One file for each level: structures.cc (lists,
// relations, brackets, matrices), terms.cc (sums, products, powers), primaries.cc (numbers,
// symbols, functions), operators.cc (sums over a range), quantities.cc (units, words).
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/verifier/grading/expression/expression.h"
#include "services/verifier/grading/tokens/latex.h"
#include "services/verifier/limits.h"

namespace attnrl::verifier {

// Every method reads from the position on and leaves it behind what it read. nullopt: unreadable,
// with the position anywhere; an answer that can't be read in one part can't be read.
class TokenParser {
 public:
  TokenParser(const Tokens& tokens, int depth, Work& work)
      : tokens_(tokens), depth_(depth), work_(work) {}

  // All tokens as one answer.
  std::optional<Expression> Answer();

 private:
  using Result = std::optional<Expression>;
  static constexpr std::string_view kEnd = {};

  // What stands between members.
  struct Separators {
    bool any = false;
    bool all_or = true;  // "or" between each two, and no "and"
  };

  // Counts a level of nesting down for as long as it lives, and one more level below it up then.
  class Level {
   public:
    explicit Level(TokenParser& parser)
        : parser_(parser), beside_(std::exchange(parser.height_, 0)) {
      if (parser_.depth_-- <= 0) parser_.work_.Exhaust();
    }
    ~Level() {
      ++parser_.depth_;
      parser_.height_ = std::max(parser_.height_ + 1, beside_);
    }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    explicit operator bool() const { return !parser_.work_.exhausted(); }

   private:
    TokenParser& parser_;
    const int beside_;
  };

  // The token at the position, or `ahead` of it; empty at the end.
  std::string_view Peek(size_t ahead = 0) const {
    return at_ + ahead < end_ ? std::string_view(tokens_[at_ + ahead].text) : kEnd;
  }
  const Token& Current() const { return tokens_[at_]; }
  bool AtEnd() const { return at_ >= end_; }
  // Steps over `text` where it is next.
  bool Take(std::string_view text);
  // Where the group that begins here with `open` ends: the position of its closing brace.
  std::optional<size_t> GroupEnd() const;
  // A braced group as one expression; the braces are read, too.
  Result Braced();
  // What the tokens of a braced group spell, and steps over it.
  std::optional<std::string> Spelling();

  // structures.cc
  void SkipNeedlessParentheses();
  // All of it, where it is nothing but words.
  std::optional<std::string> OnlyWords();
  // Members between commas up to `close` (not read), as a list or the only member.
  std::optional<std::vector<Expression>> Members(Separators* separators);
  bool TakeSeparator(Separators* separators);
  bool AtClose() const;
  Result Relation();
  Result SetExpression();
  Result Bracketed();
  Result Matrix();

  // terms.cc
  Result Sum();
  Result Product();
  Result Factor();
  Result Postfix(Expression base);
  Result Script(Expression base);
  bool BeginsFactor() const;
  bool MayFollow(const Expression& last) const;
  bool FollowsParenthesis() const { return at_ > 0 && tokens_[at_ - 1].text == ")"; }

  // primaries.cc
  Result Primary();
  Result Number();
  bool Repeating(Expression* number);
  bool IsScientific() const;
  Result Scientific(Expression number);
  Result Fraction();
  Result Root();
  Result Function(std::string name);
  Result FunctionArgument();
  Result Call(std::string name);
  Result Symbol();
  Result Between(std::string_view close, const char* function);
  bool IsCall(const std::string& name) const;

  // operators.cc
  Result OverRange();

  // quantities.cc
  // Whether the letters that follow are a unit or a number word rather than variables.
  bool BeginsUnit() const;
  // Letters without space between them, from here on: "cm" of "5 cm"; empty: none.
  std::string Word() const;
  Result Words();
  Result WithUnit(Expression value);

  const Tokens& tokens_;
  size_t at_ = 0;
  size_t end_ = tokens_.size();
  int depth_;
  // Of the factor that is being read, levels so far: those that were read, and "!" behind them.
  int height_ = 0;
  Work& work_;
  int bars_ = 0;  // of absolute values that are open
};

bool IsLetterToken(std::string_view text);
// Greek letters and other single symbols that stand for variables.
bool IsGreek(std::string_view token);

}  // namespace attnrl::verifier
