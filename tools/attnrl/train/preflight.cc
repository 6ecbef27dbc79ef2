// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/preflight.h"

#include <ATen/ATen.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <iostream>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/machine.h"
#include "common/base/status.h"
#include "common/device/device.h"
#include "common/device/gpus.h"
#include "common/model/files/config.h"
#include "common/model/files/weights.h"
#include "common/rpc/security/certificate.h"
#include "common/rpc/security/security.h"
#include "common/storage/files.h"
#include "services/branch_scheduler/assemble.h"
#include "tools/attnrl/train/estimate/run_shape.h"
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

// How many GPUs the processes of the run share, 0 where all compute on the CPU. Makes no context on
// one, which would take memory from them for as long as the run lasts.
absl::StatusOr<int> CheckDevices(const config::Config& config) {
  ATTNRL_ASSIGN_OR_RETURN(const at::Device rollout,
                          device::ParseDevice(config.rollout.device, "rollout.device"));
  ATTNRL_ASSIGN_OR_RETURN(const at::Device learner,
                          device::ParseDevice(config.learner.device, "learner.device"));
  if (rollout.is_cpu() && learner.is_cpu()) return 0;
  ATTNRL_ASSIGN_OR_RETURN(const int gpus, device::CountGpus());
  if (learner.is_cuda() && config.learner.ranks > gpus) {
    return InputError("learner.ranks",
                      absl::StrCat("is ", config.learner.ranks, ", and learner.device is cuda"),
                      absl::StrCat("at most ", gpus, ", as many GPUs as this machine has"));
  }
  return gpus;
}

// Whether what workers and learner keep fits into the `gpus` GPUs of this machine.
absl::Status CheckGpuMemory(const config::Config& config, const RunShape& shape, int gpus) {
  if (gpus == 0) return absl::OkStatus();
  std::vector<int64_t> bytes;
  for (int gpu = 0; gpu < gpus; ++gpu) bytes.push_back(device::GpuMemory(gpu));
  ATTNRL_ASSIGN_OR_RETURN(
      const std::vector<DeviceEstimate> devices,
      EstimateDevices(config, shape, *std::min_element(bytes.begin(), bytes.end())));
  return CheckSharedGpus(config, devices, bytes);
}

// Reads every tensor once: only that finds all damage.
absl::Status CheckWeights(const config::Config& config, const RunShape& shape) {
  ATTNRL_ASSIGN_OR_RETURN(const auto files,
                          model::WeightFiles::Open(config.model.path, shape.model));
  try {
    for (const auto& [name, extents] : model::TensorShapes(shape.model)) {
      ATTNRL_ASSIGN_OR_RETURN(at::Tensor tensor, files.Read(name));
      tensor = tensor.to(model::ToScalarType(shape.dtype));  // which may be more than it holds
      // A sum is finite where every part is, but for an overflow, which float64 doesn't have here.
      if (std::isfinite(tensor.sum(at::kDouble).item<double>())) continue;
      return InputError(config.model.path,
                        absl::StrCat("the tensor ", name, " holds values that are not finite"),
                        "finite weights are needed");
    }
  } catch (const std::exception& error) {  // memory that is not there
    return absl::ResourceExhaustedError(
        absl::StrCat(config.model.path, ": can't be read: ", OneLine(error.what())));
  }
  return absl::OkStatus();
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
  const config::Config widest = config::Widest(config);
  ATTNRL_ASSIGN_OR_RETURN(const RunShape shape, ReadRunShape(widest));
  ATTNRL_ASSIGN_OR_RETURN(const std::vector<int32_t> ends, model::LoadEndTokens(config.model.path));
  ATTNRL_RETURN_IF_ERROR(
      scheduler::OptionsOf(config, "", {ends, shape.model.vocab_size}, "").status());
  ATTNRL_ASSIGN_OR_RETURN(report.data, CheckData(config, ends, binary_folder));
  const bool host = config.rollout.device == "cpu";
  ATTNRL_ASSIGN_OR_RETURN(const int64_t kv_bytes,
                          KvBytes(widest.rollout, shape,
                                  {.limit = host ? MemoryLimit() : 0,
                                   .available = host ? AvailableMemory() : 0,
                                   .workers = config.rollout.workers,
                                   .host = host}));
  report.memory = EstimateMemory(widest, shape, kv_bytes);
  report.disk = EstimateDisk(widest, shape);
  ATTNRL_ASSIGN_OR_RETURN(report.gpus, CheckDevices(config));
  ATTNRL_RETURN_IF_ERROR(CheckHostMemory(config, report.memory, MemoryLimit()));
  ATTNRL_RETURN_IF_ERROR(CheckGpuMemory(widest, shape, report.gpus));
  ATTNRL_RETURN_IF_ERROR(CheckWeights(config, shape));
  report.model = absl::StrCat(config.model.path, ": ", ShapeText(shape));
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

absl::StatusOr<PlanReport> PlanByShapes(const config::Config& config, int64_t device_bytes,
                                        const std::string& file) {
  if (config.model.path.empty()) {
    const absl::Status missing =
        InputError("model.path", "is not set", "a folder with a config.json is needed");
    return file.empty() ? missing : Annotate(missing, file);
  }
  PlanReport report;
  const config::Config widest = config::Widest(config);
  ATTNRL_ASSIGN_OR_RETURN(const RunShape shape, ReadRunShape(widest));
  ATTNRL_ASSIGN_OR_RETURN(report.devices, EstimateDevices(widest, shape, device_bytes));
  report.model = ShapeText(shape);
  report.disk = EstimateDisk(widest, shape);
  report.steps = OptimizerStepsText(config);
  report.warnings = SettingsWarnings(config, config.rollout.max_prompt_tokens);
  return report;
}

void WarnOfIgnoredVariables(const config::Config& config) {
  for (const std::string& variable : config.ignored_variables) {
    std::cerr << "warning: the environment variable " << variable
              << " names no key and is ignored\n";
  }
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
  WarnOfIgnoredVariables(config);
}

}  // namespace attnrl::tools
