// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/whole/whole_table.h"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <functional>

#include "common/base/clock.h"
#include "common/device/gpus.h"
#include "common/device/peak_flops.h"

namespace attnrl::bench {
namespace {

// The shortest of some times, after a first one.
double ShortestOf(at::Device device, const std::function<void()>& work) {
  double shortest = 0;
  for (int i = 0; i < 6; ++i) {
    WaitFor(device);
    const absl::Duration start = Clock::Real().Monotonic();
    work();
    WaitFor(device);
    const double seconds = absl::ToDoubleSeconds(Clock::Real().Monotonic() - start);
    if (i == 1 || (i > 1 && seconds < shortest)) shortest = seconds;
  }
  return std::max(shortest, 1e-9);
}

std::string NameOf(at::Device device) {
  return device.is_cuda() ? device::GpuName(device.index()) : device.str();
}

}  // namespace

void WaitFor(at::Device device) {
  if (device.is_cpu()) return;
  const auto index = std::max<at::DeviceIndex>(device.index(), 0);
  c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(index);
}

DeviceSpeed MeasureDevice(at::Device device, int64_t size) {
  const at::TensorOptions bfloat16 = at::TensorOptions(at::kBFloat16).device(device);
  const auto numbers = [&] {
    return at::rand({size, size}, at::TensorOptions(at::kFloat)).to(bfloat16);
  };
  const at::Tensor a = numbers(), b = numbers();
  at::Tensor product = at::empty({size, size}, bfloat16);
  DeviceSpeed speed;
  const auto n = static_cast<double>(size);
  speed.multiplied = 2 * n * n * n / ShortestOf(device, [&] { at::mm_out(product, a, b); });
  const at::Tensor from = at::zeros({size * size * 8}, bfloat16);
  const at::Tensor to = at::empty_like(from);
  speed.copied = 32 * n * n / ShortestOf(device, [&] { to.copy_(from, /*non_blocking=*/true); });
  if (device.is_cuda()) speed.peak = device::PeakFlops(NameOf(device));
  return speed;
}

WholeTable::WholeTable(at::Device device, const DeviceSpeed& speed) : speed_(speed) {
  char date[16];
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof(date), "%Y-%m-%d", std::localtime(&now));
  std::printf("%s, %s: copies %.2f TB/s, a square product in bfloat16 does %.0f TFLOP/s", date,
              NameOf(device).c_str(), speed.copied * 1e-12, speed.multiplied * 1e-12);
  if (speed.peak.has_value()) std::printf(", the data sheet says %.0f", *speed.peak * 1e-12);
  std::printf(
      "\n\n| step | milliseconds | tokens a second | TB/s (of a copy) | "
      "TFLOP/s (of the product%s) |\n|---|---|---|---|---|\n",
      speed.peak.has_value() ? ", of the data sheet" : "");
  std::fflush(stdout);
}

void WholeTable::AddCost(const std::string& what, const StepCost& cost) {
  const double bytes = cost.bytes / cost.seconds, flops = cost.flops / cost.seconds;
  std::printf("| %s | %.2f | %.0f | ", what.c_str(), cost.seconds * 1e3,
              cost.tokens / cost.seconds);
  if (bytes > 0) std::printf("%.2f (%.0f %%)", bytes * 1e-12, 100 * bytes / speed_.copied);
  std::printf(" | %.1f (%.0f %%", flops * 1e-12, 100 * flops / speed_.multiplied);
  if (speed_.peak.has_value()) std::printf(", %.0f %%", 100 * flops / *speed_.peak);
  std::printf(") |\n");
  std::fflush(stdout);
}

void WholeTable::AddCheck(const std::string& what, double found, double allowed) {
  const bool wrong = !(found <= allowed);
  failed_ = failed_ || wrong;
  std::printf("| %s: %.2g, allowed %.2g%s | | | | |\n", what.c_str(), found, allowed,
              wrong ? " WRONG" : "");
  std::fflush(stdout);
}

void WholeTable::AddNote(const std::string& what, const std::string& note) {
  std::printf("| %s: %s | | | | |\n", what.c_str(), note.c_str());
  std::fflush(stdout);
}

}  // namespace attnrl::bench
