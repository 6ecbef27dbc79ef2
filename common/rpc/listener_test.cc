// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/listener.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "common/rpc/testing/test_services.h"

namespace attnrl::rpc {
namespace {

absl::Status Answer(const v1::VerifyRequest&, v1::VerifyReply*) { return absl::OkStatus(); }

absl::Status Call(const std::string& address) {
  v1::VerifyReply reply;
  return CallVerify(*Connect(address), v1::VerifyRequest(), &reply);
}

class ListenerTest : public ::testing::Test {
 protected:
  ListenerTest() { ::getrlimit(RLIMIT_NOFILE, &before_); }
  ~ListenerTest() override { ::setrlimit(RLIMIT_NOFILE, &before_); }

  void SetSoftLimit(rlim_t limit) const {
    rlimit changed = before_;
    changed.rlim_cur = limit;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &changed), 0);
  }

  rlimit before_{};
  SocketFolder folder_;
  TestVerifier service_{Answer};
};

TEST_F(ListenerTest, RaisesTheLimitOfDescriptorsToTheMostThereMayBe) {
  SetSoftLimit(200);
  const int left = PrepareDescriptors();
  rlimit now{};
  ::getrlimit(RLIMIT_NOFILE, &now);
  EXPECT_EQ(now.rlim_cur, now.rlim_max);
  EXPECT_GT(left, 0);
  EXPECT_LT(static_cast<rlim_t>(left), now.rlim_max);
}

TEST_F(ListenerTest, AServerIsReachableAgainAfterDescriptorsHadRunOut) {
  const auto server = *Server::Start({.address = folder_.Address("s.sock")}, {&service_});
  std::vector<int> taken;
  SetSoftLimit(200);
  for (int fd = ::open("/dev/null", O_RDONLY); fd >= 0; fd = ::open("/dev/null", O_RDONLY)) {
    taken.push_back(fd);
  }
  ASSERT_FALSE(taken.empty());
  // The one that is free goes to the client's end of the connection.
  ::close(taken.back());
  taken.pop_back();
  // Options of its own, because channels that are alike share a connection.
  const auto channel = *Connect(server->address(), {.max_request_bytes = 1 << 16});
  v1::VerifyReply reply;
  EXPECT_FALSE(CallVerify(channel, v1::VerifyRequest(), &reply, absl::Milliseconds(300)).ok());
  for (const int fd : taken) ::close(fd);
  EXPECT_TRUE(CallVerify(channel, v1::VerifyRequest(), &reply).ok());
}

TEST_F(ListenerTest, ClosesConnectionsOfAnotherUserWhateverTheSocketsMode) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be another user";
  const auto server = *Server::Start({.address = folder_.Address("s.sock")}, {&service_});
  const std::string path = folder_ / "s.sock";
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0777), 0);
  ASSERT_EQ(::chmod(path.c_str(), 0777), 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
  const pid_t child = ::fork();
  if (child == 0) {
    const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    const bool connected =
        ::setuid(65534) == 0 &&
        ::connect(socket, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0;
    // A server that lets it in sends its settings first.
    char byte = 0;
    ::_exit(!connected ? 2 : ::read(socket, &byte, 1) > 0 ? 1 : 0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0) << "2: it could not connect; 1: it was let in";
  EXPECT_EQ(Call(server->address()), absl::OkStatus());
}

TEST_F(ListenerTest, ListensAtEveryAddressOfAName) {
  const auto server = *Server::Start({.address = "localhost:0"}, {&service_});
  EXPECT_TRUE(Call(server->address()).ok());
  const std::string port = server->address().substr(server->address().rfind(':'));
  EXPECT_TRUE(Call("127.0.0.1" + port).ok());
}

}  // namespace
}  // namespace attnrl::rpc
