// SPDX-License-Identifier: Apache-2.0
// The program itself, as a shell runs it: what goes where, and with which exit code it ends. With
// `verify`, which needs a program beside it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "common/testing/temporary_folder.h"

namespace attnrl::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kProgram[] = ATTNRL_BINARY_DIR "/bin/attnrl";

class Program : public ::testing::Test {
 protected:
  // The exit code of `attnrl <arguments>` in a shell; -1 where a signal ended it.
  int Run(const std::string& arguments, const std::string& input = "") {
    folder_.Write("stdin", input);
    const int status = std::system(
        ("cd " + folder_.path() + " && " + kProgram + " " + arguments + " <stdin >stdout 2>stderr")
            .c_str());
    out_ = folder_.Read("stdout");
    error_ = folder_.Read("stderr");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  // The same with stdout at the end of a file, between two lines of others.
  int RunOnto(const std::string& file, const std::string& arguments,
              const std::string& input = "") {
    folder_.Write("stdin", input);
    const int status =
        std::system(("cd " + folder_.path() + " && exec 2>stderr && (echo line " +
                     "before 2>/dev/null; " + kProgram + " " + arguments +
                     " <stdin; code=$?; echo line after 2>/dev/null; exit $code) >" + file)
                        .c_str());
    const std::string all = folder_.Read("stdout");
    const size_t first = std::min(all.find('\n') + 1, all.size());
    const size_t last = std::max(first, all.rfind("line after"));
    before_ = all.substr(0, first);
    out_ = all.substr(first, std::min(last, all.size()) - first);
    after_ = all.substr(std::min(last, all.size()));
    error_ = folder_.Read("stderr");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  // The one line of an error, without "error: ".
  std::string Error() const {
    EXPECT_THAT(error_, StartsWith("error: "));
    EXPECT_EQ(error_.find('\n'), error_.size() - 1) << error_;
    EXPECT_EQ(out_, "");
    return error_.substr(7, error_.size() - 8);
  }
  // The verdicts on stdout as "id status matched", one a line.
  std::string Verdicts(const std::string& text) const {
    std::istringstream lines(text);
    std::string verdicts;
    for (std::string line; std::getline(lines, line);) {
      const auto record = nlohmann::json::parse(line);
      verdicts += record["id"].dump() + " " + record["status"].get<std::string>() + " " +
                  record["matched"].dump() + "\n";
    }
    return verdicts;
  }

  const TemporaryFolder folder_;
  std::string out_, error_, before_, after_;
};

TEST_F(Program, SaysWhatItIsOnStdout) {
  EXPECT_EQ(Run("--version"), 0);
  EXPECT_THAT(out_, ::testing::MatchesRegex("attnrl [0-9]+\\.[0-9]+\\.[0-9]+\n"));
  EXPECT_EQ(error_, "");
  EXPECT_EQ(Run("--help"), 0);
  for (const char* command :
       {"advantages", "branch", "check", "drain", "eval", "fci", "generate", "learn-bench",
        "make-task", "score", "sft", "show", "status", "tokenize", "train", "tree", "verify"}) {
    EXPECT_THAT(out_, HasSubstr(std::string("\n  ") + command + " ")) << command;
  }
  EXPECT_EQ(error_, "");
}

TEST_F(Program, EndsWithTwoAndOneLineWhereTheCommandLineIsWrong) {
  EXPECT_EQ(Run(""), 2);
  EXPECT_THAT(Error(), StartsWith("command line: no command; commands are advantages, branch, "));
  EXPECT_EQ(Run("trian"), 2);
  EXPECT_THAT(Error(), StartsWith("trian: no such command; did you mean train? "));
  EXPECT_EQ(Run("\"$(printf 'tra\\nin\\033[31m')\""), 2);
  EXPECT_THAT(Error(), StartsWith("tra\\nin\\x1b[31m: no such command; "));
  EXPECT_EQ(Run("make-task --count 3 --count 4"), 2);
  EXPECT_THAT(Error(), HasSubstr("--count"));
}

TEST_F(Program, EndsWithOneWhereTheWorkFails) {
  EXPECT_EQ(Run("make-task --count 1000 --output /dev/full"), 1);
  EXPECT_THAT(Error(), HasSubstr("/dev/full"));
  EXPECT_EQ(Run("status --scheduler unix:/nowhere/s.sock"), 1);
  EXPECT_THAT(Error(), HasSubstr("/nowhere/s.sock"));
}

constexpr char kResponses[] =
    R"({"id":"a","response":"\\boxed{0.5}","answers":["1","1/2"]})"
    "\n"
    R"({"id":7,"response":"I don't know","answers":["1"]})"
    "\n"
    "\n"
    R"({"id":null,"response":"\\boxed{\\frac}","answers":["1"],"more":[]})"
    "\n"
    R"({"id":{"x":1},"response":"\\boxed{2}","answers":["1"]})"
    "\n";

constexpr char kVerdicts[] =
    "\"a\" graded \"1/2\"\n"
    "7 no_answer null\n"
    "null unparsable null\n"
    "{\"x\":1} graded null\n";

TEST_F(Program, VerifiesFromStdinToStdoutInOrder) {
  EXPECT_EQ(Run("verify --boxed --threads 2", kResponses), 0);
  EXPECT_EQ(Verdicts(out_), kVerdicts);
  EXPECT_EQ(error_, "");
}

TEST_F(Program, WritesThroughTheNameOfADescriptorAndReplacesNothingBehindIt) {
  std::filesystem::create_symlink("/dev/stdout", folder_ / "link");
  for (const char* name : {"/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"}) {
    EXPECT_EQ(RunOnto("stdout", std::string("verify --boxed --output ") + name, kResponses), 0);
    EXPECT_EQ(Verdicts(out_), kVerdicts) << name;
    EXPECT_EQ(before_ + after_, "line before\nline after\n") << name;
  }
}

TEST_F(Program, EndsWithOneWhereItsResultsCantBeWritten) {
  for (const char* command : {"--version", "--help", "check --reference", "verify --help"}) {
    EXPECT_EQ(RunOnto("/dev/full", command), 1) << command;
    EXPECT_EQ(Error(), "standard output: not all could be written (is the disk full?)") << command;
  }
}

TEST_F(Program, EndsSilentlyWhereNobodyReadsOn) {
  folder_.Write("in", std::string(2000, '\n') + kResponses);
  for (const char* command :
       {"check --reference", "make-task --count 5000", "--help", "--version",
        "verify --boxed --input in", "verify --boxed --input in --output -"}) {
    const int status = std::system(("cd " + folder_.path() + " && mkfifo pipe && (exec 3<>pipe; " +
                                    "exec 4>pipe; exec 3<&-; " + kProgram + " " + command +
                                    " >&4 2>stderr; code=$?; rm pipe; exit $code)")
                                       .c_str());
    EXPECT_EQ(WEXITSTATUS(status), 141) << command;
    EXPECT_EQ(folder_.Read("stderr"), "") << command;
  }
}

TEST_F(Program, LooksForAnswersWithoutABoxWhereItMay) {
  const std::string response = R"({"id":"a","response":"The answer is 42.","answers":["42"]})"
                               "\n";
  EXPECT_EQ(Run("verify", response), 0);
  EXPECT_EQ(Verdicts(out_), "\"a\" graded \"42\"\n");
  EXPECT_EQ(Run("verify --boxed", response), 0);
  EXPECT_EQ(Verdicts(out_), "\"a\" no_answer null\n");
}

TEST_F(Program, VerifiesFilesAndCounts) {
  folder_.Write("in", kResponses);
  EXPECT_EQ(Run("verify --boxed --input in --output out --stats stats"), 0);
  EXPECT_EQ(Verdicts(folder_.Read("out")), kVerdicts);
  EXPECT_EQ(out_ + error_, "");
  const auto stats = nlohmann::json::parse(folder_.Read("stats"));
  EXPECT_EQ(stats["records"], 4);
  EXPECT_EQ(stats["correct"], 1);
  EXPECT_EQ(stats["skipped"], 0);
  EXPECT_EQ(stats["restarts"], 0);
  EXPECT_EQ(stats["statuses"].dump(), R"({"graded":2,"no_answer":1,"unparsable":1})");
}

constexpr char kGood[] = R"({"id":1,"response":"\\boxed{1}","answers":["1"]})"
                         "\n";

struct BadRecord {
  const char* record;
  const char* what;
};
constexpr BadRecord kBadRecords[] = {
    {"not json", "in:2: not JSON at byte "},
    {R"({"response":"","answers":["1"]})", "in:2: field \"id\" is missing"},
    {R"({"id":1,"response":5,"answers":["1"]})", "in:2: field \"response\" is 5"},
    {R"({"id":1,"response":""})", "in:2: field \"answers\" is missing"},
    {R"({"id":1,"response":"","answers":[]})", "in:2: field \"answers\" is empty"},
};

TEST_F(Program, VerifyNamesTheLineOfABadRecordAndWritesNothing) {
  for (const BadRecord& each : kBadRecords) {
    folder_.Write("in", std::string(kGood) + each.record + "\n" + kGood);
    EXPECT_EQ(Run("verify --input in --output out"), 2) << each.record;
    EXPECT_THAT(Error(), StartsWith(each.what));
    EXPECT_EQ(folder_.Read("out"), "");
  }
}

TEST_F(Program, VerifyLeavesBadRecordsOutAndCountsThemWhenAsked) {
  std::string input;
  for (const BadRecord& each : kBadRecords) input += std::string(kGood) + each.record + "\n";
  EXPECT_EQ(Run("verify --skip-bad --stats stats", input), 0);
  std::string wanted;
  for (size_t i = 0; i < std::size(kBadRecords); ++i) wanted += "1 graded \"1\"\n";
  EXPECT_EQ(Verdicts(out_), wanted);
  EXPECT_EQ(error_, "5 bad records were left out\n");
  EXPECT_EQ(nlohmann::json::parse(folder_.Read("stats"))["skipped"], 5);
}

TEST_F(Program, VerifyNamesFilesThatCannotBeUsed) {
  EXPECT_EQ(Run("verify --input nowhere"), 2);
  EXPECT_EQ(Error(),
            "nowhere: can't be read: No such file or directory; a JSON Lines file is needed");
  EXPECT_EQ(Run("verify --output no/such/out", kResponses), 2);
  EXPECT_THAT(Error(), StartsWith("no/such/out"));
  EXPECT_EQ(Run("verify --output /dev/full", kResponses), 1);
  EXPECT_THAT(Error(), HasSubstr("/dev/full"));
}

}  // namespace
}  // namespace attnrl::tools
