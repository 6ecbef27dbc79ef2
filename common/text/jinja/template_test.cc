// SPDX-License-Identifier: Apache-2.0
#include "common/text/jinja/template.h"

#include <gmock/gmock.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl::text::jinja {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// What a template writes, or the error.
std::string Rendered(const std::string& source, Variables variables = {}) {
  const auto parsed = Template::Parse(source, "t");
  if (!parsed.ok()) {
    EXPECT_TRUE(IsInputError(parsed.status()));
    return std::string(parsed.status().message());
  }
  const auto text = parsed->Render(std::move(variables));
  if (text.ok()) return *text;
  EXPECT_TRUE(IsInputError(text.status())) << text.status();
  return std::string(text.status().message());
}

TEST(JinjaTemplate, HandlesWhiteSpaceAroundTagsAsTransformersDoes) {
  EXPECT_EQ(Rendered("a\n  {% if true %}  \n b\n  {% endif %}\nc\n"), "a\n  \n b\nc")
      << "blanks before a block and one newline after it, and the last newline of all";
  EXPECT_EQ(Rendered("a  \n {%- if true -%} \n b {%- endif %}"), "ab");
  EXPECT_EQ(Rendered("  {{ 1 }}\n"), "  1") << "outputs keep their blanks";
  EXPECT_EQ(Rendered("{{ 1 }}\n\n{{- 2 -}}\n 3"), "123");
  EXPECT_EQ(Rendered(" {%+ if true +%}\na{% endif %}"), " \na");
  EXPECT_EQ(Rendered("a {# out #}\nb"), "a b");
  EXPECT_EQ(Rendered("a\r\n {%- if true %}\rb{% endif %}"), "ab");
  EXPECT_EQ(Rendered("x {% if true %} y{% endif %}"), "x  y") << "not at the line's beginning";
}

TEST(JinjaTemplate, HasJinjasPrecedences) {
  EXPECT_EQ(Rendered("{{ 1 + 2 * 3 - 7 // 2 }}"), "4");
  EXPECT_EQ(Rendered("{{ -7 // 2 }} {{ -7 % 3 }}"), "-4 2") << "as Python rounds";
  EXPECT_EQ(Rendered("{{ 'a' ~ 2 * 3 ~ 'b' }}"), "a6b");
}

TEST(JinjaTemplate, KnowsOperatorsFromTheWeakestToTheStrongest) {
  EXPECT_EQ(Rendered("{{ not false and false or true }}"), "True");
  EXPECT_EQ(Rendered("{{ not x is defined }}"), "True") << "a test binds tighter than not";
  EXPECT_EQ(Rendered("{{ 'b' in 'abc' and 'd' not in 'abc' }}"), "True");
  EXPECT_EQ(Rendered("{{ 'no' if 1 > 2 else 'yes' }}{{ 'gone' if false }}"), "yes");
  EXPECT_EQ(Rendered("{{ 'a' + ' b '|trim + 'c' }}"), "abc") << "a filter binds tighter than +";
  EXPECT_EQ(Rendered("{{ '' or 'x' }}{{ 0 and 1 }}"), "x0");
}

TEST(JinjaTemplate, ScopesWhatALoopSets) {
  EXPECT_EQ(Rendered("{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = 9 %}{{ x }}"
                     "{% endfor %}{{ x }}"),
            "19191");
  EXPECT_EQ(Rendered("{% if true %}{% set x = 2 %}{% endif %}{{ x }}"), "2");
  EXPECT_EQ(Rendered("{% set n = namespace(c=0) %}{% for i in [3, 4] %}{% set n.c = n.c + i %}"
                     "{% endfor %}{{ n.c }}"),
            "7");
}

TEST(JinjaTemplate, Loops) {
  EXPECT_EQ(Rendered("{% for i in range(5) if i != 1 %}{{ loop.index }}{{ loop.first }}{{ i }}"
                     "{% if loop.last %}!{% else %},{% endif %}{% endfor %}"),
            "1True0,2False2,3False3,4False4!");
  EXPECT_EQ(Rendered("{% for i in [] %}x{% else %}none{% endfor %}"), "none");
  EXPECT_EQ(Rendered("{% for i in range(9) %}{% if i == 1 %}{% continue %}{% endif %}"
                     "{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}"),
            "023");
  EXPECT_EQ(Rendered("{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}{{ v }}{% endfor %}"),
            "a1b2");
  EXPECT_EQ(Rendered("{% for i in missing %}x{% endfor %}."), ".");
}

