// SPDX-License-Identifier: Apache-2.0
// Any bytes as a data set, a compressed one where they begin as such: each problem is whole and has
// an id of its own, and what is refused alone is left out with `skip_bad`.
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "common/data_set/problems.h"
#include "tests/fuzz/parsers/input_folder.h"

namespace attnrl::fuzz {
namespace {

constexpr std::string_view kZstandard = "\x28\xB5\x2F\xFD";

// How many problems were read, and of how many records nothing came.
struct Counts {
  int64_t problems = 0, skipped = 0;
};

absl::Status Read(const std::string& file, bool skip_bad, Counts* counts) {
  std::set<std::string> ids;
  data_set::FieldNames names;
  names.skip_bad = skip_bad;
  return data_set::ReadProblems(
      file, names,
      [&](const data_set::Problem& problem) {
        Require(!problem.id.empty() && ids.insert(problem.id).second, "an id is unique");
        Require(!problem.answers.texts.empty(), "a problem has an answer");
        Require(problem.line > 0 && !problem.where.empty(), "a problem has a place");
        ++counts->problems;
        return absl::OkStatus();
      },
      &counts->skipped);
}

void Check(std::string_view bytes) {
  static const InputFolder folder;
  const std::string file =
      folder.Write(bytes.starts_with(kZstandard) ? "data.jsonl.zst" : "data.jsonl", bytes);
  Counts strict, lenient;
  const absl::Status read = Read(file, false, &strict);
  Require(!read.ok() || strict.problems > 0, "an empty data set is refused");
  const absl::Status skipped = Read(file, true, &lenient);
  Require(
      !read.ok() || (skipped.ok() && lenient.problems == strict.problems && lenient.skipped == 0),
      "nothing is left out of a data set that is right");
  Require(!skipped.ok() || lenient.problems >= strict.problems, "nothing right is left out");
}

}  // namespace
}  // namespace attnrl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  attnrl::fuzz::Check({reinterpret_cast<const char*>(data), size});
  return 0;
}
