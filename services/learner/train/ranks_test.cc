// SPDX-License-Identifier: Apache-2.0
// Training by several ranks.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "common/model/files/weights.h"
#include "common/testing/temporary_folder.h"
#include "services/learner/testing/memory_ranks.h"
#include "services/learner/testing/training_batches.h"
#include "services/learner/train/numerics.h"
#include "services/learner/train/trainer.h"

namespace attnrl::learner {
namespace {

// What a few batches make of the tiny model.
struct Outcome {
  std::vector<double> losses;
  std::vector<double> norms;
  model::Tensors published;
  model::Tensors moments;
};

// Keeps what it gets; has room for so many bytes between two looks.
class KeepingSink final : public StateSink {
 public:
  explicit KeepingSink(int64_t room = 0) : room_(room) {}
  int64_t Room() override { return room_; }
  void Take(StateTensor which, const std::string& name, const at::Tensor& tensor) override {
    taken[which][name] = tensor.clone();
  }

  std::map<StateTensor, model::Tensors> taken;

 private:
  const int64_t room_;
};

std::map<StateTensor, model::Tensors> StateOf(Trainer& trainer) {
  KeepingSink sink;
  EXPECT_TRUE(trainer.BeginCopy(&sink).ok());
  EXPECT_TRUE(trainer.FinishCopy().ok());
  return sink.taken;
}

// A group that says whether it was ended in order.
class EndingGroup final : public RankGroup {
 public:
  explicit EndingGroup(RankGroup& group) : group_(group) {}
  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }
  std::unique_ptr<Transfer> Send(const at::Tensor& tensor, int to) override {
    return group_.Send(tensor, to);
  }
  std::unique_ptr<Transfer> Receive(const at::Tensor& tensor, int from) override {
    return group_.Receive(tensor, from);
  }
  void End() override { ended = true; }

  bool ended = false;

 private:
  RankGroup& group_;
};

class RanksTest : public ::testing::Test {
 protected:
  RanksTest() {
    WriteTinyModel(folder_.path());
    FixNumerics(1);
  }

  Outcome Train(Trainer& trainer) {
    Outcome outcome;
    for (uint32_t batch = 0; batch < 3; ++batch) {
      const auto statistics = trainer.Train(TinyBatch(batch, 5), nullptr);
      EXPECT_TRUE(statistics.ok()) << statistics.status();
      if (!statistics.ok()) return outcome;
      outcome.losses.push_back(statistics->loss);
      outcome.norms.push_back(statistics->grad_norm);
    }
    outcome.published = trainer.parameters().Published();
    outcome.moments = StateOf(trainer)[StateTensor::kSecondMoment];
    return outcome;
  }

  // What rank 0 of `ranks` ends with (0: a process that is alone).
  Outcome TrainWith(int ranks, const TrainerOptions& options,
                    model::DType dtype = model::DType::kFloat32) {
    if (ranks == 0) return Train(*TinyTrainer(folder_.path(), options, dtype));
    Outcome first;
    RunRanks(ranks, [&](RankGroup& group) {
      const auto trainer = TinyTrainer(folder_.path(), options, dtype, &group);
      if (group.rank() != 0) {
        EXPECT_TRUE(trainer->Follow(nullptr).ok());
        return;
      }
      first = Train(*trainer);
      ASSERT_TRUE(trainer->Release(/*finished=*/true).ok());
    });
    return first;
  }

  static void ExpectNear(const model::Tensors& found, const model::Tensors& expected) {
    ASSERT_EQ(found.size(), expected.size());
    for (const auto& [name, tensor] : expected) {
      // A key's bias moves no softmax: its gradient is rounding, which AdamW scales up.
      if (name.ends_with("k_proj.bias")) continue;
      EXPECT_TRUE(at::allclose(found.at(name), tensor, 1e-4, 1e-6)) << name;
    }
  }
  static void ExpectSame(const model::Tensors& found, const model::Tensors& expected) {
    ASSERT_EQ(found.size(), expected.size());
    for (const auto& [name, tensor] : expected) {
      EXPECT_TRUE(at::equal(found.at(name), tensor)) << name;
    }
  }

