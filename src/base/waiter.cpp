// SPDX-License-Identifier: Apache-2.0
#include "base/waiter.hpp"

#include <boost/asio/append.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/error.hpp"

namespace tow {

namespace asio = boost::asio;
using boost::system::error_code;

Task<bool> Waiter::wait(std::optional<Duration> limit) {
  using Clock = std::chrono::steady_clock;
  // A limit so far away that it would overflow the clock is none.
  constexpr Duration kForever = std::chrono::hours{24 * 365 * 100};
  const auto until = limit && *limit < kForever ? Clock::now() + *limit : Clock::time_point::max();
  error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  // The timer is started under the lock, so that a wake() is either seen here or finds the timer waiting.
  auto start = [this, until](auto handler) {
    const std::lock_guard lock{mutex_};
    // A timer that is due already is reported by the kernel, a moment later: a simulation would see no work.
    if (woken_) return asio::post(asio::append(std::move(handler), error_code{}));
    timer_.expires_at(until);
    timer_.async_wait(std::move(handler));
  };
  co_await asio::async_initiate<decltype(token), void(error_code)>(start, token);
  const std::lock_guard lock{mutex_};
  if (woken_) co_return true;
  if (error) throw Error{Code::Cancelled, "cancelled while waiting"};
  co_return false;
}

Task<bool> Waiter::wait_to_end(std::function<void()> on_cancel) {
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  bool cancelled = false;
  for (bool woken = false; !woken;) {
    try {
      woken = co_await wait();
    } catch (const Error&) {
      if (!cancelled) on_cancel();
      cancelled = true;
    }
  }
  co_await asio::this_coro::throw_if_cancelled(throws);
  co_return cancelled;
}

void Waiter::wake() {
  const std::lock_guard lock{mutex_};
  woken_ = true;
  timer_.cancel();
}

bool Waiters::wake() {
  for (auto* waiter : all_) waiter->wake();
  return !std::exchange(all_, {}).empty();
}

}  // namespace tow
