// SPDX-License-Identifier: Apache-2.0
#pragma once
// Work that mostly waits for the kernel, done for several things at a time.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace tow::engine::local {

/// Calls it for each, on at most `threads` threads, and returns when all are done. Each is tried, whatever
/// the others throw; then what was thrown first is thrown.
template <class Item, class Call>
void for_each_at_once(const std::vector<Item>& all, std::size_t threads, const Call& call) {
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    for (std::size_t i; (i = next++) < all.size();) try {
        call(all[i]);
      } catch (...) {
        const std::lock_guard lock{mutex};
        if (!failure) failure = std::current_exception();
      }
  };
  {
    std::vector<std::jthread> running;
    for (std::size_t i = 0; i < std::min(threads, all.size()); ++i) running.emplace_back(work);
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace tow::engine::local
