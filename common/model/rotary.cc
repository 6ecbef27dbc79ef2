// SPDX-License-Identifier: Apache-2.0
#include "common/model/rotary.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <string>
#include <tuple>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/model/cpu/taken_rows.h"

namespace attnrl::model {
namespace {

// Llama-3: waves longer than the original context over the low factor are stretched, those shorter
// than it over the high factor are not, and between them the two are mixed.
double Llama3(double frequency, const RopeScaling& scaling) {
  const double turns = scaling.original_positions * frequency / (2 * std::numbers::pi);
  const double stretched = frequency / scaling.factor;
  if (turns < scaling.low_frequency_factor) return stretched;
  if (turns > scaling.high_frequency_factor) return frequency;
  const double kept = (turns - scaling.low_frequency_factor) /
                      (scaling.high_frequency_factor - scaling.low_frequency_factor);
  return (1 - kept) * stretched + kept * frequency;
}

// YaRN: the pair, as a fraction, that turns this often within the original context.
double PairWithTurns(double turns, const ModelConfig& config) {
  const double whole = config.rope_scaling.original_positions / (turns * 2 * std::numbers::pi);
  return static_cast<double>(config.head_dim) * std::log(whole) / (2 * std::log(config.rope_theta));
}

// The shares of each pair that are stretched: 0 up to the first bound, 1 from the second on.
std::vector<double> YarnShares(const ModelConfig& config) {
  double low = PairWithTurns(config.rope_scaling.beta_fast, config);
  double high = PairWithTurns(config.rope_scaling.beta_slow, config);
  if (config.rope_scaling.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(config.head_dim - 1));
  if (low == high) high += 0.001;  // no division by zero
  std::vector<double> shares;
  for (int64_t i = 0; i < config.head_dim / 2; ++i) {
    shares.push_back(std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0));
  }
  return shares;
}

RotaryRows MakeTable(const ModelConfig& config, const std::vector<double>& frequencies) {
  const int64_t positions = config.max_position_embeddings;
  const int64_t half = config.head_dim / 2;
  at::Tensor cosine = at::empty({positions, 1, 2 * half}, at::TensorOptions(at::kFloat));
  at::Tensor sine = at::empty_like(cosine);
  auto* cosines = cosine.mutable_data_ptr<float>();
  auto* sines = sine.mutable_data_ptr<float>();
  const double scale = config.rope_scaling.attention_factor;
  for (int64_t i = 0; i < half; ++i) {
    const auto frequency = static_cast<float>(frequencies[static_cast<size_t>(i)]);
    for (int64_t p = 0; p < positions; ++p) {
      const auto angle = static_cast<double>(static_cast<float>(p) * frequency);
      const int64_t first = p * 2 * half + i;
      cosines[first] = cosines[first + half] = static_cast<float>(scale * std::cos(angle));
      sines[first + half] = static_cast<float>(scale * std::sin(angle));
      sines[first] = -sines[first + half];
    }
  }
  return {cosine, sine};
}

struct Tables {
  absl::Mutex mutex;
  // By frequencies, factor of attention, positions and device.
  std::map<std::tuple<std::vector<double>, double, int64_t, std::string>,
           std::weak_ptr<const RotaryRows>>
      held ABSL_GUARDED_BY(mutex);
};

}  // namespace

std::vector<double> RotaryFrequencies(const ModelConfig& config) {
  const int64_t half = config.head_dim / 2;
  const RopeScaling& scaling = config.rope_scaling;
  const bool is_yarn = scaling.kind == RopeScaling::Kind::kYarn;
  const std::vector<double> shares = is_yarn ? YarnShares(config) : std::vector<double>();
  std::vector<double> frequencies;
  for (int64_t i = 0; i < half; ++i) {
    const double exponent = static_cast<double>(i) / static_cast<double>(half);
    double frequency = 1 / std::pow(config.rope_theta, exponent);
    if (scaling.kind == RopeScaling::Kind::kLinear) frequency /= scaling.factor;
    if (scaling.kind == RopeScaling::Kind::kLlama3) frequency = Llama3(frequency, scaling);
    if (is_yarn) {
      const double share = shares[static_cast<size_t>(i)];
      frequency = frequency / scaling.factor * share + frequency * (1 - share);
    }
    frequencies.push_back(frequency);
  }
  return frequencies;
}

std::shared_ptr<const RotaryRows> RotaryTable(const ModelConfig& config, const at::Device& device) {
  // The first caller may be in inference mode; the table must serve training too.
  const c10::InferenceMode ordinary(false);
  static Tables& tables = *new Tables;
  absl::MutexLock lock(&tables.mutex);
  const std::vector<double> frequencies = RotaryFrequencies(config);
  std::weak_ptr<const RotaryRows>& held =
      tables.held[{frequencies, config.rope_scaling.attention_factor,
                   config.max_position_embeddings, device.str()}];
  if (std::shared_ptr<const RotaryRows> table = held.lock()) return table;
  RotaryRows rows = MakeTable(config, frequencies);
  auto table =
      std::make_shared<const RotaryRows>(RotaryRows{rows.cosine.to(device), rows.sine.to(device)});
  held = table;
  return table;
}

RotaryRows RotaryAt(const RotaryRows& table, const at::Tensor& positions) {
  return {TakeRows(table.cosine, positions), TakeRows(table.sine, positions)};
}

}  // namespace attnrl::model
