// SPDX-License-Identifier: Apache-2.0
#pragma once
// One task after another, in the order in which they asked. For tasks of one strand.

#include <deque>

#include "base/task.hpp"

namespace tow::route::haproxy {

class Turn {
 public:
  class Held {
   public:
    explicit Held(Turn* turn) : turn_{turn} {}
    ~Held() {
      if (turn_ != nullptr) turn_->pass();
    }
    Held(Held&& other) noexcept : turn_{std::exchange(other.turn_, nullptr)} {}
    Held& operator=(Held&&) = delete;

   private:
    Turn* turn_;
  };

  /// Throws Error{Cancelled} when the waiting task is cancelled.
  Task<Held> wait();

 private:
  struct Waiting {
    Signal called;
    bool mine = false;
  };
  void pass();

  bool taken_ = false;
  std::deque<Waiting*> queue_;
};

}  // namespace tow::route::haproxy
