// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace attnrl::rpc {

// What gRPC itself has to say goes to the process's log (level info) instead of to stderr, where
// it would surround the one line that a user needs. Any number of calls, from any thread.
void RedirectLibraryLog();

}  // namespace attnrl::rpc
