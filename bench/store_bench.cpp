// SPDX-License-Identifier: Apache-2.0
// What the store costs on this machine and this disk: durable writes, memory, lists, opening.
//   store_bench [DIRECTORY [SECONDS]]     DIRECTORY is on the disk to measure; default: the current one
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <vector>

#include "base/clock.hpp"
#include "store/sqlite/sqlite.hpp"

using namespace tow;
using namespace tow::store;
namespace fs = std::filesystem;
using Steady = std::chrono::steady_clock;

namespace {

double seconds_since(Steady::time_point start) {
  return std::chrono::duration<double>(Steady::now() - start).count();
}

// An entity whose document has about 700 bytes.
Record entity(int number) {
  Record record;
  record.key = {"Deployment", fmt::format("team-{}", number % 100), fmt::format("component-{:06}", number)};
  record.labels = {{"app", fmt::format("app-{}", number / 10)}, {"tier", number % 3 ? "web" : "batch"}};
  record.spec = fmt::format(R"({{"release":"release-{:032}","environment":"production","note":"{}"}})",
                            number, std::string(230, 'x'));
  record.status = fmt::format(R"({{"ready":true,"instances":3,"observed":{},"note":"{}"}})", number,
                              std::string(100, 'y'));
  return record;
}

// Of the process, user and system.
double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) * 1e-6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// In a process of its own, so that memory is only what it needs.
void apart(const std::function<void()>& work) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    work();
    std::fflush(stdout);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0) throw std::runtime_error("a part of the benchmark failed");
}

double resident_mib() {
  std::ifstream statm{"/proc/self/statm"};
  long size = 0, resident = 0;
  statm >> size >> resident;
  return static_cast<double>(resident * sysconf(_SC_PAGESIZE)) / (1 << 20);
}

// What many calls cost, from its making to text().
class Latencies {
 public:
  void add(Steady::time_point start) { all_.push_back(seconds_since(start) * 1e3); }
  double elapsed() const { return seconds_since(start_); }
  std::string text() {
    const double duration = elapsed();
    const double cpu = cpu_seconds() - cpu_;
    std::ranges::sort(all_);
    const auto at = [&](double part) {
      return all_[static_cast<std::size_t>(part * double(all_.size() - 1))];
    };
    return fmt::format("{:8.0f} /s   p50 {:6.2f}  p99 {:6.2f}  max {:6.2f} ms   {:5.1f} us of CPU each",
                       double(all_.size()) / duration, at(0.5), at(0.99), at(1),
                       cpu * 1e6 / double(all_.size()));
  }

 private:
  std::vector<double> all_;
  const Steady::time_point start_ = Steady::now();
  const double cpu_ = cpu_seconds();
};

// What the disk itself gives: one process that appends 4 KiB and waits for it.
std::string bare_disk(const fs::path& directory, double duration) {
  const auto path = directory / "bare";
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const std::vector<char> page(4096, 'z');
  for (int i = 0; i < 4096; ++i) (void)!write(file, page.data(), page.size());
  fsync(file);
  Latencies latencies;
  for (int i = 0; latencies.elapsed() < duration; ++i) {
    const auto begin = Steady::now();
    (void)!pwrite(file, page.data(), page.size(), (i % 4096) * 4096);
    fdatasync(file);
    latencies.add(begin);
  }
  close(file);
  fs::remove(path);
  return latencies.text();
}

// One client after another commit, all on one thread.
struct Load {
  Store& store;
  int clients;
  double duration;
  Durability durability;
  std::function<Transaction(int)> make;
  int number = 0;
  Latencies latencies = {};

  std::string run() {
    run_blocking(all());
    return latencies.text();
  }

 private:
  Task<> all() {
    co_await with_scope("clients", [this](Scope& scope) -> Task<> {
      for (int i = 0; i < clients; ++i) scope.spawn(client());
      co_await scope.join();
    });
  }
  Task<> client() {
    while (latencies.elapsed() < duration) {
      const auto sent = Steady::now();
      co_await store.commit(make(number++), durability);
      latencies.add(sent);
    }
  }
};

void fill(Store& store, int from, int to) {
  while (from < to) {
    Transaction transaction;
    for (int i = 0; i < 500 && from < to; ++i) transaction.create(entity(from++));
    run_blocking(store.commit(std::move(transaction)));
  }
}

