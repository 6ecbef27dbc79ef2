// SPDX-License-Identifier: Apache-2.0
// Grades answers that try to reach a time-out or a crash below the counted limits. Exit 1 if one
// did (a crash ends the program itself; the last `from` printed is then before it).
//   try_limits [answers=100000] [seed=1] [from=0]
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "common/base/philox.h"
#include "tests/fuzz/limits/answers.h"
#include "tests/fuzz/limits/counted.h"

namespace attnrl::fuzz {
namespace {

struct Settings {
  uint64_t answers = 100'000;
  uint64_t seed = 1;
  uint64_t from = 0;
};

bool Parse(int count, char** arguments, Settings& settings) {
  for (int i = 1; i < count; ++i) {
    const std::string_view argument = arguments[i];
    const size_t equals = argument.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view name = argument.substr(0, equals);
    const uint64_t value = std::strtoull(arguments[i] + equals + 1, nullptr, 10);
    if (name == "answers") {
      settings.answers = value;
    } else if (name == "seed") {
      settings.seed = value;
    } else if (name == "from") {
      settings.from = value;
    } else {
      return false;
    }
  }
  return true;
}

int Main(int count, char** arguments) {
  Settings settings;
  if (!Parse(count, arguments, settings)) {
    std::fprintf(stderr, "try_limits [answers=N] [seed=N] [from=N]\n");
    return 2;
  }
  Counts most;
  uint64_t slowest = 0;
  uint64_t broken = 0;
  std::map<verifier::GradeStatus, uint64_t> statuses;
  for (uint64_t i = settings.from; i < settings.from + settings.answers; ++i) {
    constexpr uint64_t kPrintEvery = 1000;
    if (i % kPrintEvery == 0) {
      std::printf("from=%lu\n", i);
      std::fflush(stdout);
    }
    RandomStream random({.seed = settings.seed, .position = static_cast<uint32_t>(i)});
    const Costly costly = MakeCostly(random);
    Counts counts;
    const verifier::GradeResult result = GradeCounted(costly.answer, costly.accepted, &counts);
    ++statuses[result.status];
    const std::string what = Broken(result, counts);
    if (result.micros > slowest || counts.allocations > most.allocations ||
        counts.peak_bytes > most.peak_bytes || !what.empty()) {
      std::printf("from=%lu: %lu bytes, %lu us, %ld allocations, %ld KiB  %s  %s\n", i,
                  costly.answer.size(), result.micros, counts.allocations, counts.peak_bytes / 1024,
                  costly.answer.substr(0, 60).c_str(), what.c_str());
    }
    slowest = std::max(slowest, result.micros);
    most.allocations = std::max(most.allocations, counts.allocations);
    most.peak_bytes = std::max(most.peak_bytes, counts.peak_bytes);
    broken += what.empty() ? 0 : 1;
  }
  for (const auto& [status, number] : statuses) {
    std::printf("status %d: %lu\n", static_cast<int>(status), number);
  }
  std::printf("%lu of %lu broke a limit\n", broken, settings.answers);
  return broken == 0 ? 0 : 1;
}

}  // namespace
}  // namespace attnrl::fuzz

int main(int count, char** arguments) { return attnrl::fuzz::Main(count, arguments); }
