// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace attnrl::scheduler {

// Where the rows of a run are: in a SQLite file, or in a PostgreSQL database.
struct StoreLocation {
  std::string path = {};  // of the file; unused with a url
  std::string url = {};   // of the database, as scheduler.store has it
  // With a url: whose rows these are among those of other runs, and the database for people.
  std::string run_id = {};
  std::string database = {};

  bool is_file() const { return url.empty(); }
  // For people.
  const std::string& name() const { return is_file() ? path : database; }
};

}  // namespace attnrl::scheduler
