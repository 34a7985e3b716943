// SPDX-License-Identifier: Apache-2.0
// Logs of deployments and jobs. What is asked for in two parts, when it is to be followed: the past, in order
// and with its tail, ends at a moment shortly ago; what goes on begins at that moment. So no line is lost or
// given twice between them.
#include <fmt/ranges.h>

#include <algorithm>
#include <deque>
#include <set>

#include "observe/core.hpp"
#include "observe/following.hpp"
#include "observe/names.hpp"

namespace tow::observe {
namespace {

// A line is in its file that long after its time, at the latest.
constexpr Duration kSettled = std::chrono::milliseconds{200};
// Of the lines that are kept to find the last ones.
constexpr std::size_t kTailBytes = 64u << 20;

struct Wanted {
  std::optional<TimePoint> since;
  std::optional<TimePoint> until;  // and not at that time itself
  std::size_t tail = 0;
};

LogEntry entry_of(engine::LogLine line) {
  return {.time = line.time,
          .source = short_name(line.instance),
          .container = std::move(line.container),
          .text = std::move(line.text),
          .error = line.stream == Stream::Err};
}

Task<> give_past(OrderedLines& lines, Wanted wanted, const LineFilter& filter, const Sink<LogEntry>& emit) {
  std::deque<engine::LogLine> last;
  std::size_t bytes = 0;
  while (auto line = co_await lines.next()) {
    if (!filter.matches(line->container, line->text)) continue;
    if (wanted.tail == 0) {
      if (!wanted.until || line->time < *wanted.until) co_await emit(entry_of(std::move(*line)));
      continue;
    }
    bytes += line->text.size() + sizeof *line;
    last.push_back(std::move(*line));
    while (last.size() > wanted.tail || bytes > kTailBytes) {
      bytes -= last.front().text.size() + sizeof last.front();
      last.pop_front();
    }
  }
  for (auto& line : last)
    if (!wanted.until || line.time < *wanted.until) co_await emit(entry_of(std::move(line)));
}

int number_of(const Record& revision) {
  const auto name = parse_revision_name(revision.key.name);
  return name ? name->number : 0;
}

/// The revision before the one that serves; before the newest where none does.
RecordPtr previous_of(const Deployment::Status& status, const std::vector<RecordPtr>& revisions) {
  const int from = status.serving ? status.serving : revisions.empty() ? 0 : number_of(*revisions.back());
  RecordPtr found;
  for (const auto& revision : revisions)
    if (number_of(*revision) < from) found = revision;
  return found;
}

}  // namespace

std::shared_ptr<Signal> Core::listen(std::string id) {
  auto signal = std::make_shared<Signal>();
  const std::lock_guard lock{mutex};
  std::erase_if(listeners, [](const auto& one) { return one.second.expired(); });
  listeners.emplace_back(std::move(id), signal);
  return signal;
}

void Core::tell(const std::string& id) {
  const std::lock_guard lock{mutex};
  for (const auto& [wanted, weak] : listeners)
    if (wanted == id)
      if (const auto signal = weak.lock()) signal->notify();
}

namespace {

// The past of the sources: all of it, or its last lines.
Task<> read_past(engine::Engine& engine, std::vector<std::string> sources, Wanted wanted,
                 const LineFilter& filter, const Sink<LogEntry>& emit) {
  OrderedLines lines{engine};
  co_await with_scope("logs", [&](Scope& reading) -> Task<> {
    // The engine knows no expression: then every line is looked at.
    for (const auto& source : sources)
      lines.add(reading, {.source = source,
                          .since = wanted.since,
                          .tail = filter.takes_all() ? wanted.tail : 0,
                          .follow = false});
    co_await give_past(lines, wanted, filter, emit);
  });
}

Task<> give_live(LiveLines& lines, const LineFilter& filter, const Sink<LogEntry>& emit) {
  while (true) {
    auto batch = co_await lines.take();
    if (batch.empty()) co_return;
    for (auto& line : batch)
      if (filter.matches(line.container, line.text)) co_await emit(entry_of(std::move(line)));
  }
}

// A name that none of what runs has is a mistake. The lines of an instance of one container name none.
std::string chosen_container(engine::Engine& engine, const std::vector<RecordPtr>& revisions,
                             const std::string& wanted) {
  if (wanted.empty()) return wanted;
  std::set<std::string> known;
  for (const auto& revision : revisions)
    if (const auto group = engine.group(revision->uid))
      for (const auto& instance : group->instances)
        for (const auto& container : instance.containers) known.insert(container.name);
  if (!known.empty() && !known.contains(wanted))
    throw fail(Code::NotFound, "there is no container {}; there is {}", wanted, fmt::join(known, ", "));
  return known.size() == 1 ? std::string{} : wanted;
}

Wanted past_of(const LogInput& input, TimePoint now) {
  Wanted wanted{.since = {}, .until = {}, .tail = static_cast<std::size_t>(input.tail)};
  if (input.since) wanted.since = now - *input.since;
  if (input.follow) wanted.until = now - kSettled;
  return wanted;
}

/// Where what is followed begins: at the end of the past.
TimePoint live_from(const Wanted& past) { return std::max(past.since.value_or(*past.until), *past.until); }

}  // namespace

Task<> Core::deployment_logs(api::Call call, LogInput input, Sink<LogEntry> emit) {
  const auto record = need(call.target);
  const auto deployment = decode<Deployment>(record);
  auto chosen = revisions(*settings.store.snapshot(), *record);
  if (input.previous) {
    const auto previous = previous_of(deployment.status, chosen);
    if (!previous) throw fail(Code::NotFound, "{} has had no revision before", call.target.name);
    chosen = {previous};
  }
  const LineFilter filter{input.grep, chosen_container(settings.engine, chosen, input.container)};
  const auto past = past_of(input, settings.clock.now());
  std::vector<std::string> sources;
  for (const auto& revision : chosen) {
    const auto ended = decode<Revision>(revision).status.ended;
    if (!past.since || !ended || *ended + std::chrono::seconds{5} >= *past.since)
      sources.push_back(revision->uid);
  }
  co_await read_past(settings.engine, std::move(sources), past, filter, emit);
  if (!input.follow) co_return;

  std::optional<Following> following;  // outlives the tasks
  co_await with_scope("logs", [&](Scope& live) -> Task<> {
    following.emplace(*this, live, *record, live_from(past));
    if (input.previous)
      following->only(*chosen.front());
    else
      following->watch();
    co_await give_live(following->lines(), filter, emit);
  });
}

Task<> Core::job_logs(api::Call call, LogInput input, Sink<LogEntry> emit) {
  const LineFilter filter{input.grep, {}};
  const auto uid = need(call.target)->uid;
  const auto past = past_of(input, settings.clock.now());
  co_await read_past(settings.engine, {uid}, past, filter, emit);
  if (!input.follow) co_return;

  FollowedSource source{.id = uid,
                        .exists = [this, uid] { return settings.engine.job(uid).has_value(); },
                        .gone =
                            [this, uid] {
                              if (const auto job = settings.engine.job(uid))
                                return job->phase != engine::JobView::Phase::Running;
                              const auto present = settings.store.snapshot()->get_by_uid(uid);
                              return !present || ended(decode<Job>(present).status.phase);
                            }};
  LiveLines lines;
  co_await with_scope("logs", [&](Scope& live) -> Task<> {
    live.spawn([&]() -> Task<> {
      std::exception_ptr failure;
      try {
        co_await follow_source(settings.engine, std::move(source), live_from(past), listen(uid), lines);
      } catch (...) {
        failure = std::current_exception();
        if (is_cancellation(failure)) throw;
      }
      lines.close(failure);
    });
    co_await give_live(lines, filter, emit);
  });
}

}  // namespace tow::observe
