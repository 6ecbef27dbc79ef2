// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/pass_samples.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

#include "common/device/upload.h"

namespace attnrl::learner {
namespace {

using scheduler::TrainingBatch;
using scheduler::TrainingSample;

bool SameResponse(const TrainingSample& a, const TrainingSample& b) {
  return a.position == b.position && a.response == b.response;
}

std::vector<PassSequence> SequencesOf(std::span<const TrainingSample* const> samples) {
  std::vector<PassSequence> sequences;
  for (const TrainingSample* sample : samples) {
    sequences.push_back({sample->prompt_ids, sample->response_ids});
  }
  return sequences;
}

// Rows that the tree of one response adds to those before it, which are one at least: a response of
// one token adds none to its problem's, and a cut has to get past it.
double RowsOfTree(std::span<const TrainingSample* const> tree, const TrainingSample* before,
                  Prefixes prefixes) {
  int64_t rows = CountRows(SequencesOf(tree), prefixes);
  if (prefixes == Prefixes::kOnce && before != nullptr && before->position == tree[0]->position) {
    rows -= static_cast<int64_t>(tree[0]->prompt_ids.size());
  }
  return static_cast<double>(std::max<int64_t>(1, rows));
}

// Where the parts begin, and the end of the last. By rows, which take the time of training: of two
// trees of equally many tokens, one that branches early has several times as many.
std::vector<size_t> CutParts(const Samples& samples, int parts, Prefixes prefixes) {
  std::vector<size_t> boundaries = {0};  // at which a response begins, and the end
  std::vector<double> before = {0};      // rows before each of them
  for (size_t i = 1; i <= samples.size(); ++i) {
    if (i < samples.size() && SameResponse(*samples[i - 1], *samples[i])) continue;
    const size_t first = boundaries.back();
    before.push_back(before.back() + RowsOfTree(std::span(samples).subspan(first, i - first),
                                                first > 0 ? samples[first - 1] : nullptr,
                                                prefixes));
    boundaries.push_back(i);
  }
  std::vector<size_t> cuts = {0};
  size_t at = 0;
  for (int part = 1; part < parts; ++part) {
    const double share = before.back() * part / parts;
    while (at + 1 < boundaries.size() &&
           std::abs(before[at + 1] - share) < std::abs(before[at] - share)) {
      ++at;
    }
    cuts.push_back(boundaries[at]);
  }
  cuts.push_back(samples.size());
  return cuts;
}

std::vector<PassSamples> CutIntoPasses(std::span<const TrainingSample* const> samples,
                                       Prefixes prefixes, int64_t max_tokens) {
  const std::vector<PassSequence> sequences = SequencesOf(samples);
  std::vector<PassSamples> passes;
  for (const std::vector<size_t>& members : PlanPasses(sequences, prefixes, max_tokens)) {
    passes.emplace_back();
    for (size_t member : members) {
      passes.back().samples.push_back(samples[member]);
      passes.back().sequences.push_back(sequences[member]);
    }
  }
  return passes;
}

}  // namespace

Samples Unmasked(const TrainingBatch& batch, const std::vector<size_t>& minibatch, bool mask) {
  Samples samples;
  for (size_t index : minibatch) {
    const TrainingSample& sample = batch.samples[index];
    if (!mask || !sample.truncated) samples.push_back(&sample);
  }
  return samples;
}

std::vector<std::vector<PassSamples>> PassesByPart(const Samples& samples, int parts,
                                                   Prefixes prefixes, int64_t max_tokens) {
  const std::vector<size_t> cuts = CutParts(samples, parts, prefixes);
  std::vector<std::vector<PassSamples>> passes;
  for (size_t part = 0; part + 1 < cuts.size(); ++part) {
    passes.push_back(CutIntoPasses(
        std::span(samples).subspan(cuts[part], cuts[part + 1] - cuts[part]), prefixes, max_tokens));
  }
  return passes;
}

ObjectiveInputs TargetsOf(const Samples& samples, Aggregation aggregation,
                          const at::Device& device) {
  int64_t tokens = 0;
  for (const TrainingSample* sample : samples) {
    tokens += static_cast<int64_t>(sample->response_ids.size());
  }
  device::Upload upload;
  const auto behaviour = upload.Add(tokens), advantages = upload.Add(tokens),
             weights = upload.Add(aggregation == Aggregation::kSequenceMean ? tokens : 0);
  int64_t token = 0;
  for (const TrainingSample* sample : samples) {
    const float weight = 1 / static_cast<float>(sample->response_ids.size());
    int64_t at = token;
    for (const scheduler::AdvantageRun& run : sample->advantages) {
      for (uint32_t i = 0; i < run.tokens; ++i) upload.Set(advantages, at++, run.advantage);
    }
    for (const float logprob : sample->logprobs) {
      if (weights.count > 0) upload.Set(weights, token, weight);
      upload.Set(behaviour, token++, logprob);
    }
  }
  upload.Send(device);
  const auto floats = [&upload](device::Upload::Part part) {
    return upload.Doubles(part).to(at::kFloat);
  };
  ObjectiveInputs inputs;
  inputs.behaviour = floats(behaviour);
  inputs.advantages = floats(advantages);
  if (weights.count > 0) inputs.weights = floats(weights);
  return inputs;
}

double DenominatorOf(const Samples& samples, Aggregation aggregation, int64_t max_response_tokens) {
  const auto sequences = static_cast<double>(samples.size());
  switch (aggregation) {
    case Aggregation::kSequenceMean:
      return sequences;
    case Aggregation::kSequenceSum:
      return sequences * static_cast<double>(max_response_tokens);
    case Aggregation::kTokenMean:
      break;
  }
  double tokens = 0;
  for (const TrainingSample* sample : samples) {
    tokens += static_cast<double>(sample->response_ids.size());
  }
  return tokens;
}

}  // namespace attnrl::learner
