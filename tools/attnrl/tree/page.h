// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "tools/attnrl/tree/record.h"

namespace attnrl::tools {

// The tree of one problem as one HTML page that needs nothing else: no network, no fonts. It reads
// well on a phone, on paper, in the dark and without JavaScript (which adds the details on hover,
// keys and the buttons). Its content security policy lets only the page's own script run, should
// anything slip through the escaping. `source` says where the record lies. Pure.
std::string TreePage(const TreeProblem& problem, const std::string& source);

// page.css and page.js, embedded at build time.
std::string_view PageStyle();
std::string_view PageScript();

}  // namespace attnrl::tools
