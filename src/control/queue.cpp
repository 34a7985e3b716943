// SPDX-License-Identifier: Apache-2.0
#include "control/queue.hpp"

#include <algorithm>

namespace tow::control {

void Queue::add(const Key& key) {
  forget_time(key);
  if (running_.contains(key))
    again_.insert(key);
  else
    make_ready(key);
}

void Queue::add_at(const Key& key, TimePoint when) {
  if (ready_.contains(key) || again_.contains(key)) return;
  if (const auto known = times_.find(key); known != times_.end() && known->second <= when) return;
  forget_time(key);
  times_[key] = when;
  by_time_.emplace(when, key);
}

std::optional<Key> Queue::take(TimePoint now) {
  while (!by_time_.empty() && by_time_.begin()->first <= now) {
    const Key due = by_time_.begin()->second;
    add(due);
  }
  if (turns_.empty()) return {};
  const std::string project = std::move(turns_.front());
  turns_.pop_front();
  auto& lane = lanes_[project];
  Key key = std::move(lane.front());
  lane.pop_front();
  if (lane.empty())
    lanes_.erase(project);
  else
    turns_.push_back(project);
  ready_.erase(key);
  running_.insert(key);
  return key;
}

void Queue::done(const Key& key) {
  running_.erase(key);
  failures_.erase(key);
  if (again_.erase(key)) make_ready(key);
}

Duration Queue::failed(const Key& key, TimePoint now) {
  running_.erase(key);
  const int count = failures_[key]++;
  auto wait = std::min(backoff_.last, backoff_.first * (std::int64_t{1} << std::min(count, 24)));
  wait -= Duration{static_cast<std::int64_t>(static_cast<double>(wait.count()) * random_.real() / 3)};
  if (again_.erase(key))
    make_ready(key);  // something changed meanwhile: that may be the cure
  else
    add_at(key, now + wait);
  return wait;
}

std::optional<TimePoint> Queue::next() const {
  if (by_time_.empty()) return {};
  return by_time_.begin()->first;
}

void Queue::make_ready(const Key& key) {
  if (!ready_.insert(key).second) return;
  auto& lane = lanes_[key.project];
  if (lane.empty()) turns_.push_back(key.project);
  lane.push_back(key);
}

void Queue::forget_time(const Key& key) {
  const auto known = times_.find(key);
  if (known == times_.end()) return;
  by_time_.erase({known->second, key});
  times_.erase(known);
}

}  // namespace tow::control
