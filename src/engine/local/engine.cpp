// SPDX-License-Identifier: Apache-2.0
#include "engine/local/engine.hpp"

#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/strand.hpp>
#include <filesystem>

#include "base/error.hpp"
#include "base/log.hpp"
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
          .records = place.environments(),
          .names = place.names(),
          .proxy_port = s.internal_proxy_port};
}

std::uint64_t own_file_limit() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : 0;
}

std::string hostname(const Workload& workload, const std::string& suffix) {
  std::string name = workload.component.substr(0, 63 - suffix.size());
  return name + suffix;
}

}  // namespace

/// Gives the turn back when it goes.
class Local::Hold {
 public:
  explicit Hold(Turn* turn) : turn_{turn} {}
  Hold(Hold&& other) noexcept : turn_{std::exchange(other.turn_, nullptr)} {}
  ~Hold() {
    if (!turn_) return;
    turn_->taken = false;
    turn_->freed.notify();
  }

 private:
  Turn* turn_;
};

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

Task<Local::Hold> Local::take(Turn& turn) {
  while (turn.taken) co_await turn.freed.wait();
  turn.taken = true;
  co_return Hold{&turn};
}

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

Task<> Local::start() {
  if (shop_.conmon.empty())
    throw Error{Code::NotFound, "conmon is not installed; install the package conmon"};
  co_await pool_.run([this] {
    choose_runtime(settings_.runtime, place_.runtimes(), cgroups_);
    place_.prepare();
  });
  auto begin = [](Local& self) -> Task<> {
    co_await self.pool_.run([&self] { self.recover(); });
    for (const auto& [id, group] : self.groups_) {
      for (const auto& [ordinal, instance] : group->instances)
        self.scope_->spawn(self.supervise(group, instance));
      self.publish(*group);
    }
    for (const auto& [id, job] : self.jobs_) {
      if (job->instance) self.scope_->spawn(self.supervise(job));
      self.publish(*job);
    }
    const auto groups = self.groups_;
    for (const auto& [id, group] : groups) {
      const Hold hold = co_await self.take(group->turn);
      co_await self.settle(group);
    }
    self.scope_->spawn(self.keep_logs());
    for (const auto& environment : self.networks_.environments())
      if (self.watched_dns_.insert(environment).second) self.scope_->spawn(self.watch_dns(environment));
  };
  co_await on_strand(begin(*this));
}

/// Brings together what the records want and what the machine has. Nothing else runs yet.
void Local::recover() {
  auto monitors = find_monitors(shop_);
  const auto remains = leftovers(shop_);
  std::set<InstanceId> left{remains.begin(), remains.end()};
  std::map<std::string, EnvironmentId> links;
  std::map<InstanceId, Running> running;
  const auto adopt_one = [&](const InstanceId& id, const EnvironmentId& environment) {
    auto found = adopt(shop_, id, monitors);
    if (!found) return;
    left.erase(id);
    links[found->record.link] = environment;
    running.emplace(id, std::move(*found));
  };

  for (const auto& [name, node] : group_records_.load()) {
    auto group = std::make_shared<Group>();
    group->record = from_node<GroupRecord>(node);
    group->workload = std::make_shared<const Workload>(group->record.spec.workload);
    groups_[name] = group;
    for (const auto& instance : group->record.instances) adopt_one(instance.id, group->workload->environment);
  }
  for (const auto& [name, node] : job_records_.load()) {
    auto job = std::make_shared<Job>();
    job->record = from_node<JobRecord>(node);
    jobs_[name] = job;
    if (job->record.finished) continue;
    adopt_one(name, job->record.spec.workload.environment);
    if (running.contains(name) || !job->record.begun) continue;
    // Its one run has begun, and is over.
    const auto code = exit_code(shop_, name);
    job->record.finished = true;
    job->record.exit_code = code;
    job->record.succeeded = code == 0;
    job->record.reason = !code        ? "it was lost when the machine or its monitor went down"
                         : *code == 0 ? ""
                                      : "exited with " + std::to_string(*code);
    job_records_.save(name, to_node(job->record));
  }

  const auto gone = networks_.start(links);
  for (const auto& [id, found] : running)
    if (gone.contains(found.record.link)) {
      log::warning("engine", "the network of {} is gone; it is replaced", id);
      signal(found.init, SIGKILL);
    }
  // Half made, or nobody's any more.
  for (const auto& id : left) {
    const auto monitor = monitors.find(id);
    static const Descriptor none;
    for (const auto& entry : fs::directory_iterator{place_.runtimes()})
      if (const std::string name = entry.path().filename(); fs::exists(entry.path() / id))
        unmake(shop_, id, choose_runtime(name, place_.runtimes(), cgroups_), {},
               monitor == monitors.end() ? none : monitor->second);
    unmake(shop_, id, choose_runtime(settings_.runtime, place_.runtimes(), cgroups_), {},
           monitor == monitors.end() ? none : monitor->second);
  }
  for (const auto& id : cgroups_.children(place_.cgroups()))
    if (!running.contains(id)) {
      cgroups_.kill(place_.cgroup(id));
      cgroups_.remove(place_.cgroup(id));
    }
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator{place_.roots(), ignored})
    if (!running.contains(entry.path().filename())) fs::remove_all(entry.path());

  for (const auto& [id, group] : groups_) {
    const auto& environment = group->workload->environment;
    networks_.ensure(environment, group->workload->outbound);
    for (const auto& record : group->record.instances) {
      networks_.occupy(environment, record.address);
      const auto instance = add_instance(group, record);
      if (auto found = running.find(record.id); found != running.end())
        instance->take(std::move(found->second));
    }
  }
  for (const auto& [id, job] : jobs_) {
    if (job->record.finished) continue;
    networks_.ensure(job->record.spec.workload.environment, job->record.spec.workload.outbound);
    networks_.occupy(job->record.spec.workload.environment, job->record.address);
    job->instance = add_instance(job);
    if (const auto found = running.find(id); found != running.end())
      job->instance->take(std::move(found->second));
  }
}

