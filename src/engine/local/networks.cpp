// SPDX-License-Identifier: Apache-2.0
#include "engine/local/networks.hpp"

#include <fcntl.h>
#include <signal.h>

#include <algorithm>
#include <fstream>

#include "base/error.hpp"
#include "base/fault.hpp"
#include "base/ids.hpp"
#include "base/log.hpp"
#include "engine/local/dns.hpp"
#include "engine/local/netlink.hpp"
#include "engine/local/processes.hpp"
#include "engine/local/runtime.hpp"
#include "engine/validate.hpp"

namespace tow::engine::local {
namespace {

namespace fs = std::filesystem;

void set_kernel(const std::string& entry, const char* value) {
  std::ofstream out{"/proc/sys/" + entry};
  out << value << std::flush;
  if (!out) throw fail(Code::Internal, "cannot set /proc/sys/{} to {}", entry, value);
}

Address address_of(const std::string& text) { return parse_address(text).value_or(Address{}); }

}  // namespace

Networks::Networks(Settings settings) : settings_{std::move(settings)}, records_{settings_.records} {}

Networks::Environment& Networks::known(const EnvironmentId& id) {
  const auto found = environments_.find(id);
  if (found == environments_.end()) throw fail(Code::NotFound, "the engine has no environment {}", id);
  return found->second;
}
const Networks::Environment& Networks::known(const EnvironmentId& id) const {
  return const_cast<Networks*>(this)->known(id);
}

Networks::Environment Networks::make(EnvironmentRecord record) const {
  const auto cut = layout(settings_.range, settings_.prefix, record.number);
  if (!cut)
    throw fail(Code::Exhausted,
               "the network {} has no room for another environment of /{}; give the engine a larger network",
               to_string(settings_.range), settings_.prefix);
  Environment made;
  made.bridge = settings_.link_prefix + "b" + std::to_string(record.number);
  made.layout = *cut;
  made.record = std::move(record);
  return made;
}

Ruleset::Environment Networks::rules(const Environment& e) const {
  return {.bridge = e.bridge, .services = e.layout.services, .outbound = e.record.outbound};
}

std::vector<Ruleset::Entry> Networks::rules(const ServiceRecord& record) {
  std::vector<Ruleset::Entry> all;
  for (const auto& port : record.service.ports) {
    Ruleset::Entry entry{.address = address_of(record.address), .port = port};
    for (const auto& endpoint : record.service.endpoints) entry.endpoints.push_back(address_of(endpoint));
    all.push_back(std::move(entry));
  }
  return all;
}

std::set<std::string> Networks::start(const std::map<std::string, EnvironmentId>& links,
                                      const std::set<std::string>& closed) {
  const std::lock_guard lock{mutex_};
  for (const auto& address : closed) closed_.insert(address_of(address));
  environments_.clear();
  fs::create_directories(settings_.names);
  for (const auto& [name, node] : records_.load()) {
    auto environment = make(from_node<EnvironmentRecord>(node));
    environments_.emplace(environment.record.id, std::move(environment));
  }
  set_kernel("net/ipv4/ip_forward", "1");

  Netlink netlink;
  std::set<std::string> wanted, gone;
  for (auto& [id, environment] : environments_) {
    bring_up_link(environment);
    wanted.insert(environment.bridge);
  }
  for (const auto& [link, id] : links) {
    wanted.insert(link);
    const auto environment = environments_.find(id);
    const auto index = netlink.index(link);
    if (environment != environments_.end() && index)
      netlink.attach(*index, environment->second.bridge_index);
    else
      gone.insert(link);
  }
  for (const auto& kind : {"b", "v"})
    for (const auto& link : netlink.links(settings_.link_prefix + kind))
      if (!wanted.contains(link)) netlink.remove(link);

  Ruleset all{.table = settings_.table,
              .bridge_prefix = settings_.link_prefix + "b",
              .range = settings_.range,
              .comment = claim_comment(settings_.link_prefix, settings_.state),
              .proxy_port = proxy_port_ = settings_.proxy_port()};
  for (const auto& [id, environment] : environments_) {
    all.environments.push_back(rules(environment));
    for (const auto& [name, service] : environment.record.services)
      for (auto& entry : rules(service)) all.entries.push_back(std::move(entry));
  }
  for (const auto address : closed_) all.closed.push_back(address);
  firewall_.apply(render(all));

  for (auto& found : find_processes("dnsmasq", settings_.names.string() + "/")) {
    const auto id = fs::path{found.option("--addn-hosts")}.stem().string();
    const auto environment = environments_.find(id);
    Descriptor process = open_process(found.pid);
    if (environment == environments_.end()) {
      signal(process, SIGTERM);
      wait_for_end(process, 2000);
      continue;
    }
    environment->second.dns = std::move(process);
    environment->second.dns_outbound = found.option("--no-resolv").empty() &&
                                       std::ranges::find(found.argv, "--no-resolv") == found.argv.end();
  }
  for (auto& [id, environment] : environments_) bring_up_dns(environment);
  return gone;
}

std::vector<std::string> Networks::conflicts() {
  const Claim own{.table = settings_.table,
                  .network = settings_.range,
                  .links = settings_.link_prefix,
                  .state = settings_.state};
  auto others = firewall_.claims();
  // A state directory that is not there any more was moved, to here perhaps.
  std::erase_if(others, [&](const Claim& other) {
    std::error_code ignored;
    return other.table == own.table && !fs::exists(other.state, ignored);
  });
  return local::conflicts(own, others, link_addresses());
}

void Networks::occupy(const EnvironmentId& environment, const std::string& address) {
  const std::lock_guard lock{mutex_};
  known(environment).taken.insert(address_of(address));
}

void Networks::bring_up_link(Environment& e) {
  Netlink netlink;
  netlink.add_bridge(e.bridge, e.layout.gateway);
  const auto index = netlink.index(e.bridge);
  if (!index) throw fail(Code::Unavailable, "the bridge {} vanished while it was made", e.bridge);
  e.bridge_index = *index;
  netlink.add_address(*index, e.layout.gateway, e.layout.whole.prefix);
}

void Networks::write_names(Environment& e) {
  std::map<std::string, std::string> addresses;
  for (const auto& [name, service] : e.record.services) addresses[name] = service.address;
  write_file(settings_.names / (e.record.id + ".hosts"), dns_hosts(addresses), 0644, Safety::Volatile);
  if (e.dns) signal(e.dns, SIGHUP);
}

void Networks::stop_dns(Environment& e) {
  if (!e.dns) return;
  signal(e.dns, SIGTERM);
  if (!wait_for_end(e.dns, 2000)) {
    signal(e.dns, SIGKILL);
    wait_for_end(e.dns, 2000);
  }
  e.dns.reset();
}

bool Networks::bring_up_dns(Environment& e) {
  if (e.dns && (wait_for_end(e.dns, 0) || e.dns_outbound != e.record.outbound)) stop_dns(e);
  write_names(e);
  if (e.dns) return false;
  const std::string program = find_program("dnsmasq");
  if (program.empty())
    throw Error{Code::NotFound, "dnsmasq is not installed; install the package dnsmasq-base"};
  const DnsServer server{.dnsmasq = program,
                         .hosts = settings_.names / (e.record.id + ".hosts"),
                         .address = e.layout.gateway,
                         .outbound = e.record.outbound};
  e.dns = launch({.argv = dns_command(server), .environment = {}, .descriptors = {}, .mounts = {}}).process;
  e.dns_outbound = e.record.outbound;
  for (int waited = 0; waited < 2000 && !dns_answers(e.layout.gateway); ++waited)
    if (wait_for_end(e.dns, 1)) break;  // whoever watches it will start it again
  return true;
}

void Networks::ensure(const EnvironmentId& id, bool outbound) {
  const std::lock_guard lock{mutex_};
  auto found = environments_.find(id);
  if (found != environments_.end() && found->second.record.outbound == outbound) return;
  if (found == environments_.end()) {
    check_id("environment", id);
    std::set<int> taken;
    for (const auto& [other, environment] : environments_) taken.insert(environment.record.number);
    auto made = make({.id = id, .number = free_number(taken), .outbound = outbound});
    save(made);
    found = environments_.emplace(id, std::move(made)).first;
  } else {
    found->second.record.outbound = outbound;
    save(found->second);
  }
  Environment& e = found->second;
  bring_up_link(e);
  firewall_.apply(render_environment(settings_.table, rules(e)));
  bring_up_dns(e);
}

std::string Networks::allocate(const EnvironmentId& id) {
  const std::lock_guard lock{mutex_};
  Environment& e = known(id);
  const auto address =
      free_address(e.layout.instances, e.layout.gateway, e.taken, address_of(e.record.last_instance));
  if (!address)
    throw fail(Code::Exhausted, "the network {} of the environment is full: {} instances",
               to_string(e.layout.instances), e.taken.size());
  e.taken.insert(*address);
  e.record.last_instance = to_string(*address);  // saved with the next change: it only says where to go on
  return e.record.last_instance;
}

void Networks::release(const EnvironmentId& id, const std::string& address) {
  const std::lock_guard lock{mutex_};
  if (const auto found = environments_.find(id); found != environments_.end())
    found->second.taken.erase(address_of(address));
  if (closed_.erase(address_of(address)))
    firewall_.apply(render_closed(settings_.table, address_of(address), false));
}

std::string Networks::gateway(const EnvironmentId& id) const {
  const std::lock_guard lock{mutex_};
  return to_string(known(id).layout.gateway);
}

std::string Networks::connect(const EnvironmentId& id, const std::string& text, int network_namespace,
                              bool outbound) {
  const Address address = address_of(text);
  int bridge = 0;
  Layout cut;
  {
    const std::lock_guard lock{mutex_};
    const Environment& e = known(id);
    bridge = e.bridge_index;
    cut = e.layout;
    if (closed_.contains(address) == outbound) {
      firewall_.apply(render_closed(settings_.table, address, !outbound));
      outbound ? closed_.erase(address) : closed_.insert(address).second;
    }
  }
  const std::string link = settings_.link_prefix + "v" + hex(random_bytes(4));
  Netlink{}.add_pair({.host_end = link,
                      .bridge = bridge,
                      .peer = "eth0",
                      .peer_namespace = network_namespace,
                      .mac_from = address});
  try {
    Netlink inside{network_namespace};
    const auto index = inside.index("eth0");
    if (!index) throw Error{Code::Internal, "the instance's link did not arrive in its network"};
    inside.up(1);
    inside.add_address(*index, address, cut.instances.prefix);
    inside.up(*index);
    inside.add_default_route(cut.gateway);
  } catch (...) {
    disconnect(link);
    throw;
  }
  return link;
}

void Networks::disconnect(const std::string& link) {
  if (!link.empty()) Netlink{}.remove(link);
}

std::string Networks::ensure_service(const Service& service) {
  const std::lock_guard lock{mutex_};
  Environment& e = known(service.environment);
  check(service);
  for (const auto& endpoint : service.endpoints)
    if (const auto address = parse_address(endpoint); !address || !e.layout.instances.contains(*address))
      throw fail(Code::Invalid, "endpoint \"{}\" of service {} is no address of its environment ({})",
                 endpoint, service.name, to_string(e.layout.instances));

  std::string commands;
  const auto before = e.record.services.find(service.name);
  ServiceRecord record{.address = {}, .service = service};
  bool is_new = before == e.record.services.end();
  if (is_new) {
    std::set<Address> taken;
    for (const auto& [name, other] : e.record.services) taken.insert(address_of(other.address));
    const auto address = free_address(e.layout.services, {}, taken, address_of(e.record.last_service));
    if (!address)
      throw fail(Code::Exhausted, "the environment has {} services, and no address left", taken.size());
    record.address = e.record.last_service = to_string(*address);
  } else {
    record.address = before->second.address;
    for (const auto& old : rules(before->second)) commands += render_entry_removal(settings_.table, old);
  }
  for (const auto& entry : rules(record)) commands += render_entry(settings_.table, entry);
  if (const auto port = settings_.proxy_port(); port != proxy_port_) {
    commands += render_proxy_port(settings_.table, port);
    proxy_port_ = port;
  }
  e.record.services[service.name] = record;
  save(e);
  fault_point("engine.service-saved");
  firewall_.apply(commands);
  if (is_new) write_names(e);
  return record.address;
}

void Networks::remove_service(const EnvironmentId& id, const std::string& name) {
  const std::lock_guard lock{mutex_};
  const auto environment = environments_.find(id);
  if (environment == environments_.end()) return;
  Environment& e = environment->second;
  const auto found = e.record.services.find(name);
  if (found == e.record.services.end()) return;
  std::string commands;
  for (const auto& entry : rules(found->second)) commands += render_entry_removal(settings_.table, entry);
  firewall_.apply(commands);
  e.record.services.erase(found);
  save(e);
  write_names(e);
}

void Networks::remove_environment(const EnvironmentId& id) {
  const std::lock_guard lock{mutex_};
  const auto found = environments_.find(id);
  if (found == environments_.end()) return;
  Environment& e = found->second;
  if (!e.taken.empty())
    throw fail(Code::FailedPrecondition, "environment {} still has {} instances; retire their groups first",
               id, e.taken.size());
  std::string commands;
  for (const auto& [name, service] : e.record.services)
    for (const auto& entry : rules(service)) commands += render_entry_removal(settings_.table, entry);
  firewall_.apply(commands + render_environment_removal(settings_.table, rules(e)));
  stop_dns(e);
  fs::remove(settings_.names / (id + ".hosts"));
  Netlink{}.remove(e.bridge);
  records_.remove(id);
  environments_.erase(found);
}

void Networks::remove_all() {
  const std::lock_guard lock{mutex_};
  std::vector<Descriptor> servers;
  for (const auto& found : find_processes("dnsmasq", settings_.names.string() + "/"))
    servers.push_back(open_process(found.pid));
  for (const auto& server : servers) signal(server, SIGTERM);
  for (const auto& server : servers)
    if (!wait_for_end(server, 2000)) {
      signal(server, SIGKILL);
      wait_for_end(server, 2000);
    }
  Netlink netlink;
  for (const auto& kind : {"b", "v"})
    for (const auto& link : netlink.links(settings_.link_prefix + kind)) netlink.remove(link);
  firewall_.apply("table inet " + settings_.table + "\ndelete table inet " + settings_.table + "\n");
  environments_.clear();
}

std::vector<EnvironmentId> Networks::environments() const {
  const std::lock_guard lock{mutex_};
  std::vector<EnvironmentId> all;
  for (const auto& [id, environment] : environments_) all.push_back(id);
  return all;
}

Descriptor Networks::dns_process(const EnvironmentId& id) const {
  const std::lock_guard lock{mutex_};
  const auto found = environments_.find(id);
  if (found == environments_.end() || !found->second.dns) return {};
  return Descriptor{::fcntl(found->second.dns.get(), F_DUPFD_CLOEXEC, 3)};
}

bool Networks::ensure_dns(const EnvironmentId& id) {
  const std::lock_guard lock{mutex_};
  const auto found = environments_.find(id);
  return found != environments_.end() && bring_up_dns(found->second);
}

}  // namespace tow::engine::local
