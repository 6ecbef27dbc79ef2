// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/workers_text.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "tools/attnrl/train/report.h"

namespace attnrl::tools {
namespace {

// All but the last column, which may be long.
constexpr size_t kColumns = 6;
using Row = std::array<std::string, kColumns>;

Row RowOf(const scheduler::WorkerStatus& worker) {
  return {OneLine(worker.worker),  // names come from workers
          worker.version.has_value() ? absl::StrCat("W(", *worker.version, ")") : "-",
          absl::StrCat(worker.leases, "/", worker.capacity),
          FormatCount(static_cast<int64_t>(worker.results)),
          FormatCount(static_cast<int64_t>(worker.generated_tokens)),
          absl::StrFormat("%.0f s ago", worker.last_seen_seconds)};
}

}  // namespace

std::string WorkersTable(const std::vector<scheduler::WorkerStatus>& workers) {
  if (workers.empty()) return "no worker is connected\n";
  std::vector<Row> rows = {{"worker", "weights", "leases", "results", "tokens", "last seen"}};
  for (const scheduler::WorkerStatus& worker : workers) rows.push_back(RowOf(worker));
  std::array<int, kColumns> widths = {};
  for (const Row& row : rows) {
    for (size_t i = 0; i < kColumns; ++i) {
      widths[i] = std::max(widths[i], static_cast<int>(row[i].size()));
    }
  }
  std::string table;
  for (size_t r = 0; r < rows.size(); ++r) {
    absl::StrAppend(&table, absl::StrFormat("%-*s", widths[0], rows[r][0]));
    for (size_t i = 1; i < kColumns; ++i) {
      absl::StrAppend(&table, absl::StrFormat("  %*s", widths[i], rows[r][i]));
    }
    const std::string parked = r == 0 ? "parked" : OneLine(workers[r - 1].parked);
    absl::StrAppend(&table, "  ", parked.empty() ? "-" : parked, "\n");
  }
  return table;
}

std::string WorkersJson(const std::vector<scheduler::WorkerStatus>& workers) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const scheduler::WorkerStatus& worker : workers) {
    list.push_back({{"worker", worker.worker},
                    {"version", nullptr},
                    {"leases", worker.leases},
                    {"capacity", worker.capacity},
                    {"results", worker.results},
                    {"generated_tokens", worker.generated_tokens},
                    {"last_seen_seconds", worker.last_seen_seconds},
                    {"parked", worker.parked}});
    if (worker.version.has_value()) list.back()["version"] = *worker.version;
  }
  return PrintJson(nlohmann::ordered_json{{"workers", list}});
}

}  // namespace attnrl::tools
