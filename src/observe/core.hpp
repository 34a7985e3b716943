// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the parts of observe share.

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "model/entity.hpp"
#include "model/operations.hpp"
#include "observe/line_filter.hpp"
#include "observe/observe.hpp"
#include "observe/ring.hpp"
#include "observe/samples.hpp"

namespace tow::observe {

template <class Item>
using Sink = std::function<Task<>(const Item&)>;
using SignalsPtr = std::shared_ptr<const std::map<route::SiteId, route::Signals>>;

struct Core : std::enable_shared_from_this<Core> {
  explicit Core(Settings s);

  Settings settings;
  Rings rings;  // used by on_disk alone
  BlockingPool disk{1};
  std::atomic<int> disk_work = 0;
  Scope scope;

  std::mutex mutex;
  struct LastUsage {
    Row row;
    double cores = 0;
  };
  std::map<engine::InstanceId, LastUsage> usages;  // of the last sampling
  SignalsPtr signals;
  TimePoint signals_at{};
  std::vector<std::pair<std::string, std::weak_ptr<Signal>>> listeners;  // for changes of a group or job
  std::set<std::string> forgotten;                                       // whose logs were removed
  std::string complaint;  // the last problem of sampling that was logged

  /// On the one thread that reads and writes samples.
  template <class F>
  auto on_disk(F work) -> Task<std::invoke_result_t<F>> {
    struct Counted {
      explicit Counted(std::atomic<int>& c) : count{c} { ++count; }
      ~Counted() { --count; }
      std::atomic<int>& count;
    };
    const Counted counted{disk_work};
    if constexpr (std::is_void_v<std::invoke_result_t<F>>)
      co_await disk.run(std::move(work));
    else
      co_return co_await disk.run(std::move(work));
  }

  // sampling.cpp
  Task<> sample_always();
  Task<> sample();
  Task<> tidy_always();
  Task<> drop_series();
  Task<> forget_logs();
  /// The proxy's counters, at most a second old.
  Task<SignalsPtr> present_signals();

  // status.cpp
  Task<DeploymentStatus> status(api::Call call);
  double present_cores(const engine::InstanceView& instance, const engine::Usage& usage);
  Task<std::optional<GoldenSignals>> present_golden_signals(const Record& deployment);

  // charts.cpp
  Task<Metrics> metrics(api::Call call, MetricsInput input);

  // platform_metrics.cpp
  Task<std::string> exposition();

  // logs.cpp
  Task<> deployment_logs(api::Call call, LogInput input, Sink<LogEntry> emit);
  Task<> job_logs(api::Call call, LogInput input, Sink<LogEntry> emit);
  /// Notified after each change of that group or job, as long as it lives.
  std::shared_ptr<Signal> listen(std::string id);
  void tell(const std::string& id);

  /// Revisions of a deployment, by number.
  std::vector<RecordPtr> revisions(const store::Snapshot& snapshot, const Record& deployment) const;
  RecordPtr need(const Key& key) const;
};

}  // namespace tow::observe