Task<> Local::stop() {
  scope_->cancel();
  co_await scope_->join();
}

Wish Local::wish_of(const Group& group, int ordinal) const {
  const bool wanted = !group.record.retiring && ordinal < group.record.spec.count;
  return {.run = wanted,
          .restart = true,
          .grace = group.record.retiring ? group.record.grace : settings_.stop_grace,
          .start_limit = group.workload->start_limit};
}

std::shared_ptr<Instance> Local::add_instance(const GroupPtr& group, const InstanceRecord& record) {
  Instance::Identity identity{.id = record.id,
                              .source = group->record.spec.id,
                              .ordinal = record.ordinal,
                              .address = record.address,
                              .hostname = hostname(*group->workload, "-" + std::to_string(record.ordinal))};
  const auto instance =
      std::make_shared<Instance>(around_, std::move(identity), group->workload,
                                 wish_of(*group, record.ordinal), [this, weak = std::weak_ptr{group}] {
                                   if (const auto strong = weak.lock()) publish(*strong);
                                 });
  group->instances[record.ordinal] = instance;
  return instance;
}

/// Brings the instances in line with the record. The caller has the group's turn.
Task<> Local::settle(GroupPtr group) {
  auto& record = group->record;
  const auto& environment = group->workload->environment;
  std::vector<InstanceRecord> fresh;
  if (!record.retiring)
    for (int ordinal = 0; ordinal < record.spec.count; ++ordinal)
      if (!group->instances.contains(ordinal))
        fresh.push_back({.id = record.spec.id + "-" + std::to_string(ordinal), .ordinal = ordinal});

  co_await pool_.run([&] {
    if (!fresh.empty()) networks_.ensure(environment, group->workload->outbound);
    for (auto& one : fresh) {
      one.address = networks_.allocate(environment);
      record.instances.push_back(one);
    }
    if (record.retiring && group->instances.empty())
      group_records_.remove(record.spec.id);
    else
      group_records_.save(record.spec.id, to_node(record));
  });
  if (!fresh.empty() && watched_dns_.insert(environment).second) scope_->spawn(watch_dns(environment));
  for (const auto& [ordinal, instance] : group->instances) {
    instance->workload(group->workload);
    instance->wish(wish_of(*group, ordinal));
  }
  for (const auto& one : fresh) scope_->spawn(supervise(group, add_instance(group, one)));
  if (record.retiring && group->instances.empty()) {
    groups_.erase(record.spec.id);
    forget(record.spec.id);
  } else {
    publish(*group);
  }
}

Task<> Local::supervise(GroupPtr group, std::shared_ptr<Instance> instance) {
  co_await instance->live();
  const Hold hold = co_await take(group->turn);
  const auto& identity = instance->identity();
  networks_.release(group->workload->environment, identity.address);
  group->instances.erase(identity.ordinal);
  std::erase_if(group->record.instances, [&](const auto& one) { return one.id == identity.id; });
  co_await settle(group);
}

Task<> Local::ensure(GroupSpec spec) { return on_strand(ensure_here(std::move(spec))); }

