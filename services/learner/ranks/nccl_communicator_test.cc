// SPDX-License-Identifier: Apache-2.0
#include "services/learner/ranks/nccl_communicator.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "services/learner/ranks/rank_group.h"

namespace attnrl::learner {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(20);

// What the functions below find and leave behind: NCCL's are plain functions, too.
struct Library {
  std::vector<std::string> calls;       // but for looks at the state
  ncclResult_t state = ncclSuccess;     // of the communicator, once it is connected
  ncclResult_t sends = ncclInProgress;  // what a send returns
  int looks_until_quiet = 0;            // as many times NCCL is still busy
};
Library library;

ncclComm_t TheComm() { return reinterpret_cast<ncclComm_t>(&library); }

ncclResult_t Called(const std::string& name, ncclComm_t comm) {
  EXPECT_EQ(comm, TheComm());
  library.calls.push_back(name);
  return ncclInProgress;
}

ncclResult_t Closed() {
  library.calls.emplace_back("group end");
  return ncclInProgress;
}

NcclFunctions Functions() {
  return {
      .init =
          [](ncclComm_t* comm, int size, ncclUniqueId, int rank, ncclConfig_t* config) {
            EXPECT_EQ(config->blocking, 0);
            *comm = TheComm();
            return Called("rank " + std::to_string(rank) + " of " + std::to_string(size), *comm);
          },
      .get_state =
          [](ncclComm_t, ncclResult_t* state) {
            const bool busy = library.looks_until_quiet > 0;
            if (busy) --library.looks_until_quiet;
            *state = busy ? ncclInProgress : library.state;
            return ncclSuccess;
          },
      .group_start =
          [] {
            library.calls.emplace_back("group start");
            return ncclSuccess;
          },
      .group_end = Closed,
      .send =
          [](const void*, size_t bytes, ncclDataType_t, int peer, ncclComm_t comm, cudaStream_t) {
            Called(std::to_string(bytes) + " bytes to " + std::to_string(peer), comm);
            return library.sends;
          },
      .receive =
          [](void*, size_t bytes, ncclDataType_t, int peer, ncclComm_t comm, cudaStream_t) {
            return Called(std::to_string(bytes) + " bytes from " + std::to_string(peer), comm);
          },
      .finalize = [](ncclComm_t comm) { return Called("finalize", comm); },
      .destroy = [](ncclComm_t comm) { return Called("destroy", comm); },
      .abort = [](ncclComm_t comm) { return Called("abort", comm); },
  };
}

using Calls = std::vector<std::string>;

class NcclCommunicatorTest : public testing::Test {
 protected:
  NcclCommunicatorTest() {
    library = {};
    communicator_.emplace(kTimeout, Functions(), clock_);
    communicator_->Connect({}, /*rank=*/1, /*size=*/3);
    library.calls.clear();
  }

  // What `work` throws, and what is called of NCCL from then until the communicator has gone away.
  template <typename Work>
  std::string ErrorOf(Work work) {
    try {
      work();
    } catch (const RankError& error) {
      return error.what();
    }
    return "none";
  }
  Calls CallsAfter() {
    library.calls.clear();
    communicator_.reset();
    return library.calls;
  }

