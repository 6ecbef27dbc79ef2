// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attnrl::observe {

// Structured logging. A process says once what it is (StartLog); then anything may log, from any
// thread:
//   observe::LogInfo("checkpoint written", {{"step", 40}, {"path", path}});
// gives one line of JSON in the service's file:
//   {"time":"2026-11-24T10:15:00.123456Z","level":"info","service":"learner",
//    "message":"checkpoint written","fields":{"step":40,"path":"/runs/a/checkpoints/step-40"}}
// Text values are cut to 500 bytes and their control characters escaped: model text can't forge or
// flood a log. Before StartLog, and in tools, warnings and errors go to stderr as plain lines.
enum class Level { kDebug, kInfo, kWarning, kError };

// "debug" | "info" | "warning" | "error"; InputError otherwise.
absl::StatusOr<Level> ParseLevel(std::string_view name);

struct LogOptions {
  // The process's name in the log, e.g. "worker-0".
  std::string service;
  // Appended to, parents must exist. Empty: no file.
  std::string file;
  // A longer file is put aside as NAME.1.log, where there was one before it is gone.
  size_t max_bytes = size_t{16} << 20;
  Level level = Level::kInfo;
  // From this level on also a plain line on stderr.
  Level console = Level::kError;
};

// Replaces what was before. InputError when the file can't be opened.
absl::Status StartLog(const LogOptions& options);
// Writes out what is buffered and goes back to the state before StartLog.
void StopLog();

// A number, a truth value or text.
class FieldValue {
 public:
  template <std::integral T>
  FieldValue(T value) {  // NOLINT(google-explicit-constructor): written inline in calls
    if constexpr (std::same_as<T, bool>) {
      value_ = value;
    } else if constexpr (std::signed_integral<T>) {
      value_ = static_cast<int64_t>(value);
    } else {
      value_ = static_cast<uint64_t>(value);
    }
  }
  FieldValue(double value) : value_(value) {}  // NOLINT(google-explicit-constructor)
  FieldValue(const char* text)
      : value_(std::string(text)) {}                         // NOLINT(google-explicit-constructor)
  FieldValue(std::string text) : value_(std::move(text)) {}  // NOLINT(google-explicit-constructor)
  FieldValue(std::string_view text)                          // NOLINT(google-explicit-constructor)
      : value_(std::string(text)) {}
  // Written as its text, e.g. "OK" or "UNAVAILABLE: no connection".
  FieldValue(const absl::Status& status)  // NOLINT(google-explicit-constructor)
      : value_(status.ToString()) {}

  const std::variant<int64_t, uint64_t, double, bool, std::string>& value() const { return value_; }

 private:
  std::variant<int64_t, uint64_t, double, bool, std::string> value_;
};

struct Field {
  std::string_view name;
  FieldValue value;
};
using Fields = std::initializer_list<Field>;

void LogDebug(std::string_view message, Fields fields = {});
void LogInfo(std::string_view message, Fields fields = {});
void LogWarning(std::string_view message, Fields fields = {});
void LogError(std::string_view message, Fields fields = {});
// An error in the file alone: for what the process itself says on stderr.
void LogErrorInFile(std::string_view message, Fields fields = {});

}  // namespace attnrl::observe
