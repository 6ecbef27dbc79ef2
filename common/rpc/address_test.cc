// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "common/base/status.h"
#include "common/rpc/testing/test_services.h"

namespace attnrl::rpc {
namespace {

using ::testing::HasSubstr;

std::string TextOf(const absl::Status& status) { return std::string(status.message()); }

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

TEST(Address, OfAPortAtTheOtherEndOfAConnection) {
  EXPECT_EQ(AtPeer("ipv4:10.0.0.7:40222", 7004), "10.0.0.7:7004");
  EXPECT_EQ(AtPeer("ipv6:[fd00::7]:40222", 7004), "[fd00::7]:7004");
  EXPECT_EQ(AtPeer("ipv6:%5Bfd00::7%5D:40222", 7004), "[fd00::7]:7004");
  EXPECT_EQ(AtPeer("ipv4:127.0.0.1:40222", 7004), "localhost:7004");
  EXPECT_EQ(AtPeer("ipv6:[::1]:40222", 7004), "localhost:7004");
  EXPECT_EQ(AtPeer("unix:/run/x.sock", 7004), "");
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
  EXPECT_THAT(TextOf(status), HasSubstr("the socket's path has 108 bytes; at most 107 bytes"));
}

struct Parts {
  const char* address;
  const char* host;
  int port;
};

TEST(ParseAddress, SeparatesHostAndPort) {
  for (const Parts& each :
       {Parts{"a:0", "a", 0}, Parts{"a.b-c_d:65535", "a.b-c_d", 65535}, Parts{"[::]:1", "::", 1},
        Parts{"[fe80::1]:443", "fe80::1", 443}, Parts{"dns:///[::1]:9", "::1", 9}}) {
    const auto parsed = ParseAddress(each.address);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_FALSE(parsed->is_unix());
    EXPECT_EQ(parsed->host, each.host);
    EXPECT_EQ(parsed->port, each.port);
    EXPECT_EQ(parsed->path, "");
  }
}

TEST(ParseAddress, SaysWhatIsWrongWithEachForm) {
  const auto what = [](const std::string& address) {
    const std::string message = TextOf(ParseAddress(address).status());
    EXPECT_THAT(message, HasSubstr("unix:/absolute/path or host:port")) << address;
    return message.substr(0, message.find(';'));
  };
  EXPECT_EQ(what(""), "address: is empty");
  EXPECT_EQ(what("unix:"), "address unix:: the socket's path is not absolute");
  EXPECT_EQ(what("unix:a/b"), "address unix:a/b: the socket's path is not absolute");
  EXPECT_EQ(what("host"), "address host: has no host and port");
  EXPECT_EQ(what(":80"), "address :80: has no host and port");
  EXPECT_EQ(what("dns:///host"), "address dns:///host: has no host and port");
  for (const char* port : {"", "port", "-1", "65536", "8 0", "0x50", "99999999999999999999"}) {
    const std::string address = std::string("host:") + port;
    EXPECT_EQ(what(address), "address " + address + ": the port is no number from 0 to 65535");
  }
  for (const char* host : {"::1", "http://host", "[]", "[host", "host]:", "a:b"}) {
    const std::string address = std::string(host) + ":80";
    EXPECT_EQ(what(address), "address " + address + ": is no host and port");
  }
  EXPECT_EQ(what("ho\nst:80x"), "address ho\\nst:80x: the port is no number from 0 to 65535");
}

TEST(CheckPlaintext, TrustsThisMachineOnly) {
  for (const char* local : {"unix:/a", "127.0.0.1:1", "127.9.9.9:1", "localhost:1", "[::1]:1"}) {
    EXPECT_TRUE(CheckPlaintext(local, *ParseAddress(local), false).ok()) << local;
  }
  for (const char* remote :
       {"10.0.0.1:1", "learner:1", "dns:///learner:1", "0.0.0.0:1", "[::]:1", "128.0.0.1:1",
        "127.example.org:1", "127.0.0.1.example.org:1", "localhost.example.org:1", "[::11]:1"}) {
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
  EXPECT_THAT(TextOf(ClaimSocketPath(folder / "s")), HasSubstr("in use"));
  EXPECT_TRUE(std::filesystem::exists(folder / "s"));
  ::close(socket);
}

TEST(ClaimSocketPath, LeavesWhatIsNoSocketAlone) {
  const SocketFolder folder;
  std::ofstream(folder / "file") << "precious";
  EXPECT_THAT(TextOf(ClaimSocketPath(folder / "file")), HasSubstr("in use by a file"));
  std::filesystem::create_directory(folder / "folder");
  EXPECT_THAT(TextOf(ClaimSocketPath(folder / "folder")), HasSubstr("in use by a file"));
  std::filesystem::create_symlink(folder / "file", folder / "link");
  EXPECT_THAT(TextOf(ClaimSocketPath(folder / "link")), HasSubstr("in use by a file"));
  std::string text;
  std::ifstream(folder / "file") >> text;
  EXPECT_EQ(text, "precious");
}

TEST(ClaimSocketPath, LeavesAMissingFolderToTheServer) {
  EXPECT_TRUE(ClaimSocketPath("/nowhere/s").ok());
  const SocketFolder folder;
  std::ofstream(folder / "file") << "";
  EXPECT_TRUE(IsInputError(ClaimSocketPath(folder / "file/s")));  // a file is no folder
}

}  // namespace
}  // namespace attnrl::rpc
