// SPDX-License-Identifier: Apache-2.0
#include "common/model/operators.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/base/philox.h"
#include "common/kernels/bfloat16/testing/emulated.h"
#include "common/model/cpu_operators.h"

namespace attnrl::model {
namespace {

class OperatorsOf : public testing::TestWithParam<const Operators*> {
 protected:
  at::Tensor Random(const std::vector<int64_t>& sizes, double spread = 1) {
    at::Tensor x = at::empty(sizes, at::TensorOptions(at::kFloat));
    auto* values = x.mutable_data_ptr<float>();
    for (int64_t i = 0; i < x.numel(); ++i) {
      values[i] = static_cast<float>(spread * (2 * random_.Uniform() - 1));
    }
    return x;
  }
  static void ExpectNear(const at::Tensor& found, const at::Tensor& expected,
                         double tolerance = 3e-6) {
    ASSERT_EQ(found.sizes(), expected.sizes());
    EXPECT_LT((found.to(at::kDouble) - expected).abs().max().item<double>(), tolerance);
  }
  static at::Tensor Wide(const at::Tensor& x) { return x.to(at::kDouble); }

  const Operators& operators_ = *GetParam();

 private:
  RandomStream random_{{.seed = 11}};
};

TEST_P(OperatorsOf, ProjectByEachMapOfOneInputWithAndWithoutBiases) {
  const at::Tensor x = Random({11, 37});
  const int64_t outs[] = {45, 16, 1};
  for (const std::vector<bool>& biased : std::vector<std::vector<bool>>{
           {true, true, true}, {false, false, false}, {true, false, true}}) {
    std::vector<at::Tensor> weights, biases, expected;
    for (size_t i = 0; i < 3; ++i) {
      weights.push_back(Random({outs[i], 37}));
      biases.push_back(biased[i] ? Random({outs[i]}) : at::Tensor());
      expected.push_back(Wide(x).matmul(Wide(weights[i]).t()));
      if (biased[i]) expected[i].add_(Wide(biases[i]));
    }
    std::vector<at::Tensor> named_weights, named_biases;
    for (size_t i = 0; i < 3; ++i) {
      named_weights.push_back(weights[i].clone());
      named_biases.push_back(biased[i] ? biases[i].clone() : at::Tensor());
    }
    const auto projection = operators_.MakeProjection(
        {{&weights[0], &biases[0]}, {&weights[1], &biases[1]}, {&weights[2], &biases[2]}});
    const Products results = projection->Apply(x);
    ASSERT_EQ(results.size(), 3U);
    for (size_t i = 0; i < 3; ++i) {
      ExpectNear(results[i], expected[i], 1e-5);
      // What is left behind, if anything, has the same values.
      EXPECT_TRUE(!weights[i].defined() || at::equal(weights[i], named_weights[i])) << i;
      EXPECT_TRUE(!biases[i].defined() || at::equal(biases[i], named_biases[i])) << i;
    }
    EXPECT_EQ(projection->Apply(x.narrow(0, 0, 1))[1].sizes(), (std::vector<int64_t>{1, 16}));
  }
}

TEST_P(OperatorsOf, GiveLogitsOfBfloat16WeightsInFloat32) {
  const at::Tensor x = Random({5, 24}).to(at::kBFloat16).to(at::kFloat);
  const at::Tensor weight = Random({40, 24}).to(at::kBFloat16);
  at::Tensor named = weight;
  const at::Tensor logits = operators_.MakeHead(&named)->Apply(x).front();
  EXPECT_EQ(logits.scalar_type(), at::kFloat);
  ExpectNear(logits, Wide(x).matmul(Wide(weight).t()));
}

TEST_P(OperatorsOf, AddWithoutTouchingWhatIsAdded) {
  const at::Tensor x = Random({5, 7});
  const at::Tensor y = Random({5, 7});
  const at::Tensor before = y.clone();
  ExpectNear(operators_.Add(x.clone(), y), Wide(x) + Wide(y));
  EXPECT_TRUE(at::equal(y, before));
}

TEST_P(OperatorsOf, TakeTheRowsOfTheEmbeddingThatIdsName) {
  const at::Tensor table = Random({7, 12});
  const at::Tensor ids = at::tensor(std::vector<int64_t>{6, 0, 6, 3});
  EXPECT_TRUE(at::equal(operators_.Embed(table, ids), table.index_select(0, ids)));
}

TEST_P(OperatorsOf, NormalizeTheLastDimension) {
  for (const double eps : {1e-6, 0.5}) {
    const at::Tensor x = Random({5, 3, 20}, 4);
    const at::Tensor weight = Random({20});
    const at::Tensor mean = Wide(x).square().mean(-1, true);
    ExpectNear(operators_.RmsNorm(x, weight, eps), Wide(weight) * Wide(x) / (mean + eps).sqrt());
  }
}

TEST_P(OperatorsOf, ReadRowsThatArePartsOfWiderOnes) {
  const at::Tensor fused = Random({6, 80}, 3);
  const at::Tensor gate = fused.narrow(1, 3, 33);
  const at::Tensor up = fused.narrow(1, 40, 33);
  ExpectNear(operators_.GatedSilu(gate, up), Wide(gate) / (1 + (-Wide(gate)).exp()) * Wide(up));

  const at::Tensor heads = fused.narrow(1, 8, 36).unflatten(1, {3, 12});
  const RotaryRows rotary = {.cosine = Random({6, 1, 12}), .sine = Random({6, 1, 12})};
  const at::Tensor swapped = at::cat({heads.narrow(2, 6, 6), heads.narrow(2, 0, 6)}, 2);
  ExpectNear(operators_.Rotate(heads, rotary),
             Wide(heads) * Wide(rotary.cosine) + Wide(swapped) * Wide(rotary.sine));
  // Not even the elements of a head side by side.
  const at::Tensor turned = Random({12, 3, 6}).permute({2, 1, 0});
  EXPECT_TRUE(
      at::equal(operators_.Rotate(turned, rotary), operators_.Rotate(turned.contiguous(), rotary)));

  const at::Tensor weight = Random({36});
  const at::Tensor part = fused.narrow(1, 8, 36);
  EXPECT_TRUE(at::equal(operators_.RmsNorm(part, weight, 1e-6),
                        operators_.RmsNorm(part.contiguous(), weight, 1e-6)));
  EXPECT_TRUE(at::equal(operators_.LogSoftmax(part), operators_.LogSoftmax(part.contiguous())));
}

TEST_P(OperatorsOf, GiveLogProbabilitiesThatAddUpToOne) {
  const at::Tensor logits = Random({9, 77}, 30);
  const at::Tensor logprobs = operators_.LogSoftmax(logits);
  ExpectNear(logprobs, at::log_softmax(Wide(logits), -1), 2e-5);
  ExpectNear(Wide(logprobs).exp().sum(-1), at::ones({9}).to(at::kDouble), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Modes, OperatorsOf,
                         testing::Values(&Operators::Standard(), &StandardCpuOperators(),
                                         &Operators::FixedOrder()),
                         [](const auto& test) {
                           if (test.param == &Operators::Standard()) return "Standard";
                           return test.param == &Operators::FixedOrder() ? "FixedOrder"
                                                                         : "StandardCpu";
                         });

TEST(StandardOperators, LeaveInferenceOnTheCpuToOwnKernels) {
  const Operators& standard = Operators::Standard();
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    EXPECT_EQ(&standard.For(dtype, at::kCPU, false) == &StandardCpuOperators(),
              CanRunOnCpuOperators(dtype));
    EXPECT_EQ(&standard.For(dtype, at::kCPU, true), &standard);
    EXPECT_NE(&standard.For(dtype, at::Device(at::kCUDA, 0), false), &StandardCpuOperators());
  }
  EXPECT_EQ(&standard.For(at::kDouble, at::kCPU, false), &standard);
  EXPECT_EQ(&Operators::FixedOrder().For(at::kFloat, at::kCPU, false), &Operators::FixedOrder());
}

TEST(StandardOperators, LaySeveralMapsSideBySideUnlessOneIsTrained) {
  for (const bool trained : {false, true}) {
    at::Tensor first = at::ones({4, 8});
    at::Tensor second = at::ones({3, 8}).set_requires_grad(trained);
    const auto projection =
        Operators::Standard().MakeProjection({{.weight = &first}, {.weight = &second}});
    EXPECT_EQ(first.storage().data() == second.storage().data(), !trained);
    const at::Tensor x = at::ones({1, 8});
    EXPECT_EQ(projection->Apply(x)[1].requires_grad(), trained);
  }
}

TEST(PackedProjection, RoundsInputsOfBFloat16WeightsWhereTheProcessorMultipliesThese) {
  const at::Tensor x = at::cos(at::arange(9 * 20).to(at::kFloat)).view({9, 20});
  const at::Tensor weights[] = {at::sin(at::arange(30 * 20).to(at::kFloat)).view({30, 20}),
                                at::cos(at::arange(5 * 20).to(at::kFloat)).view({5, 20})};
  const at::Tensor bias = at::arange(5).to(at::kBFloat16);
  at::Tensor first = weights[0].to(at::kBFloat16);
  at::Tensor second = weights[1].to(at::kBFloat16);
  at::Tensor second_bias = bias;
  const at::Tensor rounded = x.to(at::kBFloat16).to(at::kFloat);
  const at::Tensor expected[] = {rounded.matmul(first.to(at::kFloat).t()),
                                 rounded.matmul(second.to(at::kFloat).t()) + bias};
  const auto projection =
      MakePackedProjection({{.weight = &first}, {.weight = &second, .bias = &second_bias}},
                           &kernels::kEmulatedAvx512BFloat16);
  EXPECT_FALSE(first.defined() || second.defined() || second_bias.defined());
  for (const int64_t rows : {1, 9}) {
    const Products found = projection->Apply(x.narrow(0, 0, rows));
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(found[i].scalar_type(), at::kFloat);
      EXPECT_LT((found[i] - expected[i].narrow(0, 0, rows)).abs().max().item<double>(), 1e-5);
    }
  }
}

// By whichever products this processor multiplies them fastest with.
TEST(StandardOperators, RoundTheGradientsOfAMapOfBFloat16NumbersOnce) {
  const at::ScalarType activations = TrainedActivations(at::kBFloat16, at::kCPU);
  const auto draw = [](const std::vector<int64_t>& sizes, double step) {
    return at::sin(step * at::arange(c10::multiply_integers(sizes)).to(at::kDouble))
        .view(sizes)
        .to(at::kBFloat16);
  };
  at::Tensor x = draw({40, 96}, 1).to(activations).set_requires_grad(true);
  at::Tensor weight = draw({70, 96}, 3).set_requires_grad(true);
  at::Tensor bias = draw({70}, 2).set_requires_grad(true);
  const at::Tensor gradient = draw({40, 70}, 5);
  at::Tensor used_weight = weight;
  at::Tensor used_bias = bias;
  const at::Tensor y = Operators::Standard()
                           .MakeProjection({{.weight = &used_weight, .bias = &used_bias}})
                           ->Apply(x)
                           .front();
  y.backward(gradient.to(activations));
  // Half of the last of bfloat16's 8 bits, and a little for sums in float32.
  const auto expect_rounded = [](const at::Tensor& found, at::ScalarType dtype,
                                 const at::Tensor& expected) {
    ASSERT_EQ(found.scalar_type(), dtype);
    const at::Tensor away = (found.to(at::kDouble) - expected).abs();
    const at::Tensor allowed = dtype == at::kBFloat16 ? expected.abs() / 256 : expected * 0;
    EXPECT_TRUE((away <= allowed + 1e-4).all().item<bool>()) << away.max();
  };
  const auto wide = [](const at::Tensor& t) { return t.detach().to(at::kDouble); };
  expect_rounded(y, activations, wide(x).matmul(wide(weight).t()) + wide(bias));
  expect_rounded(x.grad(), activations, wide(gradient).matmul(wide(weight)));
  expect_rounded(weight.grad(), at::kBFloat16, wide(gradient).t().matmul(wide(x)));
  expect_rounded(bias.grad(), at::kBFloat16, wide(gradient).sum(0));
}

// Enough rows that several threads share them.
TEST(FixedOrderOperators, GiveARowTheSameBitsInAnyBatchOnAnyNumberOfThreads) {
  const int before = at::get_num_threads();
  const Operators& operators = Operators::FixedOrder();
  const at::Tensor x = at::cos(at::arange(300 * 128).to(at::kFloat)).view({300, 128});
  at::Tensor weight = at::sin(at::arange(96 * 128).to(at::kFloat)).view({96, 128});
  const at::Tensor ones = at::ones({128});
  const auto projection = operators.MakeProjection({{.weight = &weight}});
  const auto run = [&](const at::Tensor& rows) {
    return at::cat({projection->Apply(rows)[0], operators.RmsNorm(rows, ones, 1e-6),
                    operators.GatedSilu(rows, rows), operators.LogSoftmax(rows)},
                   1);
  };
  at::set_num_threads(1);
  const at::Tensor together = run(x);
  // So many threads that they share the rows of panels, too.
  for (const int threads : {3, 16}) {
    at::set_num_threads(threads);
    EXPECT_TRUE(at::equal(run(x), together));
  }
  for (const int64_t row : {0, 1, 150, 299}) {
    EXPECT_TRUE(at::equal(run(x.narrow(0, row, 1))[0], together[row])) << row;
  }
  at::set_num_threads(before);
}

}  // namespace
}  // namespace attnrl::model
