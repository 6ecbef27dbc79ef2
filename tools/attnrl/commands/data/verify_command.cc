// SPDX-License-Identifier: Apache-2.0
#include <deque>
#include <future>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/machine.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/storage/files.h"
#include "common/storage/jsonl.h"
#include "services/verifier/process/grader_pool.h"
#include "tools/attnrl/command.h"

namespace attnrl::tools {
namespace {

// What is graded at once. With the window below this bounds the memory, whatever the input's size.
constexpr size_t kBatchRecords = 128;
constexpr size_t kBatchBytes = size_t{4} << 20;
// The longest response and answers of one record: twice what the grader reads of a response.
constexpr size_t kLongestRecord = size_t{32} << 20;

struct Options {
  std::string input = "-";
  std::string output = "-";
  int threads = 0;  // 0: one for each processor
  int timeout_ms = 1000;
  bool skip_bad = false;
  bool boxed = false;
  bool explain = false;
  std::string grader = "math";
  std::string stats;
};

// The records of a file on their way through the graders: batches are graded while the next ones
// are read, and written in the order of the input.
class Verification {
 public:
  Verification(const Options& options, verifier::GraderPool& pool, storage::JsonLinesWriter& writer)
      : options_(options),
        window_(static_cast<size_t>(options.threads) + 1),
        pool_(pool),
        writer_(writer) {}

  absl::Status Add(const storage::JsonLine& line) {
    verifier::GradeRequest request;
    ATTNRL_ASSIGN_OR_RETURN(nlohmann::json id, storage::AnyField(line, "id"));
    ATTNRL_ASSIGN_OR_RETURN(request.response, storage::StringField(line, "response"));
    ATTNRL_ASSIGN_OR_RETURN(request.answers, storage::StringListField(line, "answers"));
    if (request.answers.empty()) {
      return storage::BadRecord(line, "field \"answers\" is empty", "at least one is needed");
    }
    ATTNRL_ASSIGN_OR_RETURN(request.grader, GraderOf(line));
    request.anywhere = !options_.boxed;
    request.explain = options_.explain;
    size_t bytes = request.response.size();
    for (const std::string& answer : request.answers) bytes += answer.size();
    if (bytes > kLongestRecord) {
      return storage::BadRecord(line, absl::StrCat(bytes, " bytes of response and answers"),
                                absl::StrCat(kLongestRecord, " at most"));
    }
    bytes_ += bytes;
    ids_.push_back(std::move(id));
    requests_.push_back(std::move(request));
    return requests_.size() < kBatchRecords && bytes_ < kBatchBytes ? absl::OkStatus() : Flush();
  }

  // Writes everything that was added.
  absl::Status Finish() {
    ATTNRL_RETURN_IF_ERROR(Flush());
    while (!running_.empty()) ATTNRL_RETURN_IF_ERROR(WriteOldest());
    return absl::OkStatus();
  }

  int64_t records() const { return records_; }
  int64_t correct() const { return correct_; }
  const std::map<std::string, int64_t>& statuses() const { return statuses_; }

 private:
  // The record's own grader, or that of the flag.
  absl::StatusOr<std::string> GraderOf(const storage::JsonLine& line) const {
    if (line.value.find("grader") == line.value.end()) return options_.grader;
    ATTNRL_ASSIGN_OR_RETURN(std::string name, storage::StringField(line, "grader"));
    if (verifier::IsGrader(name)) return name;
    return storage::BadRecord(
        line, absl::StrCat("field \"grader\" holds \"", OneLine(name, 40), "\""),
        absl::StrCat("graders are ", absl::StrJoin(verifier::kGraders, ", ")));
  }

  using Results = absl::StatusOr<std::vector<verifier::GradeResult>>;

  struct Batch {
    std::vector<nlohmann::json> ids;
    std::shared_ptr<const std::vector<verifier::GradeRequest>> requests;
    std::future<Results> results;
  };

  absl::Status Flush() {
    if (requests_.empty()) return absl::OkStatus();
    if (running_.size() == window_) ATTNRL_RETURN_IF_ERROR(WriteOldest());
    auto requests =
        std::make_shared<const std::vector<verifier::GradeRequest>>(std::exchange(requests_, {}));
    running_.push_back(
        {std::exchange(ids_, {}), requests,
         std::async(std::launch::async, [this, requests] { return pool_.Grade(*requests); })});
    bytes_ = 0;
    return absl::OkStatus();
  }

  absl::Status WriteOldest() {
    Batch batch = std::move(running_.front());
    running_.pop_front();
    ATTNRL_ASSIGN_OR_RETURN(const std::vector<verifier::GradeResult> results, batch.results.get());
    for (size_t i = 0; i < results.size(); ++i) {
      const verifier::GradeResult& result = results[i];
      const std::string status(verifier::StatusName(result.status));
      ++records_;
      ++statuses_[status];
      nlohmann::ordered_json line = {
          {"id", std::move(batch.ids[i])}, {"correct", result.correct}, {"status", status},
          {"extracted", nullptr},          {"matched", nullptr},        {"micros", result.micros}};
      if (!result.extracted.empty()) line["extracted"] = result.extracted;
      if (result.correct) {
        ++correct_;
        line["matched"] = (*batch.requests)[i].answers[static_cast<size_t>(result.matched)];
      }
      if (options_.explain) line["explanation"] = result.explanation;
      ATTNRL_RETURN_IF_ERROR(writer_.Write(line));
    }
    return absl::OkStatus();
  }

