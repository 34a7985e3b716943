// SPDX-License-Identifier: Apache-2.0
// git over HTTP by the byte: what no well-meaning git would send.
#include "http/loopback_test.hpp"
#include "source/bench_test.hpp"

namespace tow::source {
namespace {

class Wire : public GitServer {
 protected:
  Wire() : GitServer{{.threads = 2, .body_time = std::chrono::milliseconds{300}}} {}

  static std::string head(const std::string& method, const std::string& target, const std::string& more = {},
                          const std::string& password = "admin") {
    return fmt::format("{} {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Basic {}\r\n{}\r\n",
                       method, target, base64("ann:" + password), more);
  }
  std::string ask(const std::string& bytes) {
    http::RawClient client{server->port()};
    client.send(bytes);
    return client.rest();
  }
  std::string post(const std::string& target, const std::string& type, const std::string& body,
                   const std::string& more = {}) {
    return ask(head("POST", target,
                    fmt::format("Content-Type: {}\r\nContent-Length: {}\r\n{}", type, body.size(), more)) +
               body);
  }
  static std::string line(const std::string& text) { return fmt::format("{:04x}{}", text.size() + 4, text); }
  std::string gzip(std::string text) const {
    Command command;
    command.argv = {"gzip", "-c"};
    command.input = std::move(text);
    return run_blocking(run_checked(std::move(command))).out;
  }

