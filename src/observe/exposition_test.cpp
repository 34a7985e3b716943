// SPDX-License-Identifier: Apache-2.0
#include "observe/exposition.hpp"

#include <cmath>
#include <limits>
#include <regex>
#include <sstream>

#include "observe/harness_test.hpp"

namespace tow::observe {
namespace {

/// Reads the format as strictly as Prometheus does, and refuses what it would refuse.
class Parsed {
 public:
  explicit Parsed(const std::string& text) {
    EXPECT_TRUE(text.empty() || text.back() == '\n') << "the last line ends, too";
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) read(line);
  }
  double value(const std::string& series) const {
    const auto found = samples_.find(series);
    if (found == samples_.end()) ADD_FAILURE() << "no sample " << series;
    return found == samples_.end() ? 0 : found->second;
  }
  bool has(const std::string& series) const { return samples_.contains(series); }
  std::string type(const std::string& family) const {
    const auto found = types_.find(family);
    return found == types_.end() ? "" : found->second;
  }
  std::size_t size() const { return samples_.size(); }

 private:
  void read(const std::string& line) {
    static const std::regex help{R"(# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (([^\\]|\\\\|\\n)*))"};
    static const std::regex type{R"(# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge))"};
    static const std::regex sample{
        R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\\\|\\n|\\")*",?)*\})? (\S+))re"};
    std::smatch parts;
    if (std::regex_match(line, parts, help)) {
      EXPECT_TRUE(helped_.insert(parts[1]).second) << "HELP twice: " << line;
      family_ = parts[1];
    } else if (std::regex_match(line, parts, type)) {
      EXPECT_EQ(parts[1], family_) << "TYPE follows its HELP";
      EXPECT_TRUE(types_.emplace(parts[1], parts[2]).second) << "TYPE twice: " << line;
    } else if (std::regex_match(line, parts, sample)) {
      EXPECT_EQ(parts[1], family_) << "samples of a family stand together: " << line;
      const std::string text = parts[5];
      std::size_t used = 0;
      const double number = std::stod(text, &used);
      EXPECT_EQ(used, text.size()) << line;
      if (types_[family_] == "counter") EXPECT_GE(number, 0) << line;
      EXPECT_TRUE(samples_.emplace(line.substr(0, line.rfind(' ')), number).second) << "twice: " << line;
    } else {
      ADD_FAILURE() << "not the exposition format: " << line;
    }
  }
  std::string family_;
  std::set<std::string> helped_;
  std::map<std::string, std::string> types_;
  std::map<std::string, double> samples_;
};

TEST(Exposition, WritesFamilies) {
  Exposition out;
  out.family("requests_total", Exposition::Type::Counter, "How many; a \\ and\na line.");
  out.sample({{"path", "a\"b\\c\nd"}, {"code", "200"}}, std::uint64_t{18446744073709551615u});
  out.sample({{"path", "é"}, {"code", "200"}}, std::uint64_t{0});
  out.family("empty", Exposition::Type::Gauge, "It has no samples.");
  out.family("load", Exposition::Type::Gauge, "A double.");
  out.sample({}, 0.25);
  out.sample({{"of", "x"}}, 1e300);
  out.family("odd", Exposition::Type::Gauge, "Not numbers.");
  out.sample({{"n", "1"}}, std::nan(""));
  out.sample({{"n", "2"}}, std::numeric_limits<double>::infinity());
  out.sample({{"n", "3"}}, -std::numeric_limits<double>::infinity());
  const auto text = out.take();
  EXPECT_EQ(text,
            "# HELP requests_total How many; a \\\\ and\\na line.\n"
            "# TYPE requests_total counter\n"
            "requests_total{path=\"a\\\"b\\\\c\\nd\",code=\"200\"} 18446744073709551615\n"
            "requests_total{path=\"é\",code=\"200\"} 0\n"
            "# HELP load A double.\n"
            "# TYPE load gauge\n"
            "load 0.25\n"
            "load{of=\"x\"} 1e+300\n"
            "# HELP odd Not numbers.\n"
            "# TYPE odd gauge\n"
            "odd{n=\"1\"} NaN\n"
            "odd{n=\"2\"} +Inf\n"
            "odd{n=\"3\"} -Inf\n");
  EXPECT_EQ(Parsed{text}.size(), 7u);
}

/// A request to the router without a server.
class Caller final : public http::Body, public http::Responder {
 public:
  Task<std::string> read() override { co_return std::string{}; }
  void set_limit(std::optional<std::uint64_t>) override {}
  std::optional<std::uint64_t> size() const override { return 0; }
  void send(http::Response given) override { response = std::move(given); }
  http::Writer& begin(int, http::Headers) override { throw std::logic_error{"not a stream"}; }
  http::Events& events(http::Headers) override { throw std::logic_error{"not a stream"}; }
  bool wants_websocket() const override { return false; }
  Task<std::unique_ptr<http::WebSocket>> accept(http::WebSocketSettings) override { co_return nullptr; }
  bool begun() const override { return response.has_value(); }
  std::optional<http::Response> response;
};

