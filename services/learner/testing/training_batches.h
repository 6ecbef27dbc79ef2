// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <string>

#include "common/model/files/config.h"
#include "services/branch_scheduler/types.h"
#include "services/learner/train/trainer.h"
#include "services/learner/versions/version_store.h"

namespace attnrl::learner {

// Writes config.json and a tokenizer of a two-layer model of 4,496 parameters and vocabulary 32.
void WriteTinyModel(const std::string& folder);
model::ModelConfig TinyConfig(const std::string& folder);

TrainerOptions TinyOptions();
// A trainer of the tiny model with float32 weights of seed 1, which is its own reference.
std::unique_ptr<Trainer> TinyTrainer(const std::string& folder, const TrainerOptions& options,
                                     model::DType dtype = model::DType::kFloat32,
                                     RankGroup* group = nullptr, at::Device device = at::kCPU);

// Batch `batch` of a run without branching in mode `on_policy`: problems of four responses with
// prompts and lengths of their own, advantages of both signs. Pure in its arguments.
scheduler::TrainingBatch TinyBatch(uint32_t batch, uint32_t problems = 3, bool last = false);

// The tensors of a version, on the CPU, own memory.
model::Tensors ToTensors(const VersionData& data);

// Publishes `tensors` in `store` as version `number`.
absl::StatusOr<Version> Publish(VersionStore& store, uint32_t number,
                                const model::Tensors& tensors);

}  // namespace attnrl::learner
