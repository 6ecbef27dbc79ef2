// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/work/worker.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"

namespace attnrl::rollout {
namespace {

// Every wait has a deadline: the longest that the worker or its reader waits without looking up.
constexpr absl::Duration kLookUp = absl::Seconds(30);
constexpr absl::Duration kWeightsLookUp = absl::Seconds(1);
constexpr absl::Duration kReadWait = absl::Seconds(1);
// How long a worker that leaves waits for the scheduler's proof that it took everything.
constexpr absl::Duration kLinger = absl::Seconds(5);

// The scheduler will not have this worker; coming back is useless.
bool IsRefusal(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsInvalidArgument(status) ||
         absl::IsPermissionDenied(status);
}

void Read(scheduler::WorkStream& stream, int number, Inbox& inbox) {
  while (true) {
    absl::StatusOr<std::optional<scheduler::SchedulerMessage>> message = stream.Receive(kReadWait);
    if (!message.ok()) return inbox.Push(StreamEnded{number, message.status()});
    if (!message->has_value()) continue;
    if (!inbox.PushMessage({number, **std::move(message)})) return;
  }
}

}  // namespace

Worker::Worker(WorkerOptions options, scheduler::WorkConnector& connector, Engine& engine,
               WeightKeeper& keeper, const Clock& clock)
    : options_(std::move(options)),
      connector_(connector),
      engine_(engine),
      keeper_(keeper),
      clock_(clock),
      inbox_(std::make_shared<Inbox>()),
      book_(options_.max_tokens, options_.vocabulary),
      backoff_(options_.first_backoff, options_.max_backoff,
               std::hash<std::string>{}(options_.name)),
      reserve_(clock.Monotonic(), options_.slots),
      lease_time_(options_.lease_time),
      next_connect_(clock.Monotonic()),
      next_renew_(absl::InfiniteDuration()),
      rest_end_(clock.Monotonic()),
      linger_end_(clock.Monotonic()),
      drain_end_(absl::InfiniteDuration()) {}

Worker::~Worker() {
  inbox_->Close();
  CloseStream();
}

void Worker::Drain() { inbox_->Push(DrainWanted{}); }

absl::Status Worker::Run() {
  while (!Done()) {
    Timers();
    std::optional<WorkerEvent> event = inbox_->Pop(UntilNextTimer());
    if (event) Handle(*std::move(event));
  }
  inbox_->Close();  // the reader may wait for room in it
  CloseStream();
  return failure_.value_or(unfit_);
}

bool Worker::Done() const {
  if (failure_) return true;
  if (!draining_) return false;
  const absl::Duration now = clock_.Monotonic();
  if (now >= drain_end_ || (book_.empty() && !stream_)) return true;
  return left_ && now >= linger_end_;
}

void Worker::Connect() {
  absl::StatusOr<std::unique_ptr<scheduler::WorkStream>> stream = connector_.Open();
  if (!stream.ok()) return Disconnect(stream.status());
  stream_ = *std::move(stream);
  registered_ = false;
  credits_ = WantedCredits();
  reader_ = std::thread(
      [this, raw = stream_.get(), number = ++stream_number_] { Read(*raw, number, *inbox_); });
  Send(scheduler::Register{.worker = options_.name,
                           .capacity = static_cast<uint32_t>(options_.slots),
                           .numerics_id = options_.numerics_id,
                           .held = book_.Held(),
                           .credits = credits_});
}

// The stream has ended, or none could be opened: another try later, unless it was a refusal.
void Worker::Disconnect(const absl::Status& status) {
  CloseStream();
  sent_.reset();
  if (left_) return;
  if (IsRefusal(status)) {
    failure_ = unfit_.ok() ? status : unfit_;
    return;
  }
  const absl::Duration wait = backoff_.Next();
  next_connect_ = clock_.Monotonic() + wait;
  next_renew_ = absl::InfiniteDuration();
  observe::LogWarning("no stream to the scheduler, trying again",
                      {{"reason", status},
                       {"seconds", absl::ToDoubleSeconds(wait)},
                       {"leases", book_.Leases().size()}});
}

void Worker::CloseStream() {
  if (!stream_) return;
  stream_->Cancel();
  reader_.join();
  stream_.reset();
  registered_ = false;
}

// A failed send shows as the stream's end in the reader, so it needs no other handling.
void Worker::Send(const scheduler::WorkerMessage& message) {
  if (stream_) stream_->Send(message).IgnoreError();
}

// A result that can't be sent at all isn't kept, or it would be sent again for ever.
void Worker::SendResult(const scheduler::ItemResult& result) {
  const absl::Status status = stream_->Send(result);
  if (!absl::IsOutOfRange(status)) return;
  FailItem(result.lease, status);
}

// Another worker tries it: the scheduler parks what has failed too often.
void Worker::FailItem(scheduler::LeaseId lease, const absl::Status& why) {
  observe::LogError("an item can't be done", {{"reason", why}});
  if (registered_) {
    Send(scheduler::GiveBack{{lease}, std::string(why.message()), /*failed=*/true});
  }
  Forget({lease});
}

void Worker::Handle(WorkerEvent event) {
  if (auto* message = std::get_if<StreamMessage>(&event)) {
    if (stream_ && message->stream == stream_number_) HandleMessage(std::move(message->message));
  } else if (auto* ended = std::get_if<StreamEnded>(&event)) {
    if (stream_ && ended->stream == stream_number_) Disconnect(ended->status);
  } else if (auto* completion = std::get_if<Completion>(&event)) {
    OnCompletion(*completion);
  } else if (auto* progress = std::get_if<Progress>(&event)) {
    progress_ = std::move(progress->tokens);
  } else {
    StartDrain("the worker was asked to stop");
  }
}

void Worker::HandleMessage(scheduler::SchedulerMessage message) {
  if (const auto* registered = std::get_if<scheduler::Registered>(&message)) {
    OnRegistered(*registered);
  } else if (const auto* lease = std::get_if<scheduler::Lease>(&message)) {
    OnLease(*lease);
  } else if (const auto* ack = std::get_if<scheduler::Ack>(&message)) {
    OnAck(*ack);
  } else if (const auto* cancel = std::get_if<scheduler::Cancel>(&message)) {
    Forget(cancel->leases);
  } else if (const auto* prefetch = std::get_if<scheduler::Prefetch>(&message)) {
    OnPrefetch(prefetch->version);
  } else {
    StartDrain("the scheduler asked the worker to leave");
  }
}

void Worker::OnRegistered(const scheduler::Registered& registered) {
  registered_ = true;
  backoff_.Reset();
  if (registered.lease_seconds > 0) lease_time_ = absl::Seconds(registered.lease_seconds);
  next_renew_ = clock_.Monotonic() + lease_time_ / 3;
  std::vector<scheduler::LeaseId> lost = book_.Leases();
  std::erase_if(lost, [&](scheduler::LeaseId lease) {
    return std::find(registered.adopted.begin(), registered.adopted.end(), lease) !=
           registered.adopted.end();
  });
  Forget(lost);
  const std::vector<scheduler::ItemResult> results = book_.Unacknowledged();
  for (const scheduler::ItemResult& result : results) SendResult(result);
  observe::LogInfo("registered with the scheduler", {{"epoch", registered.epoch},
                                                     {"kept", registered.adopted.size()},
                                                     {"lost", lost.size()},
                                                     {"sent_again", results.size()}});
  UpdateCredits();
}

void Worker::NoteAnswer() {
  if (sent_) reserve_.NoteAnswer(clock_.Monotonic() - *sent_);
  sent_.reset();
}

void Worker::OnLease(const scheduler::Lease& lease) {
  NoteAnswer();
  // After leaving nothing can be said, and the scheduler takes it back by itself.
  if (draining_) return GiveBack({lease.lease}, "the worker is leaving");
  if (resting_ && !keeper_.Holds(lease.item.version)) {
    return GiveBack({lease.lease}, "the worker has no weights");
  }
  absl::StatusOr<std::vector<Request>> requests = book_.Add(lease, clock_.Monotonic());
  if (!requests.ok()) return FailItem(lease.lease, requests.status());
  samples_per_lease_ = static_cast<int64_t>(lease.item.samples.size());
  // The older weights come first: nothing is left to do under those that it lacks.
  if (!resting_ && lacking_ != lease.item.version) lacking_.reset();
  UpdateWants();
  for (Request& request : *requests) {
    engine_.Submit(std::move(request),
                   [inbox = inbox_](Completion completion) { inbox->Push(std::move(completion)); });
  }
  UpdateCredits();
}

void Worker::OnAck(const scheduler::Ack& ack) {
  NoteAnswer();
  Forget({ack.lease});
  if (ack.verdict == scheduler::AckVerdict::kInvalid) {
    // No InvalidArgument: the fault may be this process' memory, and a new one does it right.
    return LeaveBecause(
        absl::InternalError(
            absl::StrCat("the scheduler can't use this worker's results: ", OneLine(ack.reason))),
        "this worker doesn't fit the run");
  }
  if (ack.verdict != scheduler::AckVerdict::kAccepted) {
    observe::LogWarning("the scheduler refused a result",
                        {{"lease", scheduler::Number(ack.lease)}, {"reason", ack.reason}});
  }
}

void Worker::OnPrefetch(const Version& version) {
  prefetch_ = version;
  UpdateWants();
}

void Worker::OnCompletion(const Completion& completion) {
  const std::optional<scheduler::LeaseRef> lease = book_.LeaseOf(completion.id);
  if (!lease) return;  // cancelled meanwhile
  const absl::Status& status = completion.status;
  if (absl::IsInvalidArgument(status) || absl::IsDataLoss(status)) {
    return FailItem(lease->lease, Annotate(status, absl::StrCat("item ", lease->item)));
  }
  if (!status.ok()) return LeaveAsBroken(status);
  if (options_.observe) options_.observe(completion);
  reserve_.NoteFinished(clock_.Monotonic());
  const std::optional<scheduler::ItemResult> result = book_.Complete(completion);
  if (!result) return;
  if (registered_) {
    if (!sent_) sent_ = clock_.Monotonic();
    SendResult(*result);
  }
  UpdateWants();
  UpdateCredits();
}

void Worker::StartDrain(const std::string& reason) {
  if (draining_) return;
  draining_ = true;
  drain_end_ = clock_.Monotonic() + options_.drain_limit;
  const std::vector<scheduler::LeaseId> unfinished = book_.Unfinished();
  observe::LogInfo("draining", {{"reason", reason}, {"given_back", unfinished.size()}});
  if (registered_) {
    Send(scheduler::Credits{0});
    if (!unfinished.empty()) GiveBack(unfinished, reason);
  }
  Forget(unfinished);
}

void Worker::LeaveBecause(const absl::Status& why, const char* words) {
  if (!unfit_.ok()) return;
  unfit_ = why;
  observe::LogError(words, {{"reason", why}});
  StartDrain(std::string(why.message()));
}

// The same model, or a GPU whose context is broken, would fail at every other lease too. Another
// process may do it right, so the items aren't marked as failed.
void Worker::LeaveAsBroken(const absl::Status& why) {
  LeaveBecause(why, "this worker can't sample any more");
}

void Worker::GiveBack(const std::vector<scheduler::LeaseId>& leases, const std::string& reason) {
  Send(scheduler::GiveBack{leases, reason});
}

void Worker::Forget(const std::vector<scheduler::LeaseId>& leases) {
  for (const uint64_t request : book_.Forget(leases)) engine_.Abort(request);
  UpdateWants();
  UpdateCredits();
}

// Older versions first, as the engine runs them; the one that will be needed soon comes last.
void Worker::UpdateWants() {
  std::vector<Version> wanted = book_.VersionsNeeded();
  if (prefetch_ && !wanted.empty() && prefetch_->number < wanted.front().number) prefetch_.reset();
  for (const std::optional<Version>& other : {lacking_, prefetch_}) {
    if (other && std::find(wanted.begin(), wanted.end(), *other) == wanted.end()) {
      wanted.push_back(*other);
    }
  }
  if (!wanted.empty()) keeper_.Want(std::move(wanted));
}

// Enough leases to keep every slot busy and a reserve waiting, counted in samples: what is open now
// and as many further leases, of the size of the newest one, as are missing. Results that wait for
// their acknowledgement are no longer open.
uint32_t Worker::WantedCredits() const {
  if (draining_ || resting_) return 0;
  const int64_t target = options_.slots + reserve_.Samples(clock_.Monotonic());
  const int64_t missing = std::max<int64_t>(0, target - book_.open_samples());
  const int64_t further = (missing + samples_per_lease_ - 1) / samples_per_lease_;
  return static_cast<uint32_t>(static_cast<int64_t>(book_.Unfinished().size()) + further);
}

void Worker::UpdateCredits() {
  if (!registered_ || draining_) return;
  const uint32_t wanted = WantedCredits();
  if (wanted == credits_) return;
  credits_ = wanted;
  Send(scheduler::Credits{wanted});
}

void Worker::Timers() {
  const absl::Duration now = clock_.Monotonic();
  if (draining_ && book_.empty()) return Leave(now);
  if (!stream_ && now >= next_connect_) Connect();
  RestWithoutWeights(now);
  HandOnLate(now);
  if (!registered_ || now < next_renew_) return;
  next_renew_ = now + lease_time_ / 3;
  // Without leases too: a scheduler that took them away gives no more until it hears from us.
  Send(scheduler::Renew{book_.Leases(), book_.Tokens(progress_)});
  // For the next renewal: one that waited for a long step would come too late.
  engine_.AskProgress([inbox = inbox_](std::map<uint64_t, uint64_t> tokens) {
    inbox->Push(Progress{std::move(tokens)});
  });
}

void Worker::RestWithoutWeights(absl::Duration now) {
  const std::vector<WeightKeeper::Trouble> troubles = keeper_.troubles();
  for (const WeightKeeper::Trouble& trouble : troubles) {
    if (trouble.fatal) return LeaveAsBroken(absl::InternalError(trouble.reason));
  }
  if (!registered_ || draining_) return;
  if (lacking_ && keeper_.Holds(*lacking_)) lacking_.reset();
  if (resting_ && (!lacking_ || now >= rest_end_)) {
    resting_ = false;
    UpdateCredits();
  }
  for (const WeightKeeper::Trouble& trouble : troubles) {
    const std::vector<scheduler::LeaseId> leases = book_.Unfinished(trouble.version);
    if (leases.empty() || now - trouble.since < lease_time_ / 2) continue;
    lacking_ = trouble.version;
    resting_ = true;
    rest_end_ = now + lease_time_;
    UpdateCredits();  // first, or the same items would come back
    GiveBack(leases, absl::StrCat("no weights: W(", trouble.version.number,
                                  "): ", OneLine(trouble.reason)));
    Forget(leases);
  }
}

void Worker::HandOnLate(absl::Duration now) {
  if (!registered_ || draining_) return;
  const std::vector<scheduler::LeaseId> late = book_.Late(now);
  if (late.empty()) return;
  observe::LogWarning("handing late work on", {{"leases", late.size()}});
  observe::Count(observe::kRolloutLateLeasesTotal, {}, static_cast<double>(late.size()));
  Send(scheduler::GiveBack{late, "not finished in the time of the item", /*failed=*/false,
                           /*late=*/true});
  Forget(late);
}

// The scheduler ends the stream when it has taken everything, which ends the worker too.
void Worker::Leave(absl::Duration now) {
  if (left_ || !stream_) return;
  left_ = true;
  linger_end_ = now + kLinger;
  stream_->Leave();
}

absl::Duration Worker::UntilNextTimer() const {
  const absl::Duration now = clock_.Monotonic();
  absl::Duration wait = kLookUp;
  // The keeper doesn't call: it is looked at.
  if (resting_ || !book_.empty()) wait = std::min(wait, kWeightsLookUp);
  if (!stream_) wait = std::min(wait, next_connect_ - now);
  if (registered_) wait = std::min({wait, next_renew_ - now, book_.next_late() - now});
  if (draining_) wait = std::min(wait, (left_ ? linger_end_ : drain_end_) - now);
  return std::max(wait, absl::ZeroDuration());
}

}  // namespace attnrl::rollout