  const std::string git_ = "/git/shop/shop.git/";
  const std::string upload_ = "application/x-git-upload-pack-request";
  const std::string receive_ = "application/x-git-receive-pack-request";
};

TEST_F(Wire, OnlyTheSmartProtocolIsSpoken) {
  push(repository());
  const struct {
    const char* reason;
    std::string method;
    std::string target;
    int status;
    std::string password = "admin";
  } rows[] = {
      {"what may be fetched", "GET", git_ + "info/refs?service=git-upload-pack", 200},
      {"what may be pushed", "GET", git_ + "info/refs?service=git-receive-pack", 200},
      {"without the ending", "GET", "/git/shop/shop/info/refs?service=git-upload-pack", 200},
      {"a reader fetches", "GET", git_ + "info/refs?service=git-upload-pack", 200, "reader"},
      {"a reader does not push", "GET", git_ + "info/refs?service=git-receive-pack", 403, "reader"},
      {"nor by asking twice", "GET", git_ + "info/refs?service=git-upload-pack&service=git-receive-pack", 403,
       "reader"},
      {"another service", "GET", git_ + "info/refs?service=git-upload-archive", 403},
      {"a service that is a command", "GET", git_ + "info/refs?service=git-;id", 403},
      {"an encoded service", "GET", git_ + "info/refs?service=git%2Dupload%2Dpack", 200},
      {"no service", "GET", git_ + "info/refs", 403},
      {"the dumb protocol", "GET", git_ + "objects/info/packs", 404},
      {"a file of the repository", "GET", git_ + "config", 404},
      {"its head", "GET", git_ + "HEAD", 404},
      {"above it", "GET", git_ + "../shop.git/config", 400},
      {"above it, encoded", "GET", git_ + "%2e%2e/%2e%2e/store.db", 400},
      {"an encoded slash", "GET", "/git/shop/..%2Fshop.git/info/refs?service=git-upload-pack", 404},
      {"a project that is not there", "GET", "/git/none/shop.git/info/refs?service=git-upload-pack", 404},
      {"a repository that is not there", "GET", "/git/shop/none.git/info/refs?service=git-upload-pack", 404},
      {"a name with quotes", "GET", "/git/shop/%27%3Bid%24%28%29.git/info/refs?service=git-upload-pack", 404},
      {"no name at all", "GET", "/git/shop/.git/info/refs?service=git-upload-pack", 404},
      {"a long name", "GET", "/git/shop/" + std::string(4000, 'a') + "/info/refs?service=git-upload-pack",
       404},
      {"a fetch by GET", "GET", git_ + "git-upload-pack", 405},
      {"a push by PUT", "PUT", git_ + "git-receive-pack", 405},
      {"refs by POST", "POST", git_ + "info/refs?service=git-upload-pack", 405},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    const auto answer = ask(head(row.method, row.target, "", row.password));
    EXPECT_EQ(http::status_in(answer), row.status) << answer.substr(0, 500);
  }
}

TEST_F(Wire, WithoutATokenItAsksForOne) {
  const auto answer =
      ask("GET /git/shop/shop.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: x\r\nConnection: "
          "close\r\n\r\n");
  EXPECT_EQ(http::status_in(answer), 401);
  EXPECT_NE(answer.find("WWW-Authenticate: Basic"), std::string::npos) << answer;
}

TEST_F(Wire, AFetchMayComeCompressed) {
  const auto work = repository();
  push(work);
  const auto id = sure({"rev-parse", "HEAD"}, work);
  const auto wants = line("want " + id + "\n") + "0000" + line("done\n");
  const auto plain = post(git_ + "git-upload-pack", upload_, wants);
  EXPECT_EQ(http::status_in(plain), 200) << plain.substr(0, 500);
  EXPECT_NE(plain.find("PACK"), std::string::npos);
  const auto packed = post(git_ + "git-upload-pack", upload_, gzip(wants), "Content-Encoding: gzip\r\n");
  EXPECT_EQ(http::status_in(packed), 200) << packed.substr(0, 500);
  EXPECT_NE(packed.find("PACK"), std::string::npos);
}

TEST_F(Wire, WhatIsBrokenIsRefusedAndLeavesNothing) {
  const auto before = objects();
  const std::string zero(40, '0');
  const auto command =
      line(zero + " " + std::string(40, 'a') + " refs/heads/main" + '\0' + "report-status") + "0000";
  const struct {
    const char* reason;
    std::string type;
    std::string body;
    std::string more;
  } rows[] = {
      {"another content type", "text/html", command, ""},
      {"no packet", receive_, "hello", ""},
      {"a packet longer than the body", receive_, "ffff" + std::string(100, 'x'), ""},
      {"a command without its pack", receive_, command, ""},
      {"a pack that is none", receive_, command + "PACKgarbage", ""},
      {"a pack of more objects than there are", receive_,
       command + std::string{"PACK\0\0\0\2\xff\xff\xff\xff", 12}, ""},
      {"what is not compressed", receive_, command, "Content-Encoding: gzip\r\n"},
      {"cut short within the compression", receive_, gzip(command).substr(0, 20),
       "Content-Encoding: gzip\r\n"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    const auto answer = post(git_ + "git-receive-pack", row.type, row.body, row.more);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 ") || answer.empty()) << answer.substr(0, 300);
    EXPECT_EQ(objects(), before) << answer.substr(0, 500);
  }
  EXPECT_TRUE(branches().empty());
  EXPECT_EQ(push(repository()).code, 0) << "and a good one is taken afterwards";
}

TEST_F(Wire, ABodyThatEndsTooSoonIsNotWaitedFor) {
  const auto before = objects();
  for (const bool slow : {false, true}) {
    SCOPED_TRACE(slow ? "nothing more comes" : "the pusher says goodbye in the middle");
    http::RawClient client{server->port()};
    client.send(head("POST", git_ + "git-receive-pack",
                     "Content-Type: " + receive_ + "\r\nContent-Length: 100000\r\n") +
                "0032");
    if (!slow) client.half_close();
    const auto answer = client.rest();  // within ten seconds, or this fails
    EXPECT_FALSE(answer.ends_with("0\r\n\r\n")) << "it is cut, not completed: " << answer;
    EXPECT_EQ(objects(), before);
  }
  EXPECT_EQ(push(repository()).code, 0);
}

}  // namespace
}  // namespace tow::source
