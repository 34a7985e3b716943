// SPDX-License-Identifier: Apache-2.0
// What happens by itself: a sample of everything at each interval, and now and then the removal of what
// nobody needs any more.
#include "observe/core.hpp"
#include "observe/names.hpp"

namespace tow::observe {
namespace {

constexpr Duration kFresh = std::chrono::seconds{1};
constexpr Duration kTidyEvery = std::chrono::minutes{10};

struct Sample {
  std::string series;
  std::size_t columns;
  Row row;
};

}  // namespace

Task<SignalsPtr> Core::present_signals() {
  {
    const std::lock_guard lock{mutex};
    if (signals && settings.clock.now() - signals_at < kFresh) co_return signals;
  }
  auto fresh =
      std::make_shared<const std::map<route::SiteId, route::Signals>>(co_await settings.router.signals());
  const std::lock_guard lock{mutex};
  signals = fresh;
  signals_at = settings.clock.now();
  co_return fresh;
}

// On multiples of the interval, so that each sample has a place of its own in the ring.
Task<> Core::sample_always() {
  while (true) {
    const auto passed = settings.clock.now().time_since_epoch() % settings.sample_every;
    co_await settings.clock.sleep(settings.sample_every - passed);
    std::string problem;
    try {
      co_await sample();
    } catch (const std::exception&) {
      const auto error = std::current_exception();
      if (is_cancellation(error)) throw;
      problem = describe(error);
    }
    if (problem != complaint && !problem.empty()) log::warning("observe", "sampling: {}", problem);
    if (problem.empty() && !complaint.empty()) log::info("observe", "sampling works again");
    complaint = std::move(problem);
  }
}

Task<> Core::sample() {
  const auto now = settings.clock.now();
  std::vector<Sample> samples;
  std::map<engine::InstanceId, LastUsage> fresh;
  for (const auto& group : settings.engine.groups())
    for (const auto& instance : group.instances)
      if (const auto usage = settings.engine.usage(instance.id)) {
        const auto row = usage::row(now, *usage);
        samples.push_back({usage::series(instance.id), usage::kColumns, row});
        fresh[instance.id].row = row;
      }
  {
    const std::lock_guard lock{mutex};
    for (auto& [id, one] : fresh)
      if (const auto before = usages.find(id); before != usages.end())
        one.cores = cores(before->second.row, one.row);
    usages = std::move(fresh);
  }
  std::exception_ptr silent;
  try {
    const auto sites = co_await present_signals();
    for (const auto& [site, counters] : *sites)
      samples.push_back({traffic::series(site), traffic::kColumns, traffic::row(now, counters)});
  } catch (const Error&) {
    silent = std::current_exception();  // the instances' samples are kept all the same
  }
  const auto refused = co_await on_disk([&] {
    std::size_t count = 0;
    for (const auto& one : samples)
      if (!rings.write(one.series, one.columns, one.row)) ++count;
    return count;
  });
  if (silent) std::rethrow_exception(silent);
  if (refused > 0)
    throw fail(Code::Exhausted, "no room for samples of all series within {}; new ones are not kept",
               to_string(settings.samples_limit));
}

Task<> Core::tidy_always() {
  while (true) {
    try {
      co_await drop_series();
      co_await forget_logs();
    } catch (const std::exception&) {
      const auto error = std::current_exception();
      if (is_cancellation(error)) throw;
      log::warning("observe", "tidying up: {}", describe(error));
    }
    co_await settings.clock.sleep(kTidyEvery);
  }
}

// Of what was destroyed, and of what has ended more than a day ago.
Task<> Core::drop_series() {
  const auto all = co_await on_disk([&] { return rings.list(); });
  const auto snapshot = settings.store.snapshot();
  std::vector<std::string> dropped;
  for (const auto& [name, age] : all) {
    const auto subject = std::string_view{name}.substr(name.find('-') + 1);
    const auto owner = name.starts_with("usage-") ? group_of(subject) : deployment_of(subject);
    if (age > settings.samples_kept || !snapshot->get_by_uid(owner)) dropped.push_back(name);
  }
  if (dropped.empty()) co_return;
  co_await on_disk([&] {
    for (const auto& name : dropped) rings.remove(name);
  });
}

Task<> Core::forget_logs() {
  const auto limit = settings.clock.now() - settings.logs_kept;
  const auto snapshot = settings.store.snapshot();
  std::set<std::string> still;
  std::vector<std::string> due;
  const auto look = [&](const Record& record, const std::optional<TimePoint>& ended) {
    if (!ended || *ended > limit) return;
    still.insert(record.uid);
    if (!forgotten.contains(record.uid)) due.push_back(record.uid);
  };
  // What changed since then has not ended before; so most need not be read.
  for (const auto& record : snapshot->list({.kind = std::string{Revision::kind}}))
    if (record->updated <= limit && !settings.engine.group(record->uid))
      look(*record, decode<Revision>(record).status.ended);
  for (const auto& record : snapshot->list({.kind = std::string{Job::kind}}))
    if (record->updated <= limit) look(*record, decode<Job>(record).status.ended);
  for (const auto& uid : due) co_await settings.engine.remove_logs(uid);
  forgotten = std::move(still);
}

}  // namespace tow::observe
