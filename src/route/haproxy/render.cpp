// SPDX-License-Identifier: Apache-2.0
#include "route/haproxy/render.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <tuple>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "route/check.hpp"
#include "route/haproxy/hold.hpp"
#include "route/haproxy/pages.hpp"

namespace tow::route::haproxy {
namespace {

constexpr int kBusyRate = 100;  // requests a second

template <class... Args>
void line(std::string& out, fmt::format_string<Args...> text, Args&&... args) {
  fmt::format_to(std::back_inserter(out), text, std::forward<Args>(args)...);
  out += '\n';
}

void global_section(std::string& out, const Frame& frame) {
  const Settings& settings = frame.settings;
  const std::string directory = settings.runtime_directory.string();
  line(out, "global");
  if (!frame.user.empty()) {
    line(out, "  user {}", frame.user);
    line(out, "  group {}", frame.group);
    line(out, "  chroot {}/empty", directory);
  }
  line(out, "  maxconn {}", settings.max_connections);
  if (settings.threads > 0) line(out, "  nbthread {}", settings.threads);
  // Without it a second HAProxy would share the port silently; reloads pass the descriptors on instead.
  line(out, "  noreuseport");
  line(out, "  hard-stop-after {}ms", (settings.drain_limit + std::chrono::minutes{1}).count());
  line(out, "  lua-load {}/{}", directory, kHoldProgram);
  line(out, "  stats socket {}/worker.sock mode 600 level admin expose-fd listeners", directory);
  line(out, "");
}

void base_section(std::string& out, const Settings& settings) {
  line(out, "defaults base");
  line(out, "  mode http");
  line(out, "  balance roundrobin");
  line(out, "  timeout http-request {}ms", settings.header_limit.count());
  line(out, "  timeout http-keep-alive {}ms", settings.idle_limit.count());
  line(out, "  timeout client {}ms", settings.idle_limit.count());
  line(out, "  timeout client-fin 30s");
  line(out, "  timeout connect {}ms", settings.connect_limit.count());
  line(out, "  timeout queue 10s");
  line(out, "  timeout server 60s");
  line(out, "  timeout tunnel {}ms", settings.stream_limit.count());
  // After a reload an idle keep-alive connection is told to close with its next answer, not cut.
  line(out, "  option idle-close-on-response");
  // A failed connection goes to another instance at once; what may have reached one is judged by method
  // below.
  line(out, "  retries 3");
  line(out, "  option redispatch 1");
  line(out, "  retry-on conn-failure empty-response");
  line(out, "  http-reuse safe");
  line(out, "");
}

/// One rule for who wants HTML and one for everybody else.
void answer_page(std::string& out, const Settings& settings, int status, std::string_view page,
                 std::string_view headers) {
  for (const auto& [type, ending, condition] :
       {std::tuple{"text/html", "html", " if { req.hdr(accept) -m sub text/html }"},
        {"text/plain", "txt", ""}}) {
    line(out, "  http-request return status {} content-type \"{}; charset=utf-8\" lf-file {}/{}.{} {}{}",
         status, type, settings.runtime_directory.string(), page, ending, headers, condition);
  }
}

/// Whoever was not let in, or waited for nothing.
void answer_waiting(std::string& out, const Settings& settings, std::string_view page,
                    std::string_view condition) {
  line(out,
       "  http-request return status 503 content-type \"text/plain; charset=utf-8\" lf-file {}/{}.txt hdr "
       "Retry-After 5 hdr Cache-Control no-store if {}",
       settings.runtime_directory.string(), page, condition);
}

/// The rules of every backend that serves a site. Each request passes them: what is rare comes last.
void site_section(std::string& out, const Settings& settings) {
  const std::string directory = settings.runtime_directory.string();
  line(out, "defaults site from base");
  line(out, "  http-request set-timeout server be_name,map({}/{}),field(1,|)", directory, kSites);
  line(out, "  http-request set-timeout server {}ms if {{ req.fhdr(accept) -m sub text/event-stream }}",
       settings.stream_limit.count());
  line(out, "  http-request disable-l7-retry unless METH_GET or METH_OPTIONS");
  // To be able to send a request again, HAProxy copies its whole buffer, twice: a tenth of its work. Where
  // one instance alone answers, the copy only serves when that closes an idle connection just as it is used,
  // and on a busy site no connection is idle for so long.
  line(out, "  http-request disable-l7-retry if {{ nbsrv eq 1 }} {{ be_sess_rate gt {} }}", kBusyRate);
  // A backend of a worker that has just been told to stop counts no servers, but uses them.
  line(out, "  http-request allow if {{ be_name,nbsrv gt 0 }} or {{ stopping }}");
  answer_page(out, settings, 503, "unready", "hdr Retry-After 5 hdr Cache-Control no-store");
  for (const int status : {502, 503, 504}) {
    line(out, "  http-error status {0} content-type \"text/plain; charset=utf-8\" lf-file {1}/{0}.txt{2}",
         status, directory, status == 503 ? " hdr Retry-After 5" : "");
  }
  line(out, "");
}

/// Where requests go that lead nowhere.
void nowhere(std::string& out, const Settings& settings) {
  line(out, "backend nowhere from base");
  line(out, "  http-request set-var(txn.shown) req.hdr(host),host_only,rtrim(.)");
  line(out,
       "  http-request set-var(txn.shown) str(\"\") unless {{ var(txn.shown) -m reg ^[a-z0-9._-]{{1,253}}$ "
       "}}");
  answer_page(out, settings, 404, "unknown", "hdr Cache-Control no-store");
  line(out, "");
}

/// Where a worker that was told to stop sends what still comes in on its connections: to its successor, as it
/// came. HAProxy refuses changes of servers in such a worker, so that only the newest one knows the way.
void handover(std::string& out, const Frame& frame, std::string_view frontend) {
  const std::string directory = frame.settings.runtime_directory.string();
  // The socket lies in the directory to which HAProxy has confined itself by the time it connects.
  const std::string seen = frame.user.empty() ? directory + "/empty" : "";
  line(out, "backend handover_{} from base", frontend);
  line(out, "  timeout server 25h");
  line(out, "  http-request disable-l7-retry unless METH_GET or METH_OPTIONS");
  line(out, "  server successor unix@{}/{}.sock send-proxy-v2", seen, frontend);
  line(out, "");
}

void forwarded_headers(std::string& out, const Settings& settings) {
  const bool trusts = !settings.trusted.empty();
  const std::string_view unless = trusts ? " unless trusted" : "";
  if (trusts) line(out, "  acl trusted src {}", fmt::join(settings.trusted, " "));
  line(out, "  http-request del-header x-forwarded- -m beg{}", unless);
  line(out, "  http-request del-header forwarded{}", unless);
  line(out, "  http-request del-header x-real-ip{}", unless);
  if (!trusts) {
    line(out, "  option forwardfor");  // added after all rules, and cheaper than one of them
    line(out, "  http-request add-header X-Forwarded-Proto http");
    line(out, "  http-request add-header X-Forwarded-Host %[req.fhdr(host)]");
    return;
  }
  line(out, "  acl has_for req.hdr(x-forwarded-for) -m found");
  line(out, "  http-request set-header X-Forwarded-For \"%[req.fhdr(x-forwarded-for)], %[src]\" if has_for");
  line(out, "  http-request set-header X-Forwarded-For %[src] unless has_for");
  line(out,
       "  http-request set-header X-Forwarded-Proto http unless {{ req.hdr(x-forwarded-proto) -m found }}");
  line(out,
       "  http-request set-header X-Forwarded-Host %[req.fhdr(host)] unless {{ req.hdr(x-forwarded-host) -m "
       "found "
       "}}");
}

/// `part` is a variable that `way`, an expression that gives the backend, puts together with something else.
void frontend(std::string& out, const Frame& frame, std::string_view name, const std::string& address,
              std::string_view part, std::string_view way) {
  line(out, "frontend {} from front", name);
  line(out, "  bind {}", address);
  line(out, "  bind unix@{}/empty/{}.sock{} mode 600 accept-proxy", frame.settings.runtime_directory.string(),
       name, frame.user.empty() ? "" : " user " + frame.user);
  line(out, "  http-request allow if {{ stopping }}");
  line(out, "  http-request {}", part);
  forwarded_headers(out, frame.settings);
  line(out, "  use_backend handover_{} if {{ stopping }}", name);
  line(out, "  use_backend %[{}]", way);
  line(out, "  default_backend nowhere");
  line(out, "");
}

// The expressions that give what a request is looked up by, and how.
constexpr std::string_view kPublicKey = "req.hdr(host),host_only,rtrim(.),concat(,txn.path,/),map_beg";
constexpr std::string_view kInternalKey = "dst,concat(:,txn.port),map";

void frontends(std::string& out, const Frame& frame) {
  line(out, "defaults front from base");
  // Only a frontend that has it goes on reading from a client that waits, and so sees it leave; what follows
  // from that is a matter of the backend, and only that of held requests has it as well.
  line(out, "  option abortonclose");
  line(out, "");
  const Settings& settings = frame.settings;
  const std::string directory = settings.runtime_directory.string();
  frontend(out, frame, "public", endpoint(settings.public_address, settings.public_port),
           "set-var(txn.path) path", fmt::format("{}({}/{})", kPublicKey, directory, kRoutes));
  frontend(out, frame, "internal", endpoint(settings.internal_address, settings.internal_port),
           "set-var(txn.port) dst_port", fmt::format("{}({}/{})", kInternalKey, directory, kInternal));
}

/// Where requests wait: a backend of their own, so that no other request pays for what only these need. When
/// it is time they go to the front door once more, of the newest worker, whichever worker they wait in.
void waiting_room(std::string& out, const Frame& frame, std::string_view name, std::string_view key) {
  const std::string directory = frame.settings.runtime_directory.string();
  const std::string seen = frame.user.empty() ? directory + "/empty" : "";
  line(out, "backend hold_{} from base", name);
  line(out, "  option abortonclose");
  line(out, "  timeout server 25h");
  line(out, "  http-request disable-l7-retry");
  line(out, "  http-request set-var(txn.site) {}({}/{})", key, directory, kAsleep);
  answer_waiting(out, frame.settings, "crowded",
                 fmt::format("{{ be_conn gt {} }}", std::max(10, frame.settings.max_connections / 20)));
  line(out, "  http-request lua.hold");
  for (const std::string_view why : {"late", "crowded"})
    answer_waiting(out, frame.settings, why, fmt::format("{{ var(txn.held) -m str {} }}", why));
  line(out, "  http-request reject unless {{ var(txn.held) -m str over }}");  // the client has left
  line(out, "  server successor unix@{}/{}.sock send-proxy-v2", seen, name);
  line(out, "");
}

void waiting_rooms(std::string& out, const Frame& frame) {
  waiting_room(out, frame, "public", kPublicKey);
  waiting_room(out, frame, "internal", kInternalKey);
}

std::string configuration(const Frame& frame, const Sites& sites) {
  std::string out = preamble(frame);
  for (const auto& [number, site] : sites.claimed) {
    line(out, "backend {} from site", backend_name(number));
    for (const Server& server : site.servers) {
      line(out, "  server {} {} weight {}", server.id, endpoint(server.address, server.port), server.weight);
    }
  }
  for (const int number : sites.spare) line(out, "backend {} from site", backend_name(number));
  return out;
}

/// Expressions of the site that a request belongs to.
std::string title_of(const Settings& settings, std::string_view backend) {
  return fmt::format("%[{},map({}/{}),field(3,|)]", backend, settings.runtime_directory.string(), kSites);
}

/// What does not depend on sites and is read when a worker starts.
std::vector<std::pair<std::string, std::string>> texts(const Frame& frame) {
  auto files = pages(frame.settings.unknown_hint, title_of(frame.settings, "be_name"),
                     title_of(frame.settings, "var(txn.site)"));
  files.emplace_back(kHoldProgram, hold_program(frame));
  return files;
}

std::optional<std::int64_t> number_in(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool is_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view address = text.substr(0, slash);
  int prefix = 0;
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
    if (failed != std::errc{} || end != digits.data() + digits.size() || prefix < 0 || prefix > 128)
      return false;
  }
  const bool all = std::ranges::all_of(address, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '.' || c == ':';
  });
  return !address.empty() && all && (address.contains('.') || address.contains(':'));
}

}  // namespace