class MetricsPage : public testing::Test {
 protected:
  http::Response get(const std::string& token, const std::string& peer = "127.0.0.1") {
    Caller caller;
    http::Request request{caller};
    request.method = "GET";
    request.path = request.target = "/metrics";
    request.peer.address = peer;
    if (!token.empty()) request.headers.set("Authorization", "Bearer " + token);
    http::Router router;
    h.observe().mount(router);
    h.run(router.dispatch(request, caller));
    return *caller.response;
  }
  Harness h;
};

TEST_F(MetricsPage, ShowsThePlatformDeploymentsAndInstances) {
  const auto web = h.deployment("web.development", 3);
  const auto revision = h.revision(*web, 3);
  h.ensure(*revision, 1, Bytes{64 << 20});
  h.world().set_usage(
      revision->uid + "-0",
      {.cpu_seconds = 1.5, .memory = Bytes{5 << 20}, .memory_limit = Bytes{64 << 20}, .processes = 3});
  h.proxy().set_signals(
      web->uid, {.requests = 90, .responses = {0, 0, 80, 0, 4, 6}, .average_response_ms = 20, .sessions = 2});
  h.proxy().set_signals(web->uid + "p9090",
                        {.requests = 10, .responses = {0, 0, 10}, .average_response_ms = 10});
  const auto response = get("good");
  EXPECT_EQ(response.headers.get("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  const Parsed page{response.body};
  EXPECT_EQ(page.value("towpath_build_info{version=\"0.1.0\"}"), 1);
  EXPECT_GT(page.value("process_resident_memory_bytes"), 1 << 20);
  EXPECT_GE(page.value("process_cpu_seconds_total"), 0);
  EXPECT_GT(page.value("process_start_time_seconds"), 1.7e9);
  EXPECT_GT(page.value("process_open_fds"), 3);
  EXPECT_EQ(page.value("towpath_store_revision"), h.store().snapshot()->revision());
  EXPECT_EQ(page.value("towpath_proxy_up"), 1);
  EXPECT_EQ(page.value("towpath_http_requests_total"), 42);
  const std::string labels = "project=\"shop\",component=\"web\",environment=\"development\"";
  EXPECT_EQ(page.value("towpath_deployment_healthy{" + labels + "}"), 1);
  EXPECT_EQ(page.value("towpath_deployment_instances_wanted{" + labels + "}"), 2);
  EXPECT_EQ(page.value("towpath_deployment_revision{" + labels + "}"), 3);
  EXPECT_EQ(page.value("towpath_deployment_requests_total{" + labels + "}"), 100) << "of both ports";
  EXPECT_EQ(page.value("towpath_deployment_responses_total{" + labels + ",code=\"5xx\"}"), 6);
  EXPECT_EQ(page.value("towpath_deployment_responses_total{" + labels + ",code=\"2xx\"}"), 90);
  EXPECT_EQ(page.value("towpath_deployment_sessions{" + labels + "}"), 2);
  EXPECT_NEAR(page.value("towpath_deployment_response_seconds{" + labels + "}"), 0.019, 1e-9);
  EXPECT_EQ(page.type("towpath_deployment_requests_total"), "counter");
  const auto instance = labels + ",revision=\"3\",instance_id=\"" + revision->uid.substr(21) + "-0\"";
  EXPECT_EQ(page.value("towpath_instance_ready{" + instance + "}"), 1);
  EXPECT_EQ(page.value("towpath_instance_restarts_total{" + instance + "}"), 0);
  EXPECT_EQ(page.value("towpath_instance_cpu_seconds_total{" + instance + "}"), 1.5);
  EXPECT_EQ(page.value("towpath_instance_memory_bytes{" + instance + "}"), 5 << 20);
  EXPECT_EQ(page.value("towpath_instance_memory_limit_bytes{" + instance + "}"), 64 << 20);
  EXPECT_EQ(page.value("towpath_instance_processes{" + instance + "}"), 3);
}

TEST_F(MetricsPage, SaysThatTheProxyDoesNotAnswer) {
  h.deployment("web.development", 1);
  h.proxy().fail_next(Error{Code::Unavailable, "no answer"});
  const Parsed page{get("good").body};
  EXPECT_EQ(page.value("towpath_proxy_up"), 0);
  EXPECT_FALSE(page.has("towpath_deployment_requests_total"));
}

TEST_F(MetricsPage, IsForThoseWhoMayReadThePlatform) {
  for (const std::string peer : {"127.0.0.1", "10.0.0.7"}) try {
      get("", peer);
      ADD_FAILURE() << "answered without a token to " << peer;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::Unauthenticated) << peer;
    }
}

}  // namespace
}  // namespace tow::observe
