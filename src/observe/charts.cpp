// SPDX-License-Identifier: Apache-2.0
#include "observe/charts.hpp"

#include <algorithm>

#include "observe/core.hpp"
#include "observe/names.hpp"

namespace tow::observe {
namespace {

constexpr long kPoints = 120;

double per_second(const Bucket& bucket, std::size_t column) {
  return rate(bucket.growth[column], bucket.covered);
}

template <class Value>
MetricSeries make(std::string name, std::string unit, std::string instance, const Buckets& buckets,
                  bool of_growth, Value value) {
  MetricSeries series{
      .name = std::move(name), .unit = std::move(unit), .instance = std::move(instance), .points = {}};
  for (const auto& [time, bucket] : buckets)
    if (!of_growth || bucket.covered.count() > 0)
      series.points.push_back({.time = time, .value = value(bucket)});
  return series;
}

void add_usage(const std::string& instance, const Buckets& buckets, std::vector<MetricSeries>& all) {
  using namespace usage;
  const auto most = [](Column column) {
    return [column](const Bucket& bucket) { return static_cast<double>(bucket.most[column]); };
  };
  all.push_back(make("cpu", "cores", instance, buckets, true,
                     [](const Bucket& bucket) { return per_second(bucket, CpuMicros) / 1e6; }));
  all.push_back(make("memory", "bytes", instance, buckets, false, most(Memory)));
  all.push_back(make("processes", "processes", instance, buckets, false, most(Processes)));
}

void add_traffic(const Buckets& buckets, std::vector<MetricSeries>& all) {
  using namespace traffic;
  const auto counted = [&](std::string name, std::string unit, Column column) {
    all.push_back(make(std::move(name), std::move(unit), {}, buckets, true,
                       [column](const Bucket& bucket) { return per_second(bucket, column); }));
  };
  counted("requests", "1/s", Requests);
  counted("errors", "1/s", ServerErrors);
  counted("clientErrors", "1/s", ClientErrors);
  counted("received", "bytes/s", BytesIn);
  counted("sent", "bytes/s", BytesOut);
  all.push_back(make("sessions", "sessions", {}, buckets, false,
                     [](const Bucket& bucket) { return static_cast<double>(bucket.most[Sessions]); }));
  all.push_back(make("response", "ms", {}, buckets, false, [](const Bucket& bucket) {
    return static_cast<double>(bucket.most[ResponseMicros]) / 1e3;
  }));
}

/// Two ports of one deployment.
void join(const Buckets& more, Buckets& all) {
  for (const auto& [time, bucket] : more) {
    auto& into = all[time];
    for (std::size_t i = 0; i < kMostColumns; ++i) into.growth[i] += bucket.growth[i];
    into.most[traffic::Sessions] += bucket.most[traffic::Sessions];
    into.most[traffic::ResponseMicros] =
        std::max(into.most[traffic::ResponseMicros], bucket.most[traffic::ResponseMicros]);
    into.covered = std::max(into.covered, bucket.covered);
    into.rows += bucket.rows;
  }
}

}  // namespace

Buckets in_steps(const std::vector<Row>& rows, Duration step, Duration gap) {
  Buckets buckets;
  const Row* before = nullptr;
  for (const auto& row : rows) {
    // A sample at the very end of a step speaks of that step.
    const auto passed = row.time.time_since_epoch() % step;
    auto& bucket = buckets[passed.count() == 0 ? row.time : row.time - passed + step];
    ++bucket.rows;
    for (std::size_t i = 0; i < kMostColumns; ++i) bucket.most[i] = std::max(bucket.most[i], row.values[i]);
    if (before && row.time - before->time <= gap) {
      for (std::size_t i = 0; i < kMostColumns; ++i)
        bucket.growth[i] += growth(before->values[i], row.values[i]);
      bucket.covered += row.time - before->time;
    }
    before = &row;
  }
  return buckets;
}

Duration step_for(Duration since, Duration interval) {
  const auto intervals = (since / interval + kPoints - 1) / kPoints;
  return interval * std::max<long>(intervals, 1);
}

Task<Metrics> Core::metrics(api::Call call, MetricsInput input) {
  const auto record = need(call.target);
  const auto interval = settings.sample_every;
  if (input.since <= Duration{0}) throw fail(Code::Invalid, "since: must be more than 0s");
  if (input.step && *input.step < interval)
    throw fail(Code::Invalid, "step: samples are {} apart, so a step cannot be {}", to_string(interval),
               to_string(*input.step));
  const auto since = std::min(input.since, settings.samples_kept);
  Metrics made{.step = input.step.value_or(step_for(since, interval)), .series = {}};
  std::set<std::string, std::less<>> groups;
  for (const auto& revision : revisions(*settings.store.snapshot(), *record)) groups.insert(revision->uid);
  const auto now = settings.clock.now();
  co_await on_disk([&] {
    const auto gap = std::max(interval * 3, made.step);
    const auto read = [&](const std::string& series) {
      // One row from before, so that the first step has a growth.
      auto buckets = in_steps(rings.read(series, now - since - interval, now), made.step, gap);
      buckets.erase(buckets.begin(), buckets.upper_bound(now - since));
      return buckets;
    };
    Buckets sites;
    for (const auto& [name, age] : rings.list(traffic::series(record->uid))) join(read(name), sites);
    if (!sites.empty()) add_traffic(sites, made.series);
    const auto prefix = usage::series("");
    for (const auto& [name, age] : rings.list(prefix)) {
      const auto instance = std::string_view{name}.substr(prefix.size());
      if (!groups.contains(group_of(instance))) continue;
      const auto buckets = read(name);
      if (!buckets.empty()) add_usage(short_name(instance), buckets, made.series);
    }
  });
  co_return made;
}

}  // namespace tow::observe
