// SPDX-License-Identifier: Apache-2.0
#include "common/model/files/weights.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "common/base/status.h"
#include "common/model/testing/tiny_models.h"
#include "common/storage/digest.h"
#include "common/storage/files.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::model {
namespace {

using testing::HasSubstr;

absl::StatusOr<Tensors> LoadFolder(const std::string& dir, const ModelConfig& config,
                                   DType dtype = DType::kFloat32) {
  return LoadTensors(dir, config, dtype, at::kCPU);
}

void ExpectRefused(const absl::Status& status, const std::string& complaint) {
  EXPECT_TRUE(IsInputError(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(complaint));
}

TEST(Weights, LoadWhatWasWritten) {
  const TemporaryFolder folder;
  const ModelConfig config = SmallConfig();
  const Tensors written = RandomTensors(config, 1, DType::kBFloat16);
  ASSERT_TRUE(WriteSafetensors(folder.path() + "/model.safetensors", written, {}).ok());
  EXPECT_TRUE(HasWeights(folder.path()));
  const auto same = LoadFolder(folder.path(), config, DType::kBFloat16);
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(Digest(*same), Digest(written));
  const auto wide = LoadFolder(folder.path(), config);
  ASSERT_TRUE(wide.ok()) << wide.status();
  EXPECT_EQ(wide->at("model.norm.weight").scalar_type(), at::kFloat);
}

TEST(Weights, LoadAsPreciseAsTheyAreStoredWhereNoTypeIsAskedFor) {
  const TemporaryFolder folder;
  ModelConfig config = SmallConfig();
  config.dtype_is_given = true;
  Tensors written = RandomTensors(config, 1, DType::kFloat32);
  written["model.norm.weight"] = at::full({32}, 1.0 / 3).to(at::kHalf);
  written["model.embed_tokens.weight"] = written["model.embed_tokens.weight"].to(at::kBFloat16);
  ASSERT_TRUE(WriteSafetensors(folder.path() + "/model.safetensors", written, {}).ok());
  const auto read = LoadTensors(folder.path(), config, std::nullopt, at::kCPU);
  ASSERT_TRUE(read.ok()) << read.status();
  for (const auto& [name, tensor] : written) {
    const at::ScalarType stored = tensor.scalar_type();
    EXPECT_EQ(read->at(name).scalar_type(), stored == at::kHalf ? at::kFloat : stored) << name;
    EXPECT_TRUE(read->at(name).equal(tensor.to(read->at(name).scalar_type()))) << name;
  }
  const auto files = WeightFiles::Open(folder.path(), config);
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_TRUE(files->MorePreciseThan(DType::kBFloat16)) << "one tensor is";
  EXPECT_FALSE(files->MorePreciseThan(DType::kFloat32));
  const Tensors half = RandomTensors(config, 1, DType::kBFloat16);
  ASSERT_TRUE(WriteSafetensors(folder.path() + "/model.safetensors", half, {}).ok());
  EXPECT_FALSE(WeightFiles::Open(folder.path(), config)->MorePreciseThan(DType::kBFloat16));
}

TEST(Weights, LoadShards) {
  const TemporaryFolder folder;
  const ModelConfig config = SmallConfig();
  const Tensors all = RandomTensors(config, 1, DType::kFloat32);
  Tensors shards[2];
  nlohmann::json map;
  for (const auto& [name, tensor] : all) {
    const size_t shard = map.size() % 2;
    shards[shard][name] = tensor;
    map[name] = "part-" + std::to_string(shard) + ".safetensors";
  }
  for (const size_t i : {size_t{0}, size_t{1}}) {
    ASSERT_TRUE(WriteSafetensors(folder.path() + "/part-" + std::to_string(i) + ".safetensors",
                                 shards[i], {})
                    .ok());
  }
  const auto write_index = [&] {
    folder.Write("model.safetensors.index.json", nlohmann::json{{"weight_map", map}}.dump());
  };
  write_index();
  const auto loaded = LoadFolder(folder.path(), config);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(Digest(*loaded), Digest(all));

  map["model.norm.weight"] = "../part-0.safetensors";
  write_index();
  ExpectRefused(LoadFolder(folder.path(), config).status(),
                "no file name for tensor model.norm.weight");
  map["model.norm.weight"] = "part-2.safetensors";
  write_index();
  ExpectRefused(LoadFolder(folder.path(), config).status(), "part-2.safetensors: no such file");
  std::filesystem::create_directory(folder / "part-2.safetensors");
  ExpectRefused(LoadFolder(folder.path(), config).status(), "part-2.safetensors: can't be read");
}

TEST(Weights, RefuseWhatDoesNotFitTheConfiguration) {
  const TemporaryFolder folder;
  const ModelConfig config = SmallConfig();
  const std::string path = folder.path() + "/model.safetensors";
  ExpectRefused(LoadFolder(folder.path(), config).status(), "no weights");
  const auto expect = [&](const Tensors& tensors, const std::string& complaint) {
    ASSERT_TRUE(WriteSafetensors(path, tensors, {}).ok());
    ExpectRefused(LoadFolder(folder.path(), config).status(), complaint);
  };
  Tensors tensors = RandomTensors(config, 1, DType::kFloat32);
  tensors.erase("model.layers.1.mlp.up_proj.weight");
  expect(tensors, "tensor model.layers.1.mlp.up_proj.weight is missing");
  tensors = RandomTensors(config, 1, DType::kFloat32);
  tensors["model.layers.2.mlp.up_proj.weight"] = at::ones({48, 32});
  expect(tensors, "tensor model.layers.2.mlp.up_proj.weight is unknown");
  tensors = RandomTensors(config, 1, DType::kFloat32);
  tensors["model.norm.weight"] = at::ones({33});
  expect(tensors, "tensor model.norm.weight has shape [33]; config.json asks for [32]");
  tensors["model.norm.weight"] = at::ones({32}).to(at::kDouble);
  expect(tensors, "tensor model.norm.weight has dtype F64");
}

TEST(Weights, OfFloat16AreConvertedWhereADTypeIsGivenAndElseRefused) {
  const TemporaryFolder folder;
  ModelConfig config = SmallConfig();
  Tensors halves = RandomTensors(config, 1, DType::kFloat32);
  for (auto& [name, tensor] : halves) tensor = tensor.to(at::kHalf);
  ASSERT_TRUE(WriteSafetensors(folder.path() + "/model.safetensors", halves, {}).ok());
  ExpectRefused(LoadFolder(folder.path(), config).status(),
                "has dtype F16; an explicit --dtype (model.dtype) of float32 or bfloat16");
  config.dtype_is_given = true;
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
    const auto loaded = LoadFolder(folder.path(), config, dtype);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    for (const auto& [name, tensor] : *loaded) {
      EXPECT_TRUE(at::equal(tensor, halves.at(name).to(ToScalarType(dtype)))) << name;
    }
  }
}

TEST(Weights, PassOverWhatOlderFilesHold) {
  const TemporaryFolder folder;
  ModelConfig config = SmallConfig();
  config.tie_word_embeddings = true;
  Tensors tensors = RandomTensors(config, 1, DType::kFloat32);
  EXPECT_FALSE(tensors.contains("lm_head.weight"));
  tensors["lm_head.weight"] = at::ones({40, 32});
  tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = at::ones({4});
  ASSERT_TRUE(WriteSafetensors(folder.path() + "/model.safetensors", tensors, {}).ok());
  const auto loaded = LoadFolder(folder.path(), config);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->size(), tensors.size() - 2);
}

