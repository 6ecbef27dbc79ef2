// SPDX-License-Identifier: Apache-2.0
#include "services/learner/ranks/gloo_group.h"

#include <arpa/inet.h>
#include <c10/util/Logging.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/base/clock.h"
#include "common/base/status.h"

namespace attnrl::learner {
namespace {

using Store = c10::intrusive_ptr<c10d::Store>;

// Rank 0 opens a round, the others join the newest, and rank 0 closes it once all are in. A store
// may outlive the ranks, as torchrun's does: a round that is closed or not the newest takes nobody.
constexpr char kRounds[] = "attnrl/rounds";  // how many have been opened
constexpr char kClosed[] = "closed";         // in a round
constexpr absl::Duration kRetry = absl::Milliseconds(300);
// All ranks are there: what connecting them may take.
constexpr absl::Duration kConnect = absl::Seconds(60);

std::chrono::milliseconds Chrono(absl::Duration duration) {
  return absl::ToChronoMilliseconds(duration);
}

// Whatever c10d meets comes to us as an exception, too; its own lines on stderr would be no part of
// the log, and there would be one for each try at reaching rank 0.
void SilenceC10d() {
  constexpr int kFatal = 3;
  FLAGS_caffe2_log_level = kFatal;
}

// Where the ranks of one round find each other.
Store RoundOf(const Store& store, int64_t number) {
  return c10::make_intrusive<c10d::PrefixStore>(absl::StrCat("attnrl/round/", number), store);
}

std::string JoinedKey(int rank) { return absl::StrCat("joined/", rank); }

// What one rank says of another that failed it.
std::string Reason(int rank, const std::exception& error, absl::Duration timeout) {
  const std::string text = error.what();
  if (absl::StrContains(text, "Timed out")) {
    return absl::StrCat("rank ", rank, " has not answered for ", absl::FormatDuration(timeout));
  }
  if (absl::StrContains(text, "closed by peer") || absl::StrContains(text, "reset by peer")) {
    return absl::StrCat("rank ", rank, " has closed its connection");
  }
  return absl::StrCat("rank ", rank, ": ", text.substr(0, text.find('\n')));
}

class GlooTransfer final : public RankGroup::Transfer {
 public:
  GlooTransfer(c10::intrusive_ptr<c10d::Work> work, int peer, absl::Duration timeout)
      : work_(std::move(work)), peer_(peer), timeout_(timeout) {}

  void Wait() override {
    try {
      work_->wait(Chrono(timeout_));
    } catch (const std::exception& error) {
      throw RankError(Reason(peer_, error, timeout_));
    }
  }

 private:
  const c10::intrusive_ptr<c10d::Work> work_;
  const int peer_;
  const absl::Duration timeout_;
};

class GlooGroup final : public RankGroup {
 public:
  // `round` lives as long as the group: it is how a newcomer learns that there is one.
  GlooGroup(Store round, c10::intrusive_ptr<c10d::ProcessGroupGloo> group, absl::Duration timeout)
      : round_(std::move(round)),
        group_(std::move(group)),
        timeout_(timeout),
        sent_(static_cast<size_t>(group_->getSize())),
        received_(static_cast<size_t>(group_->getSize())) {}

  int rank() const override { return group_->getRank(); }
  int size() const override { return group_->getSize(); }

  // Each message between two ranks has a tag of its own, which keeps them in order.
  std::unique_ptr<Transfer> Send(const at::Tensor& tensor, int to) override {
    return Start(to, [&] {
      std::vector<at::Tensor> tensors = {tensor};
      return group_->send(tensors, to, MessageTag(sent_[static_cast<size_t>(to)]++));
    });
  }
  std::unique_ptr<Transfer> Receive(const at::Tensor& tensor, int from) override {
    return Start(from, [&] {
      std::vector<at::Tensor> tensors = {tensor};
      return group_->recv(tensors, from, MessageTag(received_[static_cast<size_t>(from)]++));
    });
  }

 private:
  template <typename Begin>
  std::unique_ptr<Transfer> Start(int peer, Begin begin) {
    try {
      return std::make_unique<GlooTransfer>(begin(), peer, timeout_);
    } catch (const std::exception& error) {
      throw RankError(Reason(peer, error, timeout_));
    }
  }

  const Store round_;
  const c10::intrusive_ptr<c10d::ProcessGroupGloo> group_;
  const absl::Duration timeout_;
  std::vector<uint32_t> sent_;
  std::vector<uint32_t> received_;
};

// A socket that listens on this machine alone; the store itself would listen everywhere.
absl::StatusOr<int> ListenOnLoopback(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
      bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
      listen(fd, SOMAXCONN) == 0) {
    return fd;
  }
  const absl::Status status = absl::UnavailableError(
      absl::StrCat("can't listen on port ", port, " (MASTER_PORT): ", std::strerror(errno)));
  if (fd >= 0) close(fd);
  return status;
}

absl::StatusOr<Store> HostStore(const RankPlace& place) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(place.port);
  options.isServer = true;
  options.waitWorkers = false;
  if (IsLoopback(place.address)) {
    ATTNRL_ASSIGN_OR_RETURN(options.masterListenFd, ListenOnLoopback(place.port));
  }
  try {
    return c10::make_intrusive<c10d::TCPStore>(place.address, options);
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat("can't listen on ", place.address, ":", place.port,
                                               " (MASTER_ADDR, MASTER_PORT): ", error.what()));
  }
}

