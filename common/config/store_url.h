// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace attnrl::config {

// What a URL of a PostgreSQL database says, as far as others than libpq need it.
struct StoreUrl {
  std::string host = {};  // as written, with ports; empty: this machine's socket
  std::string database = {};
  bool local = false;      // nothing of it leaves this machine
  bool encrypted = false;  // no connection is made without TLS

  // For people.
  std::string Name() const;
};

// postgres://[user@][host[:port]][,...]/database[?parameter=value&...]. InputErrors say what is
// wrong and repeat no part that may be secret; a password is one of the wrongs.
absl::StatusOr<StoreUrl> ParseStoreUrl(std::string_view url);

}  // namespace attnrl::config