void check(const Settings& settings) {
  std::vector<Fault> faults;
  const auto fault = [&](std::string path, std::string message) {
    faults.push_back({std::move(path), {}, std::move(message)});
  };
  const std::string directory = settings.runtime_directory.string();
  const bool plain = std::ranges::all_of(directory, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view{"/._-"}.contains(c);
  });
  // A socket's path has at most 107 bytes.
  if (!settings.runtime_directory.is_absolute() || !plain || directory.size() > 90) {
    fault("runtime_directory", "is not an absolute path of at most 90 letters, digits and /._-");
  }
  for (const std::string& network : settings.trusted) {
    if (!is_network(network)) fault("trusted", fmt::format("\"{}\" is not an address or a network", network));
  }
  for (const std::string* address : {&settings.public_address, &settings.internal_address}) {
    if (!is_network(*address) || address->contains('/')) {
      fault(address == &settings.public_address ? "public_address" : "internal_address",
            fmt::format("\"{}\" is not an address", *address));
    }
  }
  if (!std::ranges::all_of(settings.unknown_hint, [](char c) { return c >= ' ' && c < 127; })) {
    fault("unknown_hint", "is not printable ASCII");
  }
  if (settings.spare_backends < 1 || settings.max_connections < 1) {
    fault("spare_backends, max_connections", "are at least 1");
  }
  if (faults.empty()) return;
  std::string message = "the proxy cannot be run with these settings";
  for (const Fault& found : faults) message += "\n" + describe(found);
  throw Error{Code::Invalid, std::move(message), std::move(faults)};
}

