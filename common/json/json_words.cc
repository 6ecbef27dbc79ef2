// SPDX-License-Identifier: Apache-2.0
#include "common/json/json_words.h"

namespace attnrl {

std::string JsonWords(const std::exception& error) {
  const std::string text = error.what();
  const size_t end = text.rfind("[json.exception.", 0) == 0 ? text.find("] ") : std::string::npos;
  return end == std::string::npos ? text : text.substr(end + 2);
}

}  // namespace attnrl
