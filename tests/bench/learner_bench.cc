// SPDX-License-Identifier: Apache-2.0
// Speed of the learner's update: a random model, a batch of responses, trained as in a run. Prints
// one JSON object. Flags come as key=value: hidden=128 layers=4 heads=4 kv_heads=2 intermediate=0
// (three times hidden) vocab=300 prompt=99 response=170 samples=144 steps=2 threads=1 bfloat16=0
// kl=0 (per mille) pass=16384 again=0 (1: layers are computed again on the way back, for less
// memory) disk=0 (1: between passes the reference model of kl lies in a file of the folder for
// temporary files). Responses share nothing; with points=2, say, they are trees: six of a problem
// share its prompt, and each has `children` (2) others that leave it at each of that many evenly
// spaced points. shortest=0: lengths are drawn between that and `response`. packed=0 computes what
// leaves share for each. checkpoint=1 writes a checkpoint of the start and waits for it at the end;
// 2 waits at once. Of several ranks (RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT) the first
// prints.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/machine.h"
#include "common/base/philox.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/model/files/weights.h"
#include "common/storage/files.h"
#include "services/learner/checkpoint/checkpoint.h"
#include "services/learner/ranks/gloo_group.h"
#include "services/learner/train/numerics.h"
#include "services/learner/train/trainer.h"
#include "services/learner/versions/version_file.h"
#include "tests/bench/settings.h"

namespace attnrl {
namespace {

// Responses, and where they have points what leaves them there.
class BatchMaker {
 public:
  explicit BatchMaker(const Settings& settings) : settings_(settings) {}

  scheduler::TrainingBatch Make() {
    const int64_t points = settings_.at("points");
    for (int64_t i = 0; i < settings_.at("samples"); ++i) {
      if (points == 0 || i % kResponses == 0) prompt_ = Grow({}, settings_.at("prompt"));
      const std::vector<int32_t> response = Grow({}, Length(0));
      Add(i, response);
      for (int64_t point = 1; point <= points; ++point) {
        const auto at = static_cast<int64_t>(response.size()) * point / (points + 1);
        for (int64_t child = 0; child < settings_.at("children"); ++child) {
          Add(i, Grow({response.begin(), response.begin() + at}, Length(at)));
        }
      }
    }
    return std::move(batch_);
  }

 private:
  static constexpr int64_t kResponses = 6;  // of a problem

  // A length of a response that is longer than `prefix`.
  int64_t Length(int64_t prefix) {
    const int64_t most = settings_.at("response");
    const int64_t shortest = settings_.at("shortest");
    const int64_t least = shortest == 0 ? most : std::max(shortest, prefix + 1);
    return least + Below(most - least + 1);
  }

  std::vector<int32_t> Grow(std::vector<int32_t> tokens, int64_t length) {
    while (static_cast<int64_t>(tokens.size()) < length) {
      tokens.push_back(static_cast<int32_t>(Below(settings_.at("vocab"))));
    }
    return tokens;
  }

  void Add(int64_t response, std::vector<int32_t> tokens) {
    scheduler::TrainingSample sample;
    sample.position = static_cast<uint32_t>(response / kResponses);
    sample.response = static_cast<uint32_t>(response % kResponses);
    sample.prompt_ids = prompt_;
    sample.response_ids = std::move(tokens);
    const auto count = static_cast<uint32_t>(sample.response_ids.size());
    sample.logprobs.assign(count, -5.7f);
    sample.advantages = {{count, batch_.samples.size() % 2 == 0 ? 1.0 : -1.0}};
    sample.versions = {{count, 0, false}};
    batch_.samples.push_back(std::move(sample));
  }

  int64_t Below(int64_t bound) {
    return static_cast<int64_t>(random_.Below(static_cast<uint64_t>(bound)));
  }

  const Settings& settings_;
  RandomStream random_{{.seed = 1}};
  std::vector<int32_t> prompt_;
  scheduler::TrainingBatch batch_;
};

int64_t TokensOf(const scheduler::TrainingBatch& batch) {
  int64_t tokens = 0;
  for (const scheduler::TrainingSample& sample : batch.samples) {
    tokens += static_cast<int64_t>(sample.prompt_ids.size() + sample.response_ids.size());
  }
  return tokens;
}

// Processor time of this process: tells more than wall time on a busy machine.
double CpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

int Fail(const absl::Status& status) {
  std::cerr << "error: " << status.message() << std::endl;
  return 1;
}

// With WORLD_SIZE in the environment: the other ranks.
absl::Status Join(std::unique_ptr<learner::RankGroup>* group) {
  ATTNRL_ASSIGN_OR_RETURN(const learner::RankPlace place, learner::ReadRankPlace(1, false));
  if (place.alone()) return absl::OkStatus();
  ATTNRL_ASSIGN_OR_RETURN(*group, learner::JoinRanks(place, {}));
  return absl::OkStatus();
}

// A run directory in the folder for temporary files, with a version as its model's file.
class RunDirectory {
 public:
  RunDirectory() {
    path_ = (std::filesystem::temp_directory_path() / "attnrl-bench-XXXXXX").string();
    if (mkdtemp(path_.data()) == nullptr) path_.clear();
  }
  ~RunDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  absl::Status Begin(learner::Trainer& trainer) {
    ATTNRL_ASSIGN_OR_RETURN(store_, learner::CheckpointStore::Open(path_));
    auto version = std::make_shared<const learner::VersionData>(
        learner::ToVersionData(0, trainer.parameters().leaves()));
    const std::string file = path_ + "/model.safetensors";
    ATTNRL_RETURN_IF_ERROR(learner::WriteVersionFile(file, *version));
    ATTNRL_RETURN_IF_ERROR(storage::WriteFileAtomically(path_ + "/config.json", "{}"));
    return store_->Begin({.digest = version->version.digest}, path_, {version, file}, trainer);
  }
  absl::Status Finish(learner::Trainer& trainer) {
    return store_->TakeComplete(trainer, /*wait=*/true).status();
  }

