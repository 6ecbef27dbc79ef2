// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/status.h"

#include <gtest/gtest.h>

#include <set>
#include <string_view>

namespace attnrl::rpc {
namespace {

TEST(Status, CrossesBothWaysWithEveryCode) {
  std::set<std::string_view> names;
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "why");
    const grpc::Status sent = ToGrpc(status);
    // The numbers are the same in both worlds.
    EXPECT_EQ(static_cast<int>(sent.error_code()), code);
    const absl::Status received = FromGrpc(sent, "what");
    EXPECT_EQ(static_cast<int>(received.code()), code);
    EXPECT_EQ(received.message(), "what: why");
    EXPECT_TRUE(names.insert(CodeName(sent.error_code())).second);
  }
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpc(grpc::Status::OK, "what").ok());
  EXPECT_EQ(CodeName(grpc::StatusCode::OK), "OK");
}

TEST(Status, TakesCodesOfTheFutureForUnknown) {
  EXPECT_TRUE(absl::IsUnknown(FromGrpc(grpc::Status(static_cast<grpc::StatusCode>(17), ""), "x")));
}

}  // namespace
}  // namespace attnrl::rpc
