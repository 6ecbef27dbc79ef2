// SPDX-License-Identifier: Apache-2.0
#include "common/text/jinja/builtins.h"

#include <gmock/gmock.h>

#include "common/text/jinja/template.h"

namespace attnrl::text::jinja {
namespace {

std::string Printed(const std::string& expression) {
  const auto parsed = Template::Parse("{{ " + expression + " }}", "t");
  if (!parsed.ok()) return std::string(parsed.status().message());
  const auto text = parsed->Render({});
  return text.ok() ? *text : std::string(text.status().message());
}

TEST(JinjaBuiltins, SlicesAsPythonDoes) {
  EXPECT_EQ(Printed("'abcdef'[1:3]"), "bc");
  EXPECT_EQ(Printed("'abcdef'[::-1]"), "fedcba");
  EXPECT_EQ(Printed("'abcdef'[-2:]"), "ef");
  EXPECT_EQ(Printed("'abcdef'[:-9]"), "");
  EXPECT_EQ(Printed("'abcdef'[4:1:-2]"), "ec");
  EXPECT_EQ(Printed("'abcdef'[9::-1]"), "fedcba");
  EXPECT_EQ(Printed("'aäb'[1]"), "ä") << "characters, not bytes";
  EXPECT_EQ(Printed("[1, 2, 3][1:] | join('-')"), "2-3");
  EXPECT_EQ(Printed("[1, 2][5] is defined"), "False");
  EXPECT_EQ(Printed("[1, 2][-1]"), "2");
}

TEST(JinjaBuiltins, StripsWhatPythonTakesForWhiteSpace) {
  EXPECT_EQ(Printed("'[' ~ ' \\t\\u00a0a b\\u3000\\n'.strip() ~ ']'"), "[a b]");
  EXPECT_EQ(Printed("'[' ~ '\\n\\na\\n'.lstrip('\\n') ~ ']'"), "[a\n]");
  EXPECT_EQ(Printed("'xyaxy'.rstrip('yx')"), "xya") << "a set of characters";
  EXPECT_EQ(Printed("'[' ~ '  ' | trim ~ ']'"), "[]");
}

TEST(JinjaBuiltins, SplitsAndReplaces) {
  EXPECT_EQ(Printed("'a</think>b</think>c'.split('</think>')[-1]"), "c");
  EXPECT_EQ(Printed("'abc'.split('x') | length"), "1");
  EXPECT_EQ(Printed("'aXbX'.replace('X', '--')"), "a--b--");
  EXPECT_EQ(Printed("'ab'.startswith('a') and 'ab'.endswith('b')"), "True");
}

TEST(JinjaBuiltins, CountsCharactersAndElements) {
  EXPECT_EQ(Printed("'äö' | length"), "2");
  EXPECT_EQ(Printed("[1, [2, 3]] | length"), "2");
  EXPECT_EQ(Printed("missing | length"), "0");
}

TEST(JinjaBuiltins, TellKindsApart) {
  EXPECT_EQ(Printed("'a' is string and [] is not string and {} is mapping"), "True");
  EXPECT_EQ(Printed("1 is number and true is boolean and none is none"), "True");
  EXPECT_EQ(Printed("[] is iterable and 1 is not iterable"), "True");
  EXPECT_EQ(Printed("missing is none"), "False");
  EXPECT_EQ(Printed("1 == true and 'a' != 1 and [1] == [1]"), "True");
}

TEST(JinjaBuiltins, FillInForWhatIsMissing) {
  EXPECT_EQ(Printed("missing | default('x')"), "x");
  EXPECT_EQ(Printed("'' | default('x')"), "");
  EXPECT_EQ(Printed("'' | default('x', true)"), "x");
  EXPECT_EQ(Printed("{'a': 1}.get('b', 2)"), "2");
  EXPECT_EQ(Printed("{'a': 1}.get('b')"), "None");
}

}  // namespace
}  // namespace attnrl::text::jinja
