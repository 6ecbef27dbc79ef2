// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/pipeline/worker.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <variant>

#include "common/base/philox.h"
#include "common/base/status.h"
#include "services/branch_scheduler/testing/simulation.h"
#include "tests/bench/pipeline/world.h"

namespace attnrl::bench {
namespace {

using scheduler::LeaseId;
using scheduler::WorkItem;

constexpr double kMeanTokens = 60;
constexpr uint32_t kStepTokens = 8;

// exp of a normal number whose variance is one half: a problem's share and a sample's make sigma 1.
double Factor(const RandomKey& key, uint32_t index) {
  const double radius = std::sqrt(-2 * std::log(1 - RandomUniform(key, index)));
  const double normal = radius * std::cos(2 * M_PI * RandomUniform(key, index + 1));
  return std::exp(std::sqrt(0.5) * normal - 0.25);
}

uint64_t Digits(const WorkItem& item) {
  uint64_t number = 0;
  for (const int32_t id : item.prompt_ids) {
    if (id >= '0' && id <= '9') number = number * 10 + static_cast<uint64_t>(id - '0');
  }
  return number;
}

}  // namespace

scheduler::ItemResult Sample(const WorkItem& item, LeaseId lease) {
  scheduler::ItemResult result;
  result.lease = lease;
  result.item = item.item;
  result.version = item.version;
  for (const scheduler::SampleRequest& request : item.samples) {
    RandomKey key{.seed = item.sampling.seed,
                  .purpose = kSampleToken,
                  .batch = item.batch,
                  .position = item.position,
                  .node = request.node};
    const RandomKey problem{.seed = item.sampling.seed,
                            .purpose = kMakeTask,
                            .batch = static_cast<uint32_t>(Digits(item))};
    double length = kMeanTokens * Factor(problem, 0) * Factor(key, 0);
    if (item.kind == scheduler::ItemKind::kContinuation) {
      length = (static_cast<double>(item.response_ids.size()) - request.split) * Factor(key, 0);
    }
    const auto tokens = static_cast<uint32_t>(
        std::clamp(length, 4.0, static_cast<double>(std::max(4u, request.max_new_tokens))));
    scheduler::SampleResult sample;
    sample.node = request.node;
    for (uint32_t i = 0; i < tokens; ++i) {
      sample.token_ids.push_back(i % kStepTokens == kStepTokens - 1 ? '\n' : 'a');
    }
    const std::string end = RandomBits(key, 2) % 2 == 0 ? "=1." : "=0.";
    std::copy(end.begin(), end.end(), sample.token_ids.end() - 3);
    sample.logprobs.assign(tokens, -0.5F);
    sample.entropy.assign(tokens, 0.5F);
    if (item.score_delta) {
      sample.steps = scheduler::testing::ByteTools().steps(
          static_cast<uint32_t>(item.prompt_ids.size()), sample.token_ids);
      for (uint32_t k = 0; k < sample.steps.size(); ++k) {
        sample.fci.push_back(k < 2 ? 0.0F : static_cast<float>(RandomUniform(key, 100 + k)));
      }
    }
    result.samples.push_back(std::move(sample));
  }
  return result;
}

Worker::Worker(World* world, std::string name)
    : world_(*world),
      name_(std::move(name)),
      reserve_(world->timeline().now(), world->options().slots) {}

absl::Status Worker::Connect() {
  credits_ = WantedSamples();
  ATTNRL_ASSIGN_OR_RETURN(
      link_, world_.Connect(
                 {.worker = name_, .capacity = world_.options().slots, .credits = credits_},
                 [this](scheduler::SchedulerMessage message) {
                   world_.timeline().After(world_.options().way,
                                           [this, message = std::move(message)] { Hear(message); });
                 }));
  return absl::OkStatus();
}

void Worker::Hear(const scheduler::SchedulerMessage& message) {
  if (sent_) reserve_.NoteAnswer(world_.timeline().now() - *sent_);
  sent_.reset();
  const auto* lease = std::get_if<scheduler::Lease>(&message);
  if (lease == nullptr) return;
  Open& open = open_[lease->lease];
  open.item = lease->item;
  open.result = Sample(lease->item, lease->lease);
  open.result.span.start = UnixSeconds(world_.timeline().clock().Now());
  open.left = open.item.samples.size();
  for (size_t i = 0; i < open.left; ++i) {
    waiting_[open.item.version.number].emplace_back(lease->lease, i);
  }
  samples_a_lease_ = static_cast<uint32_t>(open.left);
  samples_ += samples_a_lease_;
  Fill();
  UpdateCredits();
}

void Worker::Fill() {
  while (running_ < world_.options().slots && !waiting_.empty()) {
    const auto first = waiting_.begin();
    const auto [lease, sample] = first->second.front();
    first->second.pop_front();
    if (first->second.empty()) waiting_.erase(first);
    ++running_;
    const size_t tokens = open_.at(lease).result.samples[sample].token_ids.size();
    const absl::Duration took = world_.options().token * static_cast<double>(tokens);
    world_.timeline().After(took, [this, lease, took] { Finish(lease, took); });
  }
}

void Worker::Finish(LeaseId lease, absl::Duration took) {
  --running_;
  --samples_;
  reserve_.NoteFinished(world_.timeline().now());
  Open& open = open_.at(lease);
  world_.Note(open.item, took);
  if (--open.left == 0) {
    open.result.span.end = UnixSeconds(world_.timeline().clock().Now());
    if (!sent_) sent_ = world_.timeline().now();
    Send(std::move(open.result));
    open_.erase(lease);
  }
  Fill();
  UpdateCredits();
}

uint32_t Worker::WantedSamples() {
  const uint32_t slots = world_.options().slots;
  if (world_.options().hoards) return slots + slots / 4;
  return slots + static_cast<uint32_t>(reserve_.Samples(world_.timeline().now()));
}

// As rollout workers do, in leases like the newest one.
void Worker::UpdateCredits() {
  const uint32_t target = WantedSamples();
  const uint32_t missing = target > samples_ ? target - samples_ : 0;
  const uint32_t wanted =
      static_cast<uint32_t>(open_.size()) + (missing + samples_a_lease_ - 1) / samples_a_lease_;
  if (wanted == credits_) return;
  credits_ = wanted;
  Send(scheduler::Credits{wanted});
}

void Worker::Send(scheduler::WorkerMessage message) {
  world_.timeline().After(world_.options().way, [this, message = std::move(message)]() mutable {
    (void)link_->Send(std::move(message));
    world_.Stir();
  });
}

}  // namespace attnrl::bench