std::string preamble(const Frame& frame) {
  std::string shown;
  for (const auto& [name, contents] : texts(frame)) shown += contents;
  std::string out;
  line(out, "# Written by Towpath, and written anew with every change. Pages {}.",
       sha256_hex(shown).substr(0, 16));
  line(out, "");
  global_section(out, frame);
  base_section(out, frame.settings);
  site_section(out, frame.settings);
  frontends(out, frame);
  for (const char* name : {"public", "internal"}) handover(out, frame, name);
  waiting_rooms(out, frame);
  nowhere(out, frame.settings);
  return out;
}

std::string hold_backend(const Match& match) { return match.host.empty() ? "hold_internal" : "hold_public"; }

bool is_hold_backend(std::string_view name) { return name == "hold_internal" || name == "hold_public"; }

std::string backend_name(int number) { return fmt::format("b{}", number); }

std::optional<int> backend_number(std::string_view name) {
  int number = 0;
  if (!name.starts_with('b')) return std::nullopt;
  const auto [end, failed] = std::from_chars(name.data() + 1, name.data() + name.size(), number);
  if (failed != std::errc{} || end != name.data() + name.size() || number < 0) return std::nullopt;
  return number;
}

std::string described(const Site& site) {
  std::string out = fmt::format("{}|{}|{}", site.request_limit.count(), site.id, site.title);
  if (site.hold) {
    out += fmt::format("|{}|{}|{}", site.hold->limit.count(), site.hold->most,
                       is_held(site) ? "asleep" : "awake");
  }
  return out;
}

