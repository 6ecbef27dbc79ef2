// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/whole/random_model.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <stdexcept>
#include <string>

#include "common/testing/temporary_folder.h"
#include "common/text/testing/small_tokenizer.h"
#include "common/text/tokenizer.h"

namespace attnrl::bench {

model::Tensors DrawWeights(const model::ModelConfig& config, at::Device device) {
  model::Tensors weights;
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
  const TemporaryFolder folder;
  folder.Write("tokenizer.json", json.dump());
  const auto tokenizer = text::Tokenizer::Load(folder.path());
  if (!tokenizer.ok()) throw std::runtime_error(std::string(tokenizer.status().message()));
  return std::make_shared<const text::StepSegmenter>(*tokenizer);
}

}  // namespace attnrl::bench
