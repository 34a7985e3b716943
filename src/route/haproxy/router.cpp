// SPDX-License-Identifier: Apache-2.0
// Sites and the backends that were claimed for them. Everything here runs on one strand; what changes
// anything takes its turn. The wanted state is changed first and then told to HAProxy: whatever goes wrong in
// between is mended by starting a worker from the wanted state.

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <unordered_map>

#include "base/error.hpp"
#include "base/log.hpp"
#include "route/check.hpp"
#include "route/haproxy/haproxy.hpp"
#include "route/haproxy/plan.hpp"
#include "route/haproxy/proxy.hpp"
#include "route/haproxy/tally.hpp"
#include "route/haproxy/turn.hpp"

namespace tow::route::haproxy {
namespace asio = boost::asio;
namespace {

constexpr std::string_view kArea = "route";
constexpr std::string_view kTally = "tally";
constexpr std::string_view kHearAll = "show stat -1 2 -1";  // all backends, without their servers

Match match_of_route(std::string_view key) {
  const std::size_t slash = key.find('/');
  const std::string_view path = key.substr(slash, key.size() - slash - 1);
  return {.host = std::string{key.substr(0, slash)}, .path = path.empty() ? "/" : std::string{path}};
}

Match match_of_internal(std::string_view key) {
  const std::size_t colon = key.rfind(':');
  return {.address = std::string{key.substr(0, colon)},
          .port = static_cast<std::uint16_t>(std::stoi(std::string{key.substr(colon + 1)}))};
}

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

  Task<bool> start_from_disk();
  Task<> adopt();
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
  Task<std::map<SiteId, Signals>> hear(std::string command = std::string{kHearAll});
  Task<> write_files();
  Task<> flush_loop();

  Sites wanted() const;
  std::size_t spare_target() const;
  void declare_spares();
  void take_over(const std::string& key, const SiteId& site);
  void index(const Site& site);
  void unindex(const Site& site);

  Settings settings_;
  asio::strand<Executor> strand_;
  Scope scope_;
  BlockingPool pool_;
  std::unique_ptr<Proxy> proxy_;
  Turn turn_;        // of changes
  Turn files_turn_;  // of writing files
  Turn hearing_turn_;
  int launches_ = 0;
  std::uint64_t handings_ = 0;  // how often a backend changed hands, and as how many which last did
  std::unordered_map<std::string, std::uint64_t> handed_;
  Signal dirty_;
  bool started_ = false;
  bool settled_ = false;
  bool refilling_ = false;
  bool heard_ = false;  // the tally is newer than its file

