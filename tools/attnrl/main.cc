// SPDX-License-Identifier: Apache-2.0
// `attnrl`: one command line for training, its tools and its records. See README.md.
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <filesystem>
#include <iostream>

#include "common/base/status.h"
#include "tools/attnrl/command.h"

namespace {

int ExitCode(const absl::Status& status) {
  if (status.ok()) return 0;
  if (attnrl::IsInputError(status)) return 2;
  return absl::IsCancelled(status) ? 130 : 1;
}

// A path that the user named can be anything: unreadable, too long, on a disk with errors.
absl::Status Run(const attnrl::tools::Work& run) {
  try {
    return run();
  } catch (const std::filesystem::filesystem_error& error) {
    return attnrl::InputError(error.path1().string(), error.code().message(),
                              "a usable path is needed");
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  }
}

// As of a program that SIGPIPE ends.
constexpr int kReaderGone = 128 + SIGPIPE;

// Standard output is a pipe that nobody reads any more, as behind `| head`, and something was
// written to it since.
bool ReaderIsGone() {
  pollfd out = {STDOUT_FILENO, POLLOUT, 0};
  return !std::cout && poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

// Results that could not be written are no success, whatever the command thinks.
absl::Status Flushed(const absl::Status& status) {
  std::cout.flush();
  if (std::cout || attnrl::IsInputError(status)) return status;
  return absl::InternalError("standard output: not all could be written (is the disk full?)");
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error of the write, not a death
  attnrl::Command app("attnrl: trains reasoning language models with process-supervised RL",
                      "attnrl");
  app.Version("attnrl " ATTNRL_VERSION);
  app.Footer("`attnrl COMMAND --help` shows the flags of a command and an example.");
  attnrl::tools::Work run;
  attnrl::tools::AddEveryCommand(app, &run);

  bool answered = false;
  absl::Status status = app.Parse(argc, argv, &answered);
  if (status.ok() && !answered) {
    status = run ? Run(run) : attnrl::InputError("command line", "no command", "see attnrl --help");
  }
  status = Flushed(status);
  // Who reads no further has what was wanted: no error to speak of.
  if (!attnrl::IsInputError(status) && ReaderIsGone()) return kReaderGone;
  if (!status.ok()) {
    std::cerr << "error: " << attnrl::OneLine(std::string(status.message()), 2000) << std::endl;
  }
  return ExitCode(status);
}
