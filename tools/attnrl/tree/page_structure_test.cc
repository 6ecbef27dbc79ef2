// SPDX-License-Identifier: Apache-2.0
// The page of `attnrl tree` as a browser sees it: its outline, and that nothing a model, a worker
// or a data set wrote changes it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/philox.h"
#include "tools/attnrl/tree/page.h"
#include "tools/attnrl/tree/testing/test_record.h"

namespace attnrl::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Tag {
  std::string name;  // "/p" where it closes
  std::map<std::string, std::string> attributes;

  std::string Attribute(const std::string& attribute) const {
    const auto found = attributes.find(attribute);
    return found == attributes.end() ? "" : found->second;
  }
};

// Reads the tag at `at`, a `<`, and moves behind it; nullopt where a browser might see something
// else: all attributes have a value in double quotes without `<` and `>`, or none.
std::optional<Tag> ReadTag(std::string_view page, size_t* at) {
  const auto word = [&](std::string_view more) {
    const size_t begin = *at;
    while (*at < page.size() && (std::isalnum(static_cast<unsigned char>(page[*at])) != 0 ||
                                 more.find(page[*at]) != std::string_view::npos)) {
      ++*at;
    }
    return std::string(page.substr(begin, *at - begin));
  };
  const auto take = [&](std::string_view text) {
    const bool found = page.substr(*at, text.size()) == text;
    if (found) *at += text.size();
    return found;
  };
  ++*at;
  Tag tag = {.name = word("/!"), .attributes = {}};
  if (tag.name.empty() || tag.name == "/") return std::nullopt;
  while (!take(">") && !take("/>")) {
    if (!take(" ")) return std::nullopt;
    const std::string attribute = word("-:");
    if (attribute.empty() || tag.attributes.contains(attribute)) return std::nullopt;
    std::string& value = tag.attributes[attribute];
    if (!take("=\"")) continue;
    const size_t end = page.find_first_of("\"<>", *at);
    if (end == std::string_view::npos || page[end] != '"') return std::nullopt;
    value = page.substr(*at, end - *at);
    *at = end + 1;
  }
  return tag;
}

// Style and script, which are the page's own, are passed over.
std::vector<Tag> Tags(std::string page) {
  for (const std::string_view own : {PageStyle(), PageScript()}) {
    const size_t at = page.find(own);
    if (at != std::string::npos) page.erase(at, own.size());
  }
  std::vector<Tag> tags;
  for (size_t at = page.find('<'); at != std::string::npos; at = page.find('<', at)) {
    const std::string begin = page.substr(at, 80);
    std::optional<Tag> tag = ReadTag(page, &at);
    if (!tag) {
      ADD_FAILURE() << "no tag: " << begin;
      break;
    }
    tags.push_back(*std::move(tag));
  }
  return tags;
}

// What has an id or divides the page, one a line, indented by depth.
std::string Outline(const nlohmann::json& record) {
  static const std::set<std::string> kParts = {"main",    "header", "figure", "nav", "details",
                                               "summary", "h1",     "h2",     "h3",  "section",
                                               "article", "footer", "dl"};
  std::string out;
  size_t depth = 0;
  for (const Tag& tag : Tags(PageOf(record))) {
    const bool closes = tag.name[0] == '/';
    if (!kParts.contains(closes ? tag.name.substr(1) : tag.name)) continue;
    if (closes) {
      --depth;
      continue;
    }
    out += std::string(2 * depth++, ' ') + tag.name;
    if (const std::string id = tag.Attribute("id"); !id.empty()) out += "#" + id;
    if (const std::string kind = tag.Attribute("class"); !kind.empty()) out += "." + kind;
    out += "\n";
  }
  return out;
}

TEST(TreePage, HasThisOutline) {
  EXPECT_EQ(Outline(FullRecord()),
            "main\n"
            "  header.page\n"
            "    h1\n"
            "    dl.figures\n"
            "  figure.overview\n"
            "  details.prompt\n"
            "    summary\n"
            "      h2\n"
            "  nav.tools\n"
            "  details#r0.response\n"
            "    summary\n"
            "      h2\n"
            "    section#r0b0.branch\n"
            "      h3\n"
            "      article#r0b0c0.child neg\n"
            "        header\n"
            "      article#r0b0c1.child pos\n"
            "        header\n"
            "    section#r0b1.branch\n"
            "      h3\n"
            "      article#r0b1c0.child\n"
            "        header\n");
}

TEST(TreePage, OfAResponseWithoutBranchesHasThisOutline) {
  EXPECT_EQ(Outline(BareRecord("a\nb")),
            "main\n"
            "  header.page\n"
            "    h1\n"
            "    dl.figures\n"
            "  figure.overview\n"
            "  details.prompt\n"
            "    summary\n"
            "      h2\n"
            "  nav.tools\n"
            "  details#r0.response\n"
            "    summary\n"
            "      h2\n");
}

// Every text of a record that somebody else wrote is `text`, its first line as long as its tokens.
nlohmann::json WithTexts(const std::string& text) {
  nlohmann::json record = FullRecord();
  record["problem_id"] = record["kept"] = text;
  record["prompt_ids"] = Ids(text);
  const auto prompt = static_cast<int64_t>(text.size());
  const auto fill = [&text](nlohmann::json& leaf) {
    for (const char* name : {"finish_reason", "digest", "worker", "verdict", "extracted"}) {
      leaf[name] = text;
    }
    leaf["token_ids"] = Ids(text);
    leaf["logprobs"] = leaf["entropy"] = leaf["fci"] = nullptr;
  };
  nlohmann::json& response = record["responses"][0];
  fill(response);
  response["steps"] = {{0, prompt}, {prompt, 2 * prompt}};
  response["segments"] = {{prompt, 0.5}};
  response["points"] = {0, prompt - 1};
  response["point_origin"] = {text, text};
  for (size_t b = 0; b < 2; ++b) {
    response["branches"][b]["split"] = b == 0 ? 0 : prompt - 1;
    for (nlohmann::json& child : response["branches"][b]["children"]) fill(child);
  }
  return record;
}