// The store that somebody else hosts; null while nobody listens.
Store FindStore(const RankPlace& place) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(place.port);
  options.waitWorkers = false;
  options.timeout = std::chrono::seconds(2);
  try {
    return c10::make_intrusive<c10d::TCPStore>(
        IsLoopback(place.address) ? "127.0.0.1" : place.address, options);
  } catch (const std::exception&) {
    return Store();
  }
}

// Those who aren't in yet; empty where all are. Rank 0 is, since it has opened the round.
std::string Missing(const Store& round, int size) {
  std::vector<int> missing;
  for (int rank = 1; rank < size; ++rank) {
    if (!round->check({JoinedKey(rank)})) missing.push_back(rank);
  }
  if (missing.empty()) return "";
  return absl::StrCat(missing.size() == 1 ? "rank " : "ranks ", absl::StrJoin(missing, ", "));
}

c10::intrusive_ptr<c10d::ProcessGroupGloo> Connect(const RankPlace& place, const Store& round) {
  auto options = c10d::ProcessGroupGloo::Options::create(Chrono(kConnect));
  options->devices.push_back(IsLoopback(place.address)
                                 ? c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1")
                                 : c10d::ProcessGroupGloo::createDefaultDevice());
  return c10::make_intrusive<c10d::ProcessGroupGloo>(round, place.rank, place.size, options);
}

// The waits of JoinRanks.
class Patience {
 public:
  explicit Patience(const JoinOptions& options)
      : options_(options), deadline_(Clock::Real().Monotonic() + options.timeout) {}

  // Sleeps a little; an error where there has been enough of it.
  absl::Status Wait(const std::string& what) const {
    if (options_.abandon && options_.abandon()) {
      return absl::CancelledError(absl::StrCat("stopped while waiting for ", what));
    }
    if (Clock::Real().Monotonic() >= deadline_) {
      return absl::DeadlineExceededError(
          absl::StrCat("waited ", absl::FormatDuration(options_.timeout), " for ", what));
    }
    absl::SleepFor(kRetry);
    return absl::OkStatus();
  }

 private:
  const JoinOptions& options_;
  const absl::Duration deadline_;  // monotonic
};

absl::StatusOr<Store> MeetAgent(const RankPlace& place, const Patience& patience) {
  while (true) {
    if (Store store = FindStore(place)) return store;
    ATTNRL_RETURN_IF_ERROR(
        patience.Wait(absl::StrCat("torchrun at ", place.address, ":", place.port)));
  }
}

// Rank 0: opens a round and closes it once all are in.
absl::StatusOr<Store> HoldRound(const RankPlace& place, const Patience& patience) {
  ATTNRL_ASSIGN_OR_RETURN(const Store store,
                          place.agent ? MeetAgent(place, patience) : HostStore(place));
  Store round = RoundOf(store, store->add(kRounds, 1));
  for (std::string missing = Missing(round, place.size); !missing.empty();
       missing = Missing(round, place.size)) {
    ATTNRL_RETURN_IF_ERROR(patience.Wait(missing));
  }
  round->set(kClosed, std::vector<uint8_t>{1});
  return round;
}

// Another rank: the round that has been closed with it. A rank 0 that goes away before leaves a
// round, or a store, for its successor's.
absl::StatusOr<Store> JoinRound(const RankPlace& place, const Patience& patience) {
  Store store;
  int64_t joined = 0;
  while (true) {
    std::string awaited;
    try {
      if (!store) {
        joined = 0;
        store = FindStore(place);
      }
      const int64_t newest = store ? store->add(kRounds, 0) : 0;
      if (newest > 0) {
        Store round = RoundOf(store, newest);
        const bool closed = round->check({kClosed});
        if (closed && newest == joined) return round;
        if (!closed) {
          round->set(JoinedKey(place.rank), std::vector<uint8_t>{1});
          joined = newest;
          awaited = Missing(round, place.size);
        }
      }
    } catch (const std::exception&) {
      store.reset();
    }
    if (awaited.empty()) awaited = absl::StrCat("rank 0 at ", place.address, ":", place.port);
    ATTNRL_RETURN_IF_ERROR(patience.Wait(awaited));
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<RankGroup>> JoinRanks(const RankPlace& place,
                                                     const JoinOptions& options) {
  SilenceC10d();
  const Patience patience(options);
  try {
    ATTNRL_ASSIGN_OR_RETURN(const Store round, place.rank == 0 ? HoldRound(place, patience)
                                                               : JoinRound(place, patience));
    return std::make_unique<GlooGroup>(round, Connect(place, round), options.timeout);
  } catch (const std::exception& error) {
    const std::string text = error.what();
    return absl::UnavailableError(
        absl::StrCat("can't connect to the other ranks: ", text.substr(0, text.find('\n'))));
  }
}

}  // namespace attnrl::learner
