// SPDX-License-Identifier: Apache-2.0
#include "common/device/nvml.h"

#include <dlfcn.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl::device {
namespace {

// As NVML's documentation has them: 0 is success, a device is a pointer, memory is in bytes.
using Result = int;
using Handle = void*;
struct Memory {
  unsigned long long total = 0;
  unsigned long long free = 0;
  unsigned long long used = 0;
};

template <typename Function>
bool Find(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
  return *function != nullptr;
}

}  // namespace

struct Nvml::Functions {
  Result (*init)() = nullptr;
  Result (*shutdown)() = nullptr;
  const char* (*error_string)(Result) = nullptr;
  Result (*handle_of)(const char*, Handle*) = nullptr;
  Result (*memory_of)(Handle, Memory*) = nullptr;
};

absl::StatusOr<std::unique_ptr<Nvml>> Nvml::Load(const std::string& library) {
  void* const loaded = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (loaded == nullptr) {
    return absl::UnavailableError(absl::StrCat("NVML can't be loaded: ", OneLine(dlerror(), 120)));
  }
  auto functions = std::make_unique<Functions>();
  const bool whole = Find(loaded, "nvmlInit_v2", &functions->init) &&
                     Find(loaded, "nvmlShutdown", &functions->shutdown) &&
                     Find(loaded, "nvmlErrorString", &functions->error_string) &&
                     Find(loaded, "nvmlDeviceGetHandleByPciBusId_v2", &functions->handle_of) &&
                     Find(loaded, "nvmlDeviceGetMemoryInfo", &functions->memory_of);
  if (!whole) {
    dlclose(loaded);
    return absl::UnavailableError(absl::StrCat(library, " isn't NVML, or of another version"));
  }
  if (const Result result = functions->init(); result != 0) {
    const std::string said = functions->error_string(result);
    dlclose(loaded);
    return absl::UnavailableError(absl::StrCat("NVML can't be used: ", said));
  }
  return std::unique_ptr<Nvml>(new Nvml(loaded, std::move(functions)));
}

Nvml::Nvml(void* library, std::unique_ptr<const Functions> functions)
    : library_(library), functions_(std::move(functions)) {}

Nvml::~Nvml() {
  functions_->shutdown();
  dlclose(library_);
}

absl::StatusOr<DeviceMemory> Nvml::MemoryOf(const std::string& address) const {
  Handle handle = nullptr;
  Memory memory;
  Result result = functions_->handle_of(address.c_str(), &handle);
  if (result == 0) result = functions_->memory_of(handle, &memory);
  if (result != 0) {
    return absl::UnavailableError(
        absl::StrCat("GPU ", address, ": ", functions_->error_string(result)));
  }
  return DeviceMemory{.free = static_cast<int64_t>(memory.free),
                      .total = static_cast<int64_t>(memory.total)};
}

}  // namespace attnrl::device
