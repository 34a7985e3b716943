// SPDX-License-Identifier: Apache-2.0
#pragma once
// Who changes something in several steps waits for its turn at it. All on one strand.

#include <utility>

#include "base/task.hpp"

namespace tow::engine::local {

class Turn {
 public:
  /// Gives the turn back when it goes; the Turn must still be there then.
  class Hold {
   public:
    explicit Hold(Turn* turn) : turn_{turn} {}
    Hold(Hold&& other) noexcept : turn_{std::exchange(other.turn_, nullptr)} {}
    ~Hold() {
      if (!turn_) return;
      turn_->taken_ = false;
      turn_->freed_.notify();
    }

   private:
    Turn* turn_;
  };

  Task<Hold> take() {
    while (taken_) co_await freed_.wait();
    taken_ = true;
    co_return Hold{this};
  }

 private:
  bool taken_ = false;
  Signal freed_;
};

}  // namespace tow::engine::local
