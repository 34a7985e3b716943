// SPDX-License-Identifier: Apache-2.0
// What a build's steps reach, asked from inside of a build: the world, and nothing of this machine.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <csignal>

#include "image/buildah/real_fixture.hpp"

namespace tow::image::buildah {
namespace {

/// Listens on every address of this machine, or on one; connecting to it works without anybody accepting.
class Listener {
 public:
  explicit Listener(in_addr_t host = INADDR_ANY)
      : descriptor_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(host);
    EXPECT_EQ(::bind(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(descriptor_, 16), 0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = std::to_string(ntohs(address.sin_port));
  }
  ~Listener() { ::close(descriptor_); }
  const std::string& port() const { return port_; }

 private:
  int descriptor_;
  std::string port_;
};

/// Two neighbours of this machine in networks that only this test has: a host behind a link, as one in the
/// world is, and a host behind a bridge, as another container is.
class RealBuildNetwork : public RealImages {
 public:
  void SetUp() override {
    RealImages::SetUp();
    if (IsSkipped()) return;
    ip("netns add " + space_);
    ip("link add " + link_ + " type veth peer name out netns " + space_);
    ip("address add " + outside_ + "1/24 dev " + link_);
    ip("link set " + link_ + " up");
    ip("link add " + bridge_ + " type bridge");
    ip("address add " + behind_ + "1/24 dev " + bridge_);
    ip("link set " + bridge_ + " up");
    ip("link add " + port_ + " type veth peer name in netns " + space_);
    ip("link set " + port_ + " master " + bridge_ + " up");
    for (const std::string& command :
         {"address add " + outside_ + "2/24 dev out", std::string{"link set out up"},
          std::string{"link set lo up"}, "address add " + behind_ + "2/24 dev in",
          std::string{"link set in up"}})
      ip("-netns " + space_ + " " + command);
  }
  void TearDown() override {
    for (const auto& command : {"link delete " + link_, "link delete " + bridge_, "netns delete " + space_})
      run_blocking(run({.argv = {"sh", "-c", "ip " + command}}));
    RealImages::TearDown();
  }
  static void ip(const std::string& command) {
    run_blocking([](std::string text) -> Task<> {
      co_await run_checked({.argv = {"sh", "-c", text}});
    }("ip " + command));
  }

  /// Asks for connections from inside of a build: "open ADDRESS PORT" or "closed ADDRESS PORT" for each.
  std::string ask(const std::vector<std::string>& addresses) {
    std::string script =
        "FROM towpath/base:12\nENV TRY=" + tag_ +
        "\nRUN try() { if timeout 5 bash -c "
        "\"exec 3<>/dev/tcp/$1/$2\" 2>/dev/null; then echo open $1 $2; else echo closed $1 $2; fi; };";
    for (const auto& address : addresses) script += " try " + address + ";";
    write("Containerfile", script + " true\n");
    const auto wanted = request();
    build(wanted);
    expect_no_traces(wanted.id);
    return log();
  }

  const std::string tag_ = new_uid();
  // Names of links have at most 15 characters.
  const std::string space_ = "towimg-" + tag_.substr(tag_.size() - 8);
  const std::string link_ = "twl" + tag_.substr(tag_.size() - 8);
  const std::string bridge_ = "twb" + tag_.substr(tag_.size() - 8);
  const std::string port_ = "twp" + tag_.substr(tag_.size() - 8);
  // Of the networks set aside for measurements between devices.
  const std::string outside_ = "198.18." + std::to_string(::getpid() % 256) + ".";
  const std::string behind_ = "198.19." + std::to_string(::getpid() % 256) + ".";
};

TEST_F(RealBuildNetwork, LeadsOutwardAndNotIntoThisMachine) {
  const Listener everywhere;
  const Listener loopback{INADDR_LOOPBACK};
  run_blocking([](RealBuildNetwork& self, std::string p, std::string l) -> Task<> {
    Command serve{.argv = {"ip", "netns", "exec", self.space_, "python3", "-u", "-m", "http.server", "0"}};
    const auto server = co_await Child::start(std::move(serve));
    const auto said = co_await server->read();
    const auto theirs = std::to_string(std::stoi(said.substr(said.find(" port ") + 6)));
    const auto& host = self.outside_;
    self.write("Containerfile", "");
    const auto answers = co_await BlockingPool{1}.run([&] {
      return self.ask({host + "2 " + theirs, "127.0.0.1 " + p, "127.0.0.1 " + l, host + "1 " + p,
                       self.behind_ + "1 " + p, self.behind_ + "2 " + theirs, "169.254.169.254 80"});
    });
    const auto expect = [&](const std::string& line, const char* reason) {
      EXPECT_NE(answers.find("\n" + line + "\n"), std::string::npos) << reason << "\n" << answers;
    };
    expect("open " + host + "2 " + theirs, "a host in the world");
    expect("closed 127.0.0.1 " + p, "this machine's servers by its loopback");
    expect("closed 127.0.0.1 " + l, "what listens on the loopback alone");
    expect("closed " + host + "1 " + p, "this machine's address");
    expect("closed " + self.behind_ + "1 " + p, "this machine's address on a bridge");
    expect("closed " + self.behind_ + "2 " + theirs, "what is behind a bridge");
    expect("closed 169.254.169.254 80", "a cloud's metadata");
    server->signal(SIGTERM);
    co_await server->wait();
  }(*this, everywhere.port(), loopback.port()));
}

TEST_F(RealBuildNetwork, OpensThePortsThatTheSettingsNameAndClosesTheirNetworks) {
  const Listener index{INADDR_LOOPBACK};
  const Listener other{INADDR_LOOPBACK};
  settings_.npm_registry = "http://127.0.0.1:" + index.port() + "/";
  settings_.closed_networks = {outside_ + "0/24"};
  images_ = make(settings_);
  run_blocking(images_->start());
  const auto answers = ask({"127.0.0.1 " + index.port(), "127.0.0.1 " + other.port(), outside_ + "2 80"});
  EXPECT_NE(answers.find("open 127.0.0.1 " + index.port()), std::string::npos) << answers;
  EXPECT_NE(answers.find("closed 127.0.0.1 " + other.port()), std::string::npos) << answers;
  EXPECT_NE(answers.find("closed " + outside_ + "2 80"), std::string::npos) << answers;
}

TEST_F(RealBuildNetwork, StepsMayNotChangeItAndSeeNoProcessOfOthers) {
  write("Containerfile",
        "FROM towpath/base:12\nENV TRY=" + tag_ +
            "\nRUN grep CapEff /proc/self/status; echo processes $(ls -d /proc/[0-9]* | wc -l)\n");
  build(request());
  const auto at = log().find("\nCapEff:");
  ASSERT_NE(at, std::string::npos) << log();
  const auto effective = std::stoull(log().substr(at + 9, 17), nullptr, 16);
  constexpr int kNetAdmin = 12;
  constexpr int kSysAdmin = 21;
  EXPECT_EQ(effective & (1ULL << kNetAdmin | 1ULL << kSysAdmin), 0U) << log();
  const auto count = std::stoi(log().substr(log().find("\nprocesses ") + 11));
  EXPECT_LE(count, 6) << log();
}

}  // namespace
}  // namespace tow::image::buildah
