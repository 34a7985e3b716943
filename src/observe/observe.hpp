// SPDX-License-Identifier: Apache-2.0
#pragma once
// What can be seen of everything that runs: logs, usage, golden signals, and the platform itself.
//
// It owns no entity. The engine keeps logs and the proxy counts; observe merges, samples and keeps: every ten
// seconds the usage of each instance and the signals of each site go into files of a fixed size that hold a
// day (ring.hpp), from which rates and charts are computed.
//
// Lifecycle: construct; add_operations() and mount() before the server listens; start(); stop() before the
// executor, the engine, the router and the store go, all of which outlive this. Thread-safe.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "api/api.hpp"
#include "base/clock.hpp"
#include "engine/engine.hpp"
#include "http/router.hpp"
#include "http/server.hpp"
#include "route/route.hpp"
#include "store/store.hpp"

namespace tow::observe {

struct Settings {
  store::Store& store;
  engine::Engine& engine;
  route::Router& router;
  api::Gate& gate;  // asked for /metrics
  Clock& clock;
  Executor executor;
  std::filesystem::path directory;                  // for the samples; made when it is missing
  std::string version;                              // of the program, for /metrics
  std::function<http::Server::Counts()> http = {};  // of the platform's own server, for /metrics
  Duration sample_every = std::chrono::seconds{10};
  Duration samples_kept = std::chrono::hours{24};
  Bytes samples_limit{1u << 30};                    // series beyond are not kept, which is logged
  Duration logs_kept = std::chrono::hours{24 * 7};  // of what has ended
};

struct Core;

class Observe {
 public:
  explicit Observe(Settings settings);
  ~Observe();

  /// Starts to sample and to tidy up. Once.
  void start();
  /// Ends that, and waits for it. What is sampled stays on disk. May be called without start().
  Task<> stop();

  /// Whether nothing is under way; what waits for its time does not count. For simulations.
  bool idle() const;

  /// deployments.status, deployments.logs, deployments.metrics, jobs.logs
  void add_operations(api::Api& api);
  /// GET /metrics in Prometheus' text format, for callers that may read the whole platform.
  void mount(http::Router& router);

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace tow::observe
