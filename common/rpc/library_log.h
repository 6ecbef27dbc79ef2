// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace attnrl::rpc {

// What gRPC itself has to say goes to the process's log, at level debug: whatever a user has to
// know of it is in a status that one of our own lines reports. Any number of calls, from any
// thread.
void RedirectLibraryLog();

}  // namespace attnrl::rpc
