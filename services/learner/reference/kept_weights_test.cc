// SPDX-License-Identifier: Apache-2.0
#include "services/learner/reference/kept_weights.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <string_view>

#include "common/storage/files.h"
#include "common/testing/present_memory.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::learner {
namespace {

using ::testing::StartsWith;

model::Tensors Weights(at::ScalarType dtype) {
  return {{"lm_head.weight", at::randn({7, 3}).to(dtype)},
          {"model.layers.1.a.weight", at::randn({5}).to(dtype)},
          {"model.layers.1.b.weight", at::randn({512, 300}).to(dtype)},
          {"model.layers.10.a.weight", at::randn({512, 300}).to(dtype)},
          {"model.norm.weight", at::randn({3}).to(dtype)}};
}

void ExpectAll(const KeptWeights& kept, const model::Tensors& weights) {
  for (const auto& [name, weight] : weights) {
    const model::Tensors found = kept.Bring(name);
    ASSERT_EQ(found.size(), 1u) << name;
    EXPECT_TRUE(at::equal(found.at(name), weight)) << name;
  }
}

TEST(KeptWeights, GiveBackEveryTensorAsItWas) {
  const TemporaryFolder folder;
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const model::Tensors weights = Weights(dtype);
    ExpectAll(*KeptWeights::OnHost(weights), weights);
    const auto kept = KeptWeights::OnDisk(weights, folder.path());
    ASSERT_TRUE(kept.ok()) << kept.status();
    ExpectAll(**kept, weights);
    EXPECT_EQ((*kept)->dtype(), dtype);
  }
}

TEST(KeptWeights, BringTheTensorsOfOneLayerAndOfNoOther) {
  const model::Tensors layer = KeptWeights::OnHost(Weights(at::kFloat))->Bring("model.layers.1.");
  EXPECT_EQ(layer.size(), 2u);
  EXPECT_TRUE(layer.contains("model.layers.1.b.weight"));
  EXPECT_TRUE(KeptWeights::OnHost(Weights(at::kFloat))->Bring("model.layers.2.").empty());
}

TEST(KeptWeights, OnDiskAreInMemoryOnlyUntilTheyAreDropped) {
  const TemporaryFolder folder;
  const model::Tensors weights = Weights(at::kFloat);
  const auto kept = KeptWeights::OnDisk(weights, folder.path());
  ASSERT_TRUE(kept.ok()) << kept.status();
  const model::Tensors layer = (*kept)->Bring("model.layers.10.");
  const at::Tensor& found = layer.at("model.layers.10.a.weight");
  const auto present = [&found] {
    return PresentBytes(found.const_data_ptr(), static_cast<int64_t>(found.nbytes()));
  };
  EXPECT_EQ(present(), 0) << "nobody has read it";
  EXPECT_TRUE(at::equal(found, weights.at("model.layers.10.a.weight")));
  EXPECT_GE(present(), static_cast<int64_t>(found.nbytes()));
  (*kept)->Drop();
  EXPECT_EQ(present(), 0);
  EXPECT_TRUE(at::equal(found, weights.at("model.layers.10.a.weight"))) << "it is read again";
}

TEST(KeptWeights, LeaveNoNameInTheFolder) {
  const TemporaryFolder folder;
  const auto kept = KeptWeights::OnDisk(Weights(at::kFloat), folder.path());
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(KeptWeights, NameTheFolderThatHasNoRoomOrIsNotThere) {
  const TemporaryFolder folder;
  {
    const storage::ScopedFault full([](std::string_view operation, const std::string&) {
      return operation == "write" ? ENOSPC : 0;
    });
    const absl::Status status = KeptWeights::OnDisk(Weights(at::kFloat), folder.path()).status();
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
    EXPECT_EQ(status.message(), folder.path() + ": writing failed: No space left on device");
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  const std::string missing = folder.path() + "/missing";
  const absl::Status status = KeptWeights::OnDisk(Weights(at::kFloat), missing).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), StartsWith(missing + ": "));
}

}  // namespace
}  // namespace attnrl::learner
