// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/tree/page.h"

#include <gmock/gmock.h>

#include <regex>
#include <set>

#include "tools/attnrl/tree/testing/test_record.h"

namespace attnrl::tools {
namespace {

using testing::HasSubstr;
using testing::Not;

// The page without its own style and script.
std::string Content(const nlohmann::json& record) {
  std::string page = PageOf(record);
  page.erase(page.find(PageStyle()), PageStyle().size());
  page.erase(page.find(PageScript()), PageScript().size());
  return page;
}

// Every element that is opened is closed, in order.
std::string Unbalanced(const std::string& html) {
  static const std::set<std::string> kVoid = {"meta", "br", "hr", "!DOCTYPE"};
  std::vector<std::string> open;
  const std::regex tag("<(/?)([!A-Za-z0-9]+)([^<>]*)>");
  for (std::sregex_iterator at(html.begin(), html.end(), tag), end; at != end; ++at) {
    const std::string name = (*at)[2];
    const std::string rest = (*at)[3];
    if (kVoid.contains(name) || (!rest.empty() && rest.back() == '/')) continue;
    if ((*at)[1].length() == 0) {
      open.push_back(name);
    } else if (open.empty() || open.back() != name) {
      return "</" + name + "> closes " + (open.empty() ? "nothing" : open.back());
    } else {
      open.pop_back();
    }
  }
  return open.empty() ? "" : open.back() + " is not closed";
}

TEST(TreePage, IsWellFormedAndSelfContained) {
  for (const nlohmann::json& record : {FullRecord(), BareRecord("a\nb"), LongRecord(300)}) {
    const std::string content = Content(record);
    EXPECT_EQ(Unbalanced(content), "");
    EXPECT_THAT(content, Not(testing::ContainsRegex("https?:")));
    EXPECT_THAT(content, Not(HasSubstr("src=")));
    EXPECT_THAT(content, Not(HasSubstr("<link")));
    EXPECT_THAT(content, Not(HasSubstr("nan")));
  }
  EXPECT_THAT(std::string(PageStyle()), Not(HasSubstr("url(")));
  EXPECT_THAT(std::string(PageStyle()), Not(HasSubstr("@import")));
}

TEST(TreePage, ShowsTheWholeTree) {
  const std::string content = Content(FullRecord());
  EXPECT_EQ(Times(content, "<details class=\"response"), 1);
  EXPECT_EQ(Times(content, "<section class=\"branch\""), 2);
  EXPECT_EQ(Times(content, "<article "), 3);
  for (const char* text : {"p7", "batch 3, position 1", "trained", "1 of 1", "above the threshold",
                           "filled up", "they disagree", "W(2)", "01234567", "worker-1", "cut off",
                           "no answer", "A \u22121.00", "not trained", "run/trees/batch-3.jsonl"}) {
    EXPECT_THAT(content, HasSubstr(text));
  }
  EXPECT_THAT(content, HasSubstr("0.75<small>mean reward of 4 leaves"));
}

TEST(TreePage, LinksLeadToWhatIsThere) {
  const std::string content = Content(FullRecord());
  const std::regex link("href=\"#([^\"]*)\"");
  for (std::sregex_iterator at(content.begin(), content.end(), link), end; at != end; ++at) {
    const std::string id = (*at)[1];
    EXPECT_EQ(Times(content, "id=\"" + id + "\""), 1) << id;
  }
}

TEST(TreePage, LeavesWhatAModelWroteInert) {
  const std::string attack = "</p><script>alert(1)</script><img src=x onerror=alert(2)>\n";
  nlohmann::json record = FullRecord();
  record["problem_id"] = attack;
  record["kept"] = attack;
  record["prompt_ids"] = Ids(attack);
  nlohmann::json& response = record["responses"][0];
  for (const char* name : {"finish_reason", "digest", "worker", "verdict", "extracted"}) {
    response[name] = "\"" + attack;
  }
  response["steps"] = nullptr;
  response["point_origin"] = {attack, attack};
  response["token_ids"] = Ids(attack);
  response["branches"][0]["children"][0]["token_ids"] = Ids(attack);
  const std::string content = Content(record);
  EXPECT_EQ(Times(content, "<script"), 1);  // the page's own
  EXPECT_THAT(content, Not(HasSubstr("<img")));
  EXPECT_THAT(content, HasSubstr("&lt;script&gt;"));
  EXPECT_EQ(Unbalanced(content), "");
}

TEST(TreePage, LetsNoOtherScriptRun) {
  const std::string page = PageOf(FullRecord());
  EXPECT_THAT(
      page, testing::ContainsRegex("default-src 'none';.*script-src 'sha256-[A-Za-z0-9+/]{43}='"));
  EXPECT_THAT(std::string(PageScript()), Not(HasSubstr("innerHTML")));
  EXPECT_THAT(std::string(PageScript()), Not(HasSubstr("</")));
}

TEST(TreePage, ShowsUnexpandedResponsesFolded) {
  nlohmann::json record = FullRecord();
  nlohmann::json other = record["responses"][0];
  other["expanded"] = false;
  other["points"] = nlohmann::json::array();
  other["point_origin"] = nlohmann::json::array();
  other["branches"] = nlohmann::json::array();
  other["segments"] = nullptr;
  record["responses"].push_back(other);
  const std::string content = Content(record);
  EXPECT_THAT(content, HasSubstr("<details class=\"response calm\" id=\"r1\">"));
  EXPECT_THAT(content, HasSubstr("<details class=\"response\" open id=\"r0\">"));
  EXPECT_THAT(content, HasSubstr("not expanded"));
}

TEST(TreePage, TellsNotGradedFromNotCorrect) {
  const std::string content = Content(BareRecord("a\nb"));
  EXPECT_THAT(content, HasSubstr("0 of 0<small>initial responses, 1 not graded"));
  EXPECT_THAT(content, HasSubstr("aria-label=\"not graded\""));
  EXPECT_THAT(content, Not(HasSubstr("aria-label=\"not correct\"")));
  EXPECT_THAT(content, Not(HasSubstr("value of the root")));
  EXPECT_THAT(Content(FullRecord()), Not(HasSubstr("not graded")));
}

TEST(TreePage, NamesEntropyWhereThereIsNoFci) {
  nlohmann::json record = FullRecord();
  record["responses"][0]["fci"] = nullptr;
  const std::string content = Content(record);
  EXPECT_THAT(content, HasSubstr("entropy (nats)"));
  EXPECT_THAT(content, Not(HasSubstr("FCI")));
}

TEST(TreePage, GrowsWithWhatIsThere) { EXPECT_LT(PageOf(LongRecord(1000)).size(), 400'000); }

}  // namespace
}  // namespace attnrl::tools
