// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <charconv>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/device_name.h"
#include "common/config/key.h"

// The kinds of keys. `Get` is a function from a Config& to the member's reference and from a const
// Config& to a const one.
namespace attnrl::config {

// A number with as few digits as read back to the same bits. With a point before an exponent:
// otherwise some YAML readers take it for text.
inline std::string PrintReal(double value) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value).ptr;
  std::string text(buffer, end);
  const size_t exponent = text.find('e');
  if (exponent != std::string::npos && text.find('.') == std::string::npos) {
    text.insert(exponent, ".0");
  }
  return text;
}

// Whole numbers and reals within [low, high].
template <typename T, typename Get>
class NumberKey final : public Key {
 public:
  NumberKey(std::string name, Get get, T low, T high, std::string comment)
      : Key(std::move(name), std::move(comment)), get_(get), low_(low), high_(high) {}

  std::string Allowed() const override {
    constexpr const char* kWhat = std::integral<T> ? "a whole number" : "a number";
    return absl::StrCat(kWhat, " from ", Text(low_), " to ", Text(high_));
  }
  bool Set(const Written& written, const std::string&, Config* config) const override {
    if (written.is_list || written.quoted) return false;
    T value{};
    const std::string& text = written.items[0];
    bool parsed = false;
    if constexpr (std::integral<T>) {
      parsed = absl::SimpleAtoi(text, &value);
    } else {
      parsed = absl::SimpleAtod(text, &value);
    }
    if (!parsed || !InRange(value)) return false;
    get_(*config) = value;
    return true;
  }
  std::string Print(const Config& config) const override { return Text(get_(config)); }
  bool Valid(const Config& config) const override { return InRange(get_(config)); }

 private:
  // False for NaN.
  bool InRange(T value) const { return value >= low_ && value <= high_; }
  static std::string Text(T value) {
    if constexpr (std::integral<T>) {
      return absl::StrCat(value);
    } else {
      return PrintReal(value);
    }
  }

  const Get get_;
  const T low_;
  const T high_;
};

template <typename Get>
class BoolKey final : public Key {
 public:
  BoolKey(std::string name, Get get, std::string comment)
      : Key(std::move(name), std::move(comment)), get_(get) {}

  std::string Allowed() const override { return "true or false"; }
  bool Set(const Written& written, const std::string&, Config* config) const override {
    if (written.is_list || written.quoted) return false;
    const std::string& text = written.items[0];
    if (text != "true" && text != "false") return false;
    get_(*config) = text == "true";
    return true;
  }
  std::string Print(const Config& config) const override { return get_(config) ? "true" : "false"; }
  bool Valid(const Config&) const override { return true; }

 private:
  const Get get_;
};

// One of the words of an enum (common/base/words.h), or of a list, held as text.
template <typename Value, typename Get>
class ChoiceKey final : public Key {
 public:
  ChoiceKey(std::string name, Get get, std::vector<std::pair<std::string, Value>> words,
            std::string comment)
      : Key(std::move(name), std::move(comment)), get_(get), words_(std::move(words)) {}

  std::string Allowed() const override {
    return absl::StrJoin(words_, " | ",
                         [](std::string* out, const auto& each) { out->append(each.first); });
  }
  bool Set(const Written& written, const std::string&, Config* config) const override {
    if (written.is_list) return false;
    for (const auto& [word, value] : words_) {
      if (word != written.items[0]) continue;
      get_(*config) = value;
      return true;
    }
    return false;
  }
  std::string Print(const Config& config) const override {
    const Value& held = get_(config);
    for (const auto& [word, value] : words_) {
      if (value == held) return word;
    }
    // Assigned by a program: shown in the error.
    if constexpr (std::same_as<Value, std::string>) {
      return held;
    } else {
      return absl::StrCat(static_cast<int>(held));
    }
  }
  bool Valid(const Config& config) const override {
    return std::any_of(words_.begin(), words_.end(),
                       [&](const auto& each) { return each.second == get_(config); });
  }

 private:
  const Get get_;
  const std::vector<std::pair<std::string, Value>> words_;
};

// A device by its name (common/base/device_name.h), held as text.
template <typename Get>
class DeviceKey final : public Key {
 public:
  DeviceKey(std::string name, Get get, std::string comment)
      : Key(std::move(name), std::move(comment)), get_(get) {}

