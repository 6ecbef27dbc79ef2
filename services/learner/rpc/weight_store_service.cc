// SPDX-License-Identifier: Apache-2.0
#include "services/learner/rpc/weight_store_service.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/rpc/handler.h"
#include "common/storage/digest.h"

namespace attnrl::learner {
namespace {

constexpr uint64_t kChunkBytes = 1 << 20;
// How often a watcher looks whether its caller is still there.
constexpr absl::Duration kWatchPoll = absl::Milliseconds(500);

void ToProto(const Version& version, v1::Version* proto) {
  proto->set_number(version.number);
  proto->set_digest(version.digest);
}

v1::VersionPiece ManifestPiece(const VersionData& data) {
  v1::VersionPiece piece;
  v1::VersionManifest& manifest = *piece.mutable_manifest();
  ToProto(data.version, manifest.mutable_version());
  manifest.set_total_bytes(data.bytes.size());
  for (const TensorEntry& tensor : data.tensors) {
    v1::TensorInfo& info = *manifest.add_tensors();
    info.set_name(tensor.name);
    info.set_dtype(tensor.dtype);
    info.mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
    info.set_bytes(tensor.size);
  }
  return piece;
}

v1::VersionPiece ChunkPiece(const VersionData& data, uint64_t offset) {
  const std::string_view bytes = std::string_view(data.bytes).substr(offset, kChunkBytes);
  v1::VersionPiece piece;
  v1::VersionChunk& chunk = *piece.mutable_chunk();
  chunk.set_offset(offset);
  chunk.set_data(bytes.data(), bytes.size());
  chunk.set_crc32c(storage::Crc32c(bytes));
  return piece;
}

absl::Status CallerLeft() { return absl::CancelledError("the caller left"); }

absl::Status SendVersion(VersionStore& versions, const v1::FetchVersionRequest& request,
                         grpc::ServerWriter<v1::VersionPiece>& writer) {
  ATTNRL_ASSIGN_OR_RETURN(const auto data,
                          versions.Read({request.version().number(), request.version().digest()}));
  if (request.offset() > data->bytes.size()) {
    return InputError("offset", absl::StrCat(request.offset(), " is beyond the end"),
                      absl::StrCat("at most ", data->bytes.size()));
  }
  if (!writer.Write(ManifestPiece(*data))) return CallerLeft();
  for (uint64_t offset = request.offset(); offset < data->bytes.size(); offset += kChunkBytes) {
    if (!writer.Write(ChunkPiece(*data, offset))) return CallerLeft();
  }
  return absl::OkStatus();
}

absl::Status SendAnnouncements(VersionStore& versions, const grpc::ServerContext& context,
                               grpc::ServerWriter<v1::VersionAnnouncement>& writer) {
  auto [fresh, seen] = versions.Snapshot();
  while (true) {
    for (const Version& version : fresh) {
      v1::VersionAnnouncement announcement;
      ToProto(version, announcement.mutable_version());
      if (!writer.Write(announcement)) return CallerLeft();
    }
    fresh = versions.AnnouncedAfter(seen, kWatchPoll);
    seen += fresh.size();
    if (context.IsCancelled()) return CallerLeft();
    if (versions.closed()) return absl::UnavailableError("the learner is shutting down");
  }
}

}  // namespace

grpc::Status WeightStoreService::Watch(grpc::ServerContext* context,
                                       const v1::WatchVersionsRequest*,
                                       grpc::ServerWriter<v1::VersionAnnouncement>* writer) {
  return rpc::HandleStream(context, "WeightStore/Watch",
                           [&] { return SendAnnouncements(versions_, *context, *writer); });
}

grpc::Status WeightStoreService::Fetch(grpc::ServerContext* context,
                                       const v1::FetchVersionRequest* request,
                                       grpc::ServerWriter<v1::VersionPiece>* writer) {
  return rpc::HandleStream(context, "WeightStore/Fetch",
                           [&] { return SendVersion(versions_, *request, *writer); });
}

}  // namespace attnrl::learner
