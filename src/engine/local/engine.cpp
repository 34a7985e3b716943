// SPDX-License-Identifier: Apache-2.0
#include "engine/local/engine.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/strand.hpp>
#include <filesystem>

#include "base/error.hpp"
#include "base/log.hpp"
#include "engine/local/disk.hpp"
#include "engine/validate.hpp"

namespace tow::engine::local {
namespace {

namespace fs = std::filesystem;
namespace asio = boost::asio;

Networks::Settings network_settings(const Settings& s, const Place& place) {
  const auto range = parse_network(s.network);
  if (!range || !layout(*range, s.environment_prefix, 0))
    throw fail(Code::Invalid, "the engine cannot cut the network \"{}\" into environments of /{}", s.network,
               s.environment_prefix);
  if (s.link_prefix.empty() || s.link_prefix.size() > 5)
    throw fail(Code::Invalid, "\"{}\" cannot begin the names of links: 1 to 5 characters", s.link_prefix);
  return {.table = s.name,
          .link_prefix = s.link_prefix,
          .range = *range,
          .prefix = s.environment_prefix,
          .state = s.state_directory.string(),
          .records = place.environments(),
          .names = place.names(),
          .proxy_port = s.internal_proxy_port};
}

std::uint64_t own_file_limit() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : 0;
}

}  // namespace

Local::Local(Settings settings)
    : settings_{std::move(settings)},
      place_{settings_},
      layers_{settings_.image_storage},
      networks_{network_settings(settings_, place_)},
      shop_{.place = place_,
            .cgroups = cgroups_,
            .layers = layers_,
            .networks = networks_,
            .conmon = find_program("conmon"),
            .hard_file_limit = own_file_limit()},
      strand_{asio::make_strand(settings_.executor)},
      pool_{8},
      scope_{std::make_unique<Scope>(strand_, "engine")},
      around_{.shop = shop_,
              .pool = pool_,
              .scope = *scope_,
              .clock = *settings_.clock,
              .open = settings_.open_secret,
              .default_runtime = settings_.runtime},
      group_records_{place_.groups()},
      job_records_{place_.jobs()} {
  check_id("engine", settings_.name);
}

Local::~Local() = default;

/// How a piece of work on the strand ended, for the caller that waits on another executor.
struct Local::Outcome {
  Signal ended;
  std::exception_ptr failure;
  bool told = false;
};

/// Tells the caller, also when the work was dropped before it began.
class Local::Report {
 public:
  explicit Report(std::shared_ptr<Outcome> outcome) : outcome_{std::move(outcome)} {}
  Report(Report&& other) = default;
  ~Report() {
    if (outcome_ && !outcome_->told)
      tell(std::make_exception_ptr(Error{Code::Unavailable, "the engine is stopping"}));
  }
  void tell(std::exception_ptr failure) {
    outcome_->failure = std::move(failure);
    outcome_->told = true;
    outcome_->ended.notify();
  }

 private:
  std::shared_ptr<Outcome> outcome_;
};

/// Callers come from any thread and executor. What they asked for goes on when they no longer wait.
Task<> Local::on_strand(Task<> work) {
  const auto outcome = std::make_shared<Outcome>();
  scope_->spawn([](Task<> inner, Report report) -> Task<> {
    std::exception_ptr failure;
    try {
      co_await std::move(inner);
    } catch (...) {
      failure = std::current_exception();
    }
    report.tell(failure);
  }(std::move(work), Report{outcome}));
  co_await outcome->ended.wait();
  if (outcome->failure) std::rethrow_exception(outcome->failure);
}

Task<> Local::stop() {
  scope_->cancel();
  co_await scope_->join();
}

