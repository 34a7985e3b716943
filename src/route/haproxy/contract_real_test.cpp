// SPDX-License-Identifier: Apache-2.0
#include "route/contract.hpp"

#include <fmt/format.h>

#include <future>

#include "route/haproxy/lab.hpp"

namespace tow::route::haproxy {
namespace {

class HaproxySubject final : public contract::Subject {
 public:
  void run(Task<> task) override { proxied_.run(std::move(task)); }
  Router& router() override { return proxied_.router(); }
  void restart() override { proxied_.restart(); }

  Server server(const std::string& id, int weight) override {
    auto& instance = instances_[id];
    if (!instance) instance = std::make_unique<lab::Instance>(id);
    return instance->server(weight);
  }

  std::string request(const std::string& host, const std::string& path) override {
    return shown(lab::get(proxied_.port(), host, path));
  }

  std::function<std::string()> begin_request(const std::string& host) override {
    const auto answer = std::make_shared<std::future<lab::Answer>>(
        std::async(std::launch::async, [port = proxied_.port(), host] { return lab::get(port, host); }));
    const auto seen = std::make_shared<std::string>();
    return [answer, seen] {
      if (seen->empty() && answer->wait_for(std::chrono::seconds{0}) == std::future_status::ready)
        *seen = shown(answer->get());
      return *seen;
    };
  }
  bool soon(const std::function<bool()>& done) override { return lab::soon(done); }

  // Without a redirect the original destination is where the client connects to.
  Match internal(int number) override {
    return {.address = fmt::format("127.77.3.{}", number), .port = router().internal_port()};
  }
  std::string request_internal(const Match& to) override {
    return shown(lab::Client{to.port, to.address}.request("whatever", "/"));
  }

  void open_stream(const SiteId&, const std::string& host, const std::string&) override {
    stream_ = std::make_unique<lab::Client>(proxied_.port());
    stream_->send("GET / HTTP/1.1\r\nHost: " + host + "\r\n" + std::string{lab::kUpgrade} + "\r\n");
    ASSERT_TRUE(stream_->receive("\r\n\r\n").contains(" 101 "));
  }

  void close_streams() override {
    stream_.reset();
    for (const auto& [id, instance] : instances_) instance->end_streams();
    lab::soon([&] { return proxied_.sessions("a", "a1") == 0; });
  }

 private:
  static std::string shown(const lab::Answer& answer) {
    return answer.status == 200 ? answer.body : std::to_string(answer.status);
  }

  std::map<std::string, std::unique_ptr<lab::Instance>> instances_;
  lab::Proxied proxied_{[](Settings& settings) { settings.internal_address = "0.0.0.0"; }};
  std::unique_ptr<lab::Client> stream_;
};

using contract::RouterContract;
INSTANTIATE_TEST_SUITE_P(Haproxy, RouterContract, testing::Values(contract::Factory{[] {
                           return std::make_unique<HaproxySubject>();
                         }}));

}  // namespace
}  // namespace tow::route::haproxy
