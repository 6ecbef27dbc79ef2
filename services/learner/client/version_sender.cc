// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/version_sender.h"

#include <map>
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
  *piece.mutable_manifest() = ToProto(*version.data);
  return piece;
}

grpc::ByteBuffer ChunkMessage(const std::shared_ptr<const VersionData>& version, size_t index,
                              std::string difference) {
  const std::string_view bytes = version->Chunk(index);
  v1::VersionChunk chunk;
  chunk.set_offset(index * version->chunk_bytes);
  chunk.set_crc32c(storage::Crc32c(bytes));
  if (difference.empty()) return ToMessage(chunk, bytes, version);
  v1::VersionPiece piece;
  chunk.set_difference(std::move(difference));
  *piece.mutable_chunk() = std::move(chunk);
  return ToMessage(piece);
}

absl::Status CallerLeft() { return absl::CancelledError("the caller left"); }

// Which chunks of `version` are asked for.
absl::StatusOr<std::vector<size_t>> ChunksOf(const v1::FetchVersionRequest& request,
                                             const VersionData& version) {
  std::vector<size_t> chunks;
  if (request.chunks().empty()) {
    for (size_t chunk = 0; chunk < version.chunks(); ++chunk) chunks.push_back(chunk);
    return chunks;
  }
  std::map<std::string_view, size_t> known;
  for (size_t chunk = 0; chunk < version.chunks(); ++chunk) {
    known.emplace(version.ChunkDigest(chunk), chunk);
  }
  const std::string_view asked = request.chunks();
  for (size_t at = 0; at < asked.size(); at += storage::kSha256Bytes) {
    const auto found = known.find(asked.substr(at, storage::kSha256Bytes));
    if (found == known.end()) {
      return InputError("chunks",
                        absl::StrCat("number ", at / storage::kSha256Bytes, " is no chunk of W(",
                                     version.version.number, ")"),
                        "SHA-256 of chunks, 32 bytes each, as the manifest has them");
    }
    chunks.push_back(found->second);
  }
  return chunks;
}

}  // namespace

// The chunks of one version as differences to another, each made when it is first asked for.
// Thread-safe. Memory: what was made, of neither version anything.
class VersionDifference {
 public:
  VersionDifference(std::shared_ptr<const VersionData> base,
                    std::shared_ptr<const VersionData> version)
      : base_(base), version_(version), made_(version->chunks()) {}

  // By their memory: a version that was given up and begun anew has the same name.
  bool Is(const std::shared_ptr<const VersionData>& base,
          const std::shared_ptr<const VersionData>& version) const {
    return base_.lock() == base && version_.lock() == version;
  }

  // Of a chunk that is there, as it is in both; empty where the bytes themselves are as short.
  std::string Of(size_t chunk, std::string_view base, std::string_view version) {
    absl::MutexLock lock(&mutex_);
    std::optional<std::string>& made = made_[chunk];
    if (!made) {
      made = Difference(base, version);
      if (made->size() >= version.size()) *made = "";
    }
    return *made;
  }

 private:
  const std::weak_ptr<const VersionData> base_;
  const std::weak_ptr<const VersionData> version_;
  absl::Mutex mutex_;
  std::vector<std::optional<std::string>> made_ ABSL_GUARDED_BY(mutex_);
};

VersionSender::VersionSender(VersionSource& source, uint64_t bytes_per_second,
                             absl::Duration patience)
    : source_(source), patience_(patience), limit_(bytes_per_second) {}
VersionSender::~VersionSender() = default;

std::shared_ptr<const VersionData> VersionSender::Base(const Version& base,
                                                       const VersionData& version) {
  const absl::StatusOr<SentVersion> held = source_.Send(base, absl::ZeroDuration());
  if (!held.ok() || held->data->bytes.size() != version.bytes.size() ||
      held->data->chunk_bytes != version.chunk_bytes) {
    return nullptr;
  }
  for (size_t chunk = 0; chunk < held->data->chunks(); ++chunk) {
    if (!held->WaitFor(chunk, absl::ZeroDuration()).ok()) return nullptr;
  }
  return held->data;
}

std::shared_ptr<VersionDifference> VersionSender::DifferenceTo(
    std::shared_ptr<const VersionData> base, std::shared_ptr<const VersionData> version) {
  absl::MutexLock lock(&mutex_);
  if (newest_ == nullptr || !newest_->Is(base, version)) {
    newest_ = std::make_shared<VersionDifference>(std::move(base), std::move(version));
  }
  return newest_;
}

absl::Status VersionSender::Send(const grpc::ServerContext& context,
                                 const v1::FetchVersionRequest& request,
                                 const std::vector<std::string>& sources,
                                 grpc::ServerWriter<grpc::ByteBuffer>& writer) {
  ATTNRL_ASSIGN_OR_RETURN(
      const SentVersion version,
      source_.Send({request.version().number(), request.version().digest()}, patience_));
  if (request.chunks().empty()) {
    if (!writer.Write(ToMessage(ManifestPiece(version)))) return CallerLeft();
    if (!sources.empty()) {
      v1::VersionPiece piece;
      for (const std::string& source : sources) piece.mutable_elsewhere()->add_addresses(source);
      return writer.Write(ToMessage(piece)) ? absl::OkStatus() : CallerLeft();
    }
    if (request.manifest_only()) return absl::OkStatus();
  }
  ATTNRL_ASSIGN_OR_RETURN(const std::vector<size_t> chunks, ChunksOf(request, *version.data));
  std::shared_ptr<const VersionData> base;
  std::shared_ptr<VersionDifference> difference;
  if (!request.base().digest().empty()) {
    base = Base({request.base().number(), request.base().digest()}, *version.data);
  }
  if (base != nullptr) difference = DifferenceTo(base, version.data);
  for (const size_t chunk : chunks) {
    ATTNRL_RETURN_IF_ERROR(version.WaitFor(chunk, patience_));
    std::string shorter;
    if (base != nullptr) {
      shorter = difference->Of(chunk, base->Chunk(chunk), version.data->Chunk(chunk));
    }
    const grpc::ByteBuffer message = ChunkMessage(version.data, chunk, std::move(shorter));
    const bool due = limit_.Take(message.Length(), [&] { return context.IsCancelled(); });
    if (!due || !writer.Write(message)) return CallerLeft();
  }
  return absl::OkStatus();
}

grpc::Status RelayService::Fetch(grpc::ServerContext* context,
                                 const v1::FetchVersionRequest* request,
                                 grpc::ServerWriter<grpc::ByteBuffer>* writer) {
  return rpc::HandleStream(context, "WeightStore/Fetch", [&] {
    return sender_.Send(*context, *request, /*sources=*/{}, *writer);
  });
}

}  // namespace attnrl::learner