void time_list(const Store& store, std::string_view what, const Filter& filter) {
  const auto snapshot = store.snapshot();
  std::vector<double> times;
  std::size_t found = 0;
  for (int i = 0; i < 9; ++i) {
    const auto start = Steady::now();
    found = snapshot->list(filter).size();
    times.push_back(seconds_since(start) * 1e3);
  }
  std::ranges::sort(times);
  fmt::print("  {:44} {:7.2f} ms   ({} found)\n", what, times[4], found);
}

Transaction creation(int n) { return Transaction{}.create(entity(n)); }
Transaction change(int n, int range) {
  return Transaction{}.put_spec(entity(int(n * 7919L % range)).key, entity(n + 7).spec);
}

void measure_writes(Store& store, double duration) {
  fill(store, 0, 1'000);
  int base = 1'000;
  for (const int clients : {1, 64}) {
    const auto create = [&](int n) { return creation(base + n); };
    const auto update = [](int n) { return change(n, 1'000); };
    fmt::print("  {:28} {}\n", fmt::format("create, {} clients", clients),
               Load{store, clients, duration, Durability::Now, create}.run());
    fmt::print("  {:28} {}\n", fmt::format("update, {} clients", clients),
               Load{store, clients, duration, Durability::Now, update}.run());
    base += 10'000'000;
  }
  const auto observe = [](int n) {
    return Transaction{}.put_status(entity(n % 1'000).key, entity(n + 11).status);
  };
  fmt::print("  {:28} {}\n", "observe (soon), 64 clients",
             Load{store, 64, duration, Durability::Soon, observe}.run());
}

void measure_reads(Store& store, int count, double duration) {
  fmt::print("lists of {} entities\n", count);
  time_list(store, "everything", {});
  time_list(store, "a kind and a label that a third have",
            {.kind = "Deployment", .labels = {{"tier", "batch"}}});
  time_list(store, "a project", {.project = "team-7"});
  time_list(store, "a label that ten have", {.labels = {{"app", "app-77"}}});
  time_list(store, "two labels", {.labels = {{"tier", "batch"}, {"app", "app-77"}}});
  std::vector<Key> keys;
  for (int i = 0; i < count; ++i) keys.push_back(entity(int(i * 7919L % count)).key);
  const auto snapshot = store.snapshot();
  const auto start = Steady::now();
  std::size_t found = 0;
  for (const auto& key : keys) found += snapshot->get(key) != nullptr;
  fmt::print("  {:44} {:7.2f} us   ({} found)\n", "one by key", seconds_since(start) * 1e6 / count, found);
  const auto update = [&](int n) { return change(n, count); };
  fmt::print("  {:28} {}\n", "update, 64 clients", Load{store, 64, duration, Durability::Now, update}.run());
  fmt::print("  {:28} {:6.1f} MiB in all\n", "after that", resident_mib());
}

}  // namespace

int main(int argc, char** argv) {
  const fs::path place = argc > 1 ? argv[1] : ".";
  const double duration = argc > 2 ? std::stod(argv[2]) : 3;
  std::string name = (place / "store-bench-XXXXXX").string();
  if (!mkdtemp(name.data())) throw std::runtime_error("cannot make a directory in " + place.string());
  const fs::path directory = name;
  const SystemClock clock;
  const auto open_in = [&](std::string sub) {
    return sqlite::open({.directory = directory / sub, .clock = &clock});
  };

  fmt::print("durable writes of 700-byte entities\n");
  fmt::print("  {:28} {}\n", "bare disk, 4 KiB fdatasync", bare_disk(directory, duration));
  apart([&] {
    const auto store = open_in("writes");
    measure_writes(*store, duration);
    run_blocking(store->close());
  });
  for (const int count : {10'000, 100'000}) {
    const auto sub = std::to_string(count);
    apart([&] {
      const auto store = open_in(sub);
      fill(*store, 0, count);
      run_blocking(store->close());
    });
    apart([&] {
      const auto start = Steady::now();
      const double cpu = cpu_seconds();
      const auto store = open_in(sub);
      fmt::print("open with {:7} entities      {:8.0f} ms   {:6.0f} ms of CPU   {:6.1f} MiB in all\n", count,
                 seconds_since(start) * 1e3, (cpu_seconds() - cpu) * 1e3, resident_mib());
      if (count == 100'000) measure_reads(*store, count, duration);
      run_blocking(store->close());
    });
  }
  fs::remove_all(directory);
}
