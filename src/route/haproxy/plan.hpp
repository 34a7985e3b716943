// SPDX-License-Identifier: Apache-2.0
#pragma once
// How a running HAProxy gets from one state of a site to the next: commands for the runtime socket, in an
// order in which no request meets a gap. Pure and thread-safe; everything in a command passed admitted().

#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "route/route.hpp"

namespace tow::route::haproxy {

/// What one backend has been told.
struct Backend {
  Site site;
  std::set<std::string> retired;  // left the site; in maintenance until their sessions have ended
  bool leaving = false;           // the site was removed; free when nothing is retired any more
};

struct Change {
  std::vector<std::string> commands;
  Backend after;
};

/// From `before` (with an empty id: a spare backend) to `site`. `routed` tells of keys that lead elsewhere
/// now.
Change plan_apply(const std::filesystem::path& directory, int number, const Backend& before, const Site& site,
                  const std::function<bool(const std::string& key)>& routed);

/// No request finds it any more; its servers are retired.
Change plan_remove(const std::filesystem::path& directory, int number, const Backend& before);

/// Deletes what is retired. HAProxy refuses as long as a server has sessions, so that it may be tried any
/// time.
std::vector<std::string> plan_sweep(int number, const Backend& before);

/// A backend without servers becomes a spare one.
std::vector<std::string> plan_free(const std::filesystem::path& directory, int number);

/// What an answer to one of these commands means.
enum class Reply {
  Done,     // so it is now, or so it was already
  Absent,   // the backend, server or key is not in that worker
  Refused,  // anything else
};
Reply reply(std::string_view answer);

}  // namespace tow::route::haproxy
