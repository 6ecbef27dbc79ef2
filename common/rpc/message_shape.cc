// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/message_shape.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <cstdint>

#include "absl/strings/str_cat.h"

namespace attnrl::rpc {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// As deep as the parser goes.
constexpr int kMaxDepth = 100;

class Counter {
 public:
  Counter(CodedInputStream* in, size_t parts) : in_(*in), left_(parts) {}

  // Reads fields up to the limit of the stream. False where it is no message, or has too many
  // parts.
  bool Count(const Descriptor& type, int depth) {
    if (depth == 0) return false;
    for (uint32_t tag = in_.ReadTag(); tag != 0; tag = in_.ReadTag()) {
      const WireFormatLite::WireType form = WireFormatLite::GetTagWireType(tag);
      // Messages of proto3 have none, and a group of two bytes takes sixty in memory.
      if (form == WireFormatLite::WIRETYPE_START_GROUP) return false;
      const FieldDescriptor* field = type.FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag));
      if (form != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
        if (field == nullptr && !Take()) return false;
        if (!WireFormatLite::SkipField(&in_, tag)) return false;
        continue;
      }
      int length = 0;
      if (!in_.ReadVarintSizeAsInt(&length)) return false;
      if ((field == nullptr || !field->is_packable()) && !Take()) return false;
      if (field == nullptr || field->type() != FieldDescriptor::TYPE_MESSAGE) {
        if (!in_.Skip(length)) return false;
        continue;
      }
      const CodedInputStream::Limit outer = in_.PushLimit(length);
      const bool good = Count(*field->message_type(), depth - 1) && in_.BytesUntilLimit() == 0;
      in_.PopLimit(outer);
      if (!good) return false;
    }
    return in_.ConsumedEntireMessage();
  }

  bool too_many() const { return too_many_; }

 private:
  bool Take() {
    too_many_ = left_ == 0;
    if (!too_many_) --left_;
    return !too_many_;
  }

  CodedInputStream& in_;
  size_t left_;
  bool too_many_ = false;
};

}  // namespace

absl::Status CheckShape(const grpc::ByteBuffer& bytes, const Descriptor& type, size_t parts) {
  grpc::ByteBuffer shared(bytes);  // the reader wants a buffer that it may change
  grpc::ProtoBufferReader reader(&shared);
  if (!reader.status().ok()) return absl::InternalError("a message can't be read");
  CodedInputStream in(&reader);
  Counter counter(&in, parts);
  if (counter.Count(type, kMaxDepth)) return absl::OkStatus();
  if (counter.too_many()) {
    return absl::ResourceExhaustedError(
        absl::StrCat(type.name(), ": more than ", parts, " texts and messages in one message"));
  }
  return absl::InvalidArgumentError(absl::StrCat(type.name(), ": the bytes are no such message"));
}

}  // namespace attnrl::rpc
