// SPDX-License-Identifier: Apache-2.0
#include "services/learner/checkpoint/checkpoint_writer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "common/testing/temporary_folder.h"
#include "services/learner/testing/training_batches.h"
#include "services/learner/versions/version_file.h"

namespace attnrl::learner {
namespace {

namespace fs = std::filesystem;

TEST(CheckpointWriter, TakesAwayWhatThereIsWhereTheLastTensorCannotBeCopied) {
  const TemporaryFolder model, run;
  WriteTinyModel(model.path());
  const auto trainer = TinyTrainer(model.path(), TinyOptions());
  const FlatLayout& layout = trainer->parameters().layout();
  fs::create_directory(run / "unfinished");
  std::optional<CheckpointWriter> writer;
  writer.emplace(CheckpointWriter::Plan{.unfinished = run / "unfinished",
                                        .folder = run / "step-0",
                                        .source_dir = model.path(),
                                        .version = std::make_shared<const VersionData>(
                                            ToVersionData(0, trainer->parameters().leaves())),
                                        .info = {}},
                 layout);
  constexpr StateTensor kState[] = {StateTensor::kMasters, StateTensor::kFirstMoment,
                                    StateTensor::kSecondMoment};
  for (const StateTensor which : kState) {
    for (const FlatLayout::Slice& slice : layout.slices()) {
      if (which == kState[2] && &slice == &layout.slices().back()) continue;
      writer->Take(which, slice.name, at::zeros(slice.shape));
    }
  }
  const FlatLayout::Slice& last = layout.slices().back();
  // One without values, as good as memory that is used up.
  EXPECT_ANY_THROW(writer->Take(kState[2], last.name, at::empty(last.shape, at::kMeta)));
  writer.reset();
  EXPECT_FALSE(fs::exists(run / "unfinished"));
  EXPECT_FALSE(fs::exists(run / "step-0"));
}

}  // namespace
}  // namespace attnrl::learner
