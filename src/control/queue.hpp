// SPDX-License-Identifier: Apache-2.0
#pragma once
// What is to be reconciled, and in which order. A plain data structure: time is an argument, nothing waits.
// Not thread-safe.

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/clock.hpp"
#include "model/record.hpp"

namespace tow::control {

class Queue {
 public:
  struct Backoff {
    Duration first = std::chrono::milliseconds{50};
    Duration last = std::chrono::minutes{1};
  };
  Queue(Backoff backoff, std::uint64_t seed) : backoff_{backoff}, random_{seed} {}

  /// Asks for a key as soon as possible. What is asked for already is not asked for twice; a key that runs
  /// now runs once more when it is done.
  void add(const Key& key);
  /// Asks for a key at a time; an earlier time that was asked for stays.
  void add_at(const Key& key, TimePoint when);
  /// The next key, projects in turn; the caller has it until done() or failed(). Nothing when none is due.
  std::optional<Key> take(TimePoint now);
  /// It was reconciled; its failures are forgotten.
  void done(const Key& key);
  /// It failed: it comes again after first * 2^failures, at most last, less up to a third of that at random.
  Duration failed(const Key& key, TimePoint now);

  /// When the next key that waits for its time is due.
  std::optional<TimePoint> next() const;
  bool idle() const { return ready_.empty() && running_.empty(); }
  std::size_t running() const { return running_.size(); }

 private:
  void make_ready(const Key& key);
  void forget_time(const Key& key);

  Backoff backoff_;
  Random random_;
  std::map<std::string, std::deque<Key>> lanes_;  // by project, first come first served within
  std::deque<std::string> turns_;                 // projects that have something ready, in turn
  std::set<Key> ready_;
  std::set<Key> running_;
  std::set<Key> again_;  // asked for while running
  std::map<Key, TimePoint> times_;
  std::set<std::pair<TimePoint, Key>> by_time_;
  std::map<Key, int> failures_;
};

}  // namespace tow::control
