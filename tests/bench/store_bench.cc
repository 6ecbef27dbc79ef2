// SPDX-License-Identifier: Apache-2.0
// How many results a second the scheduler's store makes durable: for each the result, its grades
// and two lines of records, so many results a transaction. Prints one JSON object.
//   store_bench [batch=16] [tokens=300] [seconds=5]
// In a SQLite file under TMPDIR, whose disk it syncs; or in the PostgreSQL database that
// ATTNRL_SCHEDULER_STORE names, in the schema attnrl_store_bench, which stays.
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "services/branch_scheduler/item_id.h"
#include "services/branch_scheduler/store/store.h"
#include "tests/bench/settings.h"

namespace attnrl {
namespace {

using scheduler::Store;
using scheduler::StoreLocation;

// Of an item in a batch of its own transactions.
scheduler::ItemId Item(uint32_t number) {
  return scheduler::IdOf({number / 1000, number % 1000, 0, scheduler::ItemKind::kInitial});
}

absl::Status Write(Store& store, uint32_t first, uint32_t count, const std::string& payload) {
  ATTNRL_RETURN_IF_ERROR(store.Begin());
  for (uint32_t i = first; i < first + count; ++i) {
    ATTNRL_RETURN_IF_ERROR(store.PutResult(
        {.item = Item(i), .lease = scheduler::LeaseId{i}, .worker = "w", .payload = payload}));
    ATTNRL_RETURN_IF_ERROR(store.AddLine("events.jsonl", std::string(300, 'x')));
    ATTNRL_RETURN_IF_ERROR(store.PutGrades(Item(i), std::string(20, 'g'), {1, 2}));
    ATTNRL_RETURN_IF_ERROR(store.AddLine("events.jsonl", std::string(200, 'x')));
  }
  return store.Commit();
}

absl::StatusOr<nlohmann::json> Run(const StoreLocation& location, uint32_t batch, size_t tokens,
                                   absl::Duration length) {
  ATTNRL_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, scheduler::OpenStore(location));
  // What an earlier run of this program has left.
  ATTNRL_RETURN_IF_ERROR(store->Begin());
  ATTNRL_RETURN_IF_ERROR(store->DeleteBatchesFrom(0));
  ATTNRL_RETURN_IF_ERROR(store->Settle("events.jsonl", int64_t{1} << 60, 0));
  ATTNRL_RETURN_IF_ERROR(store->Commit());
  const std::string payload(tokens * 12, '\7');  // an id and two floats a token
  uint32_t results = 0;
  const absl::Duration start = Clock::Real().Monotonic();
  absl::Duration took;
  do {
    ATTNRL_RETURN_IF_ERROR(Write(*store, results, batch, payload));
    results += batch;
    took = Clock::Real().Monotonic() - start;
  } while (took < length);
  return nlohmann::json{{"batch", batch},
                        {"tokens", tokens},
                        {"results_per_second", results / absl::ToDoubleSeconds(took)}};
}

int Main(int argc, char** argv) {
  Settings settings = {{"batch", 16}, {"tokens", 300}, {"seconds", 5}};
  if (!Parse(argc, argv, &settings)) return 2;
  const char* folder = std::getenv("TMPDIR");
  const char* url = std::getenv("ATTNRL_SCHEDULER_STORE");
  const std::string file =
      absl::StrCat(folder == nullptr ? "/tmp" : folder, "/store_bench-", ::getpid(), ".db");
  const StoreLocation location = {.path = file,
                                  .url = url == nullptr ? "" : url,
                                  .run_id = "store_bench",
                                  .database = "the database"};
  const auto result =
      Run(location, static_cast<uint32_t>(settings["batch"]),
          static_cast<size_t>(settings["tokens"]), absl::Seconds(settings["seconds"]));
  for (const char* end : {"", "-wal", "-shm", ".lock"}) ::unlink((file + end).c_str());
  if (!result.ok()) {
    std::cerr << "error: " << result.status().message() << std::endl;
    return 1;
  }
  std::cout << PrintJson(*result) << std::endl;
  return 0;
}

}  // namespace
}  // namespace attnrl

int main(int argc, char** argv) { return attnrl::Main(argc, argv); }
