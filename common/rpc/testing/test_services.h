// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "common/observe/metrics.h"
#include "common/rpc/channel.h"
#include "common/rpc/handler.h"
#include "common/rpc/server.h"
#include "common/rpc/status.h"
#include "proto/attnrl/v1/verifier.grpc.pb.h"
#include "proto/attnrl/v1/weight_store.grpc.pb.h"

namespace attnrl::rpc {

// Tests only: answers with what `work` says.
class TestVerifier final : public v1::Verifier::Service {
 public:
  using Work = std::function<absl::Status(const v1::VerifyRequest&, v1::VerifyReply*)>;
  explicit TestVerifier(Work work) : work_(std::move(work)) {}

  grpc::Status Verify(grpc::ServerContext* context, const v1::VerifyRequest* request,
                      v1::VerifyReply* reply) override {
    return Handle(context, "Verifier/Verify", [&] { return work_(*request, reply); });
  }

 private:
  const Work work_;
};

// Tests only: streams chunks without bytes until its caller leaves.
class TestWeightStore final : public v1::WeightStore::Service {
 public:
  explicit TestWeightStore(uint64_t chunks) : chunks_(chunks) {}

  grpc::Status Fetch(grpc::ServerContext* context, const v1::FetchVersionRequest*,
                     grpc::ServerWriter<v1::VersionPiece>* writer) override {
    return HandleStream(context, "WeightStore/Fetch", [&]() -> absl::Status {
      for (uint64_t offset = 0; offset < chunks_; ++offset) {
        v1::VersionPiece piece;
        piece.mutable_chunk()->set_offset(offset);
        if (!writer->Write(piece)) return absl::CancelledError("the caller left");
      }
      return absl::OkStatus();
    });
  }

 private:
  const uint64_t chunks_;
};

// Tests only: a folder for sockets, short enough for their names.
class SocketFolder {
 public:
  SocketFolder() {
    char name[] = "/tmp/attnrl-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~SocketFolder() { std::filesystem::remove_all(path_); }
  SocketFolder(const SocketFolder&) = delete;
  SocketFolder& operator=(const SocketFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  std::string Address(const std::string& name) const { return "unix:" + path_ + "/" + name; }

 private:
  std::string path_;
};

// Tests only: what /metrics says of one series, 0 before there is one. Tests share the process's
// metrics, so they look at what a call adds.
inline double Series(const std::string& name) {
  const std::string text = "\n" + observe::MetricsText();
  const size_t found = text.find("\n" + name + " ");
  double value = 0;
  if (found == std::string::npos) return value;
  const size_t begin = found + name.size() + 2;
  EXPECT_TRUE(absl::SimpleAtod(text.substr(begin, text.find('\n', begin) - begin), &value));
  return value;
}

inline absl::Status CallVerify(const std::shared_ptr<grpc::Channel>& channel,
                               const v1::VerifyRequest& request, v1::VerifyReply* reply,
                               absl::Duration deadline = absl::Seconds(20)) {
  const auto context = MakeContext(deadline);
  return FromGrpc(v1::Verifier::NewStub(channel)->Verify(context.get(), request, reply), "Verify");
}

}  // namespace attnrl::rpc
