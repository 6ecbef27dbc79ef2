// SPDX-License-Identifier: Apache-2.0
#include "common/observe/log.h"

#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/spdlog.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/observe/notice.h"

namespace attnrl::observe {
namespace {

using nlohmann::ordered_json;

// Longest text value and message in a log, in bytes.
constexpr size_t kMaxText = 500;

constexpr std::string_view kLevelNames[] = {"debug", "info", "warning", "error"};

std::string_view LevelName(Level level) { return kLevelNames[static_cast<size_t>(level)]; }

ordered_json ToJson(const FieldValue& value) {
  return std::visit(
      [](const auto& held) -> ordered_json {
        if constexpr (std::is_same_v<std::decay_t<decltype(held)>, std::string>) {
          return OneLine(held, kMaxText);
        } else {
          return held;
        }
      },
      value.value());
}

// Tools never start a log: their warnings go to stderr.
LogOptions BeforeStart() {
  LogOptions options;
  options.console = Level::kWarning;
  return options;
}

// What the process writes to. Never destroyed: threads may log while the process ends.
class Log {
 public:
  static Log& Get() {
    static auto* log = new Log;
    return *log;
  }

  absl::Status Start(const LogOptions& options) {
    std::shared_ptr<spdlog::logger> file;
    if (!options.file.empty()) {
      try {
        auto sink = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(
            options.file, options.max_bytes, /*max_files=*/1);
        file = std::make_shared<spdlog::logger>(options.service, std::move(sink));
      } catch (const spdlog::spdlog_ex& error) {
        return InputError(options.file, absl::StrCat("can't be opened: ", OneLine(error.what())),
                          "a log file in an existing folder");
      }
      file->set_pattern("%v");
      file->set_level(spdlog::level::trace);
      // So that what a killed process logged last is in the file.
      file->flush_on(spdlog::level::info);
    }
    absl::MutexLock lock(&mutex_);
    options_ = options;
    file_ = std::move(file);
    return absl::OkStatus();
  }

  void Stop() {
    absl::MutexLock lock(&mutex_);
    if (file_ != nullptr) file_->flush();
    file_ = nullptr;
    options_ = BeforeStart();
  }

  void Write(Level level, std::string_view message, Fields fields, bool console = true,
             bool notice = false) {
    const absl::Time now = absl::Now();
    absl::MutexLock lock(&mutex_);
    if (file_ != nullptr && (notice || level >= options_.level)) {
      file_->log(level == Level::kDebug ? spdlog::level::debug : spdlog::level::info, "{}",
                 Record(now, level, message, fields, notice));
    }
    if (console && level >= options_.console) WriteConsole(level, message, fields);
  }

 private:
  std::string Record(absl::Time now, Level level, std::string_view message, Fields fields,
                     bool notice) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ordered_json record = {
        {"time", absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", now, absl::UTCTimeZone())},
        {"level", LevelName(level)},
        {"service", options_.service},
        {"message", OneLine(message, kMaxText)}};
    if (notice) record["notice"] = true;
    if (fields.size() > 0) {
      ordered_json& values = record["fields"] = ordered_json::object();
      for (const Field& field : fields) values[std::string(field.name)] = ToJson(field.value);
    }
    return PrintJson(record);
  }

  static void WriteConsole(Level level, std::string_view message, Fields fields) {
    std::string line =
        absl::StrCat(std::string(LevelName(level)), ": ", OneLine(message, kMaxText));
    for (const Field& field : fields) {
      const ordered_json value = ToJson(field.value);
      absl::StrAppend(&line, " ", std::string(field.name), "=",
                      value.is_string() ? value.get<std::string>() : PrintJson(value));
    }
    std::cerr << line + "\n" << std::flush;
  }

  absl::Mutex mutex_;
  LogOptions options_ ABSL_GUARDED_BY(mutex_) = BeforeStart();
  std::shared_ptr<spdlog::logger> file_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<Level> ParseLevel(std::string_view name) {
  for (const Level level : {Level::kDebug, Level::kInfo, Level::kWarning, Level::kError}) {
    if (name == LevelName(level)) return level;
  }
  return InputError("log level", absl::StrCat("found \"", OneLine(name, 40), "\""),
                    "debug, info, warning or error");
}

absl::Status StartLog(const LogOptions& options) { return Log::Get().Start(options); }
void StopLog() { Log::Get().Stop(); }

void LogDebug(std::string_view message, Fields fields) {
  Log::Get().Write(Level::kDebug, message, fields);
}
void LogInfo(std::string_view message, Fields fields) {
  Log::Get().Write(Level::kInfo, message, fields);
}
void LogWarning(std::string_view message, Fields fields) {
  Log::Get().Write(Level::kWarning, message, fields);
}
void LogError(std::string_view message, Fields fields) {
  Log::Get().Write(Level::kError, message, fields);
}
void LogErrorInFile(std::string_view message, Fields fields) {
  Log::Get().Write(Level::kError, message, fields, /*console=*/false);
}
void Notify(std::string_view message, Fields fields) {
  Log::Get().Write(Level::kWarning, message, fields, /*console=*/true, /*notice=*/true);
}

}  // namespace attnrl::observe
