// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/observe/build.h"
#include "common/observe/metrics.h"

namespace attnrl::observe {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

// What an HTTP client gets for `request`, e.g. "GET /metrics".
std::string Ask(const std::string& address, const std::string& request) {
  const size_t colon = address.rfind(':');
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(colon + 1))));
  EXPECT_EQ(::inet_pton(AF_INET, address.substr(0, colon).c_str(), &peer.sin_addr), 1);
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_EQ(::connect(socket, reinterpret_cast<sockaddr*>(&peer), sizeof(peer)), 0);
  const std::string sent = absl::StrCat(request, " HTTP/1.0\r\nHost: ", address, "\r\n\r\n");
  EXPECT_EQ(::write(socket, sent.data(), sent.size()), static_cast<ssize_t>(sent.size()));
  std::string answer;
  char buffer[4096];
  ssize_t count = 0;
  while ((count = ::read(socket, buffer, sizeof(buffer))) > 0) {
    answer.append(buffer, static_cast<size_t>(count));
  }
  ::close(socket);
  return answer;
}

// One for all tests, as stopping one takes civetweb two seconds.
class MetricsServerTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = *MetricsServer::Start("127.0.0.1:0"); }
  static void TearDownTestSuite() { server_.reset(); }
  static std::string Metrics() { return Ask(server_->address(), "GET /metrics"); }

  static inline std::unique_ptr<MetricsServer> server_;
};

TEST_F(MetricsServerTest, ServesTheMetricsOnAFreePort) {
  EXPECT_THAT(server_->address(), MatchesRegex("127\\.0\\.0\\.1:[1-9][0-9]*"));
  const std::string answer = Metrics();
  EXPECT_THAT(answer, HasSubstr("200 OK\r\nContent-Type: text/plain"));
  EXPECT_THAT(answer, HasSubstr("\r\n\r\n# HELP "));
  EXPECT_THAT(answer,
              HasSubstr("\nattnrl_build_info{cuda=\"" + std::string(CudaOfBuild()) +
                        "\",version=\"" + std::string(label_values::kVersion[0]) + "\"} 1\n"));
}

TEST_F(MetricsServerTest, AnswersNothingElse) {
  for (const char* request : {"GET /", "GET /metric", "GET /../etc/passwd", "POST /metrics",
                              "PUT /metrics", "DELETE /metrics"}) {
    const std::string refusal = Ask(server_->address(), request);
    EXPECT_THAT(refusal, MatchesRegex("HTTP/1\\.[01] 40[45] (.|\n|\r)*")) << request;
    EXPECT_THAT(refusal, Not(HasSubstr("attnrl_"))) << request;
  }
}

TEST_F(MetricsServerTest, ServesWhatThisMomentIs) {
  for (const char* workers : {"3", "4"}) {
    Set(kSchedulerWorkers, {}, std::stod(workers));
    EXPECT_THAT(Metrics(), HasSubstr(absl::StrCat("\nattnrl_scheduler_workers ", workers, "\n")));
  }
}

TEST_F(MetricsServerTest, AnswersSeveralAtATime) {
  std::vector<std::string> answers(4);
  std::vector<std::thread> clients;
  for (std::string& answer : answers) clients.emplace_back([&] { answer = Metrics(); });
  for (std::thread& client : clients) client.join();
  for (const std::string& answer : answers) EXPECT_THAT(answer, HasSubstr("attnrl_build_info{"));
}

TEST_F(MetricsServerTest, HoldsItsAddressUntilItIsDestroyed) {
  const std::string address = server_->address();
  const absl::Status status = MetricsServer::Start(address).status();
  EXPECT_TRUE(IsInputError(status)) << status;
  EXPECT_THAT(std::string(status.message()), StartsWith("metrics address " + address + ": in use"));
  server_.reset();
  auto next = MetricsServer::Start(address);
  ASSERT_TRUE(next.ok()) << next.status();
  server_ = *std::move(next);
  EXPECT_THAT(Metrics(), HasSubstr("200 OK"));
}

TEST(StartMetricsServer, RefusesWhatIsNoAddressAndSaysWhatIs) {
  const std::string form = ": not an address; host:port, port 0 takes a free one";
  for (const char* address : {"", "localhost", "127.0.0.1:http", "127.0.0.1:65536", "127.0.0.1:-1",
                              "127.0.0.1:", ":9090", "127.0.0.1:0,127.0.0.1:0"}) {
    const absl::Status status = MetricsServer::Start(address).status();
    EXPECT_TRUE(IsInputError(status)) << address;
    EXPECT_EQ(status.message(), absl::StrCat("metrics address ", address, form));
  }
  // 192.0.2.0/24 is nobody's.
  for (const char* address : {"192.0.2.1:0", "300.0.0.1:0"}) {
    EXPECT_EQ(MetricsServer::Start(address).status().message(),
              absl::StrCat("metrics address ", address,
                           ": in use, or not an address of this machine; a free host:port "
                           "(observe.metrics_address), port 0 takes a free one"));
  }
  EXPECT_THAT(std::string(MetricsServer::Start("a\nb:0").status().message()),
              StartsWith("metrics address a\\nb:0: "));
}

}  // namespace
}  // namespace attnrl::observe