  TemporaryFolder folder_;
};

TEST_F(RanksTest, TrainTheSameModelUpToRoundingHoweverManyTheyAre) {
  TrainerOptions options = TinyOptions();
  options.max_tokens_per_pass = 60;  // several passes a part, not equally many
  const Outcome alone = TrainWith(0, options);
  for (const int ranks : {2, 3, 4, 7}) {
    const Outcome outcome = TrainWith(ranks, options);
    for (size_t batch = 0; batch < alone.losses.size(); ++batch) {
      EXPECT_NEAR(outcome.losses[batch], alone.losses[batch], 1e-5) << ranks;
      EXPECT_NEAR(outcome.norms[batch], alone.norms[batch], 1e-5 * alone.norms[batch]) << ranks;
    }
    ExpectNear(outcome.published, alone.published);
    ExpectNear(outcome.moments, alone.moments);
  }
}

TEST_F(RanksTest, OneTwoAndFourEndWithTheSameBitsInTheDeterministicMode) {
  TrainerOptions options = TinyOptions();
  options.deterministic = true;
  options.max_tokens_per_pass = 60;
  options.adamw.decay_norms_and_biases = false;
  const Outcome alone = TrainWith(0, options);
  for (const int ranks : {1, 2, 4}) {
    const Outcome outcome = TrainWith(ranks, options);
    EXPECT_EQ(outcome.losses, alone.losses) << ranks;
    EXPECT_EQ(outcome.norms, alone.norms) << ranks;
    ExpectSame(outcome.published, alone.published);
    ExpectSame(outcome.moments, alone.moments);
  }
}

TEST_F(RanksTest, TheCorrectionsKnowThePolicyThatEachRankBeganWith) {
  TrainerOptions options = TinyOptions();
  options.objective.correction = Correction::kDecoupled;
  options.steps_per_batch = 3;
  const Outcome alone = TrainWith(0, options);
  const Outcome outcome = TrainWith(2, options);
  for (size_t batch = 0; batch < alone.losses.size(); ++batch) {
    EXPECT_NEAR(outcome.losses[batch], alone.losses[batch], 1e-5);
  }
  ExpectNear(outcome.published, alone.published);
}

TEST_F(RanksTest, AdaptersAreSharedOutLikeWeights) {
  TrainerOptions options = TinyOptions();
  options.lora = {.rank = 3, .alpha = 6, .seed = 1};
  options.objective.kl_weight = 0.01;
  options.deterministic = true;
  for (const model::DType dtype : {model::DType::kFloat32, model::DType::kBFloat16}) {
    const Outcome alone = TrainWith(0, options, dtype);
    const Outcome outcome = TrainWith(2, options, dtype);
    ExpectSame(outcome.published, alone.published);
    const model::Tensors start =
        TinyTrainer(folder_.path(), options, dtype)->parameters().Published();
    int64_t changed = 0;
    for (const auto& [name, tensor] : alone.published) {
      changed += at::equal(tensor, start.at(name)) ? 0 : 1;
    }
    EXPECT_EQ(changed, 2 * 7);  // the linear maps of two layers
  }
}

TEST_F(RanksTest, AllComputeWithTheRoundedWeightsOfAll) {
  const Outcome alone = TrainWith(0, TinyOptions(), model::DType::kBFloat16);
  const Outcome outcome = TrainWith(2, TinyOptions(), model::DType::kBFloat16);
  EXPECT_EQ(outcome.published.begin()->second.scalar_type(), at::kBFloat16);
  for (size_t batch = 0; batch < alone.losses.size(); ++batch) {
    EXPECT_NEAR(outcome.losses[batch], alone.losses[batch], 2e-3);
  }
}

TEST_F(RanksTest, TheOthersDoWhatTheFirstDoes) {
  const Outcome alone = TrainWith(0, TinyOptions());
  RunRanks(3, [&](RankGroup& group) {
    const auto trainer = TinyTrainer(folder_.path(), TinyOptions(), model::DType::kFloat32, &group);
    if (group.rank() != 0) {
      const absl::Status followed = trainer->Follow(nullptr);
      EXPECT_TRUE(followed.ok()) << followed;
      EXPECT_EQ(trainer->counters().replay_mismatches, 7);
      EXPECT_GT(trainer->counters().updates, 0);
      return;
    }
    ASSERT_TRUE(trainer->KeepAlive().ok());
    ASSERT_TRUE(trainer->Resume({.replay_mismatches = 7}).ok());
    Outcome outcome;
    for (uint32_t batch = 0; batch < 3; ++batch) {
      outcome.losses.push_back(trainer->Train(TinyBatch(batch, 5), nullptr)->loss);
    }
    for (size_t batch = 0; batch < alone.losses.size(); ++batch) {
      EXPECT_NEAR(outcome.losses[batch], alone.losses[batch], 1e-5);
    }
    ASSERT_TRUE(trainer->Release(/*finished=*/true).ok());
  });
}

TEST_F(RanksTest, AFollowerEndsWithTheRankThatFailedAndWhenItIsStopped) {
  RunRanks(2, [&](RankGroup& group) {
    const auto trainer = TinyTrainer(folder_.path(), TinyOptions(), model::DType::kFloat32, &group);
    if (group.rank() == 0) {
      ASSERT_TRUE(trainer->KeepAlive().ok());
      return;
    }
    EXPECT_TRUE(absl::IsCancelled(trainer->Follow([] { return true; })));
  });
  EXPECT_THROW(RunRanks(2,
                        [&](RankGroup& group) {
                          if (group.rank() == 0) throw RankError("rank 0 has died");
                          const auto trainer = TinyTrainer(folder_.path(), TinyOptions(),
                                                           model::DType::kFloat32, &group);
                          const absl::Status followed = trainer->Follow(nullptr);
                          EXPECT_EQ(followed.message(),
                                    "waiting for rank 0's next command: another rank has ended");
                        }),
               RankError);
}

TEST_F(RanksTest, AStoppedFollowerStillHelpsWithTheLastCheckpoint) {
  RunRanks(2, [&](RankGroup& group) {
    const auto trainer = TinyTrainer(folder_.path(), TinyOptions(), model::DType::kFloat32, &group);
    if (group.rank() != 0) {
      EXPECT_TRUE(absl::IsUnavailable(trainer->Follow([] { return true; })));
      return;
    }
    EXPECT_EQ(StateOf(*trainer).size(), 3u);
    ASSERT_TRUE(trainer->Release(/*finished=*/false).ok());
  });
}

TEST_F(RanksTest, EveryRankEndsItsGroupInOrderWhereTheRunHasFinishedAndNowhereElse) {
  for (const bool finished : {true, false}) {
    RunRanks(2, [&](RankGroup& group) {
      EndingGroup ending(group);
      const auto trainer =
          TinyTrainer(folder_.path(), TinyOptions(), model::DType::kFloat32, &ending);
      if (group.rank() == 0) {
        ASSERT_TRUE(trainer->KeepAlive().ok());
        EXPECT_FALSE(ending.ended);
        EXPECT_TRUE(trainer->Release(finished).ok());
      } else {
        EXPECT_EQ(trainer->Follow(nullptr).ok(), finished);
      }
      EXPECT_EQ(ending.ended, finished);
    });
  }
}

TEST_F(RanksTest, StateOfOneNumberOfRanksContinuesWithAnother) {
  std::map<StateTensor, model::Tensors> saved;
  RunRanks(3, [&](RankGroup& group) {
    const auto trainer = TinyTrainer(folder_.path(), TinyOptions(), model::DType::kFloat32, &group);
    if (group.rank() != 0) {
      EXPECT_TRUE(trainer->Follow(nullptr).ok());
      return;
    }
    ASSERT_TRUE(trainer->Train(TinyBatch(0), nullptr).ok());
    saved = StateOf(*trainer);
    ASSERT_TRUE(trainer->Release(/*finished=*/true).ok());
  });
  RunRanks(2, [&](RankGroup& group) {
    const auto trainer = TinyTrainer(folder_.path(), TinyOptions(), model::DType::kFloat32, &group);
    if (group.rank() != 0) {
      EXPECT_TRUE(trainer->Follow(nullptr).ok());
      ExpectSame(trainer->parameters().Published(), saved[StateTensor::kMasters]);
      return;
    }
    EXPECT_TRUE(absl::IsInvalidArgument(trainer->Assign(StateTensor::kMasters, {}, nullptr)));
    for (const auto& [which, named] : saved) {
      Parameters::Shapes shapes;
      for (const auto& [name, tensor] : named) shapes[name] = tensor.sizes().vec();
      const auto read = [&](const std::string& name) { return named.at(name); };
      ASSERT_TRUE(trainer->Assign(which, shapes, read).ok());
    }
    ASSERT_TRUE(trainer->Resume({}).ok());
    for (const auto& [which, named] : StateOf(*trainer)) ExpectSame(named, saved[which]);
    ExpectSame(trainer->parameters().Published(), saved[StateTensor::kMasters]);
    ASSERT_TRUE(trainer->Release(/*finished=*/true).ok());
  });
}

TEST_F(RanksTest, ACopyHasTheStateOfItsBeginningThoughTrainingGoesOn) {
  const Outcome undisturbed = TrainWith(0, TinyOptions());
  const auto check = [&](Trainer& trainer, int64_t room) {
    EXPECT_TRUE(trainer.Train(TinyBatch(0, 5), nullptr).ok());
    auto state = StateOf(trainer);
    KeepingSink sink(room);
    ASSERT_TRUE(trainer.BeginCopy(&sink).ok());
    EXPECT_EQ(trainer.copying(), room < 1'000'000);
    EXPECT_TRUE(trainer.Train(TinyBatch(1, 5), nullptr).ok());
    EXPECT_FALSE(trainer.copying());
    ASSERT_EQ(sink.taken.size(), 3u);
    for (const auto& [which, named] : sink.taken) ExpectSame(named, state[which]);
    EXPECT_TRUE(trainer.Train(TinyBatch(2, 5), nullptr).ok());
  };
  for (const int64_t room : {0, 5000, 1'000'000}) {
    const auto alone = TinyTrainer(folder_.path(), TinyOptions());
    check(*alone, room);
    ExpectSame(alone->parameters().Published(), undisturbed.published);
    RunRanks(2, [&](RankGroup& group) {
      const auto trainer =
          TinyTrainer(folder_.path(), TinyOptions(), model::DType::kFloat32, &group);
      if (group.rank() != 0) {
        EXPECT_TRUE(trainer->Follow(nullptr).ok());
        return;
      }
      check(*trainer, room);
      EXPECT_TRUE(trainer->KeepAlive().ok());
      ASSERT_TRUE(trainer->Release(/*finished=*/true).ok());
    });
  }
}

TEST_F(RanksTest, EachKeepsItsShardOfMastersMomentsAndGradientAlone) {
  RunRanks(4, [&](RankGroup& group) {
    const auto trainer = TinyTrainer(folder_.path(), TinyOptions(), model::DType::kFloat32, &group);
    Parameters& parameters = trainer->parameters();
    const int64_t whole = parameters.layout().padded();
    for (const at::Tensor& flat : {parameters.values(), parameters.gradient(),
                                   parameters.first_moment(), parameters.second_moment()}) {
      EXPECT_EQ(flat.numel() * 4, whole);
    }
    EXPECT_LT(whole, 1.2 * static_cast<double>(parameters.layout().parameters()));
  });
}

}  // namespace
}  // namespace attnrl::learner
