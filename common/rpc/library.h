// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace attnrl::rpc {

// Before gRPC is first used. Sends its own log to the process's log, at level debug: what a user
// has to know of it is in a status that one of our own lines reports. From then on it stays
// initialised: it would stop with its last channel or server, and sometimes wait for a poll of 10 s
// for that. May be called any number of times, from any thread.
void PrepareLibrary();

}  // namespace attnrl::rpc
