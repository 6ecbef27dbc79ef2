// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>

#include "common/base/status.h"
#include "common/rpc/testing/test_services.h"

namespace attnrl::rpc {
namespace {

using ::testing::HasSubstr;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

// Binds and listens, and returns the descriptor; the file stays when it is closed.
int Listen(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  EXPECT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(::listen(socket, 1), 0);
  return socket;
}

TEST(ParseAddress, KnowsItsForms) {
  EXPECT_EQ(ParseAddress("unix:/a/b.sock")->path, "/a/b.sock");
  EXPECT_EQ(ParseAddress("127.0.0.1:80")->host, "127.0.0.1");
  EXPECT_EQ(ParseAddress("[::1]:80")->host, "::1");
  EXPECT_EQ(ParseAddress("dns:///learner.run:5000")->host, "learner.run");
  EXPECT_EQ(ParseAddress("dns:///learner.run:5000")->port, 5000);
  for (const char* wrong : {"", "unix:", "unix:relative.sock", "host", "host:", ":80", "host:port",
                            "host:65536", "host:-1", "::1:80", "http://host:80", "[]:80"}) {
    EXPECT_TRUE(IsInputError(ParseAddress(wrong).status())) << wrong;
  }
}

TEST(ParseAddress, RefusesSocketPathsThatTheKernelWouldCut) {
  EXPECT_TRUE(ParseAddress("unix:/" + std::string(kMaxSocketPath - 1, 'a')).ok());
  const absl::Status status = ParseAddress("unix:/" + std::string(kMaxSocketPath, 'a')).status();
  EXPECT_THAT(Message(status), HasSubstr("the socket's path has 108 bytes; at most 107 bytes"));
}

TEST(CheckPlaintext, TrustsThisMachineOnly) {
  for (const char* local : {"unix:/a", "127.0.0.1:1", "127.9.9.9:1", "localhost:1", "[::1]:1"}) {
    EXPECT_TRUE(CheckPlaintext(local, *ParseAddress(local), false).ok()) << local;
  }
  for (const char* remote :
       {"10.0.0.1:1", "learner:1", "dns:///learner:1", "0.0.0.0:1", "[::]:1"}) {
    EXPECT_TRUE(IsInputError(CheckPlaintext(remote, *ParseAddress(remote), false))) << remote;
    EXPECT_TRUE(CheckPlaintext(remote, *ParseAddress(remote), true).ok()) << remote;
  }
}

TEST(ClaimSocketPath, ReplacesTheFileOfADeadProcess) {
  const SocketFolder folder;
  ::close(Listen(folder / "s"));
  EXPECT_TRUE(std::filesystem::exists(folder / "s"));
  EXPECT_TRUE(ClaimSocketPath(folder / "s").ok());
  EXPECT_FALSE(std::filesystem::exists(folder / "s"));
  EXPECT_TRUE(ClaimSocketPath(folder / "s").ok());
}

TEST(ClaimSocketPath, RefusesALiveSocket) {
  const SocketFolder folder;
  const int socket = Listen(folder / "s");
  EXPECT_THAT(Message(ClaimSocketPath(folder / "s")), HasSubstr("in use"));
  EXPECT_TRUE(std::filesystem::exists(folder / "s"));
  ::close(socket);
}

}  // namespace
}  // namespace attnrl::rpc
