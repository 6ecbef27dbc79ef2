// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "common/base/words.h"

namespace attnrl::config {

// The keys that have one of a few words: their values, and the words of the YAML file.

enum class AlgorithmName { kAttnrl, kTreerl, kGrpo };
inline std::vector<Word<AlgorithmName>> WordsOf(AlgorithmName) {
  return {{"attnrl", AlgorithmName::kAttnrl},
          {"treerl", AlgorithmName::kTreerl},
          {"grpo", AlgorithmName::kGrpo}};
}

enum class Advantages { kTree, kGroup };
inline std::vector<Word<Advantages>> WordsOf(Advantages) {
  return {{"tree", Advantages::kTree}, {"group", Advantages::kGroup}};
}

enum class FciMethod { kAuto, kOnline, kRecompute };
inline std::vector<Word<FciMethod>> WordsOf(FciMethod) {
  return {{"auto", FciMethod::kAuto},
          {"online", FciMethod::kOnline},
          {"recompute", FciMethod::kRecompute}};
}

enum class Correction { kBehaviour, kTruncatedIs, kDecoupled };
inline std::vector<Word<Correction>> WordsOf(Correction) {
  return {{"behaviour", Correction::kBehaviour},
          {"truncated_is", Correction::kTruncatedIs},
          {"decoupled", Correction::kDecoupled}};
}

// What becomes of responses that are cut off, or nearly.
enum class Overlong { kNone, kMask, kShape };
inline std::vector<Word<Overlong>> WordsOf(Overlong) {
  return {{"none", Overlong::kNone}, {"mask", Overlong::kMask}, {"shape", Overlong::kShape}};
}

enum class LossAggregation { kTokenMean, kSequenceMean, kSequenceSum };
inline std::vector<Word<LossAggregation>> WordsOf(LossAggregation) {
  return {{"token_mean", LossAggregation::kTokenMean},
          {"seq_mean_token_mean", LossAggregation::kSequenceMean},
          {"seq_mean_token_sum_norm", LossAggregation::kSequenceSum}};
}

// How the learning rate falls once it does.
enum class Decay { kLinear, kCosine };
inline std::vector<Word<Decay>> WordsOf(Decay) {
  return {{"linear", Decay::kLinear}, {"cosine", Decay::kCosine}};
}

// Which layers' activations are computed again on the way back.
enum class CheckpointLayers { kAuto, kAll, kNone };
inline std::vector<Word<CheckpointLayers>> WordsOf(CheckpointLayers) {
  return {{"auto", CheckpointLayers::kAuto},
          {"all", CheckpointLayers::kAll},
          {"none", CheckpointLayers::kNone}};
}

// Where the optimizer's moments lie.
enum class OffloadOptimizer { kNone, kCpu };
inline std::vector<Word<OffloadOptimizer>> WordsOf(OffloadOptimizer) {
  return {{"none", OffloadOptimizer::kNone}, {"cpu", OffloadOptimizer::kCpu}};
}

// Where the reference model lies between passes.
enum class OffloadReference { kNone, kCpu, kDisk };
inline std::vector<Word<OffloadReference>> WordsOf(OffloadReference) {
  return {{"none", OffloadReference::kNone},
          {"cpu", OffloadReference::kCpu},
          {"disk", OffloadReference::kDisk}};
}

// Which linear maps of every layer have adapters.
enum class LoraTargets { kLinear, kAttention, kMlp };
inline std::vector<Word<LoraTargets>> WordsOf(LoraTargets) {
  return {{"linear", LoraTargets::kLinear},
          {"attention", LoraTargets::kAttention},
          {"mlp", LoraTargets::kMlp}};
}

// A prompt that is a plain text: through the model's chat template where it has one, or as it is.
enum class Chat { kAuto, kRaw };
inline std::vector<Word<Chat>> WordsOf(Chat) {
  return {{"auto", Chat::kAuto}, {"raw", Chat::kRaw}};
}

}  // namespace attnrl::config
