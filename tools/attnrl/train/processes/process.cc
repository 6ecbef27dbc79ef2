// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/processes/process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

extern char** environ;

namespace attnrl::tools {
namespace {

std::vector<std::string> ChildEnvironment(const ProcessSpec& spec) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('='));
    if (!absl::StartsWith(name, "ATTNRL_") && !spec.environment.contains(name)) out.push_back(text);
  }
  for (const auto& [name, value] : spec.environment) out.push_back(absl::StrCat(name, "=", value));
  return out;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (std::string& text : strings) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// Between fork and exec: async-signal-safe calls only.
[[noreturn]] void RunChild(pid_t parent, int output, int error_pipe, char** argv, char** env) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  struct sigaction usual {};
  usual.sa_handler = SIG_DFL;
  for (const int signal : {SIGINT, SIGTERM, SIGPIPE}) sigaction(signal, &usual, nullptr);
  const int nothing = open("/dev/null", O_RDONLY);
  dup2(nothing, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  if (getppid() == parent) execve(argv[0], argv, env);
  const int error = errno;
  const ssize_t written = write(error_pipe, &error, sizeof error);
  _exit(written > 0 ? 127 : 126);
}

}  // namespace

std::string ProcessExit::Text() const {
  if (signal != 0) return absl::StrCat("killed by signal ", signal, " (", strsignal(signal), ")");
  return absl::StrCat("exit code ", code);
}

absl::StatusOr<int> PosixProcesses::Start(const ProcessSpec& spec) {
  std::vector<std::string> arguments = spec.argv;
  std::vector<std::string> variables = ChildEnvironment(spec);
  const std::vector<char*> argv = Pointers(arguments);
  const std::vector<char*> env = Pointers(variables);
  const int output =
      open(spec.output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (output < 0) return absl::ErrnoToStatus(errno, spec.output_file);
  int error_pipe[2];
  if (pipe2(error_pipe, O_CLOEXEC) != 0) {
    close(output);
    return absl::ErrnoToStatus(errno, "pipe");
  }
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    RunChild(parent, output, error_pipe[1], const_cast<char**>(argv.data()),
             const_cast<char**>(env.data()));
  }
  const int fork_error = errno;
  close(output);
  close(error_pipe[1]);
  int error = 0;
  const ssize_t got = child > 0 ? read(error_pipe[0], &error, sizeof error) : 0;  // 0 after exec
  close(error_pipe[0]);
  if (child < 0) return absl::ErrnoToStatus(fork_error, "fork");
  if (got > 0) {
    waitpid(child, nullptr, 0);
    return absl::ErrnoToStatus(error, absl::StrCat("starting ", spec.argv[0]));
  }
  return child;
}

std::optional<ProcessExit> PosixProcesses::Poll(int pid) {
  int status = 0;
  if (waitpid(pid, &status, WNOHANG) != pid) return std::nullopt;
  ProcessExit out;
  if (WIFSIGNALED(status)) {
    out.signal = WTERMSIG(status);
  } else {
    out.code = WEXITSTATUS(status);
  }
  return out;
}

void PosixProcesses::Signal(int pid, int signal) { kill(pid, signal); }

void BoundOutput(const std::string& path, int64_t bytes) {
  std::error_code error;
  const auto size = static_cast<int64_t>(std::filesystem::file_size(path, error));
  if (error || size <= bytes) return;
  std::ifstream file(path, std::ios::binary);
  file.seekg(size - bytes / 2);
  std::ofstream aside(path + ".1", std::ios::binary | std::ios::trunc);
  aside << file.rdbuf() << std::flush;
  if (aside) std::filesystem::resize_file(path, 0, error);
}

int64_t ReadProcessMemory(int pid) {
  const std::pair<const char*, const char*> places[] = {{"smaps_rollup", "Pss:"},
                                                        {"status", "VmRSS:"}};
  for (const auto& [name, wanted] : places) {
    std::ifstream file(absl::StrCat("/proc/", pid, "/", name));
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      std::string key;
      int64_t kibibytes = 0;
      if (words >> key >> kibibytes && key == wanted) return kibibytes * 1024;
    }
  }
  return 0;
}

ProcessUse ReadProcessUse(int pid) {
  ProcessUse use;
  std::ifstream file(absl::StrCat("/proc/", pid, "/status"));
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string key;
    int64_t value = 0;
    words >> key >> value;
    if (key == "Threads:") use.threads = value;
    if (key == "TracerPid:") use.traced = value != 0;
  }
  // Behind the name, which may hold anything: state, ..., and as 12th and 13th the clock ticks in
  // user and kernel mode.
  std::string stat;
  std::getline(std::ifstream(absl::StrCat("/proc/", pid, "/stat")), stat);
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return use;
  std::istringstream fields(stat.substr(name_end + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  int64_t user = 0, kernel = 0;
  fields >> user >> kernel;
  use.processor_seconds =
      static_cast<double>(user + kernel) / static_cast<double>(sysconf(_SC_CLK_TCK));
  return use;
}

}  // namespace attnrl::tools
