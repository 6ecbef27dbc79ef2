// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/trainer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <numeric>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/model/flops.h"
#include "common/observe/metrics.h"
#include "common/testing/temporary_folder.h"
#include "services/learner/testing/training_batches.h"
#include "services/learner/train/numerics.h"
#include "services/learner/versions/version_file.h"

namespace attnrl::learner {
namespace {

class TrainerTest : public ::testing::Test {
 protected:
  TrainerTest() { WriteTinyModel(folder_.path()); }

  std::unique_ptr<Trainer> Make(const TrainerOptions& options,
                                model::DType dtype = model::DType::kFloat32) {
    return TinyTrainer(folder_.path(), options, dtype);
  }
  static std::string Digest(Trainer& trainer) {
    return ToVersionData(0, trainer.parameters().Published()).version.digest;
  }
  static std::vector<size_t> All(const scheduler::TrainingBatch& batch) {
    std::vector<size_t> all(batch.samples.size());
    std::iota(all.begin(), all.end(), size_t{0});
    return all;
  }

  TemporaryFolder folder_;
};

TEST_F(TrainerTest, CountsThreePassesWorthOfAMinibatchAndOneOfTheReference) {
  const auto counted = observe::GetCounter(observe::kModelFlopsTotal, {"learner"});
  const auto tokens = observe::GetCounter(observe::kLearnerTokensTotal, {});
  for (const double kl_weight : {0.0, 0.05}) {
    TrainerOptions options = TinyOptions();
    options.objective.kl_weight = kl_weight;
    const auto trainer = Make(options);
    const auto batch = TinyBatch(0);
    std::vector<PassSequence> sequences;
    for (const auto& sample : batch.samples) {
      sequences.push_back({sample.prompt_ids, sample.response_ids});
    }
    const Pass pass = MakePass(sequences, options.prefixes, at::kCPU);
    const double before = counted.Value(), tokens_before = tokens.Value();
    ASSERT_TRUE(trainer->Gradient(batch, All(batch), nullptr).ok());
    EXPECT_EQ(tokens.Value() - tokens_before, static_cast<double>(pass.ids.numel()));
    const double forward = model::ForwardFlops(
        TinyConfig(folder_.path()),
        {.rows = pass.ids.numel(), .attended = pass.attended, .logit_rows = pass.scored.numel()});
    EXPECT_EQ(counted.Value() - before, (kl_weight == 0 ? 3 : 4) * forward);
  }
}

TEST_F(TrainerTest, GradientIsTheSlopeOfTheObjective) {
  TrainerOptions options = TinyOptions();
  options.objective.kl_weight = 0.05;
  auto trainer = Make(options);
  // Away from the reference, where the KL term has a slope.
  ASSERT_TRUE(trainer->Train(TinyBatch(0), nullptr).ok());
  const auto batch = TinyBatch(1);
  Parameters& parameters = trainer->parameters();
  const auto loss = [&](ObjectiveSums* sums) {
    *sums = trainer->Gradient(batch, All(batch), nullptr).value();
    return sums->loss / sums->tokens;
  };
  ObjectiveSums sums;
  loss(&sums);
  const at::Tensor gradient = parameters.gradient().clone();
  const double length = gradient.norm().item<double>();
  const at::Tensor direction = gradient / length;
  const at::Tensor start = parameters.values().clone();
  constexpr double kStep = 2e-3;
  parameters.values().copy_(start + direction * kStep);
  const double above = loss(&sums);
  parameters.values().copy_(start - direction * kStep);
  const double below = loss(&sums);
  EXPECT_NEAR((above - below) / (2 * kStep), length, 5e-3 * length);
}

TEST_F(TrainerTest, PassesOfAnyBudgetGiveTheSameGradient) {
  const auto batch = TinyBatch(0, 5);
  TrainerOptions options = TinyOptions();
  auto whole = Make(options);
  const ObjectiveSums whole_sums = whole->Gradient(batch, All(batch), nullptr).value();
  for (int64_t budget : {1, 30, 64}) {
    options.max_tokens_per_pass = budget;
    auto parts = Make(options);
    const ObjectiveSums sums = parts->Gradient(batch, All(batch), nullptr).value();
    EXPECT_EQ(sums.tokens, whole_sums.tokens);
    EXPECT_NEAR(sums.loss, whole_sums.loss, 1e-4);
    EXPECT_TRUE(
        parts->parameters().gradient().allclose(whole->parameters().gradient(), 1e-4, 1e-6));
  }
}

TEST_F(TrainerTest, TheSameBatchesGiveTheSameBits) {
  for (model::DType dtype : {model::DType::kFloat32, model::DType::kBFloat16}) {
    auto first = Make(TinyOptions(), dtype), second = Make(TinyOptions(), dtype);
    const std::string start = Digest(*first);
    for (uint32_t b = 0; b < 3; ++b) {
      ASSERT_TRUE(first->Train(TinyBatch(b), nullptr).ok());
      ASSERT_TRUE(second->Train(TinyBatch(b), nullptr).ok());
    }
    EXPECT_EQ(Digest(*first), Digest(*second));
    EXPECT_NE(Digest(*first), start);
  }
}

// Set where the test below runs itself in another process, which then prints a digest.
constexpr char kPrintDigest[] = "ATTNRL_TEST_PRINT_DIGEST";

std::string DigestOfAnotherProcess() {
  // Threads that wait must not take the processor from those that work.
  const std::string command =
      absl::StrCat("OMP_WAIT_POLICY=passive ", kPrintDigest, "=1 ",
                   std::filesystem::read_symlink("/proc/self/exe").string(),
                   " --gtest_filter='*TheSameBatchesGiveTheSameBitsInEveryProcess'");
  FILE* output = popen(command.c_str(), "r");
  std::string digest;
  char line[512];
  while (std::fgets(line, sizeof(line), output) != nullptr) {
    if (std::string(line).starts_with("digest ")) digest = line;
  }
  EXPECT_EQ(pclose(output), 0);
  return digest;
}

TEST_F(TrainerTest, TheSameBatchesGiveTheSameBitsInEveryProcess) {
  if (std::getenv(kPrintDigest) != nullptr) {
    FixNumerics(2);
    auto trainer = Make(TinyOptions(), model::DType::kBFloat16);
    for (uint32_t b = 0; b < 3; ++b) ASSERT_TRUE(trainer->Train(TinyBatch(b, 4), nullptr).ok());
    std::printf("digest %s\n", Digest(*trainer).c_str());
    return;
  }
  const std::string digest = DigestOfAnotherProcess();
  EXPECT_EQ(digest.size(), 7u + 64 + 1);
  EXPECT_EQ(DigestOfAnotherProcess(), digest);
}

TEST_F(TrainerTest, WhereverTheReferenceLiesAStepHasTheSameBits) {
  for (const model::DType dtype : {model::DType::kFloat32, model::DType::kBFloat16}) {
    for (const int64_t lora : {0, 2}) {
      TrainerOptions options = TinyOptions();
      options.objective.kl_weight = 0.05;
      options.lora.rank = lora;
      const auto train = [&](ReferencePlace place) {
        options.reference = {.place = place, .folder = folder_.path()};
        const auto trainer = Make(options, dtype);
        for (uint32_t batch = 0; batch < 2; ++batch) {
          EXPECT_TRUE(trainer->Train(TinyBatch(batch), nullptr).ok());
        }
        return trainer->parameters().values().clone();
      };
      const at::Tensor expected = train(ReferencePlace::kDevice);
      EXPECT_TRUE(at::equal(train(ReferencePlace::kHost), expected));
      EXPECT_TRUE(at::equal(train(ReferencePlace::kDisk), expected));
    }
  }
}

TEST_F(TrainerTest, LearningRateZeroChangesNoBit) {
  TrainerOptions options = TinyOptions();
  options.first.learning_rate = 0;
  for (model::DType dtype : {model::DType::kFloat32, model::DType::kBFloat16}) {
    auto trainer = Make(options, dtype);
    const std::string before = Digest(*trainer);
    for (uint32_t b = 0; b < 3; ++b) ASSERT_TRUE(trainer->Train(TinyBatch(b), nullptr).ok());
    EXPECT_EQ(Digest(*trainer), before);
    EXPECT_GT(trainer->counters().updates, 0);
  }
}

TEST_F(TrainerTest, TheLearningRateRisesOverTheWarmUpByTheNumberOfTheBatch) {
  TrainerOptions options = TinyOptions();
  options.first.learning_rate = 0.3;
  options.rate.warmup_steps = 2;
  auto trainer = Make(options);
  for (const auto& [batch, expected] :
       {std::pair<uint32_t, double>{1, 0.2}, {0, 0.1}, {2, 0.3}, {9, 0.3}}) {
    const auto statistics = trainer->Train(TinyBatch(batch), nullptr);
    ASSERT_TRUE(statistics.ok());
    EXPECT_DOUBLE_EQ(statistics->learning_rate, expected) << batch;
  }
}

TEST_F(TrainerTest, AStageBringsItsLearningRateIntoTheSameWarmUpAndDecay) {
  TrainerOptions options = TinyOptions();
  options.first.learning_rate = 0.1;
  options.later[1] = {.learning_rate = 0.4};
  options.later[3] = {.learning_rate = 0.2};
  options.rate = {.warmup_steps = 1, .decay_after = 4, .decay_steps = 2};
  auto trainer = Make(options);
  for (const auto& [batch, expected] :
       {std::pair<uint32_t, double>{0, 0.05}, {1, 0.4}, {2, 0.4}, {3, 0.2}, {4, 0.11}, {9, 0.02}}) {
    const auto statistics = trainer->Train(TinyBatch(batch), nullptr);
    ASSERT_TRUE(statistics.ok());
    EXPECT_NEAR(statistics->learning_rate, expected, 1e-12) << batch;
  }
}

TEST_F(TrainerTest, ALearningRateOnACosineGoesOnWhereverATrainerBegins) {
  TrainerOptions options = TinyOptions();
  options.first.learning_rate = 0.1;
  options.later[3] = {.learning_rate = 0.2};
  options.rate = {.warmup_steps = 1,
                  .decay_after = 1,
                  .decay_steps = 4,
                  .decay = Decay::kCosine,
                  .decay_to = 0.2};
  const double root = std::sqrt(0.5);  // cos(pi / 4)
  const std::vector<double> expected = {
      0.05, 0.1 * (0.6 + 0.4 * root), 0.1 * 0.6, 0.2 * (0.6 - 0.4 * root), 0.2 * 0.2, 0.2 * 0.2};
  for (const uint32_t begin : {0u, 2u, 3u, 5u}) {
    auto trainer = Make(options);
    for (uint32_t batch = begin; batch < expected.size(); ++batch) {
      const auto statistics = trainer->Train(TinyBatch(batch), nullptr);
      ASSERT_TRUE(statistics.ok());
      EXPECT_NEAR(statistics->learning_rate, expected[batch], 1e-15) << begin << " " << batch;
    }
  }
}

TEST_F(TrainerTest, ABatchWithoutSamplesChangesNothing) {
  auto trainer = Make(TinyOptions());
  ASSERT_TRUE(trainer->Train(TinyBatch(0), nullptr).ok());
  const std::string before = Digest(*trainer);
  const TrainerCounters counters = trainer->counters();
  const auto statistics = trainer->Train({.batch = 1}, nullptr);
  ASSERT_TRUE(statistics.ok());
  EXPECT_EQ(statistics->optimizer_steps, 0u);
  EXPECT_TRUE(std::isnan(statistics->loss));
  EXPECT_EQ(Digest(*trainer), before);
  EXPECT_EQ(trainer->counters(), counters);
}

TEST_F(TrainerTest, CountsBatchesInARowWithoutAFiniteStep) {
  TrainerOptions options = TinyOptions();
  options.minibatch_problems = 3;  // one minibatch a batch
  auto trainer = Make(options);
  auto broken = TinyBatch(0);
  broken.samples[0].advantages[0].advantage = std::numeric_limits<double>::quiet_NaN();
  std::vector<int64_t> counts;
  for (const scheduler::TrainingBatch& batch :
       {broken, broken, scheduler::TrainingBatch{}, broken, TinyBatch(1), broken}) {
    ASSERT_TRUE(trainer->Train(batch, nullptr).ok());
    counts.push_back(trainer->counters().nonfinite_batches);
  }
  EXPECT_EQ(counts, (std::vector<int64_t>{1, 2, 2, 3, 0, 1}));
}

TEST_F(TrainerTest, AMinibatchThatIsNotFiniteIsSkippedAndCounted) {
  TrainerOptions options = TinyOptions();
  options.minibatch_problems = 1;  // one minibatch a problem
  auto trainer = Make(options);
  auto batch = TinyBatch(0);
  batch.samples[0].advantages[0].advantage = std::numeric_limits<double>::quiet_NaN();
  const auto statistics = trainer->Train(batch, nullptr);
  ASSERT_TRUE(statistics.ok());
  EXPECT_EQ(statistics->nonfinite_steps, 1u);
  EXPECT_EQ(statistics->optimizer_steps, 2u);
  EXPECT_TRUE(std::isfinite(statistics->loss));
  EXPECT_EQ(trainer->counters().nonfinite, 1);
  for (const auto& [name, tensor] : trainer->parameters().Published()) {
    EXPECT_TRUE(at::isfinite(tensor).all().item<bool>()) << name;
  }
}

TEST_F(TrainerTest, MaskTruncatedLeavesTruncatedResponsesOut) {
  TrainerOptions options = TinyOptions();
  options.mask_truncated = true;
  auto batch = TinyBatch(0, 2);
  auto without = batch;
  batch.samples[5].truncated = true;
  without.samples.erase(without.samples.begin() + 5);
  auto masked = Make(options), removed = Make(options);
  const auto masked_sums = masked->Gradient(batch, All(batch), nullptr).value();
  const auto removed_sums = removed->Gradient(without, All(without), nullptr).value();
  EXPECT_EQ(masked_sums.tokens, removed_sums.tokens);
  EXPECT_TRUE(masked->parameters().gradient().equal(removed->parameters().gradient()));
}

TEST_F(TrainerTest, TheProximalPolicyIsThatBeforeTheBatchInEveryMinibatch) {
  TrainerOptions options = TinyOptions();
  options.minibatch_problems = 1;
  const TrainerOptions plain = options;
  options.objective.correction = Correction::kTruncatedIs;
  auto corrected = Make(options), behaviour = Make(plain);
  // Sampled by the very policy that training starts from: the weights are 1, and both corrections
  // have the same ratios.
  auto batch = TinyBatch(0);
  const model::Transformer policy(TinyConfig(folder_.path()), corrected->parameters().leaves());
  for (auto& sample : batch.samples) {
    const std::vector<PassSequence> sequences = {{sample.prompt_ids, sample.response_ids}};
    const at::Tensor logprobs =
        ScorePass(policy, MakePass(sequences, Prefixes::kEach, at::kCPU), 1, false).logprobs;
    sample.logprobs.assign(logprobs.const_data_ptr<float>(),
                           logprobs.const_data_ptr<float>() + logprobs.numel());
  }
  const auto ratio = corrected->Train(batch, nullptr)->ratio_max;
  EXPECT_NEAR(ratio, behaviour->Train(batch, nullptr)->ratio_max, 1e-3);
  EXPECT_GT(ratio, 1.01);  // later minibatches are not on the policy any more
}

TEST_F(TrainerTest, AggregationsWeighSequencesAsTheySay) {
  const auto batch = TinyBatch(0, 2);
  const auto gradient = [&](Aggregation aggregation, const std::vector<size_t>& samples) {
    TrainerOptions options = TinyOptions();
    options.aggregation = aggregation;
    options.first.max_response_tokens = 50;
    auto trainer = Make(options);
    EXPECT_TRUE(trainer->Gradient(batch, samples, nullptr).ok());
    return trainer->parameters().gradient();
  };
  at::Tensor sequence_mean, token_sum;
  double tokens = 0;
  for (size_t i = 0; i < batch.samples.size(); ++i) {
    const auto length = static_cast<double>(batch.samples[i].response_ids.size());
    const at::Tensor mean = gradient(Aggregation::kTokenMean, {i});
    sequence_mean = i == 0 ? mean : sequence_mean + mean;
    token_sum = i == 0 ? mean * length : token_sum + mean * length;
    tokens += length;
  }
  const auto count = static_cast<double>(batch.samples.size());
  for (const auto& [aggregation, expected] :
       {std::pair{Aggregation::kTokenMean, token_sum / tokens},
        {Aggregation::kSequenceMean, sequence_mean / count},
        {Aggregation::kSequenceSum, token_sum / (count * 50)}}) {
    EXPECT_TRUE(gradient(aggregation, All(batch)).allclose(expected, 1e-3, 1e-6));
  }
  EXPECT_FALSE((token_sum / tokens).allclose(sequence_mean / count, 1e-3, 1e-6));
}

TEST_F(TrainerTest, StatisticsCountTheBatch) {
  auto trainer = Make(TinyOptions());
  const auto batch = TinyBatch(0, 4);
  uint64_t tokens = 0;
  std::set<std::vector<int32_t>> distinct;
  for (const auto& sample : batch.samples) {
    tokens += sample.response_ids.size();
    std::vector<int32_t> prefix = sample.prompt_ids;
    for (int32_t token : sample.response_ids) {
      prefix.push_back(token);
      distinct.insert(prefix);
    }
  }
  const auto statistics = trainer->Train(batch, nullptr);
  ASSERT_TRUE(statistics.ok());
  EXPECT_EQ(statistics->trained_tokens, distinct.size());
  EXPECT_EQ(statistics->trained_tokens_unpacked, tokens);
  EXPECT_EQ(statistics->optimizer_steps, 2u);  // 16 samples, 2 x 4 a minibatch
  EXPECT_NEAR(statistics->entropy, std::log(32.0), 0.2);
  EXPECT_GE(statistics->kl, 0);
  EXPECT_EQ(statistics->learning_rate, 1e-2);
}

TEST_F(TrainerTest, AbandonEndsABatchInItsMiddle) {
  TrainerOptions options = TinyOptions();
  options.max_tokens_per_pass = 20;
  auto trainer = Make(options);
  int asked = 0;
  const auto status = trainer->Train(TinyBatch(0), [&asked] { return ++asked > 3; }).status();
  EXPECT_TRUE(absl::IsCancelled(status));
  EXPECT_EQ(asked, 4);
}

}  // namespace
}  // namespace attnrl::learner
