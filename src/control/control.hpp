// SPDX-License-Identifier: Apache-2.0
#pragma once
// The reconcile runtime. A controller is the kinds that it watches and reconcile(key): level-triggered, so a
// key comes in, never an event; it reads the store's snapshot, decides, and starts what is missing. It never
// waits for a pull, a drain or a job: it starts and observes, and says when to look again.
//
// The queue merges what is asked for twice, never runs one key twice at once, backs off with jitter after a
// failure, and takes turns between projects. Clock and randomness are injected; everything runs on one
// executor. poke() is thread-safe, the rest belongs to the executor.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/task.hpp"
#include "model/record.hpp"
#include "store/store.hpp"

namespace tow::control {

struct Outcome {
  std::optional<Duration> again;  // look again after this, whatever happens; nothing: when something changes
};

struct Controller {
  std::string name;
  struct Watched {
    std::string kind;
    /// The keys that a change of this record concerns; empty: its own.
    std::function<std::vector<Key>(const Record&)> keys;
  };
  std::vector<Watched> watches;
  /// What it throws is logged and retried with backoff; Error{Conflict} is retried at once, unlogged.
  std::function<Task<Outcome>(Key)> reconcile;
  std::size_t concurrency = 4;
};

struct Settings {
  store::Store& store;
  Clock& clock;
  Executor executor;
  std::uint64_t seed = 0;
  Duration first_backoff = std::chrono::milliseconds{50};
  Duration last_backoff = std::chrono::minutes{1};
};

class Runtime {
 public:
  explicit Runtime(Settings settings);
  ~Runtime();

  void add(Controller controller);
  /// Starts every controller: each key that exists is reconciled once, then as changes come.
  void start();
  /// Looks at a key again soon.
  void poke(std::string_view controller, Key key);
  /// Cancels what runs and waits for it.
  Task<> stop();
  /// Whether nothing is queued and nothing runs (what waits for its time does not count).
  bool idle() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tow::control
