// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/impl/codegen/channel_interface.h>
#include <grpcpp/impl/codegen/service_type.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/sync_stream.h>

#include <memory>
#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "proto/attnrl/v1/weight_store.pb.h"
#include "services/learner/versions/version_data.h"

namespace attnrl::learner {

// WeightStore.Fetch without a copy of the weights on either side: messages of the form that
// weight_store.proto gives them, whose bytes go from the version to the socket and from there to
// their place. What protoc makes copies them twice on each side, into memory that is taken from the
// system and cleared for every message: three times the processor time.

// What serves the call; `writer` takes what ToMessage makes. Thread-safe, as gRPC's services are.
class FetchService : public grpc::Service {
 public:
  FetchService();
  virtual grpc::Status Fetch(grpc::ServerContext* context, const v1::FetchVersionRequest* request,
                             grpc::ServerWriter<grpc::ByteBuffer>* writer) = 0;
};

// What calls it; `channel` outlives the reader.
std::unique_ptr<grpc::ClientReader<grpc::ByteBuffer>> StartFetch(
    grpc::ChannelInterface& channel, grpc::ClientContext* context,
    const v1::FetchVersionRequest& request);

// All but a version's bytes, and from it a version without bytes.
v1::VersionManifest ToProto(const VersionData& version);
VersionData FromProto(const v1::VersionManifest& manifest);

grpc::ByteBuffer ToMessage(const v1::VersionPiece& piece);
// The piece of `chunk`, whose data is `data`, of which `owner` is kept until it is sent.
grpc::ByteBuffer ToMessage(const v1::VersionChunk& chunk, std::string_view data,
                           std::shared_ptr<const void> owner);

// Reads a piece that is a chunk: all but its data into `chunk`, the data, which must be as long,
// into `room`; there is none in one that has a difference. DATA_LOSS for anything else.
absl::Status ReadChunk(grpc::ByteBuffer* message, std::span<char> room, v1::VersionChunk* chunk);

}  // namespace attnrl::learner
