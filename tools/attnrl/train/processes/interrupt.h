// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace attnrl::tools {

// Counts SIGINT, SIGTERM and SIGHUP instead of dying by them: the first asks for an orderly end,
// the second for an immediate one. For the one command that has children to look after.
void CountInterrupts();
int InterruptCount();

}  // namespace attnrl::tools
