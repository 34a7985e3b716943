// SPDX-License-Identifier: Apache-2.0
// One deployment, level-triggered: what is wanted is found, what is there is looked at, decide() says what to
// do, and it is done. Effects come before their record, so that after a crash between the two they are
// repeated.
#include <algorithm>

#include "base/fault.hpp"
#include "base/log.hpp"
#include "deploy/core.hpp"
#include "deploy/names.hpp"
#include "deploy/target.hpp"
#include "deploy/teardown.hpp"
#include "deploy/traffic.hpp"

namespace tow::deploy {
namespace {

using Phase = Revision::Phase;

constexpr Duration kProblemRetry = std::chrono::seconds{15};

// A revision on its way through one pass.
struct Tracked {
  Entity<Revision> entity;
  std::optional<engine::GroupView> group;
  bool changed = false;

  int number() const { return entity.spec.number; }
  Revision::Status& status() {
    changed = true;
    return entity.status;
  }
};

class Pass {
 public:
  Pass(Core& core, Entity<Deployment> deployment, Entity<Environment> environment)
      : core_{core}, deployment_{std::move(deployment)}, environment_{std::move(environment)} {}

  Task<control::Outcome> run() {
    memory_ = core_.recall(deployment_.uid());
    {
      const auto snapshot = core_.snapshot();
      for (auto& each : revisions_of(*snapshot, *deployment_.record)) add(std::move(each));
    }
    std::vector<Entity<Revision>> revisions;
    for (const auto& each : all_) revisions.push_back(each.entity);
    target_ = co_await find_target(core_, deployment_, std::move(revisions), memory_);
    core_.remember(deployment_.uid(), memory_);
    if (target_.made) add(*target_.made);
    note_waiting();

    co_await observe();
    const Wanted wanted{.revision = target_.revision,
                        .scale = deployment_.spec.scale,
                        .recreate = deployment_.spec.strategy.type == StrategyType::Recreate,
                        .ready_limit = core_.settings.limits.ready,
                        .drain_limit = core_.settings.limits.drain,
                        .recreate_drain_limit = core_.settings.limits.recreate_drain};
    const auto now = core_.now();
    decision_ = decide(wanted, observed_, now);
    if (decision_.again) look_again(*decision_.again - now);

    for (const auto& action : decision_.actions)
      if (const auto* ensure = std::get_if<Ensure>(&action)) co_await carry_out(*ensure);
    for (const auto& action : decision_.actions) plan_ahead(action);
    std::optional<Error> traffic_problem;
    try {
      co_await direct_traffic();
    } catch (const Error& error) {
      if (error.code() == Code::Cancelled) throw;
      traffic_problem = error;
    }
    if (!traffic_problem) {
      for (const auto& action : decision_.actions)
        if (const auto* retire = std::get_if<Retire>(&action))
          co_await core_.settings.engine.retire(find(retire->revision)->entity.uid(),
                                                core_.settings.limits.grace);
      core_.remember(deployment_.uid(), memory_);
      core_.fed(deployment_.key());
    }
    fault_point("deploy.acted");
    co_await record(traffic_problem);
    if (traffic_problem) throw *traffic_problem;
    co_return outcome_;
  }

 private:
  void add(Entity<Revision> entity) {
    Tracked tracked{.entity = std::move(entity), .group = {}};
    const auto& status = tracked.entity.status;
    const bool over = status.phase == Phase::Retired || (status.phase == Phase::Failed && status.ended);
    if (!over) tracked.group = core_.settings.engine.group(tracked.entity.uid());
    all_.push_back(std::move(tracked));
  }

  Tracked* find(int number) {
    for (auto& each : all_)
      if (each.number() == number) return &each;
    return nullptr;
  }
  Tracked* serving() {
    Tracked* found = nullptr;
    for (auto& each : all_)
      if (each.entity.status.phase == Phase::Serving) found = &each;
    return found;
  }

  void look_again(Duration after) {
    after = std::max(after, Duration{0});
    outcome_.again = outcome_.again ? std::min(*outcome_.again, after) : after;
  }

  void note_waiting() {
    const std::lock_guard lock{core_.mutex};
    if (target_.waits)
      core_.waiting.insert(deployment_.key());
    else
      core_.waiting.erase(deployment_.key());
  }

  // Whether the router can count what is open on a revision.
  static bool countable(const Revision::Spec& revision) {
    return std::ranges::all_of(revision.ports, &RevisionPort::http);
  }

  Task<std::optional<int>> sessions(const Entity<Revision>& revision, std::string instance) {
    if (revision.spec.ports.empty()) co_return 0;
    if (!countable(revision.spec)) co_return std::nullopt;
    int sum = 0;
    for (const auto& [site, told] : memory_.sites)
      sum += static_cast<int>(co_await core_.settings.router.sessions(site, instance));
    co_return sum;
  }