TEST(Digest, IsTheHashOfNamesTypesShapesAndBytes) {
  const Tensors tensors = {{"b", at::zeros({2, 1}).to(at::kBFloat16)}, {"a", at::zeros({1})}};
  using std::string_literals::operator""s;
  EXPECT_EQ(Digest(tensors), storage::Sha256Hex("a\0F32\0"
                                                "1\0\0\0\0\0b\0BF16\0"
                                                "2,1\0\0\0\0\0"s));
}

TEST(Digest, DoesNotDependOnTheLayoutInMemory) {
  const at::Tensor dense = at::arange(6).to(at::kFloat).view({2, 3});
  EXPECT_EQ(Digest({{"a", dense}}), Digest({{"a", dense.t().contiguous().t()}}));
}

TEST(RandomWeights, AreAFunctionOfTheSeed) {
  const ModelConfig config = SmallConfig();
  EXPECT_EQ(Digest(RandomTensors(config, 4, DType::kFloat32)),
            Digest(RandomTensors(config, 4, DType::kFloat32)));
  EXPECT_NE(Digest(RandomTensors(config, 4, DType::kFloat32)),
            Digest(RandomTensors(config, 5, DType::kFloat32)));
  const Tensors tensors = RandomTensors(config, 4, DType::kFloat32);
  const at::Tensor weight = tensors.at("model.embed_tokens.weight");
  EXPECT_NEAR(weight.std().item<double>(), config.initializer_range, 0.02);
  EXPECT_NEAR(weight.mean().item<double>(), 0, 0.02);
  EXPECT_TRUE(at::equal(tensors.at("model.norm.weight"), at::ones({32})));
  EXPECT_TRUE(at::equal(tensors.at("model.layers.0.self_attn.q_proj.bias"), at::zeros({32})));
}

TEST(ModelFolder, HoldsEverythingUnderItsNameOrNothing) {
  const TemporaryFolder folder;
  const ModelConfig config = SmallConfig();
  folder.Write(
      "config.json",
      R"({"architectures": ["Qwen2ForCausalLM"], "torch_dtype": "float32", "zeta": 1, "alpha": 2})");
  folder.Write("tokenizer.json", "{}");
  folder.Write("chat_template.jinja", "{{ messages }}");
  folder.Write("notes.txt", "private");
  const Tensors tensors = RandomTensors(config, 1, DType::kBFloat16);
  const std::string target = folder.path() + "/out";
  {
    const storage::ScopedFault fault([](std::string_view operation, const std::string& path) {
      return operation == "write" && path.find("tokenizer") != std::string::npos ? ENOSPC : 0;
    });
    EXPECT_TRUE(
        absl::IsResourceExhausted(WriteModelFolder(target, folder.path(), tensors).status()));
  }
  EXPECT_FALSE(std::filesystem::exists(target));
  const auto digest = WriteModelFolder(target + "/", folder.path(), tensors);
  ASSERT_TRUE(digest.ok()) << digest.status();
  EXPECT_EQ(*digest, storage::Sha256Hex(*storage::ReadFile(target + "/model.safetensors")));
  EXPECT_TRUE(absl::IsAlreadyExists(WriteModelFolder(target, folder.path(), tensors).status()));
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(target)) {
    names.push_back(entry.path().filename());
  }
  EXPECT_THAT(names, testing::UnorderedElementsAre("config.json", "tokenizer.json",
                                                   "chat_template.jinja", "model.safetensors"));
  const auto written = nlohmann::ordered_json::parse(*storage::ReadFile(target + "/config.json"));
  EXPECT_EQ(
      written.dump(),
      R"({"architectures":["Qwen2ForCausalLM"],"torch_dtype":"bfloat16","zeta":1,"alpha":2})");
  EXPECT_EQ(Digest(*LoadFolder(target, config, DType::kBFloat16)), Digest(tensors));
}

}  // namespace
}  // namespace attnrl::model