  std::map<int, Backend> backends_;
  std::set<int> spare_;
  std::set<int> used_;  // spare, too, as soon as their counters of the site before have been heard
  int next_number_ = 0;
  std::map<SiteId, int> by_site_;
  std::unordered_map<std::string, SiteId> by_key_;
  std::set<SiteId> applied_;  // since start()
  Tally tally_;
};

Sites HaproxyRouter::wanted() const {
  Sites out;
  for (const auto& [number, backend] : backends_) out.claimed.emplace(number, backend.site);
  out.spare = spare_;
  out.spare.insert(used_.begin(), used_.end());
  return out;
}

/// While everything is applied for the first time, as many again: few reloads. Later a quarter.
std::size_t HaproxyRouter::spare_target() const {
  return std::max<std::size_t>(static_cast<std::size_t>(settings_.spare_backends),
                               backends_.size() / (settled_ ? 4 : 1));
}

/// For the next worker: as many spare backends as there should be, and not many times more.
void HaproxyRouter::declare_spares() {
  while (spare_.size() < spare_target()) spare_.insert(next_number_++);
  while (spare_.size() > 2 * spare_target()) spare_.erase(std::prev(spare_.end()));
}

void HaproxyRouter::index(const Site& site) {
  for (const Match& match : site.matches) by_key_[key(match)] = site.id;
}

void HaproxyRouter::unindex(const Site& site) {
  for (const Match& match : site.matches) {
    const auto found = by_key_.find(key(match));
    if (found != by_key_.end() && found->second == site.id) by_key_.erase(found);
  }
}

// ---- the data plane

Task<> HaproxyRouter::start_here() {
  const Turn::Held held = co_await turn_.wait();
  if (started_) co_return;
  std::filesystem::create_directories(settings_.runtime_directory / "empty");
  std::filesystem::permissions(settings_.runtime_directory, std::filesystem::perms::owner_all);
  const std::string configuration = read_file(settings_.runtime_directory / kConfiguration);
  proxy_ = std::make_unique<Proxy>(resolve(settings_, configuration), scope_,
                                   [this](int pid) { return on_lost(pid); });
  tally_ = Tally::read(read_file(proxy_->path(kTally)));

  const bool running = co_await proxy_->find();
  const bool adopted = running || co_await start_from_disk();
  if (adopted) co_await adopt();
  declare_spares();
  if (!adopted) {
    co_await write_files();
    co_await proxy_->launch();
  } else if (!configuration.starts_with(preamble(proxy_->frame()))) {
    log::info(kArea, "HAProxy takes on settings that have changed");
    co_await reload();
  }
  started_ = true;
  scope_.spawn(flush_loop());
  dirty_.notify();
  log::info(kArea, "HAProxy {} (process {}, port {}, {} sites)",
            running ? "was found running" : "was started", proxy_->processes().master, public_port(),
            by_site_.size());
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

Task<> HaproxyRouter::adopt() {
  const auto show = [&](std::string_view map) { return "show map " + proxy_->path(map).string(); };
  const std::vector<std::string> said = co_await proxy_->ask(
      {"show backend", show(kSites), show(kRoutes), show(kInternal), "show servers state"});
  backends_.clear();
  spare_.clear();
  by_site_.clear();
  by_key_.clear();
  next_number_ = 0;
  for (const std::string& name : haproxy::backends(said[0])) {
    if (const auto number = backend_number(name)) {
      spare_.insert(*number);
      next_number_ = std::max(next_number_, *number + 1);
    }
  }
  for (const auto& [name, text] : entries(said[1])) {
    const auto number = backend_number(name);
    auto site = parse_described(text);
    if (!number || !site || spare_.erase(*number) == 0) continue;
    by_site_[site->id] = *number;
    backends_[*number].site = std::move(*site);
  }
  const auto add = [&](const std::string& name, Match match) {
    const auto number = backend_number(name);
    const auto backend = number ? backends_.find(*number) : backends_.end();
    if (backend != backends_.end()) backend->second.site.matches.push_back(std::move(match));
  };
  for (const auto& [text, name] : entries(said[2])) add(name, match_of_route(text));
  for (const auto& [text, name] : entries(said[3])) add(name, match_of_internal(text));
  for (ServerState& state : servers(said[4])) {
    const auto number = backend_number(state.backend);
    const auto backend = number ? backends_.find(*number) : backends_.end();
    if (backend == backends_.end()) continue;
    if (state.maintenance) {
      backend->second.retired.insert(std::move(state.server));
    } else {
      backend->second.site.servers.push_back(
          {std::move(state.server), std::move(state.address), state.port, state.weight});
    }
  }
  for (const auto& [number, backend] : backends_) index(backend.site);
}

Task<> HaproxyRouter::stop_here() {
  if (started_) {
    const Turn::Held held = co_await turn_.wait();
    started_ = false;
    try {
      co_await hear();
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
  ++launches_;
  tally_.keep({});
  std::erase_if(backends_, [&](const auto& entry) {
    if (!entry.second.leaving) return false;
    by_site_.erase(entry.second.site.id);
    tally_.forget(entry.second.site.id, backend_name(entry.first));
    spare_.insert(entry.first);
    return true;
  });
  for (auto& [number, backend] : backends_) backend.retired.clear();
  spare_.merge(used_);
  declare_spares();
  co_await write_files();
  co_await proxy_->launch();
}

Task<> HaproxyRouter::ensure_running() {
  if (!started_) throw Error{Code::FailedPrecondition, "the router is not started"};
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
  co_await hear();
  declare_spares();
  co_await write_files();
  co_await proxy_->reload();
}

Task<> HaproxyRouter::write_files() {
  const Turn::Held held = co_await files_turn_.wait();
  const Sites sites = wanted();
  const std::optional<Tally> tally = std::exchange(heard_, false) ? std::optional{tally_} : std::nullopt;
  co_await pool_.run([&] {  // to render ten thousand sites takes a while, too
    proxy_->write(render(proxy_->frame(), sites));
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
    const auto owner = by_key_.find(key(match));
    if (owner == by_key_.end() || owner->second == site.id) continue;
    if (settled_ || applied_.contains(owner->second)) {
      throw fail(Code::AlreadyExists, "{} leads to {} already", key(match),
                 backends_.at(by_site_.at(owner->second)).site.title);
    }
  }
  const auto found = by_site_.find(site.id);
  const int number = found != by_site_.end() ? found->second : co_await claim();
  const Backend before = backends_[number];
  Change change = plan_apply(settings_.runtime_directory, number, before, site,
                             [&](const std::string& text) { return by_key_.contains(text); });
  for (const Match& match : site.matches) take_over(key(match), site.id);
  unindex(before.site);
  index(site);
  by_site_[site.id] = number;
  applied_.insert(site.id);
  backends_[number] = std::move(change.after);
  if (!change.commands.empty()) co_await tell(std::move(change.commands));

  refill_soon();
}

bool HaproxyRouter::spares_fit() const {
  const std::size_t spares = spare_.size() + used_.size();
  return spares >= spare_target() / 4 && spares <= 2 * spare_target();
}

void HaproxyRouter::refill_soon() {
  if (spares_fit() || refilling_) return;
  refilling_ = true;
  scope_.spawn(refill());
}

/// A key of a site from before the start that nobody has applied since: whoever has it now keeps it.
void HaproxyRouter::take_over(const std::string& text, const SiteId& site) {
  const auto owner = by_key_.find(text);
  if (owner == by_key_.end() || owner->second == site) return;
  std::erase_if(backends_.at(by_site_.at(owner->second)).site.matches,
                [&](const Match& match) { return key(match) == text; });
}

Task<int> HaproxyRouter::claim() {
  if (spare_.empty() && used_.empty()) co_await sweep_leaving();
  if (spare_.empty() && !used_.empty()) co_await hear();
  if (spare_.empty()) co_await renew();
  const int number = *spare_.begin();
  spare_.erase(spare_.begin());
  handed_[backend_name(number)] = ++handings_;
  co_return number;
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
  const auto found = by_site_.find(site);
  if (found == by_site_.end()) co_return;
  const int number = found->second;
  Backend& backend = backends_.at(number);
  if (backend.leaving) co_return;
  Change change = plan_remove(settings_.runtime_directory, number, backend);
  unindex(backend.site);
  applied_.erase(site);
  backend = std::move(change.after);
  co_await tell(std::move(change.commands));
  co_await sweep(number);
}

/// Deletes the retired servers of a backend that have no sessions in any worker.
Task<> HaproxyRouter::sweep(int number) {
  const auto found = backends_.find(number);
  if (found == backends_.end()) co_return;
  Backend& backend = found->second;
  if (!backend.retired.empty()) {
    try {
      const std::map<std::string, std::uint64_t> open = co_await sessions_of_old(number);
      const std::vector<std::string> retired{backend.retired.begin(), backend.retired.end()};
      const std::vector<std::string> said = co_await proxy_->ask(plan_sweep(number, backend));
      for (std::size_t i = 0; i < retired.size(); ++i) {
        const auto still = open.find(retired[i]);
        if (reply(said[i]) != Reply::Refused && (still == open.end() || still->second == 0)) {
          backend.retired.erase(retired[i]);
        }
      }
    } catch (const Error& error) {
      if (error.code() != Code::Unavailable) throw;
      co_return;  // it is about to be started again, without what is retired
    }
  }
  if (!backend.leaving || !backend.retired.empty()) co_return;
  const SiteId site = backend.site.id;
  tally_.forget(site, backend_name(number));
  by_site_.erase(site);
  backends_.erase(found);
  used_.insert(number);
  handed_[backend_name(number)] = ++handings_;
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
  for (const auto& [number, backend] : backends_) {
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
    for (const auto& [site, number] : by_site_) {
      if (!applied_.contains(site) && !backends_.at(number).leaving) rest.push_back(site);
    }
  }
  for (const SiteId& site : rest) co_await remove_here(site);
  refill_soon();
}

// ---- observations

Task<std::uint32_t> HaproxyRouter::sessions_here(SiteId site, std::string server) {
  const Turn::Held held = co_await turn_.wait();
  co_await ensure_running();
  const auto found = by_site_.find(site);
  if (found == by_site_.end()) co_return 0;
  const int number = found->second;
  const auto said = co_await proxy_->ask_all({"show stat " + backend_name(number) + " 4 -1"});
  std::uint64_t open = 0;
  for (const auto& [pid, answers] : said) {
    for (const Stat& stat : stats(answers[0])) {
      if (stat.server == server) open += stat.sessions + stat.queued;
    }
  }
  if (open == 0 && backends_.at(number).retired.contains(server)) co_await sweep(number);
  co_return static_cast<std::uint32_t>(open);
}

/// Into the tally; returns what is no sum, sessions and averages. May go on beside changes: a backend that
/// changes hands meanwhile is left out, and heard another time.
Task<std::map<SiteId, Signals>> HaproxyRouter::hear(std::string command) {
  const bool everything = command == kHearAll;
  const Turn::Held held = co_await hearing_turn_.wait();  // what is older is never heard after what is newer
  const int launches = launches_;
  const std::uint64_t handings = handings_;
  std::map<SiteId, Signals> present;
  std::map<int, std::vector<std::string>> said;
  try {
    said = co_await proxy_->ask_all({std::move(command)});
  } catch (const Error& error) {
    if (error.code() != Code::Unavailable) throw;
  }
  if (said.empty() || launches != launches_) co_return present;  // what was heard last stands
  const auto changed = [&](const Stat& stat) {
    const auto handed = handed_.find(stat.backend);
    return handed != handed_.end() && handed->second > handings;
  };
  const auto owner = [&](const std::string& name) {
    const auto number = backend_number(name);
    const auto backend = number ? backends_.find(*number) : backends_.end();
    return backend == backends_.end() ? SiteId{} : backend->second.site.id;
  };
  std::set<std::string> names;
  for (const auto& [pid, answers] : said) {
    const std::string name = process_name(pid);
    if (name.empty()) continue;
    names.insert(name);
    std::vector<Stat> lines = stats(answers[0]);
    std::erase_if(lines, changed);
    tally_.hear(name, lines, owner);
    for (const Stat& stat : lines) {
      Signals& signals = present[owner(stat.backend)];
      signals.sessions += static_cast<std::uint32_t>(stat.sessions);
      if (stat.requests == 0 || (signals.average_total_ms > 0 && pid != proxy_->processes().worker)) continue;
      signals.average_total_ms = static_cast<double>(stat.average_total_ms);
      signals.average_response_ms = static_cast<double>(stat.average_response_ms);
    }
  }
  tally_.keep(names);
  if (everything) {
    heard_ = true;
    std::erase_if(used_, [&](int number) {
      if (handed_[backend_name(number)] > handings) return false;
      spare_.insert(number);
      return true;
    });
  }
  co_return present;
}

Task<std::map<SiteId, Signals>> HaproxyRouter::signals_here() {
  if (!started_) throw Error{Code::FailedPrecondition, "the router is not started"};
  std::map<SiteId, Signals> present = co_await hear();
  dirty_.notify();
  const std::map<SiteId, Signals> sums = tally_.sums();
  std::map<SiteId, Signals> out;
  for (const auto& [site, number] : by_site_) {
    if (backends_.at(number).leaving) continue;
    const auto found = sums.find(site);
    Signals& signals = out[site];
    if (found != sums.end()) signals = found->second;
    signals.sessions = present[site].sessions;
    signals.average_total_ms = present[site].average_total_ms;
    signals.average_response_ms = present[site].average_response_ms;
  }
  co_return out;
}

}  // namespace

std::unique_ptr<Router> make(Executor executor, Settings settings) {
  return std::make_unique<HaproxyRouter>(std::move(executor), std::move(settings));
}

Task<> take_down(Settings settings) {
  check(settings);
  const std::filesystem::path directory = settings.runtime_directory;
  Console console{directory / kMasterSocket};
  if (const std::optional<Processes> found = co_await console.processes()) {
    ProcessHandle master{co_await asio::this_coro::executor, found->master};
    master.signal(SIGTERM);
    const bool ended = co_await master.ended_within(std::chrono::seconds{5});
    if (!ended) {
      master.signal(SIGKILL);
      co_await master.ended();
    }
  }
  std::error_code ignored;
  for (const auto& [name, contents] : render({.settings = settings}, {}))
    std::filesystem::remove(directory / name, ignored);
  for (const std::string_view name : {kTally, kMasterSocket, kPidFile, std::string_view{"worker.sock"},
                                      std::string_view{"empty/public.sock"},
                                      std::string_view{"empty/internal.sock"}, std::string_view{"empty"}}) {
    std::filesystem::remove(directory / name, ignored);
  }
  std::filesystem::remove(directory, ignored);  // only when nothing of anybody else is in it
}

}  // namespace tow::route::haproxy
