// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/rpc/serve.h"

#include <algorithm>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/machine.h"
#include "common/base/status.h"
#include "common/device/device.h"
#include "common/device/gpu_metrics.h"
#include "common/kernels/isa.h"
#include "common/model/files/config.h"
#include "common/model/numerics.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "common/rpc/address.h"
#include "common/rpc/server.h"
#include "common/storage/files.h"
#include "common/text/steps.h"
#include "common/text/tokenizer.h"
#include "services/branch_scheduler/client/work_stream.h"
#include "services/learner/client/held_versions.h"
#include "services/learner/client/run_folder.h"
#include "services/learner/client/version_sender.h"
#include "services/learner/client/weight_client.h"
#include "services/rollout_worker/engine/engine.h"
#include "services/rollout_worker/runner/memory_choice.h"
#include "services/rollout_worker/runner/runner.h"
#include "services/rollout_worker/weights/version_loader.h"
#include "services/rollout_worker/work/worker.h"
#include "services/rollout_worker/work/worker_metrics.h"

namespace attnrl::rollout {
namespace {

struct Model {
  model::ModelConfig config;
  RunnerOptions runner;
  int64_t max_tokens = 0;  // prompt and response of a sequence
  size_t versions = 0;     // of the weights, held at once
};

// The policy's architecture and how it will be run, from the configuration.
absl::StatusOr<Model> ReadModel(const config::Config& config) {
  if (config.model.path.empty()) return InputError("model.path", "not set", "a model folder");
  Model model;
  ATTNRL_ASSIGN_OR_RETURN(model.config,
                          model::LoadModelConfig(config.model.path, config.model.dtype != "auto"));
  RunnerOptions& runner = model.runner;
  model.max_tokens =
      config.rollout.max_prompt_tokens + config::Widest(config).rollout.max_response_tokens;
  runner.deterministic = config.rollout.deterministic;
  runner.threads = ThreadsOr(config.rollout.threads);
  runner.dtype = model.config.dtype;
  if (config.model.dtype != "auto") {
    ATTNRL_ASSIGN_OR_RETURN(runner.dtype, model::ParseDType(config.model.dtype, "model.dtype"));
  }
  ATTNRL_ASSIGN_OR_RETURN(runner.device,
                          device::ParseDevice(config.rollout.device, "rollout.device"));
  if (config.algorithm.scores_attention()) {
    ATTNRL_ASSIGN_OR_RETURN(const text::Tokenizer tokenizer,
                            text::Tokenizer::Load(config.model.path));
    runner.segmenter =
        std::make_shared<const text::StepSegmenter>(tokenizer, config.algorithm.branching.steps);
    // Whether a token ends a sentence is known only a token later.
    runner.online_scores = config.rollout.fci_method != config::FciMethod::kRecompute &&
                           config.algorithm.branching.steps != StepCut::kSentence;
    if (config.rollout.fci_method == config::FciMethod::kOnline &&
        !CanScoreOnline(runner, model.config)) {
      return InputError("rollout.fci_method", "online",
                        absl::StrCat("recompute, as heads of ", model.config.head_dim,
                                     " elements have no kernels on ", runner.device.str()));
    }
  }
  if (model.max_tokens > model.config.max_position_embeddings) {
    return InputError(
        "rollout.max_prompt_tokens",
        absl::StrCat("makes ", model.max_tokens,
                     " tokens a sequence with rollout.max_response_tokens"),
        absl::StrCat("the model's context is ", model.config.max_position_embeddings));
  }
  ATTNRL_ASSIGN_OR_RETURN(const device::DeviceMemory memory, device::MemoryOf(runner.device));
  ATTNRL_ASSIGN_OR_RETURN(const MemoryChoice choice,
                          ChooseMemory({.slots = config.rollout.slots,
                                        .max_tokens = model.max_tokens,
                                        .kv_cache_bytes = config.rollout.kv_cache_bytes,
                                        .resident_versions = config.rollout.resident_versions,
                                        .workers = config.rollout.workers},
                                       runner, model.config, memory));
  runner.blocks = choice.blocks;
  model.versions = choice.versions;
  return model;
}

absl::Status LimitIsa(const std::string& most) {
  for (const auto& [word, isa] : kernels::WordsOf(kernels::Isa{})) {
    if (word == most) return kernels::LimitIsa(isa);
  }
  return absl::OkStatus();  // auto
}

std::string UsedIsaName() { return std::string(WordOf(kernels::UsedIsa())); }

std::string OwnAddress(const config::Config& config, const ServiceFlags& flags) {
  const std::string& scheduler = config.scheduler.address;
  if (!flags.address.empty()) return flags.address;
  if (scheduler.rfind("unix:", 0) != 0) return "127.0.0.1:0";
  return absl::StrCat(scheduler.substr(0, scheduler.rfind('/') + 1), flags.name, ".sock");
}

// Whether others that fetch from the same learner can reach this worker. Over a Unix socket the
// learner is as near as another worker.
bool IsRelay(const std::string& own, const config::Config& config) {
  const auto at = rpc::ParseAddress(own);
  const auto source = rpc::ParseAddress(config.learner.address);
  if (!at.ok() || !source.ok() || at->is_unix() || source->is_unix()) return false;
  const rpc::Security security = rpc::SecurityOf(config);
  if (!security.tls() && !rpc::CheckPlaintext(own, *at, security.allow_plaintext).ok())
    return false;
  // Who listens on loopback is reached from this machine alone.
  return !rpc::StaysOnMachine(*at) || rpc::StaysOnMachine(*source);
}

// Of this machine's folder of weights the run's own place; null where there is none that can be
// used, so that each worker has its own copy.
std::unique_ptr<learner::RunFolder> EnterRunFolder(const config::Config& config) {
  if (config.rollout.weights_folder.empty()) return nullptr;
  auto entered = learner::RunFolder::Enter(
      config.rollout.weights_folder,
      absl::StrCat(config.run.id, "\n", config.learner.address, "\n", config.scheduler.address));
  if (entered.ok()) return *std::move(entered);
  observe::LogWarning("weights are not shared with this machine's other processes",
                      {{"reason", entered.status()}});
  return nullptr;
}

WeightKeeperOptions KeeperOptions(const ServiceFlags& flags, Engine& engine) {
  WeightKeeperOptions options;
  options.name = flags.name;
  options.set = [&engine](uint32_t version, Weights weights) {
    engine.SetWeights(version, std::move(weights));
  };
  options.drop = [&engine](uint32_t version) { engine.DropWeights(version); };
  options.observe = ObserveWeights;
  return options;
}

std::string NumericsIdOf(const Model& model) {
  return model::NumericsId(model.runner.dtype, model.runner.device, model.runner.deterministic);
}

WorkerOptions MakeWorkerOptions(const config::Config& config, const ServiceFlags& flags,
                                const Model& model) {
  WorkerOptions options;
  options.name = flags.name;
  options.numerics_id = NumericsIdOf(model);
  options.slots = config.rollout.slots;
  options.max_tokens = model.max_tokens;
  options.vocabulary = model.config.vocab_size;
  options.drain_limit = absl::Seconds(config.scheduler.drain_seconds);
  options.lease_time = absl::Seconds(config.scheduler.lease_seconds);
  options.observe = ObserveCompletion;
  return options;
}

// The worker's loop, with somebody who passes the shutdown on to it.
absl::Status Serve(Worker& worker, rpc::Server& server, rpc::ShutdownSignal& shutdown) {
  server.SetServing(true);
  std::thread waiter([&] {
    shutdown.Wait();
    worker.Drain();
  });
  const absl::Status status = worker.Run();
  shutdown.Request();
  waiter.join();
  return status;
}

}  // namespace

absl::Status RunService(const config::Config& config, const ServiceFlags& flags,
                        rpc::ShutdownSignal& shutdown) {
  LimitThreads(ThreadsOr(config.rollout.threads));
  ATTNRL_RETURN_IF_ERROR(LimitIsa(config.rollout.isa));
  ATTNRL_ASSIGN_OR_RETURN(const Model model, ReadModel(config));
  ATTNRL_ASSIGN_OR_RETURN(auto metrics,
                          observe::MetricsServer::Start(config.observe.metrics_address));
  if (!flags.run_dir.empty()) {
    ATTNRL_RETURN_IF_ERROR(storage::WriteFileAtomically(
        absl::StrCat(flags.run_dir, "/logs/", flags.name, ".metrics"), metrics->address() + "\n"));
  }
  learner::HeldVersions held;
  learner::RelayService relay(held, static_cast<uint64_t>(config.learner.send_bytes_per_second));
  const bool relays = IsRelay(OwnAddress(config, flags), config);
  ATTNRL_ASSIGN_OR_RETURN(auto server,
                          rpc::Server::Start({.address = OwnAddress(config, flags),
                                              .security = rpc::SecurityOf(config),
                                              .service_name = "rollout",
                                              .health_address = config.observe.health_address},
                                             relays ? std::vector<grpc::Service*>{&relay}
                                                    : std::vector<grpc::Service*>{}));
  ATTNRL_ASSIGN_OR_RETURN(
      auto connector, scheduler::ConnectWork(config.scheduler.address, rpc::SecurityOf(config)));
  const std::unique_ptr<learner::RunFolder> run_folder = EnterRunFolder(config);
  learner::WeightClientOptions client_options;
  client_options.security = rpc::SecurityOf(config);
  if (run_folder != nullptr) client_options.host_folder = run_folder->path();
  if (relays) {
    ATTNRL_ASSIGN_OR_RETURN(const rpc::Address own, rpc::ParseAddress(server->address()));
    client_options.serves_at = own.port;
    client_options.held = &held;
  }
  ATTNRL_ASSIGN_OR_RETURN(auto weights,
                          learner::ConnectWeightStore(config.learner.address, client_options));
  ATTNRL_ASSIGN_OR_RETURN(auto runner, MakeRunner(model.runner, model.config));
  EngineOptions options;
  options.stepper = {.slots = config.rollout.slots,
                     .max_tokens = model.max_tokens,
                     .resident_versions = config.rollout.resident_versions};
  options.observe = StepObserver(config.rollout.slots, model.config);
  device::ReportGpuMemory(model.runner.device);
  device::ReportPeakFlops(model.runner.device, model.runner.dtype == model::DType::kBFloat16,
                          config.observe.peak_flops, "worker");
  observe::GetGauge(observe::kRolloutKernelIsa, {UsedIsaName()}).Set(1);
  const std::unique_ptr<Engine> engine = Engine::Start(std::move(options), std::move(runner));
  WeightKeeperOptions keeper_options = KeeperOptions(flags, *engine);
  // On one machine bytes are copied faster than they are compared.
  keeper_options.capacity = model.versions;
  keeper_options.keep_base = !absl::StartsWith(config.learner.address, "unix:");
  WeightKeeper keeper(std::move(keeper_options), *weights,
                      MakeVersionLoader(model.config, model.runner));
  Worker worker(MakeWorkerOptions(config, flags, model), *connector, *engine, keeper);
  observe::LogInfo(
      "rollout worker started",
      {{"address", server->address()},
       {"metrics", metrics->address()},
       {"isa", UsedIsaName()},
       {"threads", model.runner.threads},
       {"slots", config.rollout.slots},
       {"versions", model.versions},
       {"kv_cache_bytes", model.runner.blocks * KvBlockBytes(model.runner, model.config)},
       {"numerics", NumericsIdOf(model)}});
  const absl::Status status = Serve(worker, *server, shutdown);
  server->Shutdown(absl::Seconds(1));
  observe::LogInfo("rollout worker ended", {{"status", status}});
  return Annotate(status, absl::StrCat(flags.name, " can't go on"));
}

}  // namespace attnrl::rollout