  const Options& options_;
  const size_t window_;
  verifier::GraderPool& pool_;
  storage::JsonLinesWriter& writer_;
  // The batch being read, and those being graded, oldest first.
  std::vector<nlohmann::json> ids_;
  std::vector<verifier::GradeRequest> requests_;
  size_t bytes_ = 0;
  std::deque<Batch> running_;
  int64_t records_ = 0;
  int64_t correct_ = 0;
  std::map<std::string, int64_t> statuses_;
};

absl::Status WriteStats(const Options& options, const Verification& done, int64_t skipped,
                        absl::Duration taken, int64_t restarts) {
  if (options.stats.empty()) return absl::OkStatus();
  const double seconds = absl::ToDoubleSeconds(taken);
  nlohmann::ordered_json stats = {
      {"records", done.records()},
      {"correct", done.correct()},
      {"statuses", done.statuses()},
      {"skipped", skipped},
      {"restarts", restarts},
      {"seconds", seconds},
      {"records_per_second", seconds > 0 ? static_cast<double>(done.records()) / seconds : 0.0}};
  return storage::WriteFileAtomically(options.stats, PrintJson(stats) + "\n");
}

absl::Status Verify(const Options& options) {
  verifier::GraderPoolOptions pool_options;
  pool_options.children = options.threads;
  pool_options.timeout = absl::Milliseconds(options.timeout_ms);
  pool_options.max_queued = (static_cast<size_t>(options.threads) + 2) * kBatchRecords;
  pool_options.max_queued_bytes = size_t{1} << 30;
  ATTNRL_ASSIGN_OR_RETURN(const std::unique_ptr<verifier::GraderPool> pool,
                          verifier::GraderPool::Start(pool_options));
  ATTNRL_ASSIGN_OR_RETURN(storage::JsonLinesWriter writer,
                          storage::JsonLinesWriter::Open(options.output));
  const absl::Duration start = Clock::Real().Monotonic();
  int64_t skipped = 0;
  Verification verification(options, *pool, writer);
  ATTNRL_RETURN_IF_ERROR(storage::ReadJsonLines(
      options.input, options.skip_bad, &skipped,
      [&](const storage::JsonLine& line) { return verification.Add(line); }));
  ATTNRL_RETURN_IF_ERROR(verification.Finish());
  ATTNRL_RETURN_IF_ERROR(writer.Close());
  if (skipped > 0) std::cerr << skipped << " bad records were left out" << std::endl;
  return WriteStats(options, verification, skipped, Clock::Real().Monotonic() - start,
                    pool->counters().restarts);
}

}  // namespace

// `attnrl verify`: grades responses from a file, as the verifier of a run would.
void AddVerifyCommand(Command& app, Work* run) {
  Command& command = app.AddCommand("verify", "Grade responses against accepted answers");
  auto options = std::make_shared<Options>();
  command.Add("--input", &options->input,
              "JSON Lines of {\"id\",\"response\",\"answers\":[..]}; - is stdin");
  command.Add("--output", &options->output, "File for the verdicts; - is stdout");
  command
      .Add("--threads", &options->threads,
           "Number of grader processes (default: one for each processor)")
      .Between(1, 1024);
  command
      .Add(
          "--timeout-ms", &options->timeout_ms,
          "Processor time in milliseconds that one response may take before its grader is replaced")
      .Between(1, 3'600'000);
  command.Add("--stats", &options->stats, "File for counts and speed (JSON)").Writable();
  command.AddSwitch("--skip-bad", &options->skip_bad, "Leave bad records out and count them");
  command
      .Add("--grader", &options->grader,
           "How answers are compared, where a record has no field \"grader\"")
      .OneOf({std::begin(verifier::kGraders), std::end(verifier::kGraders)});
  command.AddSwitch("--boxed", &options->boxed,
                    "Only look into \\boxed{}, as in training; otherwise also behind \"the answer "
                    "is\" and for the last formula");
  command.AddSwitch("--explain", &options->explain,
                    "Say how both sides were read and which rule decided");
  command.Footer(
      "A verdict is {\"id\",\"correct\",\"status\",\"extracted\",\"matched\",\"micros\"}, in the "
      "order of the input, with --explain also \"explanation\".\nExample:\n  attnrl verify --input "
      "answers.jsonl --output verdicts.jsonl --threads 2");
  command.WhenChosen([options, run] {
    options->threads = ThreadsOr(options->threads);
    *run = [options] { return Verify(*options); };
  });
}

}  // namespace attnrl::tools
