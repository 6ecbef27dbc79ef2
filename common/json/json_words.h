// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <string>

namespace attnrl {

// What an exception of nlohmann's library says is wrong, for people: its text without the name and
// number in front, such as "key 'batch' not found". Any other exception's text as it is.
std::string JsonWords(const std::exception& error);

}  // namespace attnrl
