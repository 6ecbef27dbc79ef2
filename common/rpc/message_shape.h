// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/descriptor.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstddef>

#include "absl/status/status.h"

namespace attnrl::rpc {

// Parsing can take a hundred times the bytes of a message: an empty text or message within it has
// two bytes on the wire and an object in memory. This looks at the bytes before they are parsed.
// RESOURCE_EXHAUSTED, naming the bound, where a message of type `type` has more than `parts` texts,
// messages and fields that it doesn't know within it; INVALID_ARGUMENT where it is no such message,
// or has a group.
absl::Status CheckShape(const grpc::ByteBuffer& bytes, const google::protobuf::Descriptor& type,
                        size_t parts);

}  // namespace attnrl::rpc
