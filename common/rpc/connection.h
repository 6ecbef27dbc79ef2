// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpc/grpc.h>

#include <functional>

namespace attnrl::rpc {

// What both ends of a connection must agree on, in one place so that they can't disagree: a client
// that pings more often than its server allows is thrown out ("too_many_pings").
inline constexpr int kPingEveryMs = 30'000;
inline constexpr int kPingTimeoutMs = 10'000;
// Below kPingEveryMs, so that a ping that comes early is no offence.
inline constexpr int kPingAllowedEveryMs = 20'000;
// GRPC_COMPRESS_NONE only: a small compressed message can't grow into a large one.
inline constexpr int kCompressions = 1 << GRPC_COMPRESS_NONE;

using SetArgument = std::function<void(const char* name, int value)>;

inline void SetClientArguments(const SetArgument& set) {
  set(GRPC_ARG_KEEPALIVE_TIME_MS, kPingEveryMs);
  set(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPingTimeoutMs);
  set(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  set(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  set(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // Despite its name: how long one attempt may take. A busy machine needs its time to shake hands.
  set(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 10'000);
  set(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  set(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, kCompressions);
  // A proxy of the environment is for the web, not for the services of a run.
  set(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
}

inline void SetServerArguments(const SetArgument& set) {
  set(GRPC_ARG_KEEPALIVE_TIME_MS, kPingEveryMs);
  set(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPingTimeoutMs);
  set(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  set(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kPingAllowedEveryMs);
  set(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  set(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, kCompressions);
  // Otherwise a second server on the same port would share it unnoticed.
  set(GRPC_ARG_ALLOW_REUSEPORT, 0);
}

}  // namespace attnrl::rpc
