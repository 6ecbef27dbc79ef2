// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace attnrl::tools {

// Text for HTML, inside an element or a quoted attribute: markup characters are escaped, control
// characters (but newline and tab) become their pictures, and characters that turn the direction of
// writing are spelled out, so that what a model wrote can neither run nor hide. `text` is UTF-8.
std::string Escaped(std::string_view text);

// "8,192"
std::string Count(int64_t number);
// "1 token", "8,192 tokens"
std::string Counted(int64_t number, std::string_view one, std::string_view many);
// "+0.40", with a true minus sign; no more digits than tell a value from 0.
std::string Signed(double value);
// Three significant digits, as short as they can be.
std::string Short(double value);
// Percentage for a style, "37.5%"; `share` is cut to [0, 1].
std::string Percent(double share);

// How strongly a score is shaded: the square root of its share of the largest, so that low scores
// can still be told apart. In [0, 1]; 0 where `largest` is 0.
double Shade(double score, double largest);

// The attributes of an element in the diverging colour of an advantage: class "<classes> pos" or
// "neg", and its strength among `largest` in front of what else its `style` says.
std::string AdvantageAttributes(std::string_view classes, double advantage, double largest,
                                std::string_view style = "");

}  // namespace attnrl::tools