 private:
  std::string path_;
  std::unique_ptr<learner::CheckpointStore> store_;
};

int Run(int argc, char** argv) {
  Settings settings = {{"heads", 4},    {"kv_heads", 2},  {"intermediate", 0}, {"hidden", 128},
                       {"layers", 4},   {"vocab", 300},   {"prompt", 99},      {"kl", 0},
                       {"bfloat16", 0}, {"steps", 2},     {"response", 170},   {"threads", 1},
                       {"pass", 16384}, {"samples", 144}, {"checkpoint", 0},   {"again", 0},
                       {"points", 0},   {"children", 2},  {"shortest", 0},     {"packed", 1},
                       {"disk", 0}};
  if (!Parse(argc, argv, &settings)) return 2;
  KeepFreedMemory();  // as every service does
  learner::FixNumerics(static_cast<int>(settings["threads"]));
  std::unique_ptr<learner::RankGroup> group;
  if (const absl::Status joined = Join(&group); !joined.ok()) return Fail(joined);
  const model::ModelConfig config =
      BenchModel(settings, settings.at("prompt") + settings.at("response"));
  const model::DType dtype =
      settings["bfloat16"] != 0 ? model::DType::kBFloat16 : model::DType::kFloat32;
  learner::TrainerOptions options;
  options.objective.kl_weight = static_cast<double>(settings["kl"]) / 1000;
  options.max_tokens_per_pass = settings["pass"];
  if (settings["again"] != 0) options.checkpoint = learner::CheckpointLayers::kAll;
  if (settings["disk"] != 0) {
    options.reference = {.place = learner::ReferencePlace::kDisk,
                         .folder = std::filesystem::temp_directory_path().string()};
  }
  if (settings["packed"] == 0) options.prefixes = learner::Prefixes::kEach;
  options.first.learning_rate = 3e-4;
  learner::Trainer trainer(config, model::RandomTensors(config, 1, dtype), dtype, options,
                           group.get());
  const scheduler::TrainingBatch batch = BatchMaker(settings).Make();

  if (group != nullptr && group->rank() > 0) {
    const absl::Status followed = trainer.Follow(nullptr);
    return followed.ok() ? 0 : Fail(followed);
  }

  RunDirectory run;
  const absl::Duration start = Clock::Real().Monotonic();
  const double cpu = CpuSeconds();
  absl::Status checkpoint;
  if (settings["checkpoint"] != 0) checkpoint = run.Begin(trainer);
  if (checkpoint.ok() && settings["checkpoint"] == 2) checkpoint = run.Finish(trainer);
  if (!checkpoint.ok()) return Fail(checkpoint);
  const absl::Duration training = Clock::Real().Monotonic();
  absl::Duration fastest = absl::InfiniteDuration();
  for (int64_t step = 0; step < settings["steps"]; ++step) {
    const absl::Duration began = Clock::Real().Monotonic();
    if (const auto trained = trainer.Train(batch, nullptr); !trained.ok()) {
      return Fail(trained.status());
    }
    fastest = std::min(fastest, Clock::Real().Monotonic() - began);
  }
  const double cpu_seconds = CpuSeconds() - cpu;
  const absl::Duration trained = Clock::Real().Monotonic();
  const double seconds = absl::ToDoubleSeconds(trained - training);
  if (settings["checkpoint"] == 1) checkpoint = run.Finish(trainer);
  if (!checkpoint.ok()) return Fail(checkpoint);
  if (const absl::Status released = trainer.Release(/*finished=*/true); !released.ok())
    return Fail(released);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto tokens = static_cast<double>(settings["steps"] * TokensOf(batch));
  nlohmann::ordered_json json = {{"benchmark", "learner"}};
  for (const auto& [name, value] : settings) json[name] = value;
  json["parameters"] = trainer.parameters().layout().parameters();
  json["tokens"] = TokensOf(batch);  // of a step, leaf by leaf
  json["rows"] = trainer.rows() / std::max(int64_t{1}, settings["steps"]);  // computed for them
  json["seconds"] = seconds;
  json["fastest_step_seconds"] = absl::ToDoubleSeconds(fastest);
  json["cpu_seconds"] = cpu_seconds;
  json["tokens_per_second"] = tokens / seconds;
  json["tokens_per_cpu_second"] = tokens / cpu_seconds;
  if (settings["checkpoint"] != 0) {
    json["checkpoint_pause_seconds"] =
        absl::ToDoubleSeconds(settings["checkpoint"] == 1 ? trainer.copy_time() : training - start);
    json["checkpoint_seconds"] = absl::ToDoubleSeconds(
        (settings["checkpoint"] == 1 ? Clock::Real().Monotonic() : training) - start);
  }
  json["peak_rss_bytes"] = int64_t{1024} * usage.ru_maxrss;
  std::cout << PrintJson(json) << std::endl;
  return 0;
}

}  // namespace
}  // namespace attnrl

int main(int argc, char** argv) { return attnrl::Run(argc, argv); }
