// SPDX-License-Identifier: Apache-2.0
#include "services/learner/reference/reference.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/attention/dense_attention.h"
#include "common/storage/files.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::learner {
namespace {

model::ModelConfig SmallConfig(bool tied, bool qk_norm) {
  model::ModelConfig config;
  config.hidden_size = 48;
  config.intermediate_size = 80;
  config.layers = 12;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 16;
  config.vocab_size = 2 * kHeadRows + 300;
  config.max_position_embeddings = 128;
  config.tie_word_embeddings = tied;
  config.qk_norm = qk_norm;
  config.qkv_bias = !qk_norm;
  return config;
}

struct Scores {
  at::Tensor hidden;
  at::Tensor logits;
};

Scores ScoresOf(const Reference& reference) {
  const at::NoGradGuard no_grad;
  const at::Tensor ids = at::arange(100, at::kLong).mul_(7).remainder_(300);
  attention::DenseAttention attention({100});
  const at::Tensor wanted = at::arange(3, 99, at::kLong);
  const at::Tensor hidden = reference.Hidden(ids, at::arange(100, at::kLong), attention, wanted);
  return {hidden, reference.MakeLogits()(hidden)};
}

// Bytes of the files of a folder that this process has mapped, and has in memory.
struct Mapped {
  int64_t bytes = 0;
  int64_t present = 0;
};

Mapped FilesIn(const std::string& given) {
  const std::string folder = std::filesystem::canonical(given);
  std::ifstream smaps("/proc/self/smaps");
  Mapped mapped;
  bool ours = false;
  for (std::string line; std::getline(smaps, line);) {
    const bool begins = line.find('-') < line.find(' ');  // with the addresses of a mapping
    if (begins) ours = line.find(folder) != std::string::npos;
    if (ours && line.starts_with("Size:")) mapped.bytes += 1024 * std::stoll(line.substr(5));
    if (ours && line.starts_with("Rss:")) mapped.present += 1024 * std::stoll(line.substr(4));
  }
  return mapped;
}

TEST(Reference, HasTheSameBitsWhereverItLies) {
  const TemporaryFolder folder;
  for (const model::DType dtype : {model::DType::kFloat32, model::DType::kBFloat16}) {
    for (const bool tied : {true, false}) {
      for (const bool qk_norm : {true, false}) {
        const model::ModelConfig config = SmallConfig(tied, qk_norm);
        const model::Tensors weights = model::RandomTensors(config, 1, dtype);
        const auto here = MakeReference(config, weights, {});
        const Scores expected = ScoresOf(*here);
        for (const ReferencePlace place : {ReferencePlace::kHost, ReferencePlace::kDisk}) {
          const auto there =
              MakeReference(config, weights, {.place = place, .folder = folder.path()});
          EXPECT_EQ(there->dtype(), here->dtype());
          for (int pass = 0; pass < 2; ++pass) {
            const Scores found = ScoresOf(*there);
            EXPECT_TRUE(at::equal(found.hidden, expected.hidden));
            EXPECT_TRUE(at::equal(found.logits, expected.logits));
          }
        }
      }
    }
  }
}

TEST(Reference, OnDiskHasNothingInMemoryBetweenPasses) {
  const TemporaryFolder folder;
  const model::ModelConfig config = SmallConfig(false, true);
  const auto reference =
      MakeReference(config, model::RandomTensors(config, 1, model::DType::kFloat32),
                    {.place = ReferencePlace::kDisk, .folder = folder.path()});
  for (int pass = 0; pass < 2; ++pass) {
    ScoresOf(*reference);
    const Mapped mapped = FilesIn(folder.path());
    EXPECT_GT(mapped.bytes, 4 * model::CountParameters(config));
    EXPECT_EQ(mapped.present, 0);
  }
}

TEST(Reference, SaysInOneLineWhichFolderHasNoRoomForIt) {
  const TemporaryFolder folder;
  const storage::ScopedFault full([](std::string_view operation, const std::string&) {
    return operation == "write" ? ENOSPC : 0;
  });
  const model::ModelConfig config = SmallConfig(true, false);
  const model::Tensors weights = model::RandomTensors(config, 1, model::DType::kFloat32);
  try {
    MakeReference(config, weights, {.place = ReferencePlace::kDisk, .folder = folder.path()});
    FAIL() << "the disk is full";
  } catch (const ReferenceError& error) {
    EXPECT_TRUE(absl::IsResourceExhausted(error.status()));
    EXPECT_EQ(std::string(error.what()),
              folder.path() + ": writing failed: No space left on device");
  }
}

}  // namespace
}  // namespace attnrl::learner