TEST(JinjaTemplate, WritesAssistantTurnsThatAreMarkedForTraining) {
  EXPECT_EQ(Rendered("a{% generation %}b{% endgeneration %}c"), "abc");
}

TEST(JinjaTemplate, TakesMissingThingsAsJinjaDoes) {
  const Variables variables = {{"m", Value(Map{{"a", Value(std::string("x"))}})}};
  EXPECT_EQ(Rendered("{{ m.b }}{{ m['b'] is defined }}{{ missing }}", variables), "False");
  EXPECT_EQ(Rendered("{{ 'a' in m }}{{ 'b' in m }}", variables), "TrueFalse");
  EXPECT_EQ(Rendered("\n{{ missing.b }}"),
            "t:2: the attribute b of an undefined value; a value that is defined");
}

struct Refusal {
  const char* source;
  const char* message;
};

TEST(JinjaTemplate, RefusesByNameAndLine) {
  const Refusal refusals[] = {
      {"\n{% macro x() %}{% endmacro %}", "t:2: the statement {% macro %}; for, if, set"},
      {"{% import 'x' as y %}", "t:1: the statement {% import %}"},
      {"{% set x %}a{% endset %}", "t:1: {% set %} without a value"},
      {"{{ 1.5 }}", "t:1: a number with a point"},
      {"{{ 2 ** 3 }}", "t:1: the operator **"},
      {"{{ 1 < 2 < 3 }}", "t:1: a chain of comparisons"},
      {"{{ 'a' | shout }}", "t:1: the filter of a text \"shout\"; trim"},
      {"{{ 'a' is odd }}", "t:1: the test \"odd\"; boolean, defined"},
      {"{{ 'a'.title() }}", "t:1: the method of a text \"title\""},
      {"\n\n{{ now() }}", "t:3: the function now"},
      {"{{ [1] }}", "t:1: a list where a text is written"},
      {"{{ 'a' + 1 }}", "t:1: a text + a number"},
      {"{{ raise_exception('no tools') }}", "t:1: the template refuses the conversation: no tools"},
      {"{{ 'a", "t:1: ' is never closed"},
      {"{{ a ", "t:1: {{ is never closed"},
      {"{% if a %}", "t:1: the end of the template is not expected here; {% endif %}"},
      {"{% endfor %}", "t:1: {% endfor %} closes nothing"},
      {"{{ a b }}", "t:1: \"b\" is not expected here"},
      {"{{ 'a' $ }}", "t:1: '$' is no part of an expression"},
      {"{{ '\\d' }}", "t:1: the escape \\d"},
      {"{% break %}", "t:1: {% break %} outside of a loop"},
      {"{{ 1 // 0 }}", "t:1: a division by 0"},
      {"{% set a.b = 1 %}", "t:1: {% set a.b %} for an undefined value"},
  };
  for (const Refusal& each : refusals) {
    EXPECT_THAT(Rendered(each.source), StartsWith(each.message)) << each.source;
  }
}

TEST(JinjaTemplate, EndsWhateverATemplateAsksFor) {
  EXPECT_THAT(Rendered("{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}"
                       "{% endfor %}"),
              HasSubstr("takes more than 1000000 steps"));
  EXPECT_THAT(Rendered("{% set n = namespace(x='aaaaaaaa') %}{% for i in range(99) %}"
                       "{% set n.x = n.x + n.x %}{% endfor %}"),
              HasSubstr("bytes of text"));
  std::string deep = "1";
  for (int i = 0; i < 500; ++i) deep = absl::StrCat("(", deep, ")");
  EXPECT_THAT(Rendered("{{ " + deep + " }}"), HasSubstr("within each other"));
  std::string ifs;
  for (int i = 0; i < 500; ++i) ifs += "{% if true %}";
  EXPECT_THAT(Rendered(ifs), HasSubstr("statements within each other"));
  EXPECT_THAT(Rendered(std::string(2 << 20, 'a')), HasSubstr("at most 1048576"));
}

}  // namespace
}  // namespace attnrl::text::jinja
