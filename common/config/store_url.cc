// SPDX-License-Identifier: Apache-2.0
#include "common/config/store_url.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/base/status.h"

namespace attnrl::config {
namespace {

constexpr char kKey[] = "scheduler.store";
constexpr char kForm[] = "postgres://[user@]host[:port]/database[?sslmode=...]";

// Of libpq's parameters those that hold no secret and don't touch what the store sets itself.
constexpr std::array kParameters = {"channel_binding",
                                    "gssencmode",
                                    "host",
                                    "krbsrvname",
                                    "port",
                                    "sslcert",
                                    "sslcrl",
                                    "sslkey",
                                    "sslmode",
                                    "sslrootcert",
                                    "target_session_attrs"};

absl::Status Wrong(std::string_view what, std::string_view allowed) {
  return InputError(kKey, what, allowed);
}

// What stands before the first `mark`, and behind it; all and nothing where there is none.
std::pair<std::string_view, std::string_view> Cut(std::string_view text, char mark) {
  const size_t at = text.find(mark);
  if (at == std::string_view::npos) return {text, {}};
  return {text.substr(0, at), text.substr(at + 1)};
}

bool IsLocal(std::string_view host) {
  return host.empty() || host.starts_with('/') || host == "localhost" || host == "::1" ||
         host == "[::1]" || host.starts_with("127.");
}

// Of "host", "host:port" and "[address]:port"; empty where the port is no number.
absl::StatusOr<std::string> HostOf(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.ends_with(']')) return std::string(text);
  const std::string_view port = text.substr(colon + 1);
  if (port.empty() || !std::all_of(port.begin(), port.end(), absl::ascii_isdigit)) {
    return Wrong("has a port that is no number", kForm);
  }
  return std::string(text.substr(0, colon));
}

absl::Status ReadParameters(std::string_view query, StoreUrl* url) {
  while (!query.empty()) {
    const auto [part, rest] = Cut(query, '&');
    const auto [name, value] = Cut(part, '=');
    query = rest;
    if (name.find("password") != std::string_view::npos) {
      return Wrong("holds a password", "none: it is read from the file that PGPASSFILE names");
    }
    if (std::find(kParameters.begin(), kParameters.end(), name) == kParameters.end()) {
      return Wrong(absl::StrCat("has the parameter '", OneLine(name, 40), "'"),
                   absl::StrCat("one of ", absl::StrJoin(kParameters, ", ")));
    }
    if (name == "host") {
      url->host = absl::StrReplaceAll(std::string(value), {{"%2F", "/"}, {"%2f", "/"}});
      url->local = IsLocal(url->host);
    }
    if (name == "sslmode") {
      url->encrypted = value == "require" || value == "verify-ca" || value == "verify-full";
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string StoreUrl::Name() const {
  return absl::StrCat("PostgreSQL database ", database, " at ", host.empty() ? "its socket" : host);
}

absl::StatusOr<StoreUrl> ParseStoreUrl(std::string_view url) {
  constexpr std::string_view kScheme = "://";
  const size_t scheme = url.find(kScheme);
  if (scheme == std::string_view::npos ||
      (url.substr(0, scheme) != "postgres" && url.substr(0, scheme) != "postgresql")) {
    return Wrong("is no URL of a PostgreSQL database", kForm);
  }
  url.remove_prefix(scheme + kScheme.size());
  if (std::any_of(url.begin(), url.end(),
                  [](char c) { return absl::ascii_isspace(c) || absl::ascii_iscntrl(c); })) {
    return Wrong("has white space", kForm);
  }
  const auto [place, query] = Cut(url, '?');
  auto [hosts, database] = Cut(place, '/');
  if (const size_t at = hosts.rfind('@'); at != std::string_view::npos) {
    if (hosts.substr(0, at).find(':') != std::string_view::npos) {
      return Wrong("holds a password", "none: it is read from the file that PGPASSFILE names");
    }
    hosts.remove_prefix(at + 1);
  }
  StoreUrl parsed{.host = std::string(hosts), .database = std::string(database), .local = true};
  while (!hosts.empty()) {
    const auto [each, rest] = Cut(hosts, ',');
    hosts = rest;
    ATTNRL_ASSIGN_OR_RETURN(const std::string host, HostOf(each));
    parsed.local = parsed.local && IsLocal(host);
  }
  if (parsed.database.empty() || parsed.database.find_first_of("/@:") != std::string::npos) {
    return Wrong("names no database", kForm);
  }
  ATTNRL_RETURN_IF_ERROR(ReadParameters(query, &parsed));
  return parsed;
}

}  // namespace attnrl::config
