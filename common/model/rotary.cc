// SPDX-License-Identifier: Apache-2.0
#include "common/model/rotary.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cmath>
#include <map>
#include <tuple>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace attnrl::model {
namespace {

RotaryRows MakeTable(const ModelConfig& config) {
  const int64_t positions = config.max_position_embeddings;
  const int64_t half = config.head_dim / 2;
  at::Tensor cosine = at::empty({positions, 1, 2 * half}, at::TensorOptions(at::kFloat));
  at::Tensor sine = at::empty_like(cosine);
  auto* cosines = cosine.mutable_data_ptr<float>();
  auto* sines = sine.mutable_data_ptr<float>();
  for (int64_t i = 0; i < half; ++i) {
    const double exponent = static_cast<double>(i) / static_cast<double>(half);
    const auto frequency = static_cast<float>(1 / std::pow(config.rope_theta, exponent));
    for (int64_t p = 0; p < positions; ++p) {
      const auto angle = static_cast<double>(static_cast<float>(p) * frequency);
      const int64_t first = p * 2 * half + i;
      cosines[first] = cosines[first + half] = static_cast<float>(std::cos(angle));
      sines[first + half] = static_cast<float>(std::sin(angle));
      sines[first] = -sines[first + half];
    }
  }
  return {cosine, sine};
}

struct Tables {
  absl::Mutex mutex;
  std::map<std::tuple<double, int64_t, int64_t, std::string>, std::weak_ptr<const RotaryRows>> held
      ABSL_GUARDED_BY(mutex);
};

}  // namespace

std::shared_ptr<const RotaryRows> RotaryTable(const ModelConfig& config, const at::Device& device) {
  // The first caller may be in inference mode; the table must serve training too.
  const c10::InferenceMode ordinary(false);
  static Tables& tables = *new Tables;
  absl::MutexLock lock(&tables.mutex);
  std::weak_ptr<const RotaryRows>& held =
      tables
          .held[{config.rope_theta, config.head_dim, config.max_position_embeddings, device.str()}];
  if (std::shared_ptr<const RotaryRows> table = held.lock()) return table;
  RotaryRows rows = MakeTable(config);
  auto table =
      std::make_shared<const RotaryRows>(RotaryRows{rows.cosine.to(device), rows.sine.to(device)});
  held = table;
  return table;
}

}  // namespace attnrl::model
