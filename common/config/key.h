// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/config/config.h"

namespace attnrl::config {

// A value as a source has it: one text, or a list of them.
struct Written {
  std::vector<std::string> items = {};
  bool is_list = false;
  // Quoted in YAML: text, even where it looks like a number.
  bool quoted = false;
  // Begins as a list and is none.
  bool malformed = false;
};

// One key of the configuration: a line of the schema. Immutable; all functions are pure but for the
// Config that they are given.
class Key {
 public:
  Key(std::string name, std::string comment)
      : name_(std::move(name)), comment_(std::move(comment)) {}
  virtual ~Key() = default;

  const std::string& name() const { return name_; }  // "learner.learning_rate"
  const std::string& comment() const { return comment_; }
  std::string section() const { return name_.substr(0, name_.rfind('.')); }
  std::string leaf() const { return name_.substr(name_.rfind('.') + 1); }
  std::string variable() const;  // "ATTNRL_LEARNER_LEARNING_RATE"

  // What may stand there: "a whole number from 1 to 64".
  virtual std::string Allowed() const = 0;
  // Puts the value into the configuration; false where it is not allowed. Relative paths are
  // resolved against `base`, an absolute folder.
  virtual bool Set(const Written& written, const std::string& base, Config* config) const = 0;
  // The value in YAML's form; reads back to the same value.
  virtual std::string Print(const Config& config) const = 0;
  // The value as the one text that Set takes: not in quotes. Not for lists.
  virtual std::string Plain(const Config& config) const { return Print(config); }
  // Whether a value that was not Set, but assigned by a program, is allowed.
  virtual bool Valid(const Config& config) const = 0;

 private:
  const std::string name_;
  const std::string comment_;
};

using Keys = std::vector<std::unique_ptr<const Key>>;

// Every key, in the order of the reference file. Never destroyed.
const Keys& Schema();
// Null where there is none of this name.
const Key* FindKey(const std::string& name);
// "run", "algorithm", "algorithm.branching", ... in order, each with a comment.
const std::vector<std::pair<std::string, std::string>>& Sections();
bool IsSection(const std::string& name);

// The nearest key or section, for "did you mean"; empty where nothing is near.
std::string Nearest(const std::string& unknown);
// "unknown key ..." as an InputError at `where`.
absl::Status UnknownKey(const std::string& where, const std::string& unknown);

// `text` in YAML's double quotes.
std::string Quoted(const std::string& text);

// Sets what a preset stands for (common/tree/README.md, "Presets"); returns the names of these
// keys.
std::vector<std::string> ApplyPreset(AlgorithmName name, Config* config);

// One value of one source.
struct Assignment {
  const Key* key = nullptr;
  Written written = {};
  std::string where = {};  // "train.yaml:12", "ATTNRL_RUN_STEPS", "--set run.steps=5"
  std::string base = {};   // folder that relative paths start from
};

// A stage as a file has it.
struct WrittenStage {
  std::string where = {};
  int64_t from_step = 0;
  std::vector<Assignment> assignments = {};
};

// What a YAML file says, in its order.
struct FileContent {
  std::vector<Assignment> assignments = {};
  std::vector<WrittenStage> stages = {};
};

// Where a key's value came from, for errors: "train.yaml:12"; the key itself where it is a default.
using Sources = std::map<std::string, std::string>;
// Keys that say the same thing: where the assignments name one of two, the other follows it. Where
// they name both, ValidateFrom says whether they agree.
void FollowPairs(const std::vector<Assignment>& assignments, Config* config, Sources* sources);
// Ranges, then the rules between keys. InputError at the source of the first key that is wrong.
absl::Status ValidateFrom(const Config& config, const Sources& sources);

// Assigns in order; InputError at the first value that its key doesn't allow.
absl::Status Apply(const std::vector<Assignment>& assignments, Config* config, Sources* sources);
// Config::stages from those of a file. The configuration of each stage has to be valid by itself.
absl::Status ApplyStages(const std::vector<WrittenStage>& written, Config* config,
                         const Sources& sources);
// The stages in YAML's form, as ToYaml writes them; "" where there are none.
std::string PrintStages(const std::vector<Stage>& stages);
// What the reference file says about stages: comments and an example.
std::string ReferenceStages();

absl::StatusOr<FileContent> ReadFile(const std::string& file);
// A value that is no part of a YAML file: of the environment or a flag. Lists are "[a, b]", or one
// item alone.
Written ParsePlain(const Key& key, const std::string& text);

}  // namespace attnrl::config
