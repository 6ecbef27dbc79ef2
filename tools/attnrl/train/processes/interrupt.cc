// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/processes/interrupt.h"

#include <csignal>
#include <initializer_list>

namespace attnrl::tools {
namespace {

volatile std::sig_atomic_t interrupts = 0;

void Count(int) { interrupts = interrupts + 1; }

}  // namespace

void CountInterrupts() {
  struct sigaction action {};
  action.sa_handler = Count;
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    // A signal that our parent wants ignored (nohup) stays ignored.
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);
  }
  std::signal(SIGCHLD, SIG_DFL);  // an inherited "ignore" would hide that a child died
}

int InterruptCount() { return interrupts; }

}  // namespace attnrl::tools
