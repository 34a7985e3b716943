// SPDX-License-Identifier: Apache-2.0
// `tow server`: one event loop, the platform on it, until a signal comes.
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <cstdio>

#include "apps/memory.hpp"
#include "apps/platform.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "cli/exit.hpp"

namespace tow::apps {
namespace {

Task<> until_signal() {
  const auto executor = co_await boost::asio::this_coro::executor;
  boost::asio::signal_set signals{executor, SIGTERM, SIGINT};
  co_await signals.async_wait(boost::asio::use_awaitable);
}

Task<> run_platform(const ServerSettings& settings) {
  const auto executor = co_await boost::asio::this_coro::executor;
  Platform platform{executor, settings};
  std::exception_ptr failure;
  try {
    co_await platform.start();
    std::printf("Towpath %s is ready at %s\n", TOWPATH_VERSION, platform.url().c_str());
    std::fflush(stdout);
    co_await with_scope("memory", [](Scope& scope) -> Task<> {
      scope.spawn(give_back_after_bursts());
      co_await until_signal();
    });
    log::info("server", "ending; applications go on");
  } catch (...) {
    failure = std::current_exception();
  }
  co_await platform.stop();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

int serve(const ServerSettings& settings) {
  std::signal(SIGPIPE, SIG_IGN);
  umask(022);  // what is secret is made so by whoever makes it
  try {
    run_blocking(run_platform(settings));
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "tow server: %s\n", error.what());
    return cli::exit_code(error.code());
  }
}

}  // namespace tow::apps
