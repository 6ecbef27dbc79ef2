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

// Over a run that has only begun a checkpoint.
class CheckpointWriterTest : public ::testing::Test {
 protected:
  CheckpointWriterTest() {
    WriteTinyModel(model_.path());
    trainer_ = TinyTrainer(model_.path(), TinyOptions());
    fs::create_directory(run_ / "unfinished");
    writer_.emplace(CheckpointWriter::Plan{.unfinished = run_ / "unfinished",
                                           .folder = run_ / "step-0",
                                           .source_dir = model_.path(),
                                           .version = std::make_shared<const VersionData>(
                                               ToVersionData(0, trainer_->parameters().leaves())),
                                           .info = {}},
                    layout());
  }

  const FlatLayout& layout() const { return trainer_->parameters().layout(); }
  void ExpectNothingLeft() const {
    EXPECT_FALSE(fs::exists(run_ / "unfinished"));
    EXPECT_FALSE(fs::exists(run_ / "step-0"));
  }

  TemporaryFolder model_, run_;
  std::unique_ptr<Trainer> trainer_;
  std::optional<CheckpointWriter> writer_;
};

TEST_F(CheckpointWriterTest, TakesAwayWhatThereIsWhereTheLastTensorCannotBeCopied) {
  const StateTensor last = kStateTensors.back();
  const FlatLayout::Slice& last_slice = layout().slices().back();
  for (const StateTensor which : kStateTensors) {
    for (const FlatLayout::Slice& slice : layout().slices()) {
      if (which == last && &slice == &last_slice) continue;
      writer_->Take(which, slice.name, at::zeros(slice.shape));
    }
  }
  // One without values, as good as memory that is used up.
  EXPECT_ANY_THROW(writer_->Take(last, last_slice.name, at::empty(last_slice.shape, at::kMeta)));
  writer_.reset();
  ExpectNothingLeft();
}

TEST_F(CheckpointWriterTest, TakesNothingForWhatItIsNot) {
  for (const StateTensor which :
       {StateTensor::kMasters, StateTensor::kSecondMoment, StateTensor::kFirstMoment}) {
    for (const FlatLayout::Slice& slice : layout().slices()) {
      writer_->Take(which, slice.name, at::zeros(slice.shape));
    }
  }
  const absl::Status written = writer_->Wait();
  EXPECT_TRUE(absl::IsInternal(written)) << written;
  EXPECT_NE(written.message().find("trainer/second_moment"), std::string::npos) << written;
  ExpectNothingLeft();
}

}  // namespace
}  // namespace attnrl::learner
