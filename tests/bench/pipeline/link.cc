// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/pipeline/link.h"

#include <optional>
#include <thread>
#include <utility>

#include "common/base/status.h"

namespace attnrl::bench {
namespace {

using scheduler::SchedulerMessage;
using scheduler::WorkerMessage;

class Calls final : public Link {
 public:
  Calls(scheduler::Scheduler* scheduler, Timeline* timeline, Hear hear)
      : scheduler_(*scheduler), timeline_(*timeline), hear_(std::move(hear)) {}

  absl::Status Open(const scheduler::Register& hello) {
    ATTNRL_ASSIGN_OR_RETURN(session_, scheduler_.Connect(hello));
    session_->WakeWith([this] { timeline_.Post([this] { Collect(); }); });
    return absl::OkStatus();
  }
  absl::Status Send(WorkerMessage message) override {
    return scheduler_.Receive(session_, std::move(message));
  }

 private:
  void Collect() {
    std::optional<absl::Status> over;
    while (auto message = session_->Next(&over)) hear_(*std::move(message));
  }

  scheduler::Scheduler& scheduler_;
  Timeline& timeline_;
  const Hear hear_;
  std::shared_ptr<scheduler::WorkerSession> session_;
};

class Stream final : public Link {
 public:
  Stream(std::unique_ptr<scheduler::WorkStream> stream, Timeline* timeline, Hear hear)
      : timeline_(*timeline),
        hear_(std::move(hear)),
        stream_(std::move(stream)),
        reader_([this] { Read(); }) {}
  ~Stream() override {
    stream_->Cancel();
    reader_.join();
  }
  absl::Status Send(WorkerMessage message) override { return stream_->Send(message); }

 private:
  void Read() {
    for (;;) {
      auto message = stream_->Receive(absl::Minutes(1));
      if (!message.ok()) return;
      if (!message->has_value()) continue;
      timeline_.Post([this, one = **std::move(message)]() mutable { hear_(std::move(one)); });
    }
  }

  Timeline& timeline_;
  const Hear hear_;
  const std::unique_ptr<scheduler::WorkStream> stream_;
  std::thread reader_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Link>> LinkByCalls(scheduler::Scheduler* scheduler,
                                                  Timeline* timeline,
                                                  const scheduler::Register& hello,
                                                  Link::Hear hear) {
  auto link = std::make_unique<Calls>(scheduler, timeline, std::move(hear));
  ATTNRL_RETURN_IF_ERROR(link->Open(hello));
  return link;
}

absl::StatusOr<std::unique_ptr<Link>> LinkByStream(scheduler::WorkConnector* connector,
                                                   Timeline* timeline,
                                                   const scheduler::Register& hello,
                                                   Link::Hear hear) {
  ATTNRL_ASSIGN_OR_RETURN(auto stream, connector->Open());
  ATTNRL_RETURN_IF_ERROR(stream->Send(hello));
  return std::make_unique<Stream>(std::move(stream), timeline, std::move(hear));
}

}  // namespace attnrl::bench
