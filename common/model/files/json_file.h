// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attnrl::model {

// A JSON object of a model folder with typed access. Every error is an InputError
// "<path>: <key> <what>; <allowed>". A key whose value is null counts as missing.
class JsonFile {
 public:
  // InputError where the file is missing, no JSON, or no object.
  static absl::StatusOr<JsonFile> Read(const std::string& path);

  // `prefix` stands before the keys in errors.
  JsonFile(std::string path, nlohmann::json value, std::string prefix = "")
      : path_(std::move(path)), prefix_(std::move(prefix)), value_(std::move(value)) {}

  const std::string& path() const { return path_; }
  // nullptr where there is none. Points into the object.
  const nlohmann::json* Find(std::string_view key) const;

  // A whole number in [1, max]; where missing `otherwise`, or an error without one.
  absl::StatusOr<int64_t> Size(std::string_view key, int64_t max,
                               std::optional<int64_t> otherwise = std::nullopt) const;
  // Finite and above zero.
  absl::StatusOr<double> PositiveNumber(std::string_view key, double otherwise) const;
  absl::StatusOr<bool> Bool(std::string_view key, bool otherwise) const;

  absl::Status Error(std::string_view key, std::string_view what, std::string_view allowed) const;

 private:
  std::string path_;
  std::string prefix_;
  nlohmann::json value_;
};

}  // namespace attnrl::model
