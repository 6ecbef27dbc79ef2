// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

// Final answers of worked solutions, as data sets have them. Pure functions of linear time; any
// thread.
namespace attnrl::data_set {

// What follows the last `####` up to the end of the text, without white space around it: the form
// of GSM8K. nullopt where there is none, or where more than one line follows: then it is a heading.
// May be empty.
std::optional<std::string> BehindHashes(std::string_view text);

// What the last `\boxed{...}` holds, of nested ones the inner; braces must balance, escaped ones
// don't count. Also `\boxed 5`, up to the next `$` or the end of the line. nullopt where there is
// none.
std::optional<std::string> LastBox(std::string_view text);

// The final answer of a worked solution: its last box, else what is behind ####; nullopt where it
// has neither, or nothing in it.
std::optional<std::string> FinalAnswer(std::string_view solution);

}  // namespace attnrl::data_set
