// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/store/postgres/testing/postgres_server.h"

#include <grp.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

namespace attnrl::scheduler::postgres {
namespace {

namespace fs = std::filesystem;

// Where Debian has the newest server, where tools/install has unpacked one, or where PATH has one;
// empty: nowhere.
std::string FindPrograms() {
  std::string newest;
  const char* deps = std::getenv("ATTNRL_DEPS_DIR");
  const std::string unpacked =
      absl::StrCat(deps != nullptr ? deps : ATTNRL_SOURCE_DIR "/.deps", "/postgresql");
  for (const std::string& root : {std::string(), unpacked}) {
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(root + "/usr/lib/postgresql", none)) {
      const std::string bin = entry.path() / "bin";
      if (fs::exists(bin + "/postgres") && bin > newest) newest = bin;
    }
    if (!newest.empty()) return newest;
  }
  const char* path = std::getenv("PATH");
  const std::vector<std::string> folders = absl::StrSplit(path == nullptr ? "" : path, ':');
  for (const std::string& bin : folders) {
    if (newest.empty() && fs::exists(bin + "/postgres")) newest = bin;
  }
  return newest;
}

// What the kernel says of a process, behind its number and name; empty: it is gone. Reading the
// file of one that goes meanwhile fails, and an iterator over it would throw.
std::string StatOf(const std::string& pid) {
  std::string stat;
  std::getline(std::ifstream(absl::StrCat("/proc/", pid, "/stat")), stat);
  const size_t name_end = stat.rfind(") ");
  return name_end == std::string::npos ? "" : stat.substr(name_end + 2);
}

// Processes whose parent this is, and itself.
std::vector<pid_t> Family(pid_t parent) {
  std::vector<pid_t> family = {parent};
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    int pid = 0;
    if (!absl::SimpleAtoi(name, &pid)) continue;
    const std::vector<std::string> fields = absl::StrSplit(StatOf(name), ' ');
    if (fields.size() > 1 && fields[1] == absl::StrCat(parent)) family.push_back(pid);
  }
  return family;
}

}  // namespace

std::unique_ptr<PostgresServer> PostgresServer::Make() {
  const std::string programs = FindPrograms();
  if (programs.empty()) return nullptr;
  uid_t user = ::geteuid();
  gid_t group = ::getegid();
  if (user == 0) {
    const passwd* other = ::getpwnam("postgres");
    if (other == nullptr) other = ::getpwnam("nobody");
    if (other == nullptr) return nullptr;
    user = other->pw_uid;
    group = other->pw_gid;
  }
  return std::unique_ptr<PostgresServer>(new PostgresServer(programs, user, group));
}

PostgresServer::PostgresServer(std::string programs, uid_t user, gid_t group)
    : programs_(std::move(programs)), user_(user), group_(group) {
  folder_.Write("password", password_);
  folder_.Write("pgpass", absl::StrCat("*:*:*:*:", password_, "\n"));
  EXPECT_EQ(::chmod(password_file().c_str(), 0600), 0);
  for (const std::string& path : {folder_.path(), folder_ / "password"}) {
    EXPECT_EQ(::chown(path.c_str(), user_, group_), 0);
  }
  EXPECT_EQ(Run("initdb", absl::StrCat("--no-sync -U attnrl -A scram-sha-256 -E UTF8 --locale=C "
                                       "--no-instructions --pwfile=",
                                       folder_ / "password", " -D ", folder_ / "data")),
            0)
      << folder_.Read("initdb.log");
  Start();
  ::setenv("PGPASSFILE", password_file().c_str(), 1);
}

PostgresServer::~PostgresServer() {
  Continue();
  Kill();
  ::unsetenv("PGPASSFILE");
}

std::string PostgresServer::Url(const std::string& name) const {
  return absl::StrCat("postgres://attnrl@/", name, "?host=", folder_.path());
}

int PostgresServer::Run(const std::string& program, const std::string& arguments) const {
  const std::string command = absl::StrCat("exec ", programs_, "/", program, " ", arguments, " >>",
                                           folder_.path(), "/", program, ".log 2>&1");
  const pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() == 0 &&
        (::setgroups(0, nullptr) != 0 || ::setgid(group_) != 0 || ::setuid(user_) != 0)) {
      ::_exit(126);
    }
    ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    ::_exit(127);
  }
  int status = -1;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

void PostgresServer::Start() {
  // No sync: what a kill leaves is in the system's memory.
  const std::string settings =
      absl::StrCat("-c listen_addresses= -c fsync=off -c unix_socket_directories=", folder_.path());
  EXPECT_EQ(Run("pg_ctl", absl::StrCat("-w -t 60 -s -l ", folder_ / "server.log", " -o '", settings,
                                       "' -D ", folder_ / "data", " start")),
            0)
      << folder_.Read("pg_ctl.log") << folder_.Read("server.log");
}

void PostgresServer::Signal(int signal) const {
  int parent = 0;
  const std::vector<std::string> lines = absl::StrSplit(folder_.Read("data/postmaster.pid"), '\n');
  if (!absl::SimpleAtoi(lines[0], &parent)) return;
  for (const pid_t pid : Family(parent)) ::kill(pid, signal);
  if (signal != SIGKILL) return;
  for (int i = 0; i < 1000 && ::kill(parent, 0) == 0; ++i) {
    // Not a child of this process where pg_ctl has left it to init.
    ::waitpid(parent, nullptr, WNOHANG);
    if (StatOf(absl::StrCat(parent)).starts_with("Z")) break;
    absl::SleepFor(absl::Milliseconds(10));
  }
}

void PostgresServer::Kill() {
  Signal(SIGKILL);
  // Where nobody collects the dead process, its number still counts as one.
  for (const char* file : {"data/postmaster.pid", ".s.PGSQL.5432.lock"}) {
    std::error_code none;
    fs::remove(folder_ / file, none);
  }
}
void PostgresServer::Pause() { Signal(SIGSTOP); }
void PostgresServer::Continue() { Signal(SIGCONT); }

}  // namespace attnrl::scheduler::postgres