Task<> Local::ensure_here(GroupSpec spec) {
  check(spec);
  GroupPtr held;
  std::optional<Hold> hold;
  do {  // while we waited for our turn, the group may have gone, or be another
    auto& entry = groups_[spec.id];
    if (!entry) entry = std::make_shared<Group>();
    held = entry;
    hold.reset();
    hold.emplace(co_await take(held->turn));
  } while (groups_[spec.id] != held);
  held->record.spec = std::move(spec);
  held->record.retiring = {};
  held->workload = std::make_shared<const Workload>(held->record.spec.workload);
  co_await settle(held);
}

Task<> Local::retire(GroupId id, Duration grace) { return on_strand(retire_here(std::move(id), grace)); }

Task<> Local::retire_here(GroupId id, Duration grace) {
  const auto found = groups_.find(id);
  if (found == groups_.end()) co_return;
  const GroupPtr group = found->second;
  const Hold hold = co_await take(group->turn);
  if (!groups_.contains(id)) co_return;
  if (!group->record.retiring) group->record.retiring = settings_.clock->now();
  group->record.grace = grace;
  co_await settle(group);
}

std::vector<GroupView> Local::groups() const {
  const std::lock_guard lock{mutex_};
  std::vector<GroupView> all;
  for (const auto& [id, view] : group_views_) all.push_back(view);
  return all;
}

std::optional<GroupView> Local::group(const GroupId& id) const {
  const std::lock_guard lock{mutex_};
  const auto found = group_views_.find(id);
  return found == group_views_.end() ? std::nullopt : std::optional{found->second};
}

std::optional<JobView> Local::job(const JobId& id) const {
  const std::lock_guard lock{mutex_};
  const auto found = job_views_.find(id);
  return found == job_views_.end() ? std::nullopt : std::optional{found->second};
}

void Local::observe(std::function<void(const std::string&)> listener) {
  const std::lock_guard lock{mutex_};
  listeners_.push_back(std::move(listener));
}

void Local::tell(const std::string& id) {
  std::vector<std::function<void(const std::string&)>> listeners;
  {
    const std::lock_guard lock{mutex_};
    listeners = listeners_;
    for (const auto& one : followers_)
      if (const auto follower = one.lock()) follower->notify();
  }
  for (const auto& listener : listeners) listener(id);
}

void Local::publish(const Group& group) {
  GroupView view{.id = group.record.spec.id,
                 .wanted = group.record.retiring ? 0 : group.record.spec.count,
                 .retiring = group.record.retiring.has_value()};
  for (const auto& [ordinal, instance] : group.instances) view.instances.push_back(instance->view());
  {
    const std::lock_guard lock{mutex_};
    images_[view.id] = group.record.spec.workload.image;
    group_views_[view.id] = std::move(view);
  }
  tell(group.record.spec.id);
}

void Local::publish(const Job& job) {
  if (job.removing) return;
  const auto& record = job.record;
  JobView view{.phase = !record.finished   ? JobView::Phase::Running
                        : record.succeeded ? JobView::Phase::Succeeded
                                           : JobView::Phase::Failed,
               .exit_code = record.exit_code,
               .reason = record.reason};
  {
    const std::lock_guard lock{mutex_};
    job_views_[record.spec.id] = std::move(view);
    if (record.finished)
      images_.erase(record.spec.id);
    else
      images_[record.spec.id] = record.spec.workload.image;
  }
  tell(record.spec.id);
}

void Local::forget(const std::string& id) {
  {
    const std::lock_guard lock{mutex_};
    group_views_.erase(id);
    job_views_.erase(id);
    images_.erase(id);
  }
  tell(id);
}

Task<> Local::watch_dns(EnvironmentId environment) {
  for (;;) {
    auto process =
        co_await pool_.run([&] { return std::make_shared<Descriptor>(networks_.dns_process(environment)); });
    if (!*process) {
      watched_dns_.erase(environment);
      co_return;
    }
    co_await wait_for_end(std::move(*process));
    co_await settings_.clock->sleep(std::chrono::milliseconds{50});
    if (co_await pool_.run([&] { return networks_.ensure_dns(environment); }))
      log::warning("engine", "the DNS server of environment {} had ended; it was started again", environment);
  }
}

