// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a burst of work took from the kernel goes back to it: the allocator by itself keeps what its threads
// freed, up to twice of what is in use.

#include <cstdint>

#include "base/task.hpp"

namespace tow::apps {

/// When to ask the allocator: a burst has grown the process, and is over. Pure.
class Bursts {
 public:
  /// What is resident now, asked at a steady pace; true when it is time to give back.
  bool over(std::uint64_t resident);
  /// What was left of it then.
  void gave_back(std::uint64_t resident) { last_ = least_ = resident; }

 private:
  std::uint64_t last_ = 0;   // when it was asked last
  std::uint64_t least_ = 0;  // after the last giving back, or smaller since
};

/// Until it is cancelled; costs nothing while memory does not grow.
Task<> give_back_after_bursts();

}  // namespace tow::apps
