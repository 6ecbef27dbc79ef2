// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/data_set/fields.h"
#include "common/storage/jsonl.h"

namespace attnrl::data_set {

// What is asked: the messages of a chat, (role, content); a plain text is one message with the role
// "".
using Question = std::vector<std::pair<std::string, std::string>>;

// Whether the record has a field of a recognised or configured name, right or not.
bool HasQuestion(const storage::JsonLine& line, const FieldNames& names);

// The question of a record: the configured field, or the first there is of `messages`, `prompt`,
// `problem` and `question`, a text or a conversation. A conversation that ends with the assistant
// holds its own answer: another field is taken, and where there is none, it is refused. InputError
// at file:line.
absl::StatusOr<Question> QuestionOf(const storage::JsonLine& line, const FieldNames& names);

// For comparing: the contents of all messages but the system's, every run of white space as one
// blank, none at the ends.
std::string TextOf(const Question& question);

}  // namespace attnrl::data_set
