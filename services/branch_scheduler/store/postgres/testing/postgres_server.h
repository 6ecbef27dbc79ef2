// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "common/testing/temporary_folder.h"

namespace attnrl::scheduler::postgres {

// For tests only: a PostgreSQL server of its own, in a temporary folder and on a Unix socket there,
// as a user that isn't root, whom the server refuses. Its users need a password.
class PostgresServer {
 public:
  // Null where this machine has no server: the test skips.
  static std::unique_ptr<PostgresServer> Make();
  ~PostgresServer();

  // Of a database, which is there (postgres) or not.
  std::string Url(const std::string& name = "postgres") const;
  // With the password, as PGPASSFILE names it.
  std::string password_file() const { return folder_ / "pgpass"; }
  const std::string& password() const { return password_; }

  void Start();
  // kill -9 of every process of it.
  void Kill();
  // SIGSTOP and SIGCONT.
  void Pause();
  void Continue();

 private:
  PostgresServer(std::string programs, uid_t user, gid_t group);
  int Run(const std::string& program, const std::string& arguments) const;
  void Signal(int signal) const;

  const TemporaryFolder folder_{TemporaryFolder::On::kMemory};
  const std::string programs_;
  const uid_t user_;
  const gid_t group_;
  const std::string password_ = "not-to-be-seen";
};

}  // namespace attnrl::scheduler::postgres
