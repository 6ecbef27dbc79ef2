// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/run/halt.h"

#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl::scheduler {
namespace {

// Keys of the table `run` (store/README.md, "Database").
constexpr char kPause[] = "pause";
constexpr char kDraining[] = "draining";
constexpr char kResumedAt[] = "resumed_at";

}  // namespace

absl::StatusOr<Halt> LoadHalt(Store& store) {
  Halt halt;
  ATTNRL_ASSIGN_OR_RETURN(const std::optional<std::string> pause, store.Get(kPause));
  ATTNRL_ASSIGN_OR_RETURN(const std::optional<std::string> draining, store.Get(kDraining));
  ATTNRL_ASSIGN_OR_RETURN(const std::optional<std::string> resumed, store.Get(kResumedAt));
  halt.pause = pause.value_or("");
  halt.draining = draining.value_or("0") != "0";
  if (!absl::SimpleAtoi(resumed.value_or("0"), &halt.resumed_at)) {
    return absl::DataLossError(absl::StrCat("the database's ", kResumedAt, " is no number"));
  }
  return halt;
}

absl::Status StoreHalt(const Halt& halt, Store& store) {
  ATTNRL_RETURN_IF_ERROR(store.Put(kPause, halt.pause));
  ATTNRL_RETURN_IF_ERROR(store.Put(kDraining, halt.draining ? "1" : "0"));
  return store.Put(kResumedAt, absl::StrCat(halt.resumed_at));
}

}  // namespace attnrl::scheduler
