// SPDX-License-Identifier: Apache-2.0
// `attnrl-grader`: grades untrusted text in a process that can do nothing else. Started by a
// GraderPool, which speaks to it over its standard input and output.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

#include "services/verifier/grading/grader.h"
#include "services/verifier/process/grader_loop.h"
#include "services/verifier/process/sandbox.h"

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--version") == 0) {
    std::puts("attnrl-grader " ATTNRL_VERSION);
    return 0;
  }
  if (isatty(STDIN_FILENO) != 0 || argc > 1) {
    std::fputs(
        "attnrl-grader is started by attnrl-verifier and `attnrl verify`; "
        "it reads frames from a pipe and has no flags but --version\n",
        stderr);
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  // Ctrl-C at a terminal reaches all its processes; what the pool still needs, it gets.
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGTERM, SIG_IGN);
  if (std::string failed = attnrl::verifier::EnterSandbox(); !failed.empty()) {
    std::fprintf(stderr, "attnrl-grader: the sandbox could not be entered: %s\n", failed.c_str());
    return 3;
  }
  return attnrl::verifier::RunGraderLoop([](const attnrl::verifier::GradeRequest& request) {
    return attnrl::verifier::Grade(request);
  });
}
