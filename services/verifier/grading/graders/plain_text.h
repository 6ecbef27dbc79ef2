// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace attnrl::verifier {

// `text` without white space, $ and \text{} (\mathrm{}, \textbf{}, ...) around all of it.
std::string PlainText(std::string_view text);

}  // namespace attnrl::verifier