  std::string Allowed() const override { return "cpu | cuda | cuda:N"; }
  bool Set(const Written& written, const std::string&, Config* config) const override {
    if (written.is_list || !ParseDeviceName(written.items[0])) return false;
    get_(*config) = written.items[0];
    return true;
  }
  std::string Print(const Config& config) const override { return get_(config); }
  bool Valid(const Config& config) const override {
    return ParseDeviceName(get_(config)).has_value();
  }

 private:
  const Get get_;
};

enum class TextKind { kFree, kPath, kPathOrSystem, kAddress, kHostPort, kName };

inline constexpr char kSystem[] = "system";
inline constexpr size_t kMaxName = 64;

inline std::string Absolute(const std::string& path, const std::string& base) {
  if (path.empty()) return path;
  std::string out = (std::filesystem::path(base) / path).lexically_normal().string();
  while (out.size() > 1 && out.back() == '/') out.pop_back();
  return out;
}

template <typename Get>
class TextKey final : public Key {
 public:
  TextKey(std::string name, Get get, TextKind kind, std::string comment)
      : Key(std::move(name), std::move(comment)), get_(get), kind_(kind) {}

  std::string Allowed() const override {
    switch (kind_) {
      case TextKind::kFree:
        return "text";
      case TextKind::kPath:
        return "a path";
      case TextKind::kPathOrSystem:
        return absl::StrCat("a path, or ", kSystem);
      case TextKind::kAddress:
        return "unix:/path or host:port";
      case TextKind::kHostPort:
        return "host:port, port 0 takes a free one";
      case TextKind::kName:
        return absl::StrCat("1 to ", kMaxName, " letters, digits, \".\", \"_\" and \"-\"");
    }
    return "text";
  }
  bool Set(const Written& written, const std::string& base, Config* config) const override {
    if (written.is_list) return false;
    std::string text = written.items[0];
    if (kind_ == TextKind::kPath || (kind_ == TextKind::kPathOrSystem && text != kSystem)) {
      text = Absolute(text, base);
    }
    if (kind_ == TextKind::kAddress && text.rfind("unix:", 0) == 0) {
      text = "unix:" + Absolute(text.substr(5), base);
    }
    if (!Fits(text)) return false;
    get_(*config) = text;
    return true;
  }
  std::string Print(const Config& config) const override { return Quoted(get_(config)); }
  std::string Plain(const Config& config) const override { return get_(config); }
  bool Valid(const Config& config) const override { return Fits(get_(config)); }

 private:
  bool Fits(const std::string& text) const {
    if (text.find('\0') != std::string::npos) return false;
    const bool colon = text.find(':') != std::string::npos;
    if (kind_ == TextKind::kAddress) return text.empty() || colon;
    if (kind_ == TextKind::kHostPort) return colon;
    if (kind_ == TextKind::kName) {
      return !text.empty() && text.size() <= kMaxName &&
             std::all_of(text.begin(), text.end(), [](char letter) {
               return absl::ascii_isalnum(static_cast<unsigned char>(letter)) || letter == '.' ||
                      letter == '_' || letter == '-';
             });
    }
    return true;
  }

  const Get get_;
  const TextKind kind_;
};

// A list of paths; one alone needs no brackets.
template <typename Get>
class PathListKey final : public Key {
 public:
  PathListKey(std::string name, Get get, std::string comment)
      : Key(std::move(name), std::move(comment)), get_(get) {}

  std::string Allowed() const override { return "a list of paths"; }
  bool Set(const Written& written, const std::string& base, Config* config) const override {
    if (written.malformed) return false;
    std::vector<std::string> paths;
    for (const std::string& item : written.items) {
      if (!Fits(item)) return false;
      paths.push_back(Absolute(item, base));
    }
    get_(*config) = std::move(paths);
    return true;
  }
  std::string Print(const Config& config) const override {
    std::vector<std::string> quoted;
    for (const std::string& path : get_(config)) quoted.push_back(Quoted(path));
    return absl::StrCat("[", absl::StrJoin(quoted, ", "), "]");
  }
  bool Valid(const Config& config) const override {
    return std::all_of(get_(config).begin(), get_(config).end(), Fits);
  }

 private:
  static bool Fits(const std::string& path) {
    return !path.empty() && path.find('\0') == std::string::npos;
  }

  const Get get_;
};

}  // namespace attnrl::config
