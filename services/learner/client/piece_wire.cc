// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/piece_wire.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "proto/attnrl/v1/weight_store.grpc.pb.h"

namespace attnrl::learner {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;
using Owner = std::shared_ptr<const void>;

constexpr char kMethod[] = "/attnrl.v1.WeightStore/Fetch";

constexpr uint32_t Tag(int field, WireFormatLite::WireType type) {
  return WireFormatLite::MakeTag(field, type);
}
constexpr uint32_t kPieceChunk =
    Tag(v1::VersionPiece::kChunkFieldNumber, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
constexpr uint32_t kOffset =
    Tag(v1::VersionChunk::kOffsetFieldNumber, WireFormatLite::WIRETYPE_VARINT);
constexpr uint32_t kData =
    Tag(v1::VersionChunk::kDataFieldNumber, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
constexpr uint32_t kCrc32c =
    Tag(v1::VersionChunk::kCrc32CFieldNumber, WireFormatLite::WIRETYPE_VARINT);
constexpr uint32_t kDifference =
    Tag(v1::VersionChunk::kDifferenceFieldNumber, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);

void AppendVarint(uint32_t value, std::string* out) {
  std::array<uint8_t, 5> bytes{};
  const uint8_t* const end = CodedOutputStream::WriteVarint32ToArray(value, bytes.data());
  out->append(reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(end - bytes.data()));
}

// The fields of a chunk up to the end of its message.
bool ReadFields(CodedInputStream& in, std::span<char> room, v1::VersionChunk* chunk, bool* filled) {
  while (const uint32_t tag = in.ReadTag()) {
    uint64_t number = 0;
    uint32_t length = 0;
    switch (tag) {
      case kOffset:
        if (!in.ReadVarint64(&number)) return false;
        chunk->set_offset(number);
        break;
      case kCrc32c:
        if (!in.ReadVarint64(&number)) return false;
        chunk->set_crc32c(static_cast<uint32_t>(number));
        break;
      case kData:
        if (!in.ReadVarint32(&length) || length != room.size() ||
            !in.ReadRaw(room.data(), static_cast<int>(length))) {
          return false;
        }
        *filled = true;
        break;
      case kDifference:
        if (!WireFormatLite::ReadBytes(&in, chunk->mutable_difference())) return false;
        break;
      default:
        if (!WireFormatLite::SkipField(&in, tag)) return false;
    }
  }
  return in.ConsumedEntireMessage();
}

}  // namespace

// As protoc's services and stubs do it, with other types of messages.
FetchService::FetchService() {
  using Handler = grpc::internal::ServerStreamingHandler<FetchService, v1::FetchVersionRequest,
                                                         grpc::ByteBuffer>;
  AddMethod(new grpc::internal::RpcServiceMethod(
      kMethod, grpc::internal::RpcMethod::SERVER_STREAMING,
      new Handler(
          [](FetchService* service, grpc::ServerContext* context,
             const v1::FetchVersionRequest* request, grpc::ServerWriter<grpc::ByteBuffer>* writer) {
            return service->Fetch(context, request, writer);
          },
          this)));
}

std::unique_ptr<grpc::ClientReader<grpc::ByteBuffer>> StartFetch(
    grpc::ChannelInterface& channel, grpc::ClientContext* context,
    const v1::FetchVersionRequest& request) {
  const grpc::internal::RpcMethod method(kMethod, grpc::internal::RpcMethod::SERVER_STREAMING);
  return std::unique_ptr<grpc::ClientReader<grpc::ByteBuffer>>(
      grpc::internal::ClientReaderFactory<grpc::ByteBuffer>::Create(&channel, method, context,
                                                                    request));
}

v1::VersionManifest ToProto(const VersionData& version) {
  v1::VersionManifest manifest;
  manifest.mutable_version()->set_number(version.version.number);
  manifest.mutable_version()->set_digest(version.version.digest);
  manifest.set_total_bytes(version.bytes.size());
  manifest.set_chunk_bytes(static_cast<uint32_t>(version.chunk_bytes));
  manifest.set_chunk_digests(version.chunk_digests);
  for (const TensorEntry& tensor : version.tensors) {
    v1::TensorInfo& info = *manifest.add_tensors();
    info.set_name(tensor.name);
    info.set_dtype(tensor.dtype);
    info.mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
    info.set_bytes(tensor.size);
  }
  return manifest;
}

VersionData FromProto(const v1::VersionManifest& manifest) {
  VersionData version;
  version.version = {manifest.version().number(), manifest.version().digest()};
  version.chunk_bytes = manifest.chunk_bytes();
  version.chunk_digests = manifest.chunk_digests();
  for (const v1::TensorInfo& tensor : manifest.tensors()) {
    version.tensors.push_back({.name = tensor.name(),
                               .dtype = tensor.dtype(),
                               .shape = {tensor.shape().begin(), tensor.shape().end()},
                               .size = tensor.bytes()});
  }
  return version;
}

grpc::ByteBuffer ToMessage(const v1::VersionPiece& piece) {
  const grpc::Slice slice(piece.SerializeAsString());
  return {&slice, 1};
}

grpc::ByteBuffer ToMessage(const v1::VersionChunk& chunk, std::string_view data, Owner owner) {
  const auto length = static_cast<uint32_t>(data.size());
  std::string fields = chunk.SerializeAsString();
  AppendVarint(kData, &fields);
  AppendVarint(length, &fields);
  std::string head;
  AppendVarint(kPieceChunk, &head);
  AppendVarint(static_cast<uint32_t>(fields.size()) + length, &head);
  const auto release = [](void* kept) { delete static_cast<Owner*>(kept); };
  const std::array<grpc::Slice, 2> slices = {
      grpc::Slice(head + fields), grpc::Slice(const_cast<char*>(data.data()), data.size(), release,
                                              new Owner(std::move(owner)))};
  return {slices.data(), slices.size()};
}

absl::Status ReadChunk(grpc::ByteBuffer* message, std::span<char> room, v1::VersionChunk* chunk) {
  chunk->Clear();
  grpc::ProtoBufferReader reader(message);
  CodedInputStream in(&reader);
  uint32_t length = 0;
  bool filled = false;
  bool whole = in.ReadTag() == kPieceChunk && in.ReadVarint32(&length);
  if (whole) {
    const CodedInputStream::Limit limit = in.PushLimit(static_cast<int>(length));
    whole = ReadFields(in, room, chunk, &filled) && in.BytesUntilLimit() == 0;
    in.PopLimit(limit);
  }
  if (whole && in.ReadTag() == 0 && in.ConsumedEntireMessage() &&
      filled == chunk->difference().empty()) {
    return absl::OkStatus();
  }
  return absl::DataLossError("a piece of a version is no chunk of the length that it has");
}

}  // namespace attnrl::learner