std::shared_ptr<Instance> Local::add_instance(const JobPtr& job) {
  const auto& spec = job->record.spec;
  Instance::Identity identity{.id = spec.id,
                              .source = spec.id,
                              .ordinal = 0,
                              .address = job->record.address,
                              .hostname = hostname(spec.workload, "-job"),
                              .command = spec.command,
                              .terminal = spec.terminal,
                              .about_to_start = [this, weak = std::weak_ptr{job}] {
                                const auto strong = weak.lock();
                                if (!strong) return;
                                strong->record.begun = true;
                                job_records_.save(strong->record.spec.id, to_node(strong->record));
                              }};
  return std::make_shared<Instance>(
      around_, std::move(identity), std::make_shared<const Workload>(spec.workload),
      Wish{.run = true, .restart = false, .grace = settings_.stop_grace, .deadline = job->record.deadline},
      [] {});
}

Task<> Local::run_job(JobSpec spec) { return on_strand(run_job_here(std::move(spec))); }

Task<> Local::run_job_here(JobSpec spec) {
  check(spec);
  if (jobs_.contains(spec.id)) co_return;
  const auto job = std::make_shared<Job>();
  jobs_[spec.id] = job;
  job->record.deadline = settings_.clock->now() + spec.deadline;
  job->record.spec = std::move(spec);
  std::exception_ptr failure;
  try {
    co_await pool_.run([&] {
      const auto& workload = job->record.spec.workload;
      networks_.ensure(workload.environment, workload.outbound);
      job->record.address = networks_.allocate(workload.environment);
      job_records_.save(job->record.spec.id, to_node(job->record));
    });
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    jobs_.erase(job->record.spec.id);
    std::rethrow_exception(failure);
  }
  const auto& environment = job->record.spec.workload.environment;
  if (watched_dns_.insert(environment).second) scope_->spawn(watch_dns(environment));
  job->instance = add_instance(job);
  publish(*job);
  scope_->spawn(supervise(job));
}

Task<> Local::supervise(JobPtr job) {
  co_await job->instance->live();
  auto& record = job->record;
  const InstanceView view = job->instance->view();
  networks_.release(record.spec.workload.environment, record.address);
  job->instance.reset();
  record.finished = true;
  record.exit_code = view.exit_code;
  record.succeeded = view.exit_code == 0 && view.reason.starts_with("exited with 0");
  record.reason = record.succeeded ? "" : view.reason;
  co_await pool_.run([&] {
    if (job->removing)
      job_records_.remove(record.spec.id);
    else
      job_records_.save(record.spec.id, to_node(record));
  });
  if (job->removing)
    jobs_.erase(record.spec.id);
  else
    publish(*job);
}

Task<> Local::remove_job(JobId id) { return on_strand(remove_job_here(std::move(id))); }

Task<> Local::remove_job_here(JobId id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) co_return;
  const JobPtr job = found->second;
  job->removing = true;
  forget(id);
  if (job->instance) {
    Wish wish = job->instance->wish();
    wish.run = false;
    job->instance->wish(wish);
    co_return;
  }
  co_await pool_.run([&] { job_records_.remove(id); });
  jobs_.erase(id);
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

std::optional<Usage> Local::usage(const InstanceId& instance) {
  return cgroups_.usage(place_.cgroup(instance));
}

std::vector<std::string> Local::images_in_use() const {
  const std::lock_guard lock{mutex_};
  std::vector<std::string> all;
  for (const auto& [id, image] : images_) all.push_back(image);
  return all;
}

std::vector<std::string> Local::obstacles() {
  std::vector<std::string> all;
  for (const auto& chain : networks_.foreign_drops())
    all.push_back("the firewall chain \"" + chain +
                  "\" drops forwarded packets, so instances reach neither each other " +
                  "nor the outside; accept there what comes from and goes to links \"" +
                  settings_.link_prefix + "b*\" (with Docker: in its chain DOCKER-USER)");
  return all;
}

/// Without scope or strand: nothing of an engine runs.
Task<> Local::tear_down() {
  co_await pool_.run([this] {
    if (!fs::exists(settings_.state_directory)) return;
    place_.prepare();
    for (const auto& [name, node] : group_records_.load()) group_records_.remove(name);
    for (const auto& [name, node] : job_records_.load()) job_records_.remove(name);
    recover();  // nothing is wanted any more
    networks_.remove_all();
    cgroups_.remove(place_.cgroups());
    place_.remove_runtime();
    for (const auto& path : {place_.groups(), place_.jobs(), place_.environments(), place_.roots()})
      fs::remove_all(path);
  });
}

std::unique_ptr<LocalEngine> make(Settings settings) { return std::make_unique<Local>(std::move(settings)); }

Task<> tear_down(Settings settings) {
  Local engine{std::move(settings)};
  co_await engine.tear_down();
}

}  // namespace tow::engine::local
