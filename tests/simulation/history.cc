// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/history.h"

#include <set>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "services/branch_scheduler/item_id.h"

namespace attnrl::scheduler::simulation {
namespace {

constexpr char kNothingLost[] = "promise 1: nothing acknowledged is lost";
constexpr char kOnce[] = "promise 1: a result enters training at most once";
constexpr char kOneHolder[] = "promise 2: a lease has one holder that can write";
constexpr char kOneLearner[] = "the learner that registered last is the only one";

std::string Words(ItemId item) {
  const ItemKey key = KeyOfItem(item);
  return absl::StrCat(key.kind == ItemKind::kInitial ? "initial" : "continuation", " item ",
                      Number(item), " (batch ", key.batch, ", position ", key.position,
                      ", response ", key.response, ")");
}

std::string Words(LeaseId lease) {
  return absl::StrCat("lease ", Number(lease) >> 32, "/", Number(lease) & 0xffffffff);
}

}  // namespace

void History::Broken(const std::string& promise, const std::string& how) {
  if (verdict_.ok()) verdict_ = absl::InternalError(absl::StrCat(promise, ": ", how));
}

uint32_t History::Sampled(LeaseId lease, ItemId item) {
  const auto number = static_cast<uint32_t>(results_.size() + 1);
  results_[number] = {lease, item};
  return number;
}

void History::Told(const std::string& worker, const SchedulerMessage& message) {
  if (const auto* lease = std::get_if<Lease>(&message)) {
    const ItemId item = lease->item.item;
    if (!leases_.emplace(lease->lease, item).second) {
      Broken(kOneHolder, absl::StrCat(Words(lease->lease), " was handed out twice"));
    }
    if (accepted_.contains(item)) {
      Broken(kNothingLost, absl::StrCat(Words(item), " is handed out though it is done"));
    }
    holders_[item] = lease->lease;
  } else if (const auto* registered = std::get_if<scheduler::Registered>(&message)) {
    // Also one whose item somebody else had meanwhile and lost again.
    for (const LeaseId adopted : registered->adopted) holders_[leases_[adopted]] = adopted;
  } else if (const auto* ack = std::get_if<Ack>(&message)) {
    Acknowledged(worker, *ack);
  }
}

void History::Acknowledged(const std::string& worker, const Ack& ack) {
  if (ack.verdict == AckVerdict::kInvalid) {
    return Broken("a right result is accepted", ack.reason);
  }
  if (ack.verdict == AckVerdict::kFenced) {
    ++fenced_;
    return;
  }
  const ItemId item = leases_[ack.lease];
  const std::string what = absl::StrCat("the result of ", worker, "'s ", Words(ack.lease), " for ",
                                        Words(item), " was acknowledged");
  if (holders_[item] != ack.lease) {
    Broken(kOneHolder, absl::StrCat(what, " though ", Words(holders_[item]), " has the item"));
  }
  if (const auto other = accepted_.find(item);
      other != accepted_.end() && other->second != ack.lease) {
    Broken(kOnce, absl::StrCat(what, " after that of ", Words(other->second)));
  }
  accepted_[item] = ack.lease;
  // A batch that is behind the last checkpoints may be forgotten already.
  if (KeyOfItem(item).batch < committed_) return;
  const auto row = disk_.durable.results.find(item);
  if (row == disk_.durable.results.end() || row->second.lease != ack.lease) {
    Broken(kNothingLost, absl::StrCat(what, " and is not durable"));
  }
}

void History::Registered(const std::string& learner, uint64_t epoch) {
  if (epoch < learner_epoch_ || (epoch == learner_epoch_ && learner != learner_)) {
    Broken(kOneLearner, absl::StrCat(learner, " got epoch ", epoch, ", which is not above that of ",
                                     learner_, ", ", learner_epoch_));
  }
  learner_ = learner;
  learner_epoch_ = epoch;
}

void History::CheckTokens(const TrainingSample& sample, size_t begin, size_t end, ItemId item) {
  for (size_t i = begin; i < end; ++i) {
    const auto number = static_cast<uint32_t>(-sample.logprobs[i]);
    const auto result = results_.find(number);
    if (result == results_.end() || result->second.item != item) {
      return Broken(kOnce, absl::StrCat("the tokens of ", Words(item), " come from another item"));
    }
    const LeaseId lease = result->second.lease;
    if (const auto known = trained_.emplace(item, lease).first; known->second != lease) {
      return Broken(kOnce, absl::StrCat("two results of ", Words(item), " are trained"));
    }
    if (const auto known = accepted_.find(item);
        known != accepted_.end() && known->second != lease) {
      return Broken(kNothingLost,
                    absl::StrCat("the result of ", Words(known->second), " for ", Words(item),
                                 " is trained with that of ", Words(lease)));
    }
  }
}

void History::CheckSample(uint32_t batch, const TrainingSample& sample) {
  size_t begin = 0;
  for (const VersionRun& run : sample.versions) {
    const ItemKind kind = run.continuation ? ItemKind::kContinuation : ItemKind::kInitial;
    CheckTokens(sample, begin, begin + run.tokens,
                IdOf({batch, sample.position, sample.response, kind}));
    begin += run.tokens;
  }
}

void History::Delivered(uint64_t learner_epoch, const TrainingBatch& batch) {
  if (learner_epoch != learner_epoch_) {
    Broken(kOneLearner, absl::StrCat("epoch ", learner_epoch, " got batch ", batch.batch,
                                     " after epoch ", learner_epoch_, " was handed out"));
  }
  const auto [known, first] = batches_.emplace(batch.batch, batch);
  if (!first) {
    if (known->second != batch) {
      Broken(kNothingLost, absl::StrCat("batch ", batch.batch, " changed when asked for again"));
    }
    return;
  }
  std::set<std::pair<uint32_t, uint32_t>> nodes;
  for (const TrainingSample& sample : batch.samples) {
    if (!nodes.emplace(sample.position, sample.node).second) {
      Broken(kOnce, absl::StrCat("batch ", batch.batch, " has node ", sample.node, " of position ",
                                 sample.position, " twice"));
    }
    CheckSample(batch.batch, sample);
  }
  for (const auto& [item, lease] : accepted_) {
    if (KeyOfItem(item).batch != batch.batch || batch.batch < committed_) continue;
    const auto row = disk_.durable.results.find(item);
    if (row == disk_.durable.results.end() || row->second.lease != lease) {
      Broken(kNothingLost, absl::StrCat("the result of ", Words(lease), " for ", Words(item),
                                        " is gone when its batch is trained"));
    }
  }
}

void History::Committed(const BatchCommit& commit) {
  if (commit.learner_epoch != learner_epoch_) {
    Broken(kOneLearner,
           absl::StrCat("epoch ", commit.learner_epoch, " committed batch ", commit.batch,
                        " after epoch ", learner_epoch_, " was handed out"));
  }
  if (commit.batch > committed_) {
    Broken(kOnce, absl::StrCat("batch ", commit.batch, " was committed before batch ", committed_));
  }
  if (commit.batch == committed_) ++committed_;
}

void History::Started(const RunStatus& status) {
  fenced_ = 0;
  if (status.steps_done < committed_) {
    Broken(kNothingLost, absl::StrCat(committed_, " batches were committed, the next scheduler ",
                                      "knows ", status.steps_done));
  }
}

}  // namespace attnrl::scheduler::simulation