std::optional<Site> parse_described(std::string_view text) {
  const std::size_t first = text.find('|');
  const std::size_t second = text.find('|', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) return std::nullopt;
  const auto limit = number_in(text.substr(0, first));
  if (!limit) return std::nullopt;
  const std::size_t third = std::min(text.find('|', second + 1), text.size());
  Site site{.id = SiteId{text.substr(first + 1, second - first - 1)},
            .title = std::string{text.substr(second + 1, third - second - 1)},
            .request_limit = Duration{*limit}};
  if (third == text.size()) return site;
  const std::string_view rest = text.substr(third + 1);  // "30000|200|asleep"
  const std::size_t bar = rest.find('|');
  const std::size_t last = rest.rfind('|');
  if (bar == std::string_view::npos || bar == last) return std::nullopt;
  const auto held = number_in(rest.substr(0, bar));
  const auto most = number_in(rest.substr(bar + 1, last - bar - 1));
  if (!held || !most || *most > 1'000'000) return std::nullopt;
  site.hold = Hold{.limit = Duration{*held}, .most = static_cast<int>(*most)};
  return site;
}

std::string endpoint(const std::string& address, std::uint16_t port) {
  return address.contains(':') ? fmt::format("[{}]:{}", address, port) : fmt::format("{}:{}", address, port);
}

std::vector<std::pair<std::string, std::string>> render(const Frame& frame, const Sites& sites) {
  std::string routes;
  std::string internal;
  std::string asleep;
  std::string descriptions;
  for (const auto& [number, site] : sites.claimed) {
    const std::string name = backend_name(number);
    const bool held = is_held(site);
    for (const Match& match : site.matches) {
      const std::string text = key(match);
      line(match.host.empty() ? internal : routes, "{} {}", text, held ? hold_backend(match) : name);
      if (held) line(asleep, "{} {}", text, name);
    }
    line(descriptions, "{} {}", name, described(site));
  }
  auto files = texts(frame);
  files.emplace_back(kAsleep, std::move(asleep));
  files.emplace_back(kRoutes, std::move(routes));
  files.emplace_back(kInternal, std::move(internal));
  files.emplace_back(kSites, std::move(descriptions));
  files.emplace_back(kConfiguration, configuration(frame, sites));
  return files;
}

}  // namespace tow::route::haproxy
