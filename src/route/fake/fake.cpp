// SPDX-License-Identifier: Apache-2.0
#include "route/fake/fake.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "route/check.hpp"

namespace tow::route::fake {
namespace {

bool same(const Match& a, const Match& b) { return key(a) == key(b); }

bool same(const Server& a, const Server& b) {
  return a.id == b.id && a.address == b.address && a.port == b.port && a.weight == b.weight;
}

bool same(const Site& a, const Site& b) {
  return a.title == b.title && a.request_limit == b.request_limit && a.hold == b.hold &&
         std::ranges::equal(a.matches, b.matches,
                            [](const Match& x, const Match& y) { return same(x, y); }) &&
         std::ranges::equal(a.servers, b.servers,
                            [](const Server& x, const Server& y) { return same(x, y); });
}

}  // namespace

DataPlane::Met DataPlane::take(const SiteId& id) {
  const Site& site = sites_.at(id);
  if (is_held(site)) return {.status = 0, .site = id};
  Signals& signals = signals_[id];
  ++signals.requests;
  int total = 0;
  for (const Server& server : site.servers) total += server.weight;
  if (total == 0) {
    ++signals.responses[5];
    return {.status = 503, .site = id};
  }
  ++signals.responses[2];
  // Smooth weighted turns: everybody earns its weight, the richest serves and pays for all.
  auto& earned = turns_[id];
  const Server* chosen = nullptr;
  for (const Server& server : site.servers) {
    if (server.weight == 0) continue;
    earned[server.id] += server.weight;
    if (chosen == nullptr || earned[server.id] > earned[chosen->id]) chosen = &server;
  }
  earned[chosen->id] -= total;
  ++server_signals_[chosen->id].requests;
  ++server_signals_[chosen->id].responses[2];
  return {.status = 200, .site = id, .server = chosen->id};
}

DataPlane::Met DataPlane::request(std::string_view host, std::string_view path) {
  Met met;
  {
    const std::lock_guard lock{mutex_};
    met = meet(host, path);
  }
  if (met.status == 0) tell(met.site);
  return met;
}

void DataPlane::ask(std::string_view host, std::string_view path, std::function<void(const Met&)> done) {
  Met met;
  {
    const std::lock_guard lock{mutex_};
    met = meet(host, path);
    if (met.status == 0) {
      auto& waiting = waiting_[met.site];
      if (waiting.size() >= static_cast<std::size_t>(sites_.at(met.site).hold->most))
        met.status = 503;
      else
        waiting.push_back(std::exchange(done, nullptr));
    }
  }
  if (met.status == 0) tell(met.site);
  if (done) done(met);
}

std::size_t DataPlane::waiting(const SiteId& site) const {
  const std::lock_guard lock{mutex_};
  const auto found = waiting_.find(site);
  return found == waiting_.end() ? 0 : found->second.size();
}

void DataPlane::tell_again() {
  std::vector<SiteId> sites;
  {
    const std::lock_guard lock{mutex_};
    for (const auto& [site, waiting] : waiting_)
      if (!waiting.empty()) sites.push_back(site);
  }
  for (const SiteId& site : sites) tell(site);
}

void DataPlane::tell(const SiteId& site) {
  std::function<void(const SiteId&)> listener;
  {
    const std::lock_guard lock{mutex_};
    listener = held_;
  }
  if (listener) listener(site);
}

/// What waits for a site that is not held any more is answered.
void DataPlane::let_go(const SiteId& id) {
  std::vector<std::pair<std::function<void(const Met&)>, Met>> answered;
  {
    const std::lock_guard lock{mutex_};
    const auto site = sites_.find(id);
    if (site != sites_.end() && is_held(site->second)) return;
    for (auto& done : std::exchange(waiting_[id], {}))
      answered.emplace_back(std::move(done), site == sites_.end() ? Met{} : take(id));
  }
  for (auto& [done, met] : answered) done(met);
}

DataPlane::Met DataPlane::meet(std::string_view host, std::string_view path) {
  std::string wanted{host.substr(0, host.find(':'))};
  std::ranges::transform(wanted, wanted.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  if (wanted.ends_with('.')) wanted.pop_back();
  wanted += path;
  wanted += '/';
  const std::string* best = nullptr;
  for (const auto& [text, id] : keys_) {
    if (wanted.starts_with(text) && (best == nullptr || best->size() < text.size())) best = &text;
  }
  return best == nullptr ? Met{} : take(keys_.at(*best));
}

DataPlane::Met DataPlane::request_internal(std::string_view address, std::uint16_t port) {
  Met met;
  {
    const std::lock_guard lock{mutex_};
    const auto found = keys_.find(fmt::format("{}:{}", address, port));
    if (found != keys_.end()) met = take(found->second);
  }
  if (met.status == 0) tell(met.site);
  return met;
}

std::optional<Site> DataPlane::site(const SiteId& id) const {
  const std::lock_guard lock{mutex_};
  const auto found = sites_.find(id);
  return found == sites_.end() ? std::nullopt : std::optional{found->second};
}

std::map<SiteId, Site> DataPlane::sites() const {
  const std::lock_guard lock{mutex_};
  return sites_;
}

void DataPlane::set_sessions(const SiteId& site, const std::string& server, std::uint32_t count) {
  const std::lock_guard lock{mutex_};
  sessions_[{site, server}] = count;
}

void DataPlane::set_signals(const SiteId& site, Signals signals) {
  const std::lock_guard lock{mutex_};
  signals_[site] = signals;
}

void DataPlane::set_server_signals(const std::string& server, Signals signals) {
  const std::lock_guard lock{mutex_};
  server_signals_[server] = signals;
}

void DataPlane::set_hook(Hook hook) {
  const std::lock_guard lock{mutex_};
  hook_ = std::move(hook);
}

void DataPlane::fail_next(Error error, int times) {
  const std::lock_guard lock{mutex_};
  failure_ = std::move(error);
  failures_ = times;
}

std::uint64_t DataPlane::changes() const {
  const std::lock_guard lock{mutex_};
  return changes_;
}

class FakeRouter final : public Router {
 public:
  explicit FakeRouter(DataPlane& plane) : plane_{plane} {}

  Task<> start() override {
    co_await begin("start", {});
    const std::lock_guard lock{plane_.mutex_};
    started_ = true;
    plane_.held_ = held_;
  }

  Task<> stop() override {
    const std::lock_guard lock{plane_.mutex_};
    if (started_) plane_.held_ = nullptr;
    started_ = false;
    co_return;
  }

  Task<> settle() override {
    co_await begin("settle", {});
    const std::lock_guard lock{plane_.mutex_};
    require_start();
    settled_ = true;
    std::vector<SiteId> rest;
    for (const auto& [id, site] : plane_.sites_) {
      if (!applied_.contains(id)) rest.push_back(id);
    }
    for (const SiteId& id : rest) drop(id);
  }

  Task<> apply(Site wanted) override {
    Site site = admitted(std::move(wanted));
    const SiteId id = site.id;
    co_await begin("apply", id);
    put(std::move(site));
    plane_.let_go(id);
  }

  void put(Site site) {
    const std::lock_guard lock{plane_.mutex_};
    require_start();
    for (const Match& match : site.matches) {
      const auto owner = plane_.keys_.find(key(match));
      if (owner == plane_.keys_.end() || owner->second == site.id) continue;
      const Site& other = plane_.sites_.at(owner->second);
      if (settled_ || applied_.contains(other.id)) {
        throw fail(Code::AlreadyExists, "{} leads to {} already", key(match), other.title);
      }
    }
    applied_.insert(site.id);
    const auto found = plane_.sites_.find(site.id);
    if (found == plane_.sites_.end() || !same(found->second, site)) ++plane_.changes_;
    if (found != plane_.sites_.end()) forget_keys(found->second);
    for (const Match& match : site.matches) plane_.keys_[key(match)] = site.id;
    plane_.signals_.try_emplace(site.id);
    plane_.sites_[site.id] = std::move(site);
  }

  Task<> remove(SiteId site) override {
    check_site_id(site);
    co_await begin("remove", site);
    {
      const std::lock_guard lock{plane_.mutex_};
      require_start();
      drop(site);
    }
    plane_.let_go(site);
  }

  void observe_held(std::function<void(const SiteId&)> listener) override { held_ = std::move(listener); }

  Task<std::uint32_t> sessions(SiteId site, std::string server) override {
    check_site_id(site);
    check_server_id(server);
    co_await begin("sessions", site);
    const std::lock_guard lock{plane_.mutex_};
    require_start();
    const auto found = plane_.sessions_.find({site, server});
    co_return found == plane_.sessions_.end() ? 0 : found->second;
  }

  Task<std::map<SiteId, Signals>> signals() override {
    co_await begin("signals", {});
    const std::lock_guard lock{plane_.mutex_};
    require_start();
    std::map<SiteId, Signals> out = plane_.signals_;
    for (const auto& [server, count] : plane_.sessions_) {
      if (const auto site = out.find(server.first); site != out.end()) site->second.sessions += count;
    }
    co_return out;
  }

  Task<std::map<std::string, Signals>> server_signals(SiteId site) override {
    check_site_id(site);
    co_await begin("server_signals", site);
    const std::lock_guard lock{plane_.mutex_};
    require_start();
    std::map<std::string, Signals> out;
    const auto found = plane_.sites_.find(site);
    if (found == plane_.sites_.end()) co_return out;
    for (const Server& server : found->second.servers) out[server.id] = plane_.server_signals_[server.id];
    co_return out;
  }

  std::uint16_t internal_port() const override { return 8691; }
  std::uint16_t public_port() const override { return 80; }

 private:
  Task<> begin(std::string_view call, const SiteId& site) {
    DataPlane::Hook hook;
    {
      const std::lock_guard lock{plane_.mutex_};
      if (plane_.failures_ > 0) {
        --plane_.failures_;
        throw *plane_.failure_;
      }
      hook = plane_.hook_;
    }
    if (hook) co_await hook(call, site);
  }

  void require_start() const {
    if (!started_) throw Error{Code::FailedPrecondition, "the router is not started"};
  }

  void drop(const SiteId& id) {
    if (const auto found = plane_.sites_.find(id); found != plane_.sites_.end()) {
      forget_keys(found->second);
      plane_.sites_.erase(found);
    }
    plane_.signals_.erase(id);
    applied_.erase(id);
  }
  void forget_keys(const Site& site) {
    for (const Match& match : site.matches)
      if (const auto at = plane_.keys_.find(key(match)); at != plane_.keys_.end() && at->second == site.id)
        plane_.keys_.erase(at);
  }

  DataPlane& plane_;
  bool started_ = false;  // these, too, under the data plane's mutex
  bool settled_ = false;
  std::set<SiteId> applied_;
  std::function<void(const SiteId&)> held_;
};

std::unique_ptr<Router> make(DataPlane& data_plane) { return std::make_unique<FakeRouter>(data_plane); }

}  // namespace tow::route::fake
