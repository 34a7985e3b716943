// SPDX-License-Identifier: Apache-2.0
#include "route/haproxy/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "route/check.hpp"
#include "route/haproxy/render.hpp"

namespace tow::route::haproxy {
namespace {

using Commands = std::vector<std::string>;

template <class... Args>
void say(Commands& out, fmt::format_string<Args...> text, Args&&... args) {
  out.push_back(fmt::format(text, std::forward<Args>(args)...));
}

/// A value with spaces is one argument of a command.
std::string argument(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == ' ') out += '\\';
    out += c;
  }
  return out;
}

std::string_view map_of(const Match& match) { return match.host.empty() ? kInternal : kRoutes; }

std::map<std::string, const Match*> keys(const Site& site) {
  std::map<std::string, const Match*> out;
  for (const Match& match : site.matches) out.emplace(key(match), &match);
  return out;
}

std::map<std::string, const Server*> by_id(const Site& site) {
  std::map<std::string, const Server*> out;
  for (const Server& server : site.servers) out.emplace(server.id, &server);
  return out;
}

void retire(Commands& out, const std::string& name, Backend& after, const std::string& server) {
  say(out, "set server {}/{} state maint", name, server);
  after.retired.insert(server);
}

/// Servers that are new, or moved. Whether a retired one is still there differs between workers: "add" is
/// then answered by "Already exists", and what follows sets it right.
void bring(Commands& out, const std::string& name, const Server& server, bool perhaps_there) {
  // Without the last two, a server that is added at run time keeps no connection for the next request.
  say(out, "add server {}/{} {} weight {} pool-max-conn -1 pool-purge-delay 5s", name, server.id,
      endpoint(server.address, server.port), server.weight);
  if (perhaps_there) {
    say(out, "set server {}/{} addr {} port {}", name, server.id, server.address, server.port);
    say(out, "set server {}/{} weight {}", name, server.id, server.weight);
  }
  say(out, "set server {}/{} state ready", name, server.id);
}

}  // namespace

Change plan_apply(const std::filesystem::path& directory, int number, const Backend& before, const Site& site,
                  const std::function<bool(const std::string& key)>& routed) {
  const std::string name = backend_name(number);
  const std::string files = directory.string();
  Change change{.after = {.site = site, .retired = before.retired}};
  Commands& out = change.commands;
  const auto old_servers = before.leaving ? std::map<std::string, const Server*>{} : by_id(before.site);
  const auto new_servers = by_id(site);

  for (const Server& server : site.servers) {
    const auto old = old_servers.find(server.id);
    if (old == old_servers.end()) {
      bring(out, name, server, before.retired.contains(server.id));
      change.after.retired.erase(server.id);
    } else if (old->second->address != server.address || old->second->port != server.port) {
      say(out, "set server {}/{} addr {} port {}", name, server.id, server.address, server.port);
    }
  }
  const auto old_keys = before.leaving ? std::map<std::string, const Match*>{} : keys(before.site);
  const auto new_keys = keys(site);
  const bool was_held = !before.site.id.empty() && !before.leaving && is_held(before.site);
  const bool held = is_held(site);
  // Whoever is sent to wait finds out for what; so that is there before, and goes after.
  if (held) {
    for (const auto& [text, match] : new_keys) {
      if (was_held && old_keys.contains(text)) continue;
      if (!old_keys.contains(text) && routed(text)) say(out, "del map {}/{} {}", files, kAsleep, text);
      say(out, "add map {}/{} {} {}", files, kAsleep, text, name);
    }
  }
  const auto describe = [&] {
    if (const std::string description = described(site); before.site.id.empty()) {
      say(out, "add map {}/{} {} {}", files, kSites, name, argument(description));
    } else if (before.leaving || described(before.site) != description) {
      say(out, "set map {}/{} {} {}", files, kSites, name, argument(description));
    }
  };
  const auto lead = [&] {
    for (const auto& [text, match] : new_keys) {
      if (old_keys.contains(text) && held == was_held) continue;
      // From a site that nobody has applied again, and that may be asleep.
      if (!old_keys.contains(text) && !held && routed(text))
        say(out, "del map {}/{} {}", files, kAsleep, text);
      say(out, "{} map {}/{} {} {}", old_keys.contains(text) || routed(text) ? "set" : "add", files,
          map_of(*match), text, held ? hold_backend(*match) : name);
    }
  };
  // Before the servers go, nobody is sent to them any more.
  if (held) {
    describe();
    lead();
  }
  // Weights that grow before those that shrink: at no moment has nobody any.
  for (const bool growing : {true, false}) {
    for (const Server& server : site.servers) {
      const auto old = old_servers.find(server.id);
      if (old == old_servers.end() || old->second->weight == server.weight) continue;
      if ((old->second->weight < server.weight) == growing) {
        say(out, "set server {}/{} weight {}", name, server.id, server.weight);
      }
    }
  }

  // What waits goes on as soon as the description says so, and then the way leads to the servers.
  if (!held && was_held) {
    lead();
    describe();
  } else if (!held) {
    describe();
    lead();
  }
  for (const auto& [text, match] : old_keys) {
    if (!new_keys.contains(text)) say(out, "del map {}/{} {}", files, map_of(*match), text);
  }
  if (was_held) {
    for (const auto& [text, match] : old_keys) {
      if (!held || !new_keys.contains(text)) say(out, "del map {}/{} {}", files, kAsleep, text);
    }
  }
  for (const auto& [id, server] : old_servers) {
    if (!new_servers.contains(id)) retire(out, name, change.after, id);
  }
  return change;
}

Change plan_remove(const std::filesystem::path& directory, int number, const Backend& before) {
  const std::string name = backend_name(number);
  Change change{.after = before};
  const bool held = is_held(before.site);
  for (const auto& [text, match] : keys(before.site)) {
    say(change.commands, "del map {}/{} {}", directory.string(), map_of(*match), text);
    if (held) say(change.commands, "del map {}/{} {}", directory.string(), kAsleep, text);
  }
  for (const Server& server : before.site.servers) retire(change.commands, name, change.after, server.id);
  change.after.site.matches.clear();
  change.after.site.hold.reset();
  if (held) {  // what waits goes on, and meets that nobody is there
    say(change.commands, "set map {}/{} {} {}", directory.string(), kSites, name,
        argument(described(change.after.site)));
  }
  change.after.site.servers.clear();
  change.after.leaving = true;
  return change;
}

std::vector<std::string> plan_sweep(int number, const Backend& before) {
  std::vector<std::string> out;
  for (const std::string& id : before.retired) say(out, "del server {}/{}", backend_name(number), id);
  return out;
}

std::vector<std::string> plan_free(const std::filesystem::path& directory, int number) {
  return {fmt::format("del map {}/{} {}", directory.string(), kSites, backend_name(number))};
}

Reply reply(std::string_view answer) {
  if (answer.empty()) return Reply::Done;
  for (const std::string_view done : {"New server registered", "Server deleted", "IP changed from",
                                      "port changed from", "no need to change", "Already exists a server"}) {
    if (answer.starts_with(done)) return Reply::Done;
  }
  for (const std::string_view absent :
       {"No such backend", "No such server", "Key not found", "entry not found", "No such proxy"}) {
    if (answer.starts_with(absent)) return Reply::Absent;
  }
  return Reply::Refused;
}

}  // namespace tow::route::haproxy
