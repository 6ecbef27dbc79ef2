// SPDX-License-Identifier: Apache-2.0
#include "services/learner/rpc/weight_store_service.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/rpc/handler.h"
#include "common/storage/digest.h"
#include "services/learner/versions/difference.h"

namespace attnrl::learner {
namespace {

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

// `difference`: empty where the bytes themselves are sent.
v1::VersionPiece ChunkPiece(const VersionData& data, uint64_t offset,
                            const std::string& difference) {
  const std::string_view bytes = std::string_view(data.bytes).substr(offset, kChunkBytes);
  v1::VersionPiece piece;
  v1::VersionChunk& chunk = *piece.mutable_chunk();
  chunk.set_offset(offset);
  if (difference.empty()) {
    chunk.set_data(bytes.data(), bytes.size());
  } else {
    chunk.set_difference(difference);
  }
  chunk.set_crc32c(storage::Crc32c(bytes));
  return piece;
}

absl::Status CallerLeft() { return absl::CancelledError("the caller left"); }

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

// The chunks of one version as differences to another, each made when it is first asked for.
// Thread-safe. Memory: both versions, and what was made.
class VersionDifference {
 public:
  VersionDifference(std::shared_ptr<const VersionData> base,
                    std::shared_ptr<const VersionData> version)
      : base_(std::move(base)),
        version_(std::move(version)),
        chunks_((version_->bytes.size() + kChunkBytes - 1) / kChunkBytes) {}

  bool Is(const Version& base, const Version& version) const {
    return base_->version == base && version_->version == version;
  }

  // Of the chunk at `offset`; empty where the bytes themselves are as short, or where none of the
  // chunks begins.
  std::string At(uint64_t offset) {
    if (offset % kChunkBytes != 0) return "";
    absl::MutexLock lock(&mutex_);
    std::optional<std::string>& made = chunks_.at(offset / kChunkBytes);
    if (!made) {
      const std::string_view bytes = std::string_view(version_->bytes).substr(offset, kChunkBytes);
      made = Difference(std::string_view(base_->bytes).substr(offset, kChunkBytes), bytes);
      if (made->size() >= bytes.size()) *made = "";
    }
    return *made;
  }

 private:
  const std::shared_ptr<const VersionData> base_;
  const std::shared_ptr<const VersionData> version_;
  absl::Mutex mutex_;
  std::vector<std::optional<std::string>> chunks_ ABSL_GUARDED_BY(mutex_);
};

WeightStoreService::WeightStoreService(VersionStore& versions) : versions_(versions) {}
WeightStoreService::~WeightStoreService() = default;

std::shared_ptr<VersionDifference> WeightStoreService::DifferenceTo(
    const Version& base, std::shared_ptr<const VersionData> version) {
  absl::MutexLock lock(&mutex_);
  if (newest_ != nullptr && newest_->Is(base, version->version)) return newest_;
  const auto held = versions_.Read(base);
  if (!held.ok() || (*held)->bytes.size() != version->bytes.size()) return nullptr;
  newest_ = std::make_shared<VersionDifference>(*held, std::move(version));
  return newest_;
}

absl::Status WeightStoreService::SendVersion(const v1::FetchVersionRequest& request,
                                             grpc::ServerWriter<v1::VersionPiece>& writer) {
  ATTNRL_ASSIGN_OR_RETURN(const auto data,
                          versions_.Read({request.version().number(), request.version().digest()}));
  if (request.offset() > data->bytes.size()) {
    return InputError("offset", absl::StrCat(request.offset(), " is beyond the end"),
                      absl::StrCat("at most ", data->bytes.size()));
  }
  std::shared_ptr<VersionDifference> difference;
  if (!request.base().digest().empty()) {
    difference = DifferenceTo({request.base().number(), request.base().digest()}, data);
  }
  if (!writer.Write(ManifestPiece(*data))) return CallerLeft();
  for (uint64_t offset = request.offset(); offset < data->bytes.size(); offset += kChunkBytes) {
    const std::string shorter = difference == nullptr ? "" : difference->At(offset);
    if (!writer.Write(ChunkPiece(*data, offset, shorter))) return CallerLeft();
  }
  return absl::OkStatus();
}

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
                           [&] { return SendVersion(*request, *writer); });
}

}  // namespace attnrl::learner