  FakeClock clock_;
  std::optional<NcclCommunicator> communicator_;
  std::vector<NcclCommunicator::Message> to_both_ = {{.bytes = 8, .peer = 2, .sent = true},
                                                     {.bytes = 8, .peer = 2},
                                                     {.bytes = 4, .peer = 0, .sent = true}};
};

TEST_F(NcclCommunicatorTest, PutsMessagesOnTheStreamAsOneGroupAndWaitsUntilTheyAreThere) {
  library.looks_until_quiet = 5;
  communicator_->Post(to_both_, nullptr);
  EXPECT_EQ(library.calls,
            (Calls{"group start", "8 bytes to 2", "8 bytes from 2", "4 bytes to 0", "group end"}));
  EXPECT_EQ(library.looks_until_quiet, 0);
}

TEST_F(NcclCommunicatorTest, WaitsUntilMessagesAreThrough) {
  int looks = 0;
  communicator_->WaitFor(to_both_, [&] { return ++looks == 7; });
  EXPECT_EQ(looks, 7);
}

TEST_F(NcclCommunicatorTest, NamesTheRanksOfATransferThatTakesTooLongAndAborts) {
  const absl::Duration start = clock_.Monotonic();
  EXPECT_EQ(ErrorOf([&] { communicator_->WaitFor(to_both_, [] { return false; }); }),
            "one of the ranks 0, 2 has not answered for 20s");
  EXPECT_GE(clock_.Monotonic() - start, kTimeout);
  EXPECT_LT(clock_.Monotonic() - start, kTimeout + absl::Seconds(1));
  EXPECT_EQ(CallsAfter(), Calls{"abort"});
}

TEST_F(NcclCommunicatorTest, TellsWhatNcclMetInTheBackgroundAtOnceAndAborts) {
  library.state = ncclRemoteError;
  const absl::Duration start = clock_.Monotonic();
  EXPECT_EQ(ErrorOf([&] { communicator_->WaitFor({{.peer = 2}}, [] { return false; }); }),
            std::string("rank 2: NCCL says: ") + ncclGetErrorString(ncclRemoteError));
  EXPECT_EQ(clock_.Monotonic(), start);
  EXPECT_EQ(CallsAfter(), Calls{"abort"});
}

TEST_F(NcclCommunicatorTest, ClosesAGroupOfWhichAMessageWasRefused) {
  library.sends = ncclInvalidArgument;
  EXPECT_EQ(
      ErrorOf([&] { communicator_->Post(to_both_, nullptr); }),
      std::string("one of the ranks 0, 2: NCCL says: ") + ncclGetErrorString(ncclInvalidArgument));
  EXPECT_EQ(library.calls, (Calls{"group start", "8 bytes to 2", "group end"}));
  EXPECT_EQ(CallsAfter(), Calls{"abort"});
}

// As where a pass throws, or another rank's end is seen over TCP: NCCL has met nothing yet.
TEST_F(NcclCommunicatorTest, AbortsWhereSomethingElseEndsItWhileMessagesAreUnderWay) {
  library.calls.clear();
  try {
    NcclCommunicator other(kTimeout, Functions(), clock_);
    other.Connect({}, 0, 2);
    other.Post({{.bytes = 8, .peer = 1, .sent = true}}, nullptr);
    throw RankError("rank 1 has closed its connection");
  } catch (const RankError&) {
    EXPECT_EQ(library.calls,
              (Calls{"rank 0 of 2", "group start", "8 bytes to 1", "group end", "abort"}));
  }
}

TEST_F(NcclCommunicatorTest, AbortsWhereTheRanksCannotBeConnected) {
  library.calls.clear();
  library.state = ncclSystemError;
  EXPECT_EQ(ErrorOf([&] {
              NcclCommunicator other(kTimeout, Functions(), clock_);
              other.Connect({}, 0, 2);
            }),
            std::string("rank 1: NCCL says: ") + ncclGetErrorString(ncclSystemError));
  EXPECT_EQ(library.calls, (Calls{"rank 0 of 2", "abort"}));
}

TEST_F(NcclCommunicatorTest, DisconnectsInOrderWhenAllHaveEnded) {
  library.looks_until_quiet = 3;
  communicator_->End();
  EXPECT_EQ(library.looks_until_quiet, 0);
  EXPECT_EQ(library.calls, (Calls{"finalize", "destroy"}));
  communicator_->End();
  EXPECT_EQ(CallsAfter(), Calls{});
}

TEST_F(NcclCommunicatorTest, AbortsWhereTheOthersDoNotEnd) {
  library.state = ncclInProgress;
  EXPECT_EQ(ErrorOf([&] { communicator_->End(); }),
            "one of the ranks 0, 2 has not answered for 20s");
  EXPECT_EQ(library.calls, Calls{"finalize"});
  EXPECT_EQ(CallsAfter(), Calls{"abort"});
}

}  // namespace
}  // namespace attnrl::learner
