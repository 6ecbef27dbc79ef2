// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/version_sender.h"

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

v1::VersionPiece ManifestPiece(const SentVersion& version) {
  v1::VersionPiece piece;
  v1::VersionManifest& manifest = *piece.mutable_manifest();
  manifest.mutable_version()->set_number(version.data->version.number);
  manifest.mutable_version()->set_digest(version.data->version.digest);
  manifest.set_total_bytes(version.total);
  for (const TensorEntry& tensor : version.data->tensors) {
    v1::TensorInfo& info = *manifest.add_tensors();
    info.set_name(tensor.name);
    info.set_dtype(tensor.dtype);
    info.mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
    info.set_bytes(tensor.size);
  }
  return piece;
}

// `difference`: empty where the bytes themselves are sent.
v1::VersionPiece ChunkPiece(uint64_t offset, std::string_view bytes,
                            const std::string& difference) {
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

absl::Status WaitFor(const SentVersion& version, uint64_t end) {
  return version.wait ? version.wait(end) : absl::OkStatus();
}

}  // namespace

// The chunks of one version as differences to another, each made when it is first asked for.
// Thread-safe. Memory: both versions, and what was made.
class VersionDifference {
 public:
  // All of `base` is there.
  VersionDifference(SentVersion base, SentVersion version)
      : base_(std::move(base)),
        version_(std::move(version)),
        chunks_((version_.total + kChunkBytes - 1) / kChunkBytes) {}

  bool Is(const Version& base, const Version& version) const {
    return base_.data->version == base && version_.data->version == version;
  }

  // Of the chunk `bytes` at `offset`; empty where the bytes themselves are as short, or where none
  // of the chunks begins.
  std::string At(uint64_t offset, std::string_view bytes) {
    if (offset % kChunkBytes != 0) return "";
    absl::MutexLock lock(&mutex_);
    std::optional<std::string>& made = chunks_.at(offset / kChunkBytes);
    if (!made) {
      made = Difference({base_.bytes + offset, bytes.size()}, bytes);
      if (made->size() >= bytes.size()) *made = "";
    }
    return *made;
  }

 private:
  const SentVersion base_;
  const SentVersion version_;
  absl::Mutex mutex_;
  std::vector<std::optional<std::string>> chunks_ ABSL_GUARDED_BY(mutex_);
};

VersionSender::VersionSender(VersionSource& source) : source_(source) {}
VersionSender::~VersionSender() = default;

std::shared_ptr<VersionDifference> VersionSender::DifferenceTo(const Version& base,
                                                               const SentVersion& version) {
  absl::MutexLock lock(&mutex_);
  if (newest_ != nullptr && newest_->Is(base, version.data->version)) return newest_;
  absl::StatusOr<SentVersion> held = source_.Send(base);
  if (!held.ok() || held->total != version.total || !WaitFor(*held, held->total).ok()) {
    return nullptr;
  }
  newest_ = std::make_shared<VersionDifference>(*std::move(held), version);
  return newest_;
}

absl::Status VersionSender::Send(const v1::FetchVersionRequest& request,
                                 grpc::ServerWriter<v1::VersionPiece>& writer) {
  ATTNRL_ASSIGN_OR_RETURN(const SentVersion version,
                          source_.Send({request.version().number(), request.version().digest()}));
  if (request.offset() > version.total) {
    return InputError("offset", absl::StrCat(request.offset(), " is beyond the end"),
                      absl::StrCat("at most ", version.total));
  }
  std::shared_ptr<VersionDifference> difference;
  if (!request.base().digest().empty()) {
    difference = DifferenceTo({request.base().number(), request.base().digest()}, version);
  }
  if (!writer.Write(ManifestPiece(version))) return CallerLeft();
  for (uint64_t offset = request.offset(); offset < version.total; offset += kChunkBytes) {
    const uint64_t length = std::min(kChunkBytes, version.total - offset);
    ATTNRL_RETURN_IF_ERROR(WaitFor(version, offset + length));
    const std::string_view bytes(version.bytes + offset, length);
    const std::string shorter = difference == nullptr ? "" : difference->At(offset, bytes);
    if (!writer.Write(ChunkPiece(offset, bytes, shorter))) return CallerLeft();
  }
  return absl::OkStatus();
}

grpc::Status RelayService::Fetch(grpc::ServerContext* context,
                                 const v1::FetchVersionRequest* request,
                                 grpc::ServerWriter<v1::VersionPiece>* writer) {
  return rpc::HandleStream(context, "WeightStore/Fetch",
                           [&] { return sender_.Send(*request, *writer); });
}

}  // namespace attnrl::learner
