// SPDX-License-Identifier: Apache-2.0
#include "common/text/nfc.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>

#include <cstdint>

namespace attnrl::text {

std::string ComposeNfc(std::string_view text) {
  std::string out;
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(error);
  if (U_FAILURE(error)) return std::string(text);  // ICU's NFC data is compiled in
  icu::StringByteSink<std::string> sink(&out, static_cast<int32_t>(text.size()));
  nfc->normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<int32_t>(text.size())), sink,
                     nullptr, error);
  return U_FAILURE(error) ? std::string(text) : out;
}

}  // namespace attnrl::text