  Task<> observe() {
    observed_.watched_since = core_.watched_since;
    for (auto& each : all_) {
      const auto& status = each.entity.status;
      RevisionSeen seen{.number = each.number(),
                        .phase = status.phase,
                        .message = status.message,
                        .served = status.serving_since.has_value(),
                        .exclusive = each.entity.spec.exclusive,
                        .started = status.started,
                        .draining_since = status.draining_since,
                        .shrinking_since = {},
                        .group = each.group.has_value(),
                        .retiring = each.group && each.group->retiring,
                        .count = each.group ? each.group->wanted : 0,
                        .instances = {}};
      if (const auto found = memory_.shrinking.find(each.number()); found != memory_.shrinking.end())
        seen.shrinking_since = found->second;
      const bool counts = status.phase == Phase::Draining || seen.shrinking_since;
      if (each.group)
        for (const auto& instance : each.group->instances) {
          InstanceSeen one{.id = instance.id,
                           .ordinal = instance.ordinal,
                           .phase = instance.phase,
                           .restarts = instance.restarts,
                           .reason = instance.reason,
                           .sessions = 0};
          if (counts) one.sessions = co_await sessions(each.entity, instance.id);
          seen.instances.push_back(std::move(one));
        }
      std::ranges::sort(seen.instances, {}, &InstanceSeen::ordinal);
      observed_.revisions.push_back(std::move(seen));
    }
  }

  Task<> carry_out(Ensure ensure) {
    Tracked& revision = *find(ensure.revision);
    const auto& entity = revision.entity;
    const bool own = target_.made && target_.revision == ensure.revision;
    std::string problem;
    try {
      engine::GroupSpec group{.id = entity.uid(), .workload = {}, .count = ensure.count};
      group.workload =
          co_await workload_of(core_, deployment_, entity, own ? target_.prepared.get() : nullptr);
      co_await core_.settings.engine.ensure(std::move(group));
      fault_point("deploy.group-ensured");
    } catch (const Error& error) {
      switch (error.code()) {
        case Code::Invalid:
        case Code::Unsupported:
        case Code::NotFound:
        case Code::FailedPrecondition:
          problem = error.message();
          break;
        default:
          throw;
      }
    }
    const bool serves = entity.status.phase == Phase::Serving;
    if (!problem.empty()) {
      look_again(kProblemRetry);
      if (!serves && ensure.revision == target_.revision) {
        fail(revision, problem);
      } else {
        override_ = {Deployment::Phase::Degraded,
                     fmt::format("revision {} cannot be started: {}", ensure.revision, problem)};
      }
      co_return;
    }
    memory_.shrinking.erase(ensure.revision);
    if (revision.group) revision.group->wanted = ensure.count;
    if (serves) co_return;
    auto& status = revision.status();
    if (status.phase != Phase::Starting || !revision.group) status.started = core_.now();
    status.phase = Phase::Starting;
    status.ended.reset();
  }

  void fail(Tracked& revision, std::string reason) {
    auto& status = revision.status();
    status.phase = Phase::Failed;
    status.message = std::move(reason);
    status.weight = 0;
    log::info("deploy", "{} {}: revision {} failed: {}", deployment_.project(), deployment_.name(),
              revision.number(), status.message);
    look_again(Duration{0});
  }

  // What the revisions will be when all is done; the traffic follows from it.
  void plan_ahead(const Action& action) {
    const auto now = core_.now();
    if (const auto* serve = std::get_if<Serve>(&action)) {
      if (auto* before = serving()) {
        drain(*before);
      }
      auto& status = find(serve->revision)->status();
      status.phase = Phase::Serving;
      status.serving_since = now;
      status.draining_since.reset();
      status.weight = 100;
      status.message.clear();
      look_again(Duration{0});
    } else if (const auto* withdraw = std::get_if<Withdraw>(&action)) {
      drain(*find(withdraw->revision));
      look_again(Duration{0});
    } else if (const auto* shrink = std::get_if<Shrink>(&action)) {
      memory_.shrinking[shrink->revision] = now;
      look_again(Duration{0});
    } else if (const auto* failed = std::get_if<Fail>(&action)) {
      fail(*find(failed->revision), failed->reason);
    } else if (const auto* end = std::get_if<End>(&action)) {
      auto& status = find(end->revision)->status();
      status.phase = Phase::Retired;
      status.ended = now;
      look_again(Duration{0});
    } else if (const auto* retire = std::get_if<Retire>(&action)) {
      leaving_.insert(retire->revision);
    }
  }

