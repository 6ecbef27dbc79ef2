// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/tree/page.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/storage/digest.h"
#include "tools/attnrl/tree/markup.h"
#include "tools/attnrl/tree/overview.h"
#include "tools/attnrl/tree/section.h"
#include "tools/attnrl/tree/summary.h"

namespace attnrl::tools {
namespace {

constexpr size_t kLongPrompt = 4000;  // bytes

// The policy names the script by its digest, so that no other one runs.
std::string Policy() {
  const std::string digest = absl::HexStringToBytes(storage::Sha256Hex(PageScript()));
  return absl::StrCat(
      "default-src 'none'; base-uri 'none'; form-action 'none'; style-src "
      "'unsafe-inline'; script-src 'sha256-",
      absl::Base64Escape(digest), "'");
}

// Empty lines at the end of a prompt are of no use to a reader.
std::string WithoutLastLines(const std::string& text) {
  return text.substr(0, text.find_last_not_of('\n') + 1);
}

std::string Prompt(const TreeProblem& problem) {
  return absl::StrCat("<details class=\"prompt\"",
                      problem.prompt.size() > kLongPrompt ? "" : " open",
                      "><summary><h2>Prompt</h2><span class=\"facts\"><span>",
                      Counted(problem.prompt_tokens, "token", "tokens"),
                      "</span></span></summary>\n<p class=\"flow\">",
                      Escaped(WithoutLastLines(problem.prompt)), "</p></details>\n");
}

}  // namespace

std::string TreePage(const TreeProblem& problem, const std::string& source) {
  std::string out = absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
      R"(<meta http-equiv="Content-Security-Policy" content=")", Policy(), "\">\n",
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>", Escaped(problem.id),
      " \u00b7 batch ", problem.batch, "</title>\n<style>\n", std::string(PageStyle()),
      "</style>\n</head>\n<body>\n", OutcomeSymbols(), "<main>\n", SummarySection(problem, source));
  absl::StrAppend(&out, R"(<figure class="overview" tabindex="0" aria-label="Overview">)",
                  OverviewSvg(problem), "</figure>\n", Prompt(problem),
                  "<nav class=\"tools\" hidden><button type=\"button\" data-all=\"open\">Unfold all"
                  "</button><button type=\"button\" data-all=\"close\">Fold responses</button>"
                  "<span>\u2191 \u2193 walk the steps, Esc goes back to the top</span></nav>\n");
  for (size_t i = 0; i < problem.responses.size(); ++i) {
    absl::StrAppend(&out, ResponseSection(problem, i));
  }
  return absl::StrCat(out, "</main>\n<script>", std::string(PageScript()),
                      "</script>\n</body>\n</html>\n");
}

}  // namespace attnrl::tools
