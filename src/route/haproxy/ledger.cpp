// SPDX-License-Identifier: Apache-2.0
#include "route/haproxy/ledger.hpp"

#include <algorithm>
#include <charconv>

#include "base/error.hpp"
#include "route/check.hpp"
#include "route/haproxy/answers.hpp"

namespace tow::route::haproxy {
namespace {

/// Back from what key() made.
std::optional<Match> match_of_route(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos || !text.ends_with('/')) return std::nullopt;
  const std::string_view path = text.substr(slash, text.size() - slash - 1);
  return Match{.host = std::string{text.substr(0, slash)}, .path = path.empty() ? "/" : std::string{path}};
}

std::optional<Match> match_of_internal(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  Match match{.address = std::string{text.substr(0, colon)}};
  const auto [end, failed] = std::from_chars(text.data() + colon + 1, text.data() + text.size(), match.port);
  if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return match;
}

}  // namespace

Ledger::Read Ledger::read(const Answers& answers) {
  Read out;
  Ledger& ledger = out.ledger;
  for (const std::string& name : haproxy::backends(answers.backends)) {
    if (const auto number = backend_number(name)) {
      ledger.used_.insert(*number);  // whoever had it before is not known
      ledger.next_ = std::max(ledger.next_, *number + 1);
    }
  }
  std::map<int, Backend> found;
  for (const auto& [name, text] : entries(answers.sites)) {
    const auto number = backend_number(name);
    auto site = parse_described(text);
    if (number && site && ledger.used_.contains(*number)) {
      found[*number].site = std::move(*site);
    } else {
      out.sound = false;
    }
  }
  const auto backend_called = [&](const std::string& name) {
    const auto number = backend_number(name);
    const auto backend = number ? found.find(*number) : found.end();
    return backend == found.end() ? nullptr : &backend->second;
  };
  const auto held = entries(answers.asleep);
  const std::map<std::string, std::string> asleep{held.begin(), held.end()};
  const auto add = [&](const std::string& text, std::string name, std::optional<Match> match) {
    if (const auto waits = asleep.find(text); is_hold_backend(name) && waits != asleep.end())
      name = waits->second;
    Backend* backend = backend_called(name);
    out.sound &= backend != nullptr && match.has_value();
    if (backend != nullptr && match) backend->site.matches.push_back(std::move(*match));
  };
  for (const auto& [text, name] : entries(answers.routes)) add(text, name, match_of_route(text));
  for (const auto& [text, name] : entries(answers.internal)) add(text, name, match_of_internal(text));
  for (ServerState& state : haproxy::servers(answers.servers)) {
    Backend* backend = backend_called(state.backend);
    if (backend == nullptr) continue;  // of a spare one, or of another kind
    if (state.maintenance) {
      backend->retired.insert(std::move(state.server));
    } else {
      backend->site.servers.push_back(
          {std::move(state.server), std::move(state.address), state.port, state.weight});
    }
  }
  // A configuration is rendered from this: nothing else goes in than what apply() would have admitted.
  for (auto& [number, backend] : found) {
    try {
      backend.site = admitted(std::move(backend.site));
      for (const std::string& server : backend.retired) check_server_id(server);
    } catch (const Error&) {
      out.sound = false;
      continue;
    }
    if (ledger.find(backend.site.id)) {
      out.sound = false;
      continue;
    }
    ledger.used_.erase(number);
    ledger.put(number, std::move(backend));
  }
  return out;
}

std::optional<int> Ledger::find(const SiteId& site) const {
  const auto found = by_site_.find(site);
  return found == by_site_.end() ? std::nullopt : std::optional{found->second};
}

SiteId Ledger::owner(const std::string& name) const {
  const auto number = backend_number(name);
  const auto backend = number ? backends_.find(*number) : backends_.end();
  return backend == backends_.end() ? SiteId{} : backend->second.site.id;
}

const SiteId* Ledger::leads(const std::string& text) const {
  const auto found = by_key_.find(text);
  return found == by_key_.end() ? nullptr : &found->second;
}

Sites Ledger::wanted() const {
  Sites out;
  for (const auto& [number, backend] : backends_) out.claimed.emplace(number, backend.site);
  out.spare = spare_;
  out.spare.insert(used_.begin(), used_.end());
  return out;
}

void Ledger::index(const Site& site) {
  for (const Match& match : site.matches) {
    const std::string text = key(match);
    SiteId& leads = by_key_[text];
    if (!leads.empty() && leads != site.id) {
      std::erase_if(backends_.at(by_site_.at(leads)).site.matches,
                    [&](const Match& other) { return key(other) == text; });
    }
    leads = site.id;
  }
}

void Ledger::unindex(const Site& site) {
  for (const Match& match : site.matches) {
    const auto found = by_key_.find(key(match));
    if (found != by_key_.end() && found->second == site.id) by_key_.erase(found);
  }
}

void Ledger::put(int number, Backend after) {
  Backend& backend = backends_[number];
  unindex(backend.site);
  backend = std::move(after);
  by_site_[backend.site.id] = number;
  index(backend.site);
}

void Ledger::forget_retired(int number, const std::string& server) {
  backends_.at(number).retired.erase(server);
}

void Ledger::free(int number) {
  const auto found = backends_.find(number);
  unindex(found->second.site);
  by_site_.erase(found->second.site.id);
  backends_.erase(found);
  used_.insert(number);
  hand(number);
}

void Ledger::hand(int number) { handed_[backend_name(number)] = ++handings_; }

int Ledger::claim() {
  const int number = *spare_.begin();
  spare_.erase(spare_.begin());
  hand(number);
  return number;
}

void Ledger::declare(std::size_t count) {
  while (spare_.size() < count) spare_.insert(next_++);
  while (spare_.size() > 2 * count) spare_.erase(std::prev(spare_.end()));
}

std::vector<std::pair<SiteId, int>> Ledger::begin_anew() {
  std::vector<std::pair<SiteId, int>> gone;
  for (auto& [number, backend] : backends_) {
    backend.retired.clear();
    if (backend.leaving) gone.emplace_back(backend.site.id, number);
  }
  for (const auto& [site, number] : gone) free(number);
  spare_.merge(used_);
  return gone;
}

bool Ledger::handed_since(const std::string& backend, std::uint64_t handings) const {
  const auto handed = handed_.find(backend);
  return handed != handed_.end() && handed->second > handings;
}

void Ledger::heard(std::uint64_t handings) {
  std::erase_if(used_, [&](int number) {
    if (handed_since(backend_name(number), handings)) return false;
    spare_.insert(number);
    return true;
  });
}

}  // namespace tow::route::haproxy
