// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "common/config/config.h"
#include "common/config/key.h"

namespace attnrl::config {

// Tests only: different values that may stand at `key`, read from what it says is allowed; of a
// number both bounds. All but one key have two.
inline std::vector<std::string> AllowedValues(const Key& key) {
  static const std::map<std::string, std::vector<std::string>> kKinds = {
      {"true or false", {"false", "true"}},
      {"cpu | cuda | cuda:N", {"cpu", "cuda:1"}},
      {"text", {"a", "b"}},
      {"a path", {"/a", "/b"}},
      {"a path, or system", {"system", "/a"}},
      {"1 to 64 letters, digits, \".\", \"_\" and \"-\"", {"a", "b"}},
      {"a list of paths", {"[/a]", "[/a, /b]"}},
      {"unix:/path or host:port", {"unix:/s", "host:1"}},
      {"host:port, port 0 takes a free one", {"host:0", "host:1"}}};
  const std::string allowed = key.Allowed();
  if (const auto found = kKinds.find(allowed); found != kKinds.end()) return found->second;
  const size_t from = allowed.find(" from ");
  if (from != std::string::npos) return absl::StrSplit(allowed.substr(from + 6), " to ");
  return absl::StrSplit(allowed, " | ");
}

inline bool IsNumber(const Key& key) { return absl::StrContains(key.Allowed(), " from "); }

// The defaults with one key set to `text`.
inline Config With(const Key& key, const std::string& text) {
  Config config;
  EXPECT_TRUE(key.Set(ParsePlain(key, text), "/", &config)) << key.name() << " " << text;
  return config;
}

// "a.b.c" and a value as a line of YAML.
inline std::string YamlOf(const Key& key, const std::string& text) {
  std::string yaml = "{" + key.leaf() + ": " + text + "}";
  const std::vector<std::string> sections = absl::StrSplit(key.section(), '.');
  for (size_t i = sections.size(); i > 1; --i) yaml = "{" + sections[i - 1] + ": " + yaml + "}";
  return sections[0] + ": " + yaml + "\n";
}

}  // namespace attnrl::config
