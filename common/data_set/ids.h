// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <unordered_map>
#include <utility>

#include "absl/status/statusor.h"
#include "common/data_set/fields.h"
#include "common/storage/jsonl.h"

namespace attnrl::data_set {

// Gives the records of one file their ids, in order: the configured field, or the first there is of
// `id`, `unique_id`, `ID` and `extra_info.index`, a text or a whole number. Where no record has
// one, the id says where it stands: "line-17", in a JSON list "record-17". Memory: every id. One
// owner.
class Ids {
 public:
  explicit Ids(FieldNames names) : names_(std::move(names)) {}

  // InputError at file:line for an id of another type, an empty one or one that was there before,
  // and where some records have an id and others none.
  absl::StatusOr<std::string> Next(const storage::JsonLine& line);

 private:
  absl::Status OneIsMissing(const storage::JsonLine& line) const;

  const FieldNames names_;
  std::unordered_map<std::string, std::string> where_of_id_;
  // Where the first record stands, and whether it has an id: then all of them have, or none.
  std::string first_ = {};
  bool named_ = false;
};

}  // namespace attnrl::data_set
