// SPDX-License-Identifier: Apache-2.0
// The learner's part of convert.h.
#include "services/branch_scheduler/convert/convert.h"
#include "services/branch_scheduler/convert/parts.h"

namespace attnrl::scheduler {
namespace {

void WriteStatistics(const TrainStatistics& from, v1::TrainStatistics* to) {
  to->set_loss(from.loss);
  to->set_kl(from.kl);
  to->set_entropy(from.entropy);
  to->set_ratio_max(from.ratio_max);
  to->set_clip_low(from.clip_low);
  to->set_clip_high(from.clip_high);
  to->set_importance_mean(from.importance_mean);
  to->set_importance_max(from.importance_max);
  to->set_importance_truncated(from.importance_truncated);
  to->set_effective_samples(from.effective_samples);
  to->set_behaviour_k1(from.behaviour_k1);
  to->set_behaviour_k3(from.behaviour_k3);
  to->set_grad_norm(from.grad_norm);
  to->set_learning_rate(from.learning_rate);
  to->set_trained_tokens(from.trained_tokens);
  to->set_trained_tokens_unpacked(from.trained_tokens_unpacked);
  to->set_optimizer_steps(from.optimizer_steps);
  to->set_nonfinite_steps(from.nonfinite_steps);
  to->set_wait_seconds(from.wait_seconds);
  if (from.train) SetSpan(*from.train, to->mutable_train());
  if (from.sync) SetSpan(*from.sync, to->mutable_sync());
  if (from.checkpoint) SetSpan(*from.checkpoint, to->mutable_checkpoint());
}

TrainStatistics ReadStatistics(const v1::TrainStatistics& from) {
  TrainStatistics to;
  to.loss = from.loss();
  to.kl = from.kl();
  to.entropy = from.entropy();
  to.ratio_max = from.ratio_max();
  to.clip_low = from.clip_low();
  to.clip_high = from.clip_high();
  to.importance_mean = from.importance_mean();
  to.importance_max = from.importance_max();
  to.importance_truncated = from.importance_truncated();
  to.effective_samples = from.effective_samples();
  to.behaviour_k1 = from.behaviour_k1();
  to.behaviour_k3 = from.behaviour_k3();
  to.grad_norm = from.grad_norm();
  to.learning_rate = from.learning_rate();
  to.trained_tokens = from.trained_tokens();
  to.trained_tokens_unpacked = from.trained_tokens_unpacked();
  to.optimizer_steps = from.optimizer_steps();
  to.nonfinite_steps = from.nonfinite_steps();
  to.wait_seconds = from.wait_seconds();
  if (from.has_train()) to.train = GetSpan(from.train());
  if (from.has_sync()) to.sync = GetSpan(from.sync());
  if (from.has_checkpoint()) to.checkpoint = GetSpan(from.checkpoint());
  return to;
}

}  // namespace

void ToProto(const BatchRequest& from, v1::NextBatchRequest* to) {
  to->set_batch(from.batch);
  SetVersion(from.version, to->mutable_version());
  to->set_checkpoint_step(from.checkpoint_step);
  to->set_replay(from.replay);
  to->set_learner_epoch(from.learner_epoch);
}

BatchRequest FromProto(const v1::NextBatchRequest& from) {
  return BatchRequest{from.batch(), GetVersion(from.version()), from.checkpoint_step(),
                      from.replay(), from.learner_epoch()};
}

void ToProto(const TrainingSample& from, v1::TrainingSample* to) {
  to->set_position(from.position);
  to->set_response(from.response);
  to->set_node(from.node);
  SetList(from.prompt_ids, to->mutable_prompt_ids());
  SetList(from.response_ids, to->mutable_response_ids());
  SetList(from.logprobs, to->mutable_logprobs());
  for (const AdvantageRun& run : from.advantages) {
    v1::AdvantageRun* out = to->add_advantages();
    out->set_tokens(run.tokens);
    out->set_advantage(run.advantage);
  }
  for (const VersionRun& run : from.versions) {
    v1::VersionRun* out = to->add_versions();
    out->set_tokens(run.tokens);
    out->set_version(run.version);
    out->set_continuation(run.continuation);
  }
  to->set_reward(from.reward);
  to->set_truncated(from.truncated);
}

TrainingSample FromProto(const v1::TrainingSample& from) {
  TrainingSample to;
  to.position = from.position();
  to.response = from.response();
  to.node = from.node();
  to.prompt_ids = GetList(from.prompt_ids());
  to.response_ids = GetList(from.response_ids());
  to.logprobs = GetList(from.logprobs());
  for (const v1::AdvantageRun& run : from.advantages()) {
    to.advantages.push_back(AdvantageRun{run.tokens(), run.advantage()});
  }
  for (const v1::VersionRun& run : from.versions()) {
    to.versions.push_back(VersionRun{run.tokens(), run.version(), run.continuation()});
  }
  to.reward = from.reward();
  to.truncated = from.truncated();
  return to;
}

void ToProto(const TrainingBatch& from, v1::BatchHeader* to) {
  to->set_batch(from.batch);
  to->set_base(from.base);
  to->set_samples(static_cast<uint32_t>(from.samples.size()));
  to->set_problems(from.problems);
  to->set_last(from.last);
  to->set_graded_responses(from.graded_responses);
  to->set_right_responses(from.right_responses);
}

TrainingBatch FromProto(const v1::BatchHeader& from) {
  TrainingBatch to;
  to.batch = from.batch();
  to.base = from.base();
  to.problems = from.problems();
  to.last = from.last();
  to.graded_responses = from.graded_responses();
  to.right_responses = from.right_responses();
  return to;
}

void ToProto(const BatchCommit& from, v1::CommitBatchRequest* to) {
  to->set_batch(from.batch);
  SetVersion(from.version, to->mutable_version());
  to->set_checkpoint_step(from.checkpoint_step);
  to->set_replayed(from.replayed);
  WriteStatistics(from.statistics, to->mutable_statistics());
  to->set_learner_epoch(from.learner_epoch);
  if (!from.best.has_value()) return;
  to->mutable_best_checkpoint()->set_step(from.best->step);
  to->mutable_best_checkpoint()->set_accuracy(from.best->accuracy);
}

BatchCommit FromProto(const v1::CommitBatchRequest& from) {
  BatchCommit to{from.batch(),    GetVersion(from.version()),        from.checkpoint_step(),
                 from.replayed(), ReadStatistics(from.statistics()), from.learner_epoch()};
  if (from.has_best_checkpoint()) {
    to.best = BestCheckpoint{from.best_checkpoint().step(), from.best_checkpoint().accuracy()};
  }
  return to;
}

void ToProto(const CommitReply& from, v1::CommitBatchReply* to) {
  to->set_oldest_version_needed(from.oldest_version_needed);
  to->set_finished(from.finished);
}

CommitReply FromProto(const v1::CommitBatchReply& from) {
  return CommitReply{from.oldest_version_needed(), from.finished()};
}

}  // namespace attnrl::scheduler
