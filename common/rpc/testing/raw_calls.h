// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/rpc/channel.h"

namespace attnrl::rpc {

// For tests only: calls with bytes that no message of ours has.

// Messages of `bytes` bytes that take most memory when they are parsed by whoever doesn't know
// their fields: numbers, texts, groups, all without contents.
inline std::vector<std::string> HungryMessages(size_t bytes) {
  std::vector<std::string> messages;
  for (const std::string& field :
       {std::string("\x78\0", 2), std::string("\x7a\0", 2), std::string("\x7b\x7c", 2)}) {
    std::string& message = messages.emplace_back();
    while (message.size() + field.size() <= bytes) message += field;
  }
  return messages;
}

// Calls "/package.Service/Method" with these bytes; what it answers is read and dropped.
inline grpc::Status CallWith(const std::shared_ptr<grpc::Channel>& channel,
                             const std::string& method, const std::string& bytes) {
  grpc::GenericStub stub(channel);
  grpc::CompletionQueue queue;
  const auto context = MakeContext(absl::Seconds(60));
  const grpc::Slice slice(bytes);
  const auto call =
      stub.PrepareUnaryCall(context.get(), method, grpc::ByteBuffer(&slice, 1), &queue);
  call->StartCall();
  grpc::ByteBuffer reply;
  grpc::Status status;
  call->Finish(&reply, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  return status;
}

// Resident bytes of this process, now and at most since the last Forget.
class Memory {
 public:
  static void Forget() {
    malloc_trim(0);  // what was freed would be taken again
    std::ofstream("/proc/self/clear_refs") << 5;
  }
  static int64_t Now() { return Line("VmRSS:"); }
  static int64_t Most() { return Line("VmHWM:"); }

 private:
  static int64_t Line(const std::string& name) {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;) {
      int64_t kilobytes = 0;
      if (word == name && status >> kilobytes) return kilobytes * 1024;
    }
    ADD_FAILURE() << "no " << name;
    return 0;
  }
};

// No unary call of the service at this channel, whatever its bytes, makes this process grow by more
// than `most` bytes.
inline void ExpectNoCallTakesMoreThan(int64_t most, const std::shared_ptr<grpc::Channel>& channel,
                                      const google::protobuf::ServiceDescriptor& service,
                                      size_t request_bytes) {
  int64_t grown = 0;
  for (int i = 0; i < service.method_count(); ++i) {
    const google::protobuf::MethodDescriptor& method = *service.method(i);
    if (method.client_streaming() || method.server_streaming()) continue;
    const std::string name = absl::StrCat("/", service.full_name(), "/", method.name());
    for (const std::string& bytes : HungryMessages(request_bytes)) {
      Memory::Forget();
      const int64_t before = Memory::Now();
      const grpc::Status status = CallWith(channel, name, bytes);
      const int64_t more = Memory::Most() - before;
      EXPECT_LT(more, most) << name << ": " << status.error_message();
      grown = std::max(grown, more);
    }
    EXPECT_EQ(CallWith(channel, name, std::string(request_bytes + 100, '\0')).error_code(),
              grpc::StatusCode::RESOURCE_EXHAUSTED)
        << name;
  }
  EXPECT_GT(grown, 10 * static_cast<int64_t>(request_bytes)) << "nothing was parsed";
}

}  // namespace attnrl::rpc
