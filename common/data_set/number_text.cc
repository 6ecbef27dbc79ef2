// SPDX-License-Identifier: Apache-2.0
#include "common/data_set/number_text.h"

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/json/json.h"

namespace attnrl::data_set {
namespace {

using nlohmann::json;

// Walks a record and keeps the text of the number at one path; of equal keys the last one counts,
// as everywhere.
class Walk final : public nlohmann::json_sax<json> {
 public:
  explicit Walk(const std::vector<std::string>& path) : path_(path) {}

  const std::optional<std::string>& found() const { return found_; }

  bool null() override { return Value(); }
  bool boolean(bool) override { return Value(); }
  bool number_integer(int64_t number) override { return Number(absl::StrCat(number)); }
  bool number_unsigned(uint64_t number) override { return Number(absl::StrCat(number)); }
  bool number_float(double, const std::string& written) override { return Number(written); }
  bool string(std::string&) override { return Value(); }
  bool binary(json::binary_t&) override { return Value(); }
  bool start_object(size_t) override { return Open(false); }
  bool start_array(size_t) override { return Open(true); }
  bool key(std::string& key) override {
    at_.back() = key;
    return true;
  }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  // The place of the value that begins now, in `at_`.
  void Step() {
    if (at_.empty() || !lists_.back()) return;
    at_.back() = absl::StrCat(next_.back()++);
  }
  bool Value() {
    Step();
    return true;
  }
  bool Number(std::string written) {
    Step();
    if (at_ == path_) found_ = std::move(written);
    return true;
  }
  bool Open(bool list) {
    Step();
    at_.emplace_back();
    lists_.push_back(list);
    next_.push_back(0);
    return true;
  }
  bool Close() {
    at_.pop_back();
    lists_.pop_back();
    next_.pop_back();
    return true;
  }

  const std::vector<std::string>& path_;
  std::optional<std::string> found_;
  // One of each for every list or object that is open.
  std::vector<std::string> at_;
  std::vector<bool> lists_;
  std::vector<size_t> next_;
};

// The value at a path that leads to one.
const json& ValueAt(const json& record, const std::vector<std::string>& path) {
  const json* value = &record;
  for (const std::string& step : path) {
    value = value->is_array() ? &value->at(std::stoul(step)) : &value->at(step);
  }
  return *value;
}

}  // namespace

std::string NumberAsWritten(const storage::JsonLine& line, const std::vector<std::string>& path) {
  Walk walk(path);
  // A byte order mark in front of the first record is passed over by the parser.
  WalkJson(line.text, &walk);
  if (walk.found().has_value()) return *walk.found();
  return PrintJson(ValueAt(line.value, path));
}

}  // namespace attnrl::data_set