  void drain(Tracked& revision) {
    auto& status = revision.status();
    status.phase = Phase::Draining;
    status.draining_since = core_.now();
    status.weight = 0;
  }

  // Whose ports and routes count: what serves, else what comes up, else the newest: whoever asks is told then
  // that nothing is ready.
  Tracked* front() {
    if (auto* found = serving()) return found;
    Tracked* newest = nullptr;
    for (auto& each : all_)
      if (each.entity.status.phase == Phase::Starting || each.entity.status.phase == Phase::Pending)
        newest = &each;
    return newest || all_.empty() ? newest : &all_.back();
  }

  Task<> direct_traffic() {
    auto* face = front();
    if (!face) {
      co_await leave_sites({});
      co_return;
    }
    TrafficInput input{.deployment_uid = deployment_.uid(),
                       .title = fmt::format("{} {}", deployment_.project(), deployment_.name()),
                       .service = deployment_.spec.component,
                       .environment = environment_.uid(),
                       .address = memory_.address,
                       .front = &face->entity.spec,
                       .routes = {},
                       .sides = {}};
    const auto snapshot = core_.snapshot();
    for (const auto& route : face->entity.spec.routes)
      if (!taken_by(*snapshot, route, deployment_.uid())) input.routes.push_back(route);
    for (auto& each : all_) {
      const auto phase = each.entity.status.phase;
      if (!each.group || leaving_.contains(each.number())) continue;
      if (phase != Phase::Serving && phase != Phase::Draining) continue;
      Side side{.revision = &each.entity.spec,
                .instances = each.group->instances,
                .count = std::max(deployment_.spec.scale, 0),
                .draining = phase == Phase::Draining};
      if (!memory_.shrinking.contains(each.number())) side.count = std::max(side.count, each.group->wanted);
      input.sides.push_back(std::move(side));
    }
    if (const auto service = service_of(input)) {
      const auto told = fingerprint(*service);
      if (told != memory_.service) {
        memory_.address = co_await core_.settings.engine.ensure_service(*service);
        fault_point("deploy.service-ensured");
        memory_.service = told;
        input.address = memory_.address;
      }
    } else if (!memory_.service.empty() || !deployment_.status.address.empty()) {
      co_await core_.settings.engine.remove_service(environment_.uid(), deployment_.spec.component);
      memory_.service.clear();
      memory_.address.clear();
    }
    const auto sites = sites_of(input);
    std::set<route::SiteId> kept;
    for (const auto& site : sites) kept.insert(site.id);
    co_await leave_sites(kept);
    for (const auto& site : sites) {
      const auto told = fingerprint(site);
      if (memory_.sites[site.id] == told) continue;
      co_await core_.settings.router.apply(site);
      fault_point("deploy.traffic-moved");
      memory_.sites[site.id] = told;
    }
    urls_.clear();
    for (const auto& route : input.routes) urls_.push_back(url(route));
  }

  Task<> leave_sites(std::set<route::SiteId> kept) {
    std::vector<route::SiteId> gone;
    for (const auto& [id, told] : memory_.sites)
      if (!kept.contains(id)) gone.push_back(id);
    for (const auto& id : gone) {
      co_await core_.settings.router.remove(id);
      memory_.sites.erase(id);
    }
  }

  std::string url(const RevisionRoute& route) const {
    const auto port = core_.settings.router.public_port();
    const auto path = route.path == "/" ? std::string{} : route.path;
    return port == 80 ? fmt::format("http://{}{}", route.host, path)
                      : fmt::format("http://{}:{}{}", route.host, port, path);
  }

  // Route entities follow what serves and what is to serve.
  void record_routes(const store::Snapshot& snapshot, store::Transaction& transaction) {
    std::map<std::string, Route::Spec> wanted;
    for (auto* each : {front(), find(target_.revision)}) {
      if (!each) continue;
      for (const auto& route : each->entity.spec.routes) {
        std::uint16_t target = route.port;
        for (const auto& port : each->entity.spec.ports)
          if (port.port == route.port && !port.udp) target = port.target;
        wanted[route_name(deployment_.name(), route.host, route.path)] = {
            .deployment = deployment_.name(), .host = route.host, .path = route.path, .port = target};
      }
    }
    for (const auto& record : snapshot.list({.kind = std::string{Route::kind},
                                             .project = deployment_.project(),
                                             .owner = deployment_.uid(),
                                             .labels = {}})) {
      const auto found = wanted.find(record->key.name);
      if (found == wanted.end()) {
        if (!record->deleted) transaction.erase(record->key);
        continue;
      }
      if (auto spec = encode_spec<Route>(found->second); spec != record->spec)
        transaction.put_spec(record->key, std::move(spec));
      wanted.erase(found);
    }
    for (const auto& [name, spec] : wanted) {
      auto record = draft<Route>(deployment_.project(), name, spec);
      record.owner = deployment_.uid();
      record.labels = deployment_labels(deployment_.spec.component, deployment_.spec.environment);
      record.labels["host"] = spec.host;
      transaction.create(std::move(record));
    }
  }

