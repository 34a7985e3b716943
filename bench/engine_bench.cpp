// SPDX-License-Identifier: Apache-2.0
// What the engine takes from being asked for an instance to its process being alive; bench/containers.py does
// the same by hand beside it.
//   engine_bench DIRECTORY IMAGE_STORAGE IMAGE RUNTIME
// Reads lines: "start" answers with milliseconds and the instance's directory, and leaves it running until
// the next "end", which answers when it is gone. The end of the input takes everything away.
#include <fmt/format.h>

#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <string>
#include <thread>

#include "base/error.hpp"
#include "engine/local/local.hpp"

using namespace tow;
using namespace tow::engine;
using local::LocalEngine;
using Steady = std::chrono::steady_clock;

namespace {

local::Settings settings(char** words, Executor executor) {
  const std::filesystem::path root = words[1];
  local::Settings s;
  s.state_directory = root / "state";
  s.runtime_directory = root / "run";
  s.log_directory = root / "logs";
  s.volume_directory = root / "volumes";
  s.image_storage = words[2];
  s.name = fmt::format("tow-bench-{}", getpid());
  s.link_prefix = "tbe";
  s.network = "10.88.0.0/16";
  s.runtime = words[4];
  s.open_secret = [](std::string) -> Task<std::string> {
    throw Error{Code::NotFound, "there are no secrets here"};
  };
  s.executor = std::move(executor);
  s.clock = std::make_shared<SystemClock>();
  return s;
}

/// The first word in a file, or nothing.
std::string word_of(const std::filesystem::path& path) {
  std::string word;
  std::ifstream{path} >> word;
  return word;
}

void until(const LocalEngine& engine, const std::string& group, const std::function<bool()>& holds) {
  const auto end = Steady::now() + std::chrono::seconds{20};
  while (!holds()) {
    if (Steady::now() > end) {
      std::string reasons;
      if (const auto view = engine.group(group))
        for (const auto& instance : view->instances) reasons += " " + instance.reason;
      throw fail(Code::Timeout, "the instance did not come or go:{}", reasons);
    }
    std::this_thread::sleep_for(std::chrono::microseconds{100});
  }
}

}  // namespace

int main(int count, char** words) {
  if (count != 5) return 2;
  boost::asio::thread_pool threads{2};
  const local::Settings made = settings(words, threads.get_executor());
  {
    const auto engine = local::make(made);
    run_blocking(engine->start());
    Workload workload;
    workload.project = workload.environment_name = workload.component = "bench";
    workload.environment = "e1";
    workload.user_base = 1'000'000;
    workload.containers = {{.image = words[3], .command = {"/bin/sleep", "100000"}}};
    int number = 0;
    std::string id;
    for (std::string line; std::getline(std::cin, line);) {
      if (line == "start") {
        id = fmt::format("g{}", ++number);
        const auto begin = Steady::now();
        run_blocking(engine->ensure({.id = id, .workload = workload, .count = 1}));
        const std::filesystem::path bundle = made.runtime_directory / "secret/instances" / (id + "-0");
        until(*engine, id,
              [&] { return word_of("/proc/" + word_of(bundle / "init.pid") + "/comm") == "sleep"; });
        const std::chrono::duration<double, std::milli> took = Steady::now() - begin;
        fmt::print("{:.2f} {}\n", took.count(), bundle.string());
      } else {
        run_blocking(engine->retire(id, std::chrono::seconds{0}));
        until(*engine, id, [&] { return !engine->group(id); });
        fmt::print("gone\n");
      }
      std::fflush(stdout);
    }
    run_blocking(engine->stop());
  }
  run_blocking(local::tear_down(made));
  threads.join();
}
