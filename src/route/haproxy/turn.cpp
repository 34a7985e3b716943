// SPDX-License-Identifier: Apache-2.0
#include "route/haproxy/turn.hpp"

#include <algorithm>

namespace tow::route::haproxy {

Task<Turn::Held> Turn::wait() {
  if (!taken_) {
    taken_ = true;
    co_return Held{this};
  }
  Waiting waiting;
  queue_.push_back(&waiting);
  try {
    while (!waiting.mine) co_await waiting.called.wait();
  } catch (...) {
    std::erase(queue_, &waiting);
    if (waiting.mine) pass();  // it came, and nobody is here to take it
    throw;
  }
  co_return Held{this};
}

void Turn::pass() {
  if (queue_.empty()) {
    taken_ = false;
    return;
  }
  Waiting* next = queue_.front();
  queue_.pop_front();
  next->mine = true;
  next->called.notify();
}

}  // namespace tow::route::haproxy
