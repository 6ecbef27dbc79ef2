// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/store/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/philox.h"
#include "common/storage/files.h"
#include "common/testing/temporary_folder.h"
#include "services/branch_scheduler/store/store.h"

namespace attnrl::scheduler {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr char kFile[] = "events.jsonl";

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() {
    Restart();
    EXPECT_EQ(warning_, "");
  }

  // Another process on what is there.
  void Restart() {
    journal_.reset();
    store_.reset();
    auto store = OpenStore({.path = folder_ / "scheduler.db"});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    journal_ = std::make_unique<Journal>(folder_.path(), store_.get());
    warning_.clear();
    reconciled_ = journal_->Reconcile(kFile, &warning_);
  }
  // Committed lines of the given lengths, all different; they are in `all_` too.
  void Add(const std::vector<size_t>& lengths) {
    ASSERT_TRUE(store_->Begin().ok());
    for (const size_t length : lengths) {
      const std::string line = absl::StrCat("{", next_++, std::string(length, 'x'), "}");
      ASSERT_TRUE(store_->AddLine(kFile, line).ok());
      absl::StrAppend(&all_, line, "\n");
    }
    ASSERT_TRUE(store_->Commit().ok());
  }
  // So many bytes of the file are left.
  void Cut(size_t size) { std::filesystem::resize_file(folder_ / kFile, size); }
  std::string File() const { return folder_.Read(kFile); }

  const TemporaryFolder folder_{TemporaryFolder::On::kMemory};
  std::unique_ptr<Store> store_;
  std::unique_ptr<Journal> journal_;
  std::string warning_;
  absl::Status reconciled_;
  std::string all_;
  int next_ = 0;
};

TEST_F(JournalTest, AppendsEachCommittedLineOnce) {
  Add({3, 0, 5});
  EXPECT_EQ(File(), "") << "the file follows";
  ASSERT_TRUE(journal_->Flush().ok());
  EXPECT_EQ(File(), all_);
  ASSERT_TRUE(journal_->Flush().ok());
  EXPECT_EQ(File(), all_);
  Add({4});
  ASSERT_TRUE(journal_->Settle().ok()) << "before it was flushed";
  ASSERT_TRUE(journal_->Flush().ok());
  EXPECT_EQ(File(), all_);
}

TEST_F(JournalTest, SettledLinesAreInTheFileAloneAndTheOthersInBoth) {
  Add({3, 4});
  ASSERT_TRUE(journal_->Flush().ok());
  ASSERT_TRUE(journal_->Settle().ok());
  EXPECT_THAT(*store_->LinesAfter(kFile, 0), IsEmpty());
  EXPECT_EQ(*store_->SettledBytes(kFile), static_cast<int64_t>(all_.size()));
  Add({5});
  ASSERT_TRUE(journal_->Flush().ok());
  EXPECT_EQ(store_->LinesAfter(kFile, 0)->size(), 1u);
}

TEST_F(JournalTest, WhereverAKillTearsTheTailTheNextProcessMakesItWhole) {
  Add({3, 7});
  ASSERT_TRUE(journal_->Flush().ok());
  ASSERT_TRUE(journal_->Settle().ok());
  const size_t settled = all_.size();
  Add({1, 0, 9});
  ASSERT_TRUE(journal_->Flush().ok());
  for (size_t size = settled; size <= all_.size(); ++size) {
    SCOPED_TRACE(size);
    Cut(size);
    Restart();
    EXPECT_EQ(File(), all_);
    EXPECT_EQ(warning_, "");
  }
  folder_.Write(kFile, all_ + "{\"a line of a transaction that was");
  Restart();
  EXPECT_EQ(File(), all_) << "what nobody committed is cut away";
  EXPECT_EQ(folder_.Read(std::string(kFile) + ".aside"), "{\"a line of a transaction that was")
      << "but not lost";
}

TEST_F(JournalTest, LinesThatTheDatabaseDoesntKnowAreRefusedAndStay) {
  Add({3, 7});
  ASSERT_TRUE(journal_->Settle().ok());
  ASSERT_TRUE(journal_->Flush().ok());
  Add({1});
  ASSERT_TRUE(journal_->Flush().ok());
  for (const std::string& ahead : {all_ + "{\"of a later step\"}\n", all_ + "{\"later\"}\n{\"torn",
                                   all_.substr(0, all_.size() - 5) + "{\"of another run\"}\n",
                                   all_ + "{\"long\":\"" + std::string(9000, 'x') + "\"}\n"}) {
    folder_.Write(kFile, ahead);
    Restart();
    EXPECT_TRUE(absl::IsInvalidArgument(reconciled_)) << reconciled_;
    EXPECT_THAT(std::string(reconciled_.message()),
                HasSubstr("events.jsonl: holds lines that the database doesn't know"));
    EXPECT_EQ(File(), ahead) << "every byte";
    EXPECT_FALSE(std::filesystem::exists(folder_ / "events.jsonl.aside"));
  }
}

TEST_F(JournalTest, ALostDatabaseEmptiesNoRecords) {
  Add({3, 7});
  ASSERT_TRUE(journal_->Flush().ok());
  ASSERT_TRUE(journal_->Settle().ok());
  journal_.reset();
  store_.reset();
  std::filesystem::remove(folder_ / "scheduler.db");
  Restart();
  EXPECT_TRUE(absl::IsInvalidArgument(reconciled_)) << reconciled_;
  EXPECT_EQ(File(), all_);
}

