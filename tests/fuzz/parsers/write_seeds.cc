// SPDX-License-Identifier: Apache-2.0
// Writes the inputs that a parser's fuzzer starts with and that can't be written by hand; the
// others are in tests/fuzz/parsers/seeds.
//   write_seeds TARGET FOLDER
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/json/json.h"
#include "common/storage/zstd_text.h"
#include "common/text/testing/small_tokenizer.h"
#include "proto/attnrl/v1/branch_scheduler.pb.h"
#include "proto/attnrl/v1/verifier.pb.h"
#include "proto/attnrl/v1/weight_store.pb.h"
#include "services/branch_scheduler/convert/convert.h"
#include "services/verifier/convert/convert.h"
#include "services/verifier/process/frames.h"

namespace attnrl::fuzz {
namespace {

using Seeds = std::vector<std::string>;

Seeds Tokenizers() {
  nlohmann::json tokenizer = text::SmallTokenizer();
  Seeds seeds = {PrintJson(tokenizer)};
  tokenizer["normalizer"] = {{"type", "NFC"}};
  tokenizer["added_tokens"].push_back({{"id", 260}, {"content", "<|end|>"}, {"special", false}});
  tokenizer["pre_tokenizer"]["use_regex"] = false;
  seeds.push_back(PrintJson(tokenizer));
  return seeds;
}

Seeds Safetensors() {
  Seeds seeds;
  for (const std::string header :
       {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
        R"({"__metadata__":{"x":"y"},"a":{"dtype":"BF16","shape":[2,1],"data_offsets":[0,4]},)"
        R"("b":{"dtype":"F32","shape":[],"data_offsets":[4,8]}})"}) {
    std::string file(8, '\0');
    file[0] = static_cast<char>(header.size());
    seeds.push_back(file + header + std::string(8, 'x'));
  }
  return seeds;
}

Seeds DataSets() {
  return {storage::Compress("{\"prompt\":\"1+1?\",\"answer\":\"2\"}\n"),
          storage::Compress("[{\"question\":\"q\",\"answer\":\"#### 3\"}]")};
}

Seeds Frames() {
  verifier::GradeRequest request;
  request.id = "a";
  request.response = "\\boxed{1}";
  request.answers = {"1", "2"};
  verifier::GradeResult result;
  result.id = "a";
  result.status = verifier::GradeStatus::kGraded;
  result.extracted = "1";
  const std::string asked = verifier::EncodeRequest(request);
  const std::string answered = verifier::EncodeResult(result);
  return {asked, answered, verifier::Frame(verifier::kHello) + verifier::Frame(answered),
          verifier::Frame(asked) + verifier::Frame(asked)};
}

// The first byte of a seed is the target's place in requests_fuzzer.cc.
Seeds Requests() {
  Seeds seeds;
  const auto add = [&seeds](int target, const auto& message) {
    seeds.push_back(std::string(1, static_cast<char>(target)) + message.SerializeAsString());
  };
  scheduler::ItemResult result{.lease = scheduler::LeaseId{5}, .item = scheduler::ItemId{7}};
  result.version = {3, "digest"};
  result.span = {10, 11};
  for (const uint32_t node : {4u, 5u}) {
    scheduler::SampleResult sample{.node = node, .token_ids = {1, 3, 9}};
    sample.logprobs = {-1, 0, -0.5F};
    sample.entropy = {0, 1, 2};
    sample.steps = {{0, 2}, {2, 4}, {4, 5}};
    sample.fci = {0, 0, 0.5F};
    result.samples.push_back(std::move(sample));
  }
  const scheduler::WorkerMessage worker[] = {
      scheduler::Register{"w", 4, "numerics", {{scheduler::LeaseId{1}, scheduler::ItemId{2}}}, 4},
      result, scheduler::Renew{{scheduler::LeaseId{1}}, {9}},
      scheduler::GiveBack{{scheduler::LeaseId{1}}, "why", true}, scheduler::Credits{3}};
  for (const auto& message : worker) {
    v1::WorkerMessage wire;
    scheduler::ToProto(message, &wire);
    add(0, wire);
  }
  scheduler::Lease lease{scheduler::LeaseId{8}, {}};
  lease.item.item = scheduler::ItemId{77};
  lease.item.prompt_ids = {1, 2};
  lease.item.samples = {{6, 0, 100}};
  const scheduler::SchedulerMessage told[] = {
      scheduler::Registered{2, {scheduler::LeaseId{1}}, 60}, lease,
      scheduler::Ack{scheduler::LeaseId{1}, scheduler::AckVerdict::kFenced, "late"},
      scheduler::Cancel{{scheduler::LeaseId{1}}}, scheduler::Prefetch{{1, "d"}}};
  for (const auto& message : told) {
    v1::SchedulerMessage wire;
    scheduler::ToProto(message, &wire);
    add(1, wire);
  }
  scheduler::BatchCommit commit{.batch = 1, .version = {2, "d"}, .checkpoint_step = 2};
  commit.statistics.train = scheduler::Span{1, 2};
  v1::CommitBatchRequest commit_wire;
  scheduler::ToProto(commit, &commit_wire);
  add(2, commit_wire);
  v1::NextBatchReply reply;
  scheduler::TrainingSample sample{.prompt_ids = {1}, .response_ids = {2, 3}, .logprobs = {-1, -2}};
  sample.advantages = {{2, 0.5}};
  sample.versions = {{2, 1, false}};
  scheduler::ToProto(sample, reply.mutable_samples()->add_samples());
  add(3, reply);
  v1::StatusReply status;
  scheduler::ToProto(scheduler::RunStatus{.reason = "why", .batches = {{}}}, &status);
  add(4, status);
  v1::VerifyRequest verify;
  verifier::GradeRequest grade;
  grade.id = "a";
  grade.response = "r";
  grade.answers = {"1"};
  *verify.add_responses() = verifier::ToProto(grade);
  add(5, verify);
  v1::VerifyReply verified;
  for (int i = 0; i < 2; ++i) {
    *verified.add_results() = verifier::ToProto(verifier::GradeResult{});
  }
  add(6, verified);
  v1::VersionManifest manifest;
  manifest.mutable_version()->set_number(1);
  manifest.mutable_version()->set_digest("d");
  v1::TensorInfo& info = *manifest.add_tensors();
  info.set_name("a");
  info.set_dtype("F32");
  info.add_shape(2);
  info.set_bytes(8);
  manifest.set_total_bytes(8);
  add(7, manifest);
  return seeds;
}

int Main(int count, char** arguments) {
  const std::map<std::string, std::function<Seeds()>> all = {{"tokenizer", Tokenizers},
                                                             {"safetensors", Safetensors},
                                                             {"data_set", DataSets},
                                                             {"frames", Frames},
                                                             {"requests", Requests}};
  const auto seeds = all.find(count == 3 ? arguments[1] : "");
  if (seeds == all.end()) {
    std::cerr << "write_seeds tokenizer|safetensors|data_set|frames|requests FOLDER\n";
    return 2;
  }
  const std::string folder = arguments[2];
  std::filesystem::create_directories(folder);
  int written = 0;
  for (const std::string& seed : seeds->second()) {
    std::ofstream(folder + "/seed-" + std::to_string(written++), std::ios::binary) << seed;
  }
  std::cout << written << " inputs in " << folder << "\n";
  return 0;
}

}  // namespace
}  // namespace attnrl::fuzz

int main(int count, char** arguments) { return attnrl::fuzz::Main(count, arguments); }
