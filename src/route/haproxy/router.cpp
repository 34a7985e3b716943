// SPDX-License-Identifier: Apache-2.0
// Sites and the backends that were claimed for them. Everything here runs on one strand; what changes
// anything takes its turn. The wanted state is changed first and then told to HAProxy: whatever goes wrong in
// between is mended by starting a worker from the wanted state.

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/error.hpp"
#include "base/fault.hpp"
#include "base/log.hpp"
#include "route/check.hpp"
#include "route/haproxy/haproxy.hpp"
#include "route/haproxy/hold.hpp"
#include "route/haproxy/ledger.hpp"
#include "route/haproxy/meter.hpp"
#include "route/haproxy/plan.hpp"
#include "route/haproxy/proxy.hpp"
#include "route/haproxy/turn.hpp"

namespace tow::route::haproxy {
namespace asio = boost::asio;
namespace {

constexpr std::string_view kArea = "route";
constexpr int kAdoptions = 3;  // tries

class HaproxyRouter final : public Router {
 public:
  HaproxyRouter(Executor executor, Settings settings)
      : settings_{std::move(settings)},
        strand_{asio::make_strand(executor)},
        scope_{strand_, "route"},
        pool_{1} {
    check(settings_);
  }

  Task<> start() override { return here(start_here()); }
  Task<> stop() override { return here(stop_here()); }
  Task<> settle() override { return here(settle_here()); }
  Task<> apply(Site site) override { return here(apply_here(admitted(std::move(site)))); }
  Task<> remove(SiteId site) override {
    check_site_id(site);
    return here(remove_here(std::move(site)));
  }
  Task<std::uint32_t> sessions(SiteId site, std::string server) override {
    check_site_id(site);
    check_server_id(server);
    return here(sessions_here(std::move(site), std::move(server)));
  }
  Task<std::map<SiteId, Signals>> signals() override { return here(signals_here()); }
  void observe_held(std::function<void(const SiteId&)> listener) override { held_ = std::move(listener); }
  Task<std::map<std::string, Signals>> server_signals(SiteId site) override {
    check_site_id(site);
    return here(server_signals_here(std::move(site)));
  }
  std::uint16_t internal_port() const override { return proxy_ ? proxy_->frame().settings.internal_port : 0; }
  std::uint16_t public_port() const override { return proxy_ ? proxy_->frame().settings.public_port : 0; }

 private:
  template <class T>
  Task<T> here(Task<T> task) {
    co_return co_await asio::co_spawn(strand_, std::move(task), asio::use_awaitable);
  }
  /// A change that has begun is carried through, whoever gives up waiting for it.
  static auto uninterrupted() {
    return asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  }

  Task<> start_here();
  Task<> stop_here();
  Task<> settle_here();
  Task<> apply_here(Site site);
  Task<> remove_here(SiteId site);
  Task<std::uint32_t> sessions_here(SiteId site, std::string server);
  Task<std::map<SiteId, Signals>> signals_here();
  Task<std::map<std::string, Signals>> server_signals_here(SiteId site);

  struct Begun {
    bool running;  // it was there
    bool adopted;  // or came back from the files of the directory
    bool sound;    // and all of it could be read
  };
  Task<Begun> begin();
  Task<bool> start_from_disk();
  Task<bool> adopt();
  Task<> tell(std::vector<std::string> commands);
  Task<> ensure_running();
  Task<> renew();
  Task<> revive();
  Task<> on_lost(int pid);
  Task<int> claim();
  Task<> reload();
  Task<> refill();
  bool spares_fit() const;
  void refill_soon();
  Task<> sweep(int number);
  Task<std::map<std::string, std::uint64_t>> sessions_of_old(int number);
  Task<> sweep_leaving();
  Task<> write_files();
  Task<> flush_loop();

  std::size_t spare_target() const;

  Settings settings_;
  asio::strand<Executor> strand_;
  Scope scope_;
  BlockingPool pool_;
  std::unique_ptr<Proxy> proxy_;
  Turn turn_;        // of changes
  Turn files_turn_;  // of writing files
  Signal dirty_;
  bool started_ = false;
  bool settled_ = false;
  bool refilling_ = false;
  bool renewing_ = false;  // what is wanted has not been told, and no worker has begun with it

