// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/whole/random_model.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <string>

#include "common/text/testing/small_tokenizer.h"

namespace attnrl::bench {

model::Tensors DrawWeights(const model::ModelConfig& config, at::Device device) {
  model::Tensors weights;
  // RandomTensors draws each number by its place, which takes minutes for a model of real size.
  // LibTorch's own generator begins elsewhere in every process.
  const at::Generator generator = at::detail::createCPUGenerator(/*seed_val=*/1);
  for (const auto& [name, shape] : model::TensorShapes(config)) {
    at::Tensor tensor = at::zeros(shape, at::TensorOptions(at::kFloat));
    if (shape.size() == 2) {
      tensor.normal_(0, config.initializer_range, generator);
    } else if (!name.ends_with(".bias")) {
      tensor.fill_(1);
    }
    weights[name] = tensor.to(model::ToScalarType(config.dtype)).to(device);
  }
  return weights;
}

std::shared_ptr<const text::StepSegmenter> MakeLines(int64_t vocabulary) {
  constexpr int64_t kLine = 64;
  nlohmann::json json = text::SmallTokenizer();
  const std::string line = text::ByteCharacter('\n');
  for (int64_t id = 260; id < vocabulary; ++id) {
    json["model"]["vocab"][(id % kLine == 0 ? line : "n") + std::to_string(id)] = id;
  }
  return std::make_shared<const text::StepSegmenter>(text::LoadTokenizer(json));
}

}  // namespace attnrl::bench