  Deployment::Status status() {
    Deployment::Status made;
    made.observed_generation = deployment_.record->generation;
    made.phase = decision_.phase;
    made.message = decision_.message;
    if (override_) std::tie(made.phase, made.message) = *override_;
    if (!target_.problem.empty()) {
      made.phase = target_.waits ? Deployment::Phase::Progressing : Deployment::Phase::Failed;
      made.message = target_.problem;
      if (const auto* now = serving())
        made.message += fmt::format("; revision {} goes on serving", now->number());
      look_again(target_.waits ? std::chrono::seconds{5} : kProblemRetry);
    }
    if (!all_.empty()) made.latest = all_.back().number();
    const auto* now = serving();
    if (now) {
      made.serving = now->number();
      if (now->group)
        made.ready = static_cast<int>(
            std::ranges::count(now->group->instances, engine::Phase::Ready, &engine::InstanceView::phase));
    }
    for (const auto& each : all_)
      if (each.entity.status.phase == Phase::Failed && each.number() > made.serving)
        made.failed = each.number();
    made.urls = urls_;
    made.address = memory_.address;
    return made;
  }

  Task<> record(const std::optional<Error>& traffic_problem) {
    store::Transaction transaction;
    if (!traffic_problem) {
      for (auto& each : all_) {
        auto& status = each.entity.status;
        if (status.phase == Phase::Failed && !status.ended && !each.group && !each.changed)
          each.status().ended = core_.now();
        if (each.changed) transaction.put_status(each.entity.key(), encode_status<Revision>(status));
      }
      const auto snapshot = core_.snapshot();
      record_routes(*snapshot, transaction);
    }
    auto made = status();
    if (traffic_problem) {
      made = deployment_.status;
      made.message = traffic_problem->message();
    }
    auto text = encode_status<Deployment>(made);
    if (text != deployment_.record->status) transaction.put_status(deployment_.key(), std::move(text));
    if (!transaction.empty()) co_await core_.settings.store.commit(std::move(transaction));
    fault_point("deploy.recorded");
    if (!traffic_problem) co_await forget_old();
  }

  // Retired revisions beyond the history that the environment's type keeps.
  Task<> forget_old() {
    const auto snapshot = core_.snapshot();
    const auto keep = static_cast<std::size_t>(policy_of(*snapshot, environment_.spec).history);
    std::vector<const Tracked*> over;
    for (const auto& each : all_) {
      const auto& status = each.entity.status;
      const bool restored = deployment_.spec.restored && deployment_.spec.restored->revision == each.number();
      if ((status.phase == Phase::Retired || status.phase == Phase::Failed) && status.ended && !restored &&
          each.number() != target_.revision && &each != &all_.back())
        over.push_back(&each);
    }
    if (over.size() <= keep) co_return;
    over.resize(over.size() - keep);
    store::Transaction transaction;
    for (const auto* each : over) {
      co_await core_.settings.engine.remove_logs(each->entity.uid());
      transaction.erase(each->entity.key());
    }
    co_await core_.settings.store.commit(std::move(transaction));
  }

  Core& core_;
  Entity<Deployment> deployment_;
  Entity<Environment> environment_;
  Memory memory_;
  std::vector<Tracked> all_;
  Target target_;
  Observed observed_;
  Decision decision_;
  std::set<int> leaving_;
  std::vector<std::string> urls_;
  std::optional<std::pair<Deployment::Phase, std::string>> override_;
  control::Outcome outcome_;
};

}  // namespace

Task<control::Outcome> Core::reconcile_deployment(Key id) {
  const auto view = snapshot();
  const auto record = view->get(id);
  if (!record) {
    fed(id);
    co_return control::Outcome{};
  }
  auto deployment = decode<Deployment>(record);
  if (deployment.deleting()) {
    const auto outcome = co_await tear_down(*this, std::move(deployment));
    fed(id);
    co_return outcome;
  }

  const auto environment = view->get(key<Environment>(id.project, deployment.spec.environment));
  const auto project = view->get(key<Project>({}, id.project));
  if (!environment || environment->deleted || !project || project->deleted) {
    fed(id);
    co_return control::Outcome{};  // it goes, too
  }
  if (decode<Project>(project).status.user_base == 0)
    co_return control::Outcome{};  // its controller sees to it
  Pass pass{*this, std::move(deployment), decode<Environment>(environment)};
  co_return co_await pass.run();
}

}  // namespace tow::deploy