  std::function<void(const SiteId&)> held_;
  Ledger ledger_;
  std::set<SiteId> applied_;  // since start()
  std::optional<Meter> meter_;
};

/// While everything is applied for the first time, as many again: few reloads. Later a quarter.
std::size_t HaproxyRouter::spare_target() const {
  return std::max<std::size_t>(static_cast<std::size_t>(settings_.spare_backends),
                               ledger_.backends().size() / (settled_ ? 4 : 1));
}

// ---- the data plane

Task<> HaproxyRouter::start_here() {
  const Turn::Held held = co_await turn_.wait();
  if (started_) co_return;
  std::filesystem::create_directories(settings_.runtime_directory / "empty");
  std::filesystem::permissions(settings_.runtime_directory, std::filesystem::perms::owner_all);
  const std::string configuration = read_file(settings_.runtime_directory / kConfiguration);
  if (!proxy_) {
    proxy_ = std::make_unique<Proxy>(resolve(settings_, configuration), scope_,
                                     [this](int pid) { return on_lost(pid); });
    meter_.emplace(*proxy_, ledger_, Tally::read(read_file(proxy_->path(kTally))));
  }

  const auto [running, adopted, sound] = co_await begin();
  if (!adopted) {
    ledger_.declare(spare_target());
    co_await write_files();
    co_await proxy_->launch();
  } else if (!sound || !configuration.starts_with(preamble(proxy_->frame()))) {
    log::info(kArea, "HAProxy {}", sound ? "takes on settings that have changed" : "had what was not ours");
    co_await reload();
  }
  started_ = true;
  scope_.spawn(flush_loop());
  if (held_) scope_.spawn(hear_held(proxy_->path(kWakeSocket), !proxy_->frame().user.empty(), held_));
  dirty_.notify();
  log::info(kArea, "HAProxy {} (process {}, port {}, {} sites)",
            running ? "was found running" : "was started", proxy_->processes().master, public_port(),
            ledger_.backends().size());
}

/// One that answers and then does not, because it reloads, is found again.
Task<HaproxyRouter::Begun> HaproxyRouter::begin() {
  for (int attempt = 1;; ++attempt) {
    const bool running = attempt <= kAdoptions && co_await proxy_->find();
    const bool adopted = running || co_await start_from_disk();
    try {
      const bool sound = !adopted || co_await adopt();
      co_return Begun{running, adopted, sound};
    } catch (const Error& error) {
      if (error.code() != Code::Unavailable || !running) throw;
    }
  }
}

/// What the last configuration served comes back even before anybody applies it again.
Task<bool> HaproxyRouter::start_from_disk() {
  const std::string configuration = read_file(proxy_->path(kConfiguration));
  if (configuration.empty() || !configuration.starts_with(preamble(proxy_->frame()))) co_return false;
  try {
    co_await proxy_->launch();
    co_return true;
  } catch (const Error& error) {
    if (error.code() == Code::FailedPrecondition) throw;
    log::warning(kArea, "what HAProxy was last started from does not start again: {}", error.message());
  }
  co_return false;
}

/// What HAProxy serves now is what is wanted until somebody wants otherwise. False: not all of it could be
/// read.
Task<bool> HaproxyRouter::adopt() {
  const auto show = [&](std::string_view map) { return "show map " + proxy_->path(map).string(); };
  std::vector<std::string> said = co_await proxy_->ask(
      {"show backend", show(kSites), show(kRoutes), show(kInternal), show(kAsleep), "show servers state"});
  Ledger::Read read = Ledger::read({.backends = std::move(said[0]),
                                    .sites = std::move(said[1]),
                                    .routes = std::move(said[2]),
                                    .internal = std::move(said[3]),
                                    .asleep = std::move(said[4]),
                                    .servers = std::move(said[5])});
  ledger_ = std::move(read.ledger);
  co_return read.sound;
}

Task<> HaproxyRouter::stop_here() {
  if (started_) {
    const Turn::Held held = co_await turn_.wait();
    started_ = false;
    try {
      co_await meter_->hear();
      co_await write_files();
    } catch (const Error& error) {
      log::warning(kArea, "at the end: {}", error.message());
    }
  }
  scope_.cancel();
  co_await scope_.join();
}

Task<> HaproxyRouter::on_lost(int pid) {
  for (Duration wait{100};; wait = std::min<Duration>(wait * 2, std::chrono::seconds{5})) {
    {
      const Turn::Held held = co_await turn_.wait();
      const Processes& now = proxy_->processes();
      if (!started_ || (now.master != 0 && pid != now.master && pid != now.worker)) co_return;
      try {
        log::warning(kArea, "HAProxy's process {} has ended; it is started again", pid);
        co_await revive();
        co_return;
      } catch (const Error& error) {
        if (error.code() == Code::Cancelled) throw;
        log::error(kArea, "HAProxy cannot be started again: {}", error.message());
      }
    }
    asio::steady_timer timer{strand_, wait};
    co_await timer.async_wait(asio::use_awaitable);
  }
}

Task<> HaproxyRouter::revive() {
  // What the dead workers counted last is kept; the new one begins at 0.
  meter_->all_ended();
  for (const auto& [site, number] : ledger_.begin_anew()) meter_->forget(site, number);
  ledger_.declare(spare_target());
  co_await write_files();
  co_await proxy_->launch();
  renewing_ = false;
}

Task<> HaproxyRouter::ensure_running() {
  if (!started_) throw Error{Code::FailedPrecondition, "the router is not started"};
  if (renewing_) co_await renew();
  if (proxy_->processes().worker == 0) co_await revive();
}

/// When HAProxy cannot be told, a worker is started from what is wanted instead.
Task<> HaproxyRouter::tell(std::vector<std::string> commands) {
  dirty_.notify();
  bool done = false;
  try {
    done = co_await proxy_->tell(std::move(commands));
  } catch (const Error& error) {
    if (error.code() != Code::Unavailable) throw;
  }
  if (!done) co_await renew();
}

/// A worker that was started from what is wanted: by a reload, or, when there is nothing to reload, anew.
Task<> HaproxyRouter::renew() {
  renewing_ = true;
  try {
    const bool there = co_await proxy_->find();
    if (there) {
      co_await reload();
      co_return;
    }
  } catch (const Error& error) {
    if (error.code() != Code::Unavailable) throw;
  }
  co_await revive();
}

Task<> HaproxyRouter::reload() {
  co_await meter_->hear();
  ledger_.declare(spare_target());
  co_await write_files();
  co_await proxy_->reload();
  renewing_ = false;
}

Task<> HaproxyRouter::write_files() {
  const Turn::Held held = co_await files_turn_.wait();
  const Sites sites = ledger_.wanted();
  const std::optional<Tally> tally = meter_->unwritten();
  co_await pool_.run([&] {  // to render ten thousand sites takes a while, too
    proxy_->write(render(proxy_->frame(), sites));
    fault_point("route.files-written");
    if (tally) proxy_->write({{std::string{kTally}, tally->write()}});
  });
}

Task<> HaproxyRouter::flush_loop() {
  while (true) {
    co_await dirty_.wait();
    const auto begin = std::chrono::steady_clock::now();
    try {
      co_await write_files();
    } catch (const Error& error) {
      if (error.code() == Code::Cancelled) throw;
      log::error(kArea, "the proxy's configuration cannot be written: {}", error.message());
    }
    // A tenth of the time at most is spent on writing, however many sites there are.
    const auto spent = std::chrono::ceil<Duration>(std::chrono::steady_clock::now() - begin);
    asio::steady_timer timer{strand_, 9 * spent};
    co_await timer.async_wait(asio::use_awaitable);
  }
}

// ---- sites

Task<> HaproxyRouter::apply_here(Site site) {
  co_await uninterrupted();
  const Turn::Held held = co_await turn_.wait();
  co_await ensure_running();
  for (const Match& match : site.matches) {
    const SiteId* other = ledger_.leads(key(match));
    // A site from before the start that nobody has applied since gives way.
    if (other == nullptr || *other == site.id || (!settled_ && !applied_.contains(*other))) continue;
    throw fail(Code::AlreadyExists, "{} leads to another deployment already", key(match));
  }
  const std::optional<int> found = ledger_.find(site.id);
  const int number = found ? *found : co_await claim();
  const Backend before = found ? ledger_.at(number) : Backend{};
  Change change = plan_apply(settings_.runtime_directory, number, before, site,
                             [&](const std::string& text) { return ledger_.leads(text) != nullptr; });
  ledger_.put(number, std::move(change.after));
  applied_.insert(site.id);
  if (!change.commands.empty()) co_await tell(std::move(change.commands));
  fault_point("route.proxy-told");
  refill_soon();
}

bool HaproxyRouter::spares_fit() const {
  return ledger_.spares() >= spare_target() / 4 && ledger_.spares() <= 2 * spare_target();
}

void HaproxyRouter::refill_soon() {
  if (spares_fit() || refilling_) return;
  refilling_ = true;
  scope_.spawn(refill());
}

Task<int> HaproxyRouter::claim() {
  if (ledger_.spares() == 0) co_await sweep_leaving();
  if (!ledger_.has_fresh() && ledger_.has_used()) co_await meter_->hear();
  if (!ledger_.has_fresh()) co_await renew();
  co_return ledger_.claim();
}

Task<> HaproxyRouter::refill() {
  const Turn::Held held = co_await turn_.wait();
  refilling_ = false;
  if (!started_) co_return;
  co_await sweep_leaving();
  if (!spares_fit()) co_await reload();
}

Task<> HaproxyRouter::remove_here(SiteId site) {
  co_await uninterrupted();
  const Turn::Held held = co_await turn_.wait();
  co_await ensure_running();
  const std::optional<int> number = ledger_.find(site);
  if (!number || ledger_.at(*number).leaving) co_return;
  Change change = plan_remove(settings_.runtime_directory, *number, ledger_.at(*number));
  ledger_.put(*number, std::move(change.after));
  applied_.erase(site);
  co_await tell(std::move(change.commands));
  co_await sweep(*number);
}

/// Deletes the retired servers of a backend that have no sessions in any worker.
Task<> HaproxyRouter::sweep(int number) {
  if (!ledger_.backends().contains(number)) co_return;
  const Backend backend = ledger_.at(number);
  if (!backend.retired.empty()) {
    try {
      const std::map<std::string, std::uint64_t> open = co_await sessions_of_old(number);
      const std::vector<std::string> said = co_await proxy_->ask(plan_sweep(number, backend));
      std::size_t i = 0;
      for (const std::string& server : backend.retired) {
        const auto still = open.find(server);
        const bool gone = reply(said[i++]) != Reply::Refused && (still == open.end() || still->second == 0);
        if (gone) ledger_.forget_retired(number, server);
      }
    } catch (const Error& error) {
      if (error.code() != Code::Unavailable) throw;
      co_return;  // it is about to be started again, without what is retired
    }
  }
  if (!backend.leaving || !ledger_.at(number).retired.empty()) co_return;
  meter_->forget(backend.site.id, number);
  ledger_.free(number);
  co_await tell(plan_free(settings_.runtime_directory, number));
}

/// Of the servers of a backend, in workers of before a reload.
Task<std::map<std::string, std::uint64_t>> HaproxyRouter::sessions_of_old(int number) {
  std::map<std::string, std::uint64_t> out;
  if (proxy_->processes().old.empty()) co_return out;
  const auto said = co_await proxy_->ask_all({"show stat " + backend_name(number) + " 4 -1"});
  for (const auto& [pid, answers] : said) {
    if (pid == proxy_->processes().worker) continue;
    for (const Stat& stat : stats(answers[0])) out[stat.server] += stat.sessions + stat.queued;
  }
  co_return out;
}

Task<> HaproxyRouter::sweep_leaving() {
  std::vector<int> numbers;
  for (const auto& [number, backend] : ledger_.backends()) {
    if (backend.leaving) numbers.push_back(number);
  }
  for (const int number : numbers) co_await sweep(number);
}

Task<> HaproxyRouter::settle_here() {
  co_await uninterrupted();
  std::vector<SiteId> rest;
  {
    const Turn::Held held = co_await turn_.wait();
    settled_ = true;
    for (const auto& [number, backend] : ledger_.backends()) {
      if (!applied_.contains(backend.site.id) && !backend.leaving) rest.push_back(backend.site.id);
    }
  }
  for (const SiteId& site : rest) co_await remove_here(site);
  refill_soon();
}

// ---- observations

Task<std::uint32_t> HaproxyRouter::sessions_here(SiteId site, std::string server) {
  const Turn::Held held = co_await turn_.wait();
  co_await ensure_running();
  const std::optional<int> number = ledger_.find(site);
  if (!number) co_return 0;
  const auto said = co_await proxy_->ask_all({"show stat " + backend_name(*number) + " 4 -1"});
  std::uint64_t open = 0;
  for (const auto& [pid, answers] : said) {
    for (const Stat& stat : stats(answers[0])) {
      if (stat.server == server) open += stat.sessions + stat.queued;
    }
  }
  if (open == 0 && ledger_.at(*number).retired.contains(server)) co_await sweep(*number);
  co_return static_cast<std::uint32_t>(open);
}

Task<std::map<SiteId, Signals>> HaproxyRouter::signals_here() {
  if (!started_) throw Error{Code::FailedPrecondition, "the router is not started"};
  std::map<SiteId, Signals> out = co_await meter_->signals();
  dirty_.notify();
  co_return out;
}

Task<std::map<std::string, Signals>> HaproxyRouter::server_signals_here(SiteId site) {
  const Turn::Held held = co_await turn_.wait();
  co_await ensure_running();
  std::map<std::string, Signals> out;
  const std::optional<int> number = ledger_.find(site);
  if (!number) co_return out;
  const auto said = co_await proxy_->ask_all({"show stat " + backend_name(*number) + " 4 -1"});
  for (const auto& [pid, answers] : said) {
    for (const Stat& stat : stats(answers[0])) {
      Signals& signals = out[stat.server];
      for (std::size_t i = 0; i < 6; ++i) {
        signals.responses[i] += stat.responses[i];
        signals.requests += stat.responses[i];  // a server's own sum is of sessions
      }
      signals.bytes_in += stat.bytes_in;
      signals.bytes_out += stat.bytes_out;
      signals.connection_errors += stat.connection_errors;
      signals.retries += stat.retries;
      signals.sessions += static_cast<std::uint32_t>(stat.sessions);
    }
  }
  co_return out;
}

}  // namespace

std::unique_ptr<Router> make(Executor executor, Settings settings) {
  return std::make_unique<HaproxyRouter>(std::move(executor), std::move(settings));
}

}  // namespace tow::route::haproxy
