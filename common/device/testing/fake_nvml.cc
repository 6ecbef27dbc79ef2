// SPDX-License-Identifier: Apache-2.0
// A library with NVML's functions and one GPU, at 0000:01:00.0, of which a third is used.
#include <string>

extern "C" {

struct Memory {
  unsigned long long total, free, used;
};

int nvmlInit_v2() { return 0; }
int nvmlShutdown() { return 0; }
const char* nvmlErrorString(int result) { return result == 6 ? "Not Found" : "Unknown Error"; }
int nvmlDeviceGetHandleByPciBusId_v2(const char* address, void** handle) {
  static int gpu = 0;
  *handle = &gpu;
  return std::string(address) == "0000:01:00.0" ? 0 : 6;
}
int nvmlDeviceGetMemoryInfo(void*, Memory* memory) {
  *memory = {90000, 60000, 30000};
  return 0;
}
}
