// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/storage/jsonl.h"

namespace attnrl::data_set {

// What the fields of a data set are called, where they have names of their own; a name that is
// empty is recognised (common/data_set/README.md, "Recognised shapes").
struct FieldNames {
  std::string question = {};
  std::string answer = {};
  std::string id = {};
  // A record without a field of that name may have a recognised one instead: for evaluation sets,
  // which have other origins than the training set.
  bool or_recognised = false;
  // A record that is wrong is left out and counted, rather than the end of the reading.
  bool skip_bad = false;
  // How errors call the settings above: this and "question", "answer" or "id". Empty: the caller
  // has no such settings.
  std::string setting = "data.fields.";
};

// A field of a record, as long as the record is there.
struct Field {
  std::string name = {};               // "reward_model.ground_truth"
  std::vector<std::string> path = {};  // the keys that lead to it, {"reward_model", "ground_truth"}
  const nlohmann::json* value = nullptr;
};

// The field of this name, in which a dot leads into an object: "a.b" is the key "a.b" where there
// is one, otherwise "b" in "a". nullopt where there is none, or null.
std::optional<Field> FindField(const nlohmann::json& record, const std::string& name);

// The InputError for a record that has none of `names`: `<where>: <what> is missing: the record has
// "promt", "id"; did you mean "prompt" by "promt"? one of "prompt", "problem" is needed, or
// data.fields.question names another`. `role` is "question", "answer" or "id". `configured`: the
// one name is a setting's.
absl::Status Missing(const storage::JsonLine& line, std::string_view role,
                     const std::vector<std::string>& names, const FieldNames& settings,
                     bool configured);

// The InputError for a field that has another type: `<where>: field "answer" is true; <needed>`.
absl::Status WrongType(const storage::JsonLine& line, const Field& field, std::string_view needed);

// `"a", "b" and "c"`; long names and long lists are cut.
std::string Listed(const std::vector<std::string>& names, std::string_view last_word);

}  // namespace attnrl::data_set
