// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/preflight.h"

#include <ATen/ATen.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/machine.h"
#include "common/base/status.h"
#include "common/device/device.h"
#include "common/model/files/config.h"
#include "common/model/files/weights.h"
#include "common/rpc/security/certificate.h"
#include "common/rpc/security/security.h"
#include "common/storage/files.h"
#include "services/branch_scheduler/assemble.h"
#include "services/rollout_worker/engine/kv_budget.h"
#include "services/rollout_worker/runner/runner.h"
#include "tools/attnrl/train/report.h"
#include "tools/attnrl/train/settings_check.h"

namespace attnrl::tools {
namespace {

absl::Status CheckBinaries(const std::string& folder) {
  for (const char* name : {"attnrl-rollout-worker", "attnrl-branch-scheduler", "attnrl-verifier",
                           "attnrl-learner", "attnrl-grader"}) {
    const std::string path = absl::StrCat(folder, "/", name);
    if (access(path.c_str(), X_OK) != 0) {
      return absl::NotFoundError(absl::StrCat(path, " is missing: tools/build builds it"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<model::DType> RunDType(const config::Config& config,
                                      const model::ModelConfig& shape) {
  if (config.model.dtype == "auto") return shape.dtype;
  return model::ParseDType(config.model.dtype, "model.dtype");
}

// Loads every tensor once: only that finds all damage.
absl::Status CheckWeights(const config::Config& config, const model::ModelConfig& shape,
                          model::DType dtype) {
  ATTNRL_RETURN_IF_ERROR(device::ParseDevice(config.rollout.device, "rollout.device").status());
  ATTNRL_ASSIGN_OR_RETURN(const at::Device device,
                          device::ParseDevice(config.learner.device, "learner.device"));
  static_cast<void>(device);
  ATTNRL_ASSIGN_OR_RETURN(const at::Device cpu, device::ParseDevice("cpu"));
  ATTNRL_ASSIGN_OR_RETURN(const model::Tensors weights,
                          model::LoadTensors(config.model.path, shape, dtype, cpu));
  for (const auto& [name, tensor] : weights) {
    // A sum is finite where every part is, but for an overflow, which float64 doesn't have here.
    if (std::isfinite(tensor.sum(at::kDouble).item<double>())) continue;
    return InputError(config.model.path,
                      absl::StrCat("the tensor ", name, " holds values that are not finite"),
                      "finite weights are needed");
  }
  return absl::OkStatus();
}

// A worker's slots hold the longest sequence that the configuration allows.
absl::Status CheckContext(const config::Rollout& rollout, const model::ModelConfig& shape) {
  const int64_t longest = rollout.max_prompt_tokens + rollout.max_response_tokens;
  if (longest <= shape.max_position_embeddings) return absl::OkStatus();
  return InputError("rollout.max_prompt_tokens, rollout.max_response_tokens",
                    absl::StrCat(rollout.max_prompt_tokens, " and ", rollout.max_response_tokens,
                                 " are ", longest, " tokens a sequence"),
                    absl::StrCat("the model's context is ", shape.max_position_embeddings));
}

// Bytes of the KV cache that a worker will choose.
absl::StatusOr<int64_t> KvBytes(const config::Rollout& rollout, const model::ModelConfig& shape,
                                model::DType dtype) {
  rollout::RunnerOptions runner;
  runner.dtype = dtype;
  runner.deterministic = rollout.deterministic;
  const int64_t block = rollout::KvBlockBytes(runner, shape);
  const bool host = rollout.device == "cpu";
  ATTNRL_ASSIGN_OR_RETURN(
      const int64_t blocks,
      rollout::ChooseKvBlocks(
          {.slots = rollout.slots,
           .max_tokens = rollout.max_prompt_tokens + rollout.max_response_tokens,
           .block_bytes = block,
           .bytes = rollout.kv_cache_bytes,
           .memory_limit = host ? MemoryLimit() : 0,
           .available = host ? AvailableMemory() : 0,
           .workers = std::max<int64_t>(1, rollout.workers)}));
  return blocks * block;
}

absl::Status CheckMemory(const config::Config& config, const MemoryEstimate& memory) {
  const int64_t machine = MemoryLimit();
  if (config.rollout.device != "cpu" || config.learner.device != "cpu" || machine <= 0 ||
      memory.total_bytes <= machine) {
    return absl::OkStatus();
  }
  const int64_t workers = config.rollout.workers, ranks = config.learner.ranks;
  return InputError(
      absl::StrCat("rollout.kv_cache_bytes, learner.max_tokens_per_pass",
                   workers > 1 ? ", rollout.workers" : "", ranks > 1 ? ", learner.ranks" : ""),
      absl::StrCat("the services would need about ", FormatBytes(memory.total_bytes), " (",
                   Counted(workers, "worker"), " of ", FormatBytes(memory.worker_bytes), ", ",
                   Counted(ranks, "learner process", "learner processes"), " of ",
                   FormatBytes(memory.learner_bytes), ")"),
      absl::StrCat("this machine has ", FormatBytes(machine),
                   "; a smaller cache, shorter responses, smaller passes",
                   workers > 1 ? ", fewer workers" : "", ranks > 1 ? ", fewer ranks" : "",
                   " need less"));
}

}  // namespace

absl::StatusOr<PreflightReport> CheckBeforeTraining(const config::Config& config,
                                                    const std::string& binary_folder,
                                                    const std::string& file) {
  if (const absl::Status complete = config::CheckComplete(config); !complete.ok()) {
    return file.empty() ? complete : Annotate(complete, file);
  }
  ATTNRL_RETURN_IF_ERROR(CheckBinaries(binary_folder));
  PreflightReport report;
  ATTNRL_ASSIGN_OR_RETURN(const model::ModelConfig shape,
                          model::LoadModelConfig(config.model.path, config.model.dtype != "auto"));
  ATTNRL_ASSIGN_OR_RETURN(const std::vector<int32_t> ends, model::LoadEndTokens(config.model.path));
  ATTNRL_RETURN_IF_ERROR(scheduler::OptionsOf(config, "", {ends, shape.vocab_size}, "").status());
  ATTNRL_ASSIGN_OR_RETURN(const model::DType dtype, RunDType(config, shape));
  const config::Config widest = config::Widest(config);
  ATTNRL_RETURN_IF_ERROR(CheckContext(widest.rollout, shape));
  ATTNRL_ASSIGN_OR_RETURN(report.data, CheckData(config, ends, binary_folder));
  ATTNRL_ASSIGN_OR_RETURN(const int64_t kv_bytes, KvBytes(widest.rollout, shape, dtype));
  const int64_t dtype_bytes = dtype == model::DType::kBFloat16 ? 2 : 4;
  report.memory = EstimateMemory(widest, shape, dtype_bytes, kv_bytes);
  report.disk = EstimateDisk(widest, shape, dtype_bytes);
  ATTNRL_RETURN_IF_ERROR(CheckMemory(config, report.memory));
  ATTNRL_RETURN_IF_ERROR(CheckWeights(config, shape, dtype));
  report.model = absl::StrCat(config.model.path, ": ", std::string(WordOf(shape.architecture)),
                              ", ", FormatCount(model::CountParameters(shape)), " weights, ",
                              std::string(model::DTypeName(dtype)));
  report.steps = OptimizerStepsText(config);
  report.warnings = SettingsWarnings(config, report.data.longest_prompt);
  if (const rpc::Security security = rpc::SecurityOf(config); security.tls()) {
    if (const auto certificate = rpc::ReadCertificate(security); !certificate.ok()) {
      report.warnings.push_back(absl::StrCat(
          std::string(certificate.status().message()),
          "; the services of attnrl train use Unix sockets and none of it, but one that is started "
          "with TCP will refuse it"));
    }
  }
  return report;
}

void PrintWarnings(const config::Config& config, const PreflightReport& report,
                   const std::string& folder) {
  if (const auto left = storage::FreeBytes(folder); left.ok()) {
    const std::string warning = DiskWarning(config, report.disk, *left);
    if (!warning.empty()) std::cerr << "warning: " << warning << "\n";
  }
  for (const std::string& warning : report.data.warnings) {
    std::cerr << "warning: " << warning << "\n";
  }
  for (const std::string& warning : report.warnings) {
    std::cerr << "warning: " << warning << "\n";
  }
  for (const std::string& variable : config.ignored_variables) {
    std::cerr << "warning: the environment variable " << variable
              << " names no key and is ignored\n";
  }
}

}  // namespace attnrl::tools
