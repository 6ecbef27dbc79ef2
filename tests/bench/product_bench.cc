// SPDX-License-Identifier: Apache-2.0
// Matrix products as a decoder has them: x [rows, in] times a weight [out, in], own kernels against
// LibTorch's at::linear, in one run with the machine's multiply-adds and its memory. Flags come as
// key=value: in=576 out=3072 bfloat16=0 threads=1 megabytes=256 milliseconds=200. `megabytes`:
// products go around as many weights as make these, so that weights come from memory as they do in
// a decode step; 0 takes one that stays in the cache. Prints one JSON object a line: first the
// machine, then one for each number of rows; speeds are G multiply-adds a second.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <ctime>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/json/json.h"
#include "common/kernels/bfloat16/bfloat16_kernels.h"
#include "common/kernels/isa.h"
#include "common/kernels/kernels.h"
#include "common/kernels/packed_matrix.h"
#include "tests/bench/settings.h"

namespace attnrl {
namespace {

using kernels::PackedMatrix;

double Now() { return absl::ToDoubleSeconds(Clock::Real().Monotonic()); }

// Processor time of the one thread there is, which other processes disturb little; else wall time.
double Spent() {
  if (at::get_num_threads() > 1) return Now();
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Seconds of a call of each of `runs`, which take turns for `seconds` together: the time that one
// call in five stays under, since other processes disturb some and none gets faster by chance.
std::vector<double> SecondsOf(double seconds, const std::vector<std::function<void()>>& runs) {
  std::vector<std::vector<double>> times(runs.size());
  const double end = Now() + seconds;
  for (int round = 0; round < 4 || Now() < end; ++round) {
    for (size_t i = 0; i < runs.size(); ++i) {
      const double start = Spent();
      runs[i]();
      if (round > 0) times[i].push_back(Spent() - start);
    }
  }
  std::vector<double> result;
  for (std::vector<double>& each : times) {
    const auto fifth = each.begin() + static_cast<ptrdiff_t>(each.size() / 5);
    std::nth_element(each.begin(), fifth, each.end());
    result.push_back(*fifth);
  }
  return result;
}

#if defined(__x86_64__)
constexpr int kChains = 12;
// Multiply-adds of one call: independent chains in registers and nothing else.
__attribute__((target("avx2,fma"))) int64_t Chains256(float* out) {
  constexpr int64_t kRounds = 100'000;
  __m256 sums[kChains];
  for (__m256& sum : sums) sum = _mm256_set1_ps(1);
  const __m256 factor = _mm256_set1_ps(0.999F);
  for (int64_t i = 0; i < kRounds; ++i) {
#pragma GCC unroll 12
    for (__m256& sum : sums) sum = _mm256_fmadd_ps(sum, factor, factor);
  }
  for (int c = 1; c < kChains; ++c) sums[0] = _mm256_add_ps(sums[0], sums[c]);
  _mm256_storeu_ps(out, sums[0]);
  return kRounds * kChains * 8;
}
__attribute__((target("avx512f"))) int64_t Chains512(float* out) {
  constexpr int64_t kRounds = 100'000;
  __m512 sums[kChains];
  for (__m512& sum : sums) sum = _mm512_set1_ps(1);
  const __m512 factor = _mm512_set1_ps(0.999F);
  for (int64_t i = 0; i < kRounds; ++i) {
#pragma GCC unroll 12
    for (__m512& sum : sums) sum = _mm512_fmadd_ps(sum, factor, factor);
  }
  for (int c = 1; c < kChains; ++c) sums[0] = _mm512_add_ps(sums[0], sums[c]);
  _mm512_storeu_ps(out, sums[0]);
  return kRounds * kChains * 16;
}
#endif

// Multiply-adds a second of all threads, 0 where nobody wrote how.
double PeakOf(double seconds, int threads) {
#if defined(__x86_64__)
  const kernels::Isa isa = kernels::UsedIsa();
  if (isa == kernels::Isa::kPortable) return 0;
  int64_t each = 0;
  const auto run = [&] {
    at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
      float out[16];
      for (int64_t t = begin; t < end; ++t) {
        const int64_t count = isa == kernels::Isa::kAvx2 ? Chains256(out) : Chains512(out);
        if (t == 0) each = count;
      }
    });
  };
  const double best = SecondsOf(seconds, {run})[0];
  return static_cast<double>(each * threads) / best;
#else
  return 0;
#endif
}

// Bytes a second that all threads read of 256 MiB.
double BandwidthOf(double seconds) {
  // Pages as weights have them, all written once.
  constexpr int64_t kWords = int64_t{1} << 26;
  PackedMatrix memory(PackedMatrix::Type::kFloat32, kWords / 1024, 1024);
  const std::vector<float> ones(1024, 1.0F);
  for (int64_t o = 0; o < memory.out(); ++o) memory.Fill(o, 1, ones.data());
  const float* const words = memory.view().float32;
  const auto run = [&] {
    at::parallel_for(0, kWords, 1 << 20, [&](int64_t begin, int64_t end) {
      // Four streams, as a product of one row has.
      uint64_t sum = 0;
      const int64_t quarter = (end - begin) / 64 * 16;
      for (int64_t i = begin; i < begin + quarter; i += 16) {
        for (int64_t stream = 0; stream < 4; ++stream) {
          uint64_t word = 0;
          __builtin_memcpy(&word, words + i + stream * quarter, sizeof(word));
          sum ^= word;
        }
      }
      volatile uint64_t keep = sum;
      static_cast<void>(keep);
    });
  };
  return static_cast<double>(memory.bytes()) / SecondsOf(seconds, {run})[0];
}

struct Weight {
  at::Tensor named;
  PackedMatrix packed;
};

Weight MakeWeight(const Settings& settings) {
  const int64_t out = settings.at("out");
  const int64_t in = settings.at("in");
  const bool narrow = settings.at("bfloat16") != 0;
  Weight weight = {
      at::cos(at::arange(out * in).to(at::kFloat)).view({out, in}),
      PackedMatrix(narrow ? PackedMatrix::Type::kBFloat16 : PackedMatrix::Type::kFloat32, out, in)};
  if (narrow) {
    weight.named = weight.named.to(at::kBFloat16);
    const void* data = weight.named.const_data_ptr<at::BFloat16>();
    weight.packed.Fill(0, out, static_cast<const uint16_t*>(data));
  } else {
    weight.packed.Fill(0, out, weight.named.const_data_ptr<float>());
  }
  return weight;
}

template <typename Input>
void Multiply(const Input* x, int64_t x_stride, const PackedMatrix& matrix,
              void (*kernel)(const kernels::ProductOf<Input>&), at::Tensor& y) {
  const kernels::ProductOf<Input> product = {.x = x,
                                             .x_stride = x_stride,
                                             .rows = y.size(0),
                                             .matrix = matrix.view(),
                                             .y = y.mutable_data_ptr<float>(),
                                             .y_stride = matrix.out()};
  at::parallel_for(0, matrix.panels(), 1, [&](int64_t begin, int64_t end) {
    kernels::ProductOf<Input> part = product;
    part.first_panel = begin;
    part.last_panel = end;
    kernel(part);
  });
}

// As common/model does it: where the processor multiplies bfloat16 weights, x is rounded first.
void Own(const at::Tensor& x, const PackedMatrix& matrix, at::Tensor& y) {
  const auto* const data = x.const_data_ptr<float>();
  const kernels::BFloat16Kernels* const bfloat16 =
      matrix.type() == PackedMatrix::Type::kBFloat16 ? kernels::UsedBFloat16Kernels() : nullptr;
  if (bfloat16 == nullptr) {
    return Multiply(data, matrix.in(), matrix, kernels::UsedKernels().multiply, y);
  }
  const int64_t words = kernels::PairsOf(matrix.in());
  std::vector<uint32_t> pairs(static_cast<size_t>(x.size(0) * words));
  for (int64_t row = 0; row < x.size(0); ++row) {
    bfloat16->round(data + row * matrix.in(), matrix.in(), pairs.data() + row * words);
  }
  Multiply(pairs.data(), words, matrix, bfloat16->multiply, y);
}

void MeasureRows(const Settings& settings, const std::vector<Weight>& weights, int64_t rows) {
  const double seconds = static_cast<double>(settings.at("milliseconds")) / 1000;
  const at::Tensor x =
      at::sin(at::arange(rows * settings.at("in")).to(at::kFloat)).view({rows, settings.at("in")});
  const at::Tensor typed = x.to(weights[0].named.scalar_type());
  at::Tensor y = at::empty({rows, settings.at("out")}, x.options());
  size_t next = 0;
  const auto weight = [&]() -> const Weight& { return weights[next++ % weights.size()]; };
  const std::vector<double> times = SecondsOf(
      seconds, {[&] { Own(x, weight().packed, y); }, [&] { at::linear(typed, weight().named); }});
  const auto count = static_cast<double>(rows) * static_cast<double>(weights[0].named.numel());
  const auto bytes = static_cast<double>(weights[0].packed.bytes());
  const auto [own, aten] = std::pair(times[0], times[1]);
  const nlohmann::ordered_json json = {{"rows", rows},
                                       {"own", count / own / 1e9},
                                       {"aten", count / aten / 1e9},
                                       {"ratio", aten / own},
                                       {"own_weight_gigabytes_per_second", bytes / own / 1e9}};
  std::cout << PrintJson(json) << std::endl;
}

int Run(int argc, char** argv) {
  Settings settings = {{"in", 576},    {"out", 3072},      {"bfloat16", 0},
                       {"threads", 1}, {"megabytes", 256}, {"milliseconds", 200}};
  if (!Parse(argc, argv, &settings)) return 2;
  at::set_num_threads(static_cast<int>(settings["threads"]));
  const c10::InferenceMode inference;
  const double seconds = static_cast<double>(settings["milliseconds"]) / 1000;
  nlohmann::ordered_json json = {{"benchmark", "product"}};
  for (const auto& [name, value] : settings) json[name] = value;
  json["isa"] = WordOf(kernels::UsedIsa());
  json["peak"] = PeakOf(seconds, static_cast<int>(settings["threads"])) / 1e9;
  json["gigabytes_per_second"] = BandwidthOf(seconds) / 1e9;
  std::cout << PrintJson(json) << std::endl;
  std::vector<Weight> weights;
  int64_t bytes = 0;
  do {
    weights.push_back(MakeWeight(settings));
    bytes += weights.back().packed.bytes();
  } while (bytes < settings["megabytes"] << 20);
  for (const int64_t rows : {1, 2, 4, 7, 16, 24, 64, 256, 1024})
    MeasureRows(settings, weights, rows);
  return 0;
}

}  // namespace
}  // namespace attnrl

int main(int argc, char** argv) { return attnrl::Run(argc, argv); }
