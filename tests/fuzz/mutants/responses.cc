// SPDX-License-Identifier: Apache-2.0
// Boxes and what surrounds them; commands and characters that hide something.
#include "tests/fuzz/mutants/rules.h"

namespace attnrl::fuzz {
namespace {

using Made = std::optional<std::string>;

// The right answer is nowhere where an answer counts.
Made Elsewhere(const Gold& gold, RandomStream& random) {
  static constexpr const char* kForms[] = {"<think>\\boxed{A}</think> so it is A.",
                                           "<think>\\boxed{A}</think>\\boxed{W}",
                                           "\\boxed{A} or rather \\boxed{W}",
                                           "\\boxed{A",
                                           "\\boxed{\\text{A}",
                                           "\\boxed{A \\boxed{W}}",
                                           "\\boxed{A} \\boxed{}",
                                           "\\fbox{A}",
                                           "boxed{A}",
                                           "\\boxed A",
                                           "\\boxed\\{A\\}",
                                           "$A$",
                                           "The answer is A.",
                                           "#### A",
                                           "\\Boxed{A}",
                                           "\\boxed {W} A",
                                           "\\boxed{W}</think>A",
                                           "\\boxed{A}</think>",
                                           "\\boxed{A}</think>\\boxed{",
                                           "\\boxed[A]",
                                           "\\boxed{A} \\boxed{ }",
                                           "\\boxed{W % A}",
                                           "\\boxed{{W}A}",
                                           "\\framebox{A}",
                                           "\\boxed{}A",
                                           "\\boxed{\\{A}",
                                           "\\boxed{W}\\boxed{A",
                                           "<think>A</think>",
                                           "\\b oxed{A}",
                                           "answer: A",
                                           "\\boxed{\\boxed{A} \\boxed{W}}",
                                           "\\boxed{A} and \\boxed{W}",
                                           "\\boxed{W} and \\boxed{A}",
                                           "$\\boxed{W}$, $\\boxed{A}$",
                                           "\\boxed{A}, \\boxed{W}, \\boxed{A}",
                                           "\\[\\boxed{W}\\] or \\[\\boxed{A}\\]",
                                           "\\boxed{W} \\text{ for part (a) and } \\boxed{A}"};
  const std::string form = Pick(kForms, random);
  // A text with braces of its own may close a box.
  const std::string& answer = gold.text;
  if (answer.find_first_of("{}") != std::string::npos || gold.word) return std::nullopt;
  std::string text;
  for (const char c : form) {
    if (c == 'A') {
      text += answer;
    } else if (c == 'W') {
      text += "7919 w";
    } else {
      text += c;
    }
  }
  return text;
}

// Commands that strike out, hide or change what they contain.
Made Hidden(const Gold& gold, RandomStream& random) {
  static constexpr const char* kCommands[] = {"\\phantom{A}",
                                              "\\overline{A}",
                                              "\\underline{A}",
                                              "\\cancel{A}",
                                              "\\not A",
                                              "\\hphantom{A}",
                                              "\\phantom{9}A",
                                              "A\\phantom{9}",
                                              "\\neg A",
                                              "\\lnot A",
                                              "\\bcancel{A}",
                                              "\\tilde{A}",
                                              "\\hat{A}",
                                              "\\vec{A}",
                                              "\\sout{A}",
                                              "A % wrong",
                                              "A \\hspace{1em} W",
                                              "\\sum A",
                                              "\\int A",
                                              "\\lim A",
                                              "\\prod_{k=1}^{3} A",
                                              "\\Re A",
                                              "\\det A",
                                              "A\\label{x}",
                                              "\\input{A}",
                                              "\\color{red} A",
                                              "\\tiny A W",
                                              "\\underbrace{A}_{W}",
                                              "\\overset{W}{A}",
                                              "\\stackrel{-}{A}",
                                              "\\substack{A}",
                                              "{A}^{\\prime}",
                                              "A'",
                                              "\\bar{A}",
                                              "\\sqrt[A]{A}",
                                              "\\frac{A}{}",
                                              "A \\text{ is wrong}",
                                              "\\text{wrong: } A",
                                              "\\text{A W}",
                                              "A \\wedge W",
                                              "\\exists A",
                                              "\\forall A",
                                              "A^*",
                                              "A^{\\dagger}",
                                              "\\left| A \\right. W",
                                              "\\underset{W}{A}",
                                              "\\xcancel{A}",
                                              "\\rlap{/}A",
                                              "A\\rlap{9}",
                                              "\\raisebox{1em}{A}9",
                                              "\\scalebox{2}{A}",
                                              "\\mathop{-}A",
                                              "\\mathbin{-}A",
                                              "-{A}",
                                              "{-}A",
                                              "A{}9",
                                              "A\\text{9}",
                                              "A\\mathbf{9}",
                                              "\\mathrm{9}A",
                                              "A\\kern0pt 9"};
  const std::string form = Pick(kCommands, random);
  if ((!gold.integer && !gold.fraction) ||
      gold.text.find_first_of("123456789") == std::string::npos || gold.value == 1 ||
      gold.value == -1) {
    return std::nullopt;
  }
  std::string text;
  for (const char c : form) {
    if (c == 'A') {
      text += gold.text;
    } else if (c == 'W') {
      text += "7919";
    } else {
      text += c;
    }
  }
  return text;
}

// Bytes that are no part of any answer.
Made Invisible(const Gold& gold, RandomStream& random) {
  static const std::string kBytes[] = {std::string(1, '\0'),
                                       "\u202e",
                                       "\u200f",
                                       "\u200b",
                                       "\u200d",
                                       "\u2060",
                                       "\ufeff",
                                       "\x01",
                                       "\x7f",
                                       "\xff",
                                       "\xc0\x80",
                                       "\u0336",
                                       "\u20dd",
                                       "\u0305",
                                       "\u061c",
                                       "\u2066",
                                       "\u00ad",
                                       "\u180e",
                                       "\x1b[8m",
                                       "\b",
                                       "\u034f"};
  if (gold.text.empty()) return std::nullopt;
  std::string text = gold.text;
  text.insert(random.Below(text.size() + 1), Pick(kBytes, random));
  return text;
}

// Nothing, or nearly nothing, or a whole lot.
Made Nothing(const Gold& gold, RandomStream& random) {
  static constexpr const char* kNothing[] = {"",
                                             " ",
                                             "\\,",
                                             "$$",
                                             "{}",
                                             "\\text{}",
                                             "x",
                                             "\\ldots",
                                             "?",
                                             "\\square",
                                             "A",
                                             "answer",
                                             "...",
                                             "\\boxed{}",
                                             "*",
                                             "any",
                                             "\\forall",
                                             "\\text{all}",
                                             "\\mathbb{R}",
                                             ".*",
                                             "null",
                                             "None",
                                             "NaN",
                                             "nan",
                                             "inf",
                                             "true",
                                             "x = x",
                                             "0 = 0",
                                             "\\top",
                                             "()",
                                             "\\{\\}",
                                             "[]",
                                             "correct",
                                             "\\checkmark",
                                             "-",
                                             "+",
                                             "=",
                                             "\\infty - \\infty",
                                             "0/0",
                                             "_",
                                             "^"};
  const std::string text = Pick(kNothing, random);
  if (gold.text.size() < 4 && !gold.integer) return std::nullopt;
  if (gold.word || gold.text == text || gold.text.starts_with("\\text") ||
      (gold.integer && gold.value == 0) || gold.Has("emptyset") || gold.Has("infty") ||
      gold.Has("mathbb")) {
    return std::nullopt;
  }
  return text;
}

}  // namespace

std::vector<Rule> ResponseRules() {
  return {{"the answer elsewhere", Elsewhere, true},
          {"commands that hide", Hidden},
          {"invisible bytes", Invisible},
          {"nothing at all", Nothing}};
}

}  // namespace attnrl::fuzz