TEST_F(JournalTest, WhatALossOfPowerLeavesOfUnsyncedBytesIsMovedAside) {
  Add({3});
  ASSERT_TRUE(journal_->Settle().ok());
  ASSERT_TRUE(journal_->Flush().ok());
  ASSERT_TRUE(journal_->Settle().ok());
  const std::string settled = File();
  Add({9});
  const std::string zeros(20, '\0');
  folder_.Write(kFile, settled + zeros);
  Restart();
  EXPECT_EQ(reconciled_, absl::OkStatus());
  EXPECT_EQ(File(), all_);
  EXPECT_EQ(folder_.Read("events.jsonl.aside"), zeros);
}

TEST_F(JournalTest, AFileThatSomethingElseCutKeepsItsWholeLinesAndIsNamed) {
  Add({3, 7, 0});
  ASSERT_TRUE(journal_->Flush().ok());
  ASSERT_TRUE(journal_->Settle().ok());
  const std::string settled = all_;
  Add({2});
  const std::string unsettled = all_.substr(settled.size());
  for (size_t size = 0; size < settled.size(); ++size) {
    SCOPED_TRACE(size);
    folder_.Write(kFile, settled.substr(0, size));
    Restart();
    const size_t end = size == 0 ? std::string::npos : settled.rfind('\n', size - 1);
    const std::string whole = settled.substr(0, end == std::string::npos ? 0 : end + 1);
    EXPECT_EQ(File(), whole + unsettled);
    EXPECT_EQ(warning_, absl::StrCat(folder_ / kFile, " has ", size, " bytes where ",
                                     settled.size(), " were written: something else cut it; what ",
                                     "is missing stays missing"));
  }
  const std::string left = File();
  ASSERT_TRUE(journal_->Settle().ok());
  Restart();
  EXPECT_EQ(warning_, "") << "said once";
  EXPECT_EQ(File(), left);
}

TEST_F(JournalTest, FindsTheEndOfTheLastWholeLineHoweverLongTheTornOneIs) {
  for (const size_t length : {4094, 4095, 4096, 4097, 9000}) {
    Add({10, length});
    ASSERT_TRUE(journal_->Flush().ok());
    ASSERT_TRUE(journal_->Settle().ok());
    Cut(all_.size() - 1);
    Restart();
    all_.resize(all_.rfind('\n', all_.size() - 2) + 1);
    EXPECT_EQ(File(), all_) << length;
    ASSERT_TRUE(journal_->Settle().ok());
  }
}

TEST_F(JournalTest, AFullDiskIsToldByItsPathAndTheNextProcessWritesTheRest) {
  Add({3});
  ASSERT_TRUE(journal_->Flush().ok());
  Add({4});
  {
    const storage::ScopedFault full([](std::string_view operation, const std::string& path) {
      return operation == "write" && absl::EndsWith(path, kFile) ? ENOSPC : 0;
    });
    const absl::Status status = journal_->Flush();
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
    EXPECT_THAT(std::string(status.message()), StartsWith(folder_ / kFile + ": writing failed"));
    Restart();
    EXPECT_TRUE(absl::IsResourceExhausted(reconciled_)) << "still full";
  }
  Restart();
  EXPECT_EQ(reconciled_, absl::OkStatus());
  EXPECT_EQ(File(), all_);
}

TEST_F(JournalTest, AFolderThatIsNotThereIsToldByItsPath) {
  Journal elsewhere(folder_ / "nowhere", store_.get());
  std::string warning;
  const absl::Status status = elsewhere.Reconcile(kFile, &warning);
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("nowhere/events.jsonl: opening failed"));
}

TEST_F(JournalTest, FilesDontMix) {
  ASSERT_TRUE(journal_->Reconcile("metrics.jsonl", &warning_).ok());
  Add({3});
  ASSERT_TRUE(store_->AddLine("metrics.jsonl", "m").ok());
  Add({4});
  ASSERT_TRUE(journal_->Flush().ok());
  ASSERT_TRUE(journal_->Settle().ok());
  EXPECT_EQ(File(), all_);
  EXPECT_EQ(folder_.Read("metrics.jsonl"), "m\n");
  EXPECT_EQ(*store_->SettledBytes("metrics.jsonl"), 2);
}

TEST_F(JournalTest, EveryLineIsThereOnceWhateverIsKilledWhen) {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(seed);
    RandomStream random({.seed = seed});
    Add({random.Below(30), random.Below(30)});
    if (random.Below(2) == 0) {
      ASSERT_TRUE(journal_->Flush().ok());
    }
    if (random.Below(4) == 0) {
      ASSERT_TRUE(journal_->Settle().ok());
    }
    const auto settled = static_cast<size_t>(*store_->SettledBytes(kFile));
    const size_t size = File().size();
    ASSERT_GE(size, settled);
    Cut(settled + random.Below(size - settled + 1));
    Restart();
    ASSERT_EQ(File(), all_);
    ASSERT_EQ(warning_, "");
  }
}

}  // namespace
}  // namespace attnrl::scheduler