Task<> Local::watch_dns(EnvironmentId environment) {
  constexpr Duration kAtOnce = std::chrono::milliseconds{50}, kLongest = std::chrono::seconds{10};
  for (Duration pause = kAtOnce;;) {
    const auto begin = settings_.clock->now();
    auto process =
        co_await pool_.run([&] { return std::make_shared<Descriptor>(networks_.dns_process(environment)); });
    if (!*process) {
      watched_dns_.erase(environment);
      co_return;
    }
    co_await wait_for_end(std::move(*process));
    // One that ends again and again (its address is somebody else's) is not started again and again at once.
    pause = settings_.clock->now() - begin < kLongest ? std::min(2 * pause, kLongest) : kAtOnce;
    co_await settings_.clock->sleep(pause);
    for (std::string fault = "?"; !fault.empty();) {
      fault.clear();
      const bool started = co_await pool_.run([&] {
        try {
          return networks_.ensure_dns(environment);
        } catch (...) {
          fault = explained(std::current_exception()).message();
          return false;
        }
      });
      if (started)
        log::warning("engine", "the DNS server of environment {} had ended; it was started again",
                     environment);
      if (fault.empty()) continue;
      log::warning("engine", "the DNS server of environment {} has ended, and cannot be started: {}",
                   environment, fault);
      co_await settings_.clock->sleep(kOnceMore);
    }
  }
}

Task<std::string> Local::ensure_service(Service service) {
  auto address = co_await pool_.run([&] {
    const auto known = networks_.environments();
    if (std::ranges::find(known, service.environment) == known.end())
      networks_.ensure(service.environment, true);
    return networks_.ensure_service(service);
  });
  co_await on_strand([](Local& self, EnvironmentId environment) -> Task<> {
    if (self.watched_dns_.insert(environment).second) self.scope_->spawn(self.watch_dns(environment));
    co_return;
  }(*this, service.environment));
  co_return address;
}

Task<> Local::remove_service(EnvironmentId environment, std::string name) {
  co_await pool_.run([&] { networks_.remove_service(environment, name); });
}

Task<> Local::remove_environment(EnvironmentId environment) {
  co_await pool_.run([&] { networks_.remove_environment(environment); });
}

std::vector<GroupView> Local::groups() const { return views_.groups(); }
std::optional<GroupView> Local::group(const GroupId& id) const { return views_.group(id); }
std::optional<JobView> Local::job(const JobId& id) const { return views_.job(id); }
std::vector<std::string> Local::images_in_use() const { return views_.images(); }

void Local::observe(std::function<void(const std::string&)> listener) { views_.observe(std::move(listener)); }

std::optional<Usage> Local::usage(const InstanceId& instance) {
  const auto view = views_.instance(instance);
  if (!view || view->containers.size() == 1) return cgroups_.usage(place_.cgroup(instance));
  std::optional<Usage> all;
  bool unlimited = false;
  for (const auto& container : view->containers) {
    const auto one = cgroups_.usage(place_.cgroup(instance + "." + container.name));
    if (!one) continue;
    if (!all) all.emplace();
    all->cpu_seconds += one->cpu_seconds;
    all->memory.count += one->memory.count;
    all->memory_limit.count += one->memory_limit.count;
    all->processes += one->processes;
    unlimited |= one->memory_limit.count == 0;
  }
  if (unlimited) all->memory_limit = {};
  return all;
}

std::vector<std::string> Local::obstacles() {
  std::vector<std::string> all = networks_.conflicts();
  for (const auto& chain : networks_.foreign_drops())
    all.push_back("the firewall chain \"" + chain +
                  "\" drops forwarded packets, so instances reach neither each other " +
                  "nor the outside; accept there what comes from and goes to links \"" +
                  settings_.link_prefix + "b*\" (with Docker: in its chain DOCKER-USER)");
  return all;
}

std::unique_ptr<LocalEngine> make(Settings settings) { return std::make_unique<Local>(std::move(settings)); }

Task<> tear_down(Settings settings) {
  Local engine{std::move(settings)};
  co_await engine.tear_down();
}

}  // namespace tow::engine::local
