// SPDX-License-Identifier: Apache-2.0
#include "services/learner/testing/training_batches.h"

#include <ATen/ATen.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "common/base/philox.h"
#include "common/model/files/weights.h"
#include "services/learner/versions/version_file.h"

namespace attnrl::learner {
namespace {

constexpr char kConfig[] = R"({
 "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "torch_dtype": "float32",
 "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
 "num_key_value_heads": 1, "vocab_size": 32, "max_position_embeddings": 128, "hidden_act": "silu",
 "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": true, "eos_token_id": 2
})";

constexpr int32_t kVocabulary = 32;

scheduler::TrainingSample TinySample(uint32_t batch, uint32_t position, uint32_t response) {
  RandomStream random({.seed = 5, .batch = batch, .position = position, .node = response});
  scheduler::TrainingSample sample{.position = position, .response = response};
  const uint32_t tokens = 3 + static_cast<uint32_t>(random.Below(12));
  for (uint32_t i = 0; i < 4 + position % 3; ++i) {
    sample.prompt_ids.push_back(static_cast<int32_t>((position * 7 + i) % kVocabulary));
  }
  for (uint32_t i = 0; i < tokens; ++i) {
    sample.response_ids.push_back(static_cast<int32_t>(random.Below(kVocabulary)));
    sample.logprobs.push_back(static_cast<float>(-3.2 - random.Uniform() * 0.5));
  }
  sample.reward = response % 2;
  sample.advantages = {{1, response % 2 == 0 ? -0.8 : 0.9},
                       {tokens - 1, response % 2 == 0 ? -0.5 : 0.7}};
  sample.versions = {{tokens, batch, false}};
  return sample;
}

}  // namespace

void WriteTinyModel(const std::string& folder) {
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/config.json") << kConfig;
  std::ofstream(folder + "/tokenizer.json") << "{}";
}

model::ModelConfig TinyConfig(const std::string& folder) {
  return model::LoadModelConfig(folder).value();
}

TrainerOptions TinyOptions() {
  TrainerOptions options;
  options.first.learning_rate = 1e-2;
  options.seed = 3;
  options.minibatch_problems = 2;
  options.first.initial_responses = 4;
  return options;
}

std::unique_ptr<Trainer> TinyTrainer(const std::string& folder, const TrainerOptions& options,
                                     model::DType dtype, RankGroup* group, at::Device device) {
  const model::ModelConfig config = TinyConfig(folder);
  model::Tensors weights = model::RandomTensors(config, 1, model::DType::kFloat32);
  for (auto& [name, tensor] : weights) tensor = tensor.to(device);
  return std::make_unique<Trainer>(config, std::move(weights), dtype, options, group);
}

scheduler::TrainingBatch TinyBatch(uint32_t batch, uint32_t problems, bool last) {
  scheduler::TrainingBatch result{.batch = batch, .base = 0, .problems = problems, .last = last};
  for (uint32_t position = 0; position < problems; ++position) {
    for (uint32_t response = 0; response < 4; ++response) {
      result.samples.push_back(TinySample(batch, position, response));
    }
  }
  return result;
}

model::Tensors ToTensors(const VersionData& data) {
  model::Tensors tensors;
  for (const TensorEntry& entry : data.tensors) {
    const at::ScalarType type = entry.dtype == "BF16" ? at::kBFloat16 : at::kFloat;
    at::Tensor tensor = at::empty(entry.shape, at::TensorOptions(type));
    data.Bytes(entry).copy(static_cast<char*>(tensor.mutable_data_ptr()), tensor.nbytes());
    tensors[entry.name] = std::move(tensor);
  }
  return tensors;
}

absl::StatusOr<Version> Publish(VersionStore& store, uint32_t number,
                                const model::Tensors& tensors) {
  auto data = std::make_shared<const VersionData>(ToVersionData(number, tensors));
  const absl::Status published = store.Publish(data);
  if (!published.ok()) return published;
  return data->version;
}

}  // namespace attnrl::learner
