// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace attnrl::rpc {

// Sends gRPC's own log to the process's log, at level debug: what a user has to know of it is in a
// status that one of our own lines reports. May be called any number of times, from any thread.
void PrepareLibrary();

}  // namespace attnrl::rpc