std::vector<std::string> TagNames(const std::string& page) {
  std::vector<std::string> names;
  for (const Tag& tag : Tags(page)) names.push_back(tag.name + " " + tag.Attribute("id"));
  return names;
}

// Texts that would end an element, an attribute, the style or the script, or open another one.
const std::string kHostile[] = {
    "<script>alert(1)</script>",
    "</script><script>alert(1)//",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "\" onfocus=\"alert(1)\" tabindex=\"1",
    "</style><style>*{}",
    "<!-- ",
    "--> <![CDATA[",
    "]]>",
    "&lt;b&gt; &amp; &#60;i&#62;",
    "</title><base href=//evil>",
    "</details></section></main></body></html>",
    "javascript:alert(1)",
    "<a href=\"http://evil\">",
    "<svg/onload=alert(1)>",
    "<meta http-equiv=refresh content=0>",
    "\\u003cscript\\u003e",
    "a\tb\x01\x02\x1b[31m\x7f\r",
    "`${alert(1)}`",
    "<",
    ">",
    "&",
    "\"",
    "'",
    "<<<>>>",
};

TEST(TreePage, KeepsItsStructureWhateverATextSays) {
  for (const std::string& text : kHostile) {
    const std::string page = PageOf(WithTexts(text));
    EXPECT_EQ(TagNames(page), TagNames(PageOf(WithTexts(std::string(text.size(), 'x'))))) << text;
  }
}

TEST(TreePage, KeepsItsStructureUnderRandomTexts) {
  const std::string alphabet = "<>\"'&=/-!ax \t;:\\`(){}#";
  for (uint32_t round = 0; round < 60; ++round) {
    RandomStream random({.seed = 5, .position = round});
    std::string text;
    for (uint64_t i = 1 + random.Below(40); i > 0; --i)
      text += alphabet[random.Below(alphabet.size())];
    EXPECT_EQ(TagNames(PageOf(WithTexts(text))),
              TagNames(PageOf(WithTexts(std::string(text.size(), 'x')))))
        << text;
  }
}

TEST(TreePage, ShowsEveryHostileTextAsItIsWritten) {
  for (const std::string text : {"<script>alert(1)</script>", "\"><img src=x>", "&lt;b&gt;"}) {
    const std::string page = PageOf(WithTexts(text));
    std::string escaped;
    for (const char c : std::string(text)) {
      escaped += c == '<'   ? "&lt;"
                 : c == '>' ? "&gt;"
                 : c == '&' ? "&amp;"
                 : c == '"' ? "&quot;"
                            : std::string(1, c);
    }
    EXPECT_THAT(page, HasSubstr("<title>" + escaped)) << text;
    EXPECT_THAT(page, HasSubstr("title=\"extracted answer\">" + escaped + "<")) << text;
  }
}

TEST(TreePage, HoldsNoControlCharacterAndNothingThatTurnsTheText) {
  std::string controls;
  for (char c = 1; c < 0x20; ++c) controls += c;
  const std::string page = PageOf(WithTexts(controls + "\x7f"));
  for (const char c : page) {
    EXPECT_TRUE(c == '\n' || c == '\t' || static_cast<unsigned char>(c) >= 0x20) << int{c};
    EXPECT_NE(c, '\x7f');
  }
  nlohmann::json record = FullRecord();
  record["problem_id"] = "p\u202egnp.exe\u2066";
  const std::string turned = PageOf(record);
  EXPECT_THAT(turned, Not(HasSubstr("\u202e")));
  EXPECT_THAT(turned, HasSubstr("p[U+202E]gnp.exe[U+2066]"));
}

TEST(TreePage, AsksForNothingOverTheNetwork) {
  static const std::set<std::string> kLoading = {"script", "img",   "link",  "iframe", "object",
                                                 "embed",  "audio", "video", "source", "base",
                                                 "form",   "image", "import"};
  for (const nlohmann::json& record : {FullRecord(), BareRecord("a\nb"), LongRecord(300)}) {
    size_t scripts = 0;
    for (const Tag& tag : Tags(PageOf(record))) {
      if (tag.name == "script") ++scripts;
      EXPECT_TRUE(tag.name == "script" || !kLoading.contains(tag.name)) << tag.name;
      for (const char* name : {"src", "srcset", "action", "formaction", "data", "poster", "ping",
                               "background", "xlink:href"}) {
        EXPECT_EQ(tag.Attribute(name), "") << tag.name << " " << name;
      }
      const std::string link = tag.Attribute("href");
      EXPECT_TRUE(link.empty() || link[0] == '#') << link;
      EXPECT_THAT(tag.Attribute("style"), Not(HasSubstr("url")));
      for (const auto& [attribute, value] : tag.attributes) {
        EXPECT_FALSE(attribute.starts_with("on")) << tag.name << " " << attribute;
      }
    }
    EXPECT_EQ(scripts, 1u);
  }
  for (const char* call : {"fetch(", "XMLHttpRequest", "WebSocket", "sendBeacon", "EventSource",
                           "import(", "import ", "new Image", "location.href", "eval(", "//cdn"}) {
    EXPECT_THAT(std::string(PageScript()), Not(HasSubstr(call)));
  }
}

}  // namespace
}  // namespace attnrl::tools
