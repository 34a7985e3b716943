// SPDX-License-Identifier: Apache-2.0
// What was acknowledged is there after every crash: of the process (a child that is killed), and of the
// machine (the files as a power failure would have left them).
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <set>

#include "store/contract_test.hpp"
#include "store/sqlite/faulty_disk_test.hpp"
#include "store/sqlite/sqlite.hpp"
#include "store/temporary_test.hpp"

namespace tow::store::sqlite {
namespace {

constexpr const char* kDirectory = "TOW_STORE_CRASH_DIRECTORY";

// A pair of entities, made together; each pair has a name of its own.
Transaction pair(const std::string& name) {
  return create(key(name, "Left"), "\"" + std::string(700, 'x') + "\"").create(draft(key(name, "Right")));
}

// What the child does: this program again, which never comes to its tests.
void commit_until_killed(const char* directory) {
  const SystemClock clock;
  const auto store = open({.directory = directory, .clock = &clock});
  run_blocking(with_scope("writers", [&](Scope& scope) -> Task<> {
    for (int i = 0; i < 8; ++i) {
      scope.spawn([](Store& to, int writer) -> Task<> {
        for (int n = 0;; ++n) {
          const auto name = fmt::format("{}-{}-{}", getpid(), writer, n);
          const auto revision = co_await to.commit(pair(name));
          const auto line = fmt::format("{} {}\n", revision, name);
          if (write(STDOUT_FILENO, line.data(), line.size()) < 0) std::abort();
        }
      }(*store, i));
    }
    co_await scope.join();
  }));
}

class Child : public testing::Environment {
  void SetUp() override {
    if (const char* directory = std::getenv(kDirectory)) commit_until_killed(directory);
  }
};
[[maybe_unused]] const auto* const kChild = testing::AddGlobalTestEnvironment(new Child);

// Starts the child, kills it after it has acknowledged `count` commits, returns all that it acknowledged.
std::map<StoreRevision, std::string> run_and_kill(const std::filesystem::path& directory, int count) {
  int pipes[2];
  EXPECT_EQ(pipe2(pipes, O_CLOEXEC), 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
  std::string program = "/proc/self/exe";
  std::string setting = fmt::format("{}={}", kDirectory, directory.string());
  char* arguments[] = {program.data(), nullptr};
  char* environment[] = {setting.data(), nullptr};
  pid_t child = 0;
  EXPECT_EQ(posix_spawn(&child, program.c_str(), &actions, nullptr, arguments, environment), 0);
  posix_spawn_file_actions_destroy(&actions);
  close(pipes[1]);

  std::map<StoreRevision, std::string> acknowledged;
  FILE* lines = fdopen(pipes[0], "r");
  char line[256];
  while (std::fgets(line, sizeof line, lines)) {
    char name[128];
    long revision = 0;
    if (std::sscanf(line, "%ld %127[0-9-]\n", &revision, name) != 2) continue;  // GoogleTest's own lines
    EXPECT_TRUE(acknowledged.emplace(revision, name).second) << "revision " << revision << " was used twice";
    if (--count == 0) kill(child, SIGKILL);
  }
  std::fclose(lines);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status)) << "it ended by itself";
  return acknowledged;
}

TEST(StoreCrash, WhatWasAcknowledgedIsThereAfterAKill) {
  const TemporaryDirectory directory;
  std::map<StoreRevision, std::string> all;
  for (const int count : {1, 150, 40, 333}) {
    const auto acknowledged = run_and_kill(directory.path(), count);
    ASSERT_GE(acknowledged.size(), static_cast<std::size_t>(count));
    for (const auto& [revision, name] : acknowledged)
      EXPECT_TRUE(all.emplace(revision, name).second) << "revision " << revision << " was used again";

    const SystemClock clock;
    const auto store = open({.directory = directory.path(), .clock = &clock});
    const auto snapshot = store->snapshot();
    EXPECT_GE(snapshot->revision(), all.rbegin()->first);
    for (const auto& [revision, name] : all) {
      for (const char* kind : {"Left", "Right"}) {
        const auto found = snapshot->get(key(name, kind));
        ASSERT_TRUE(found) << kind << " " << name;
        EXPECT_EQ(found->revision, revision);
      }
    }
    EXPECT_EQ(snapshot->list({.kind = "Left"}).size(), snapshot->list({.kind = "Right"}).size())
        << "no transaction is there by half";
    // What was committed but not acknowledged has its revision, too.
    std::set<StoreRevision> revisions;
    for (const auto& record : snapshot->list({.kind = "Left"}))
      EXPECT_TRUE(revisions.insert(record->created_revision).second);
    run_blocking(store->close());
  }
}

TEST(StoreCrash, ATornWriteAheadLogLosesNothingBeforeTheTear) {
  const TemporaryDirectory directory;
  run_and_kill(directory.path(), 100);
  const auto log = directory.path() / "store.db-wal";
  const auto size = std::filesystem::file_size(log);
  const TemporaryDirectory copies;
  struct Case {
    const char* reason;
    std::function<void(const std::filesystem::path&)> tear;
    std::size_t at_least;
  };
  std::size_t whole = 0;
  const Case cases[] = {
      {"as the kill left it", [](const auto&) {}, 100},
      {"garbage behind it",
       [](const auto& file) {
         std::ofstream{file, std::ios::app | std::ios::binary} << std::string(10'000, 'g');
       },
       100},
      {"the last frames cut", [&](const auto& file) { std::filesystem::resize_file(file, size - 3'000); }, 1},
      {"cut in the middle", [&](const auto& file) { std::filesystem::resize_file(file, size / 2); }, 1},
  };
  for (const auto& [reason, tear, at_least] : cases) {
    SCOPED_TRACE(reason);
    const auto copy = copies.path() / "copy";
    std::filesystem::remove_all(copy);
    std::filesystem::create_directory(copy);
    for (const char* name : {"store.db", "store.db-wal"})
      std::filesystem::copy_file(directory.path() / name, copy / name);
    tear(copy / "store.db-wal");
    const SystemClock clock;
    const auto store = open({.directory = copy, .clock = &clock});
    const auto left = store->snapshot()->list({.kind = "Left"});
    EXPECT_EQ(left.size(), store->snapshot()->list({.kind = "Right"}).size());
    EXPECT_GE(left.size(), at_least);
    EXPECT_EQ(store->snapshot()->revision(), static_cast<StoreRevision>(left.size()))
        << "what is there is a prefix";
    if (whole == 0) whole = left.size();
    EXPECT_LE(left.size(), whole);
    run_blocking(store->commit(pair("next")));
    run_blocking(store->close());
  }
}

using Operation = FaultyDisk::Operation;

// The files after a power failure at `end`: what was synced is there; of what was written since, each sector
// is or is not.
void leave_files(const std::filesystem::path& directory, std::span<const Operation> done, Random& random) {
  std::map<std::string, std::size_t> synced;
  for (std::size_t i = 0; i < done.size(); ++i)
    if (done[i].kind == Operation::Kind::Sync) synced[done[i].file] = i;
  std::map<std::string, std::string> files;
  for (std::size_t i = 0; i < done.size(); ++i) {
    const auto& operation = done[i];
    if (operation.kind == Operation::Kind::Remove) files.erase(operation.file);
    if (operation.kind != Operation::Kind::Write && operation.kind != Operation::Kind::Truncate) continue;
    const bool safe = synced.contains(operation.file) && i < synced[operation.file];
    auto& bytes = files[operation.file];
    const auto at = static_cast<std::size_t>(operation.at);
    if (operation.kind == Operation::Kind::Truncate) {
      if (safe || random.between(0, 1)) bytes.resize(at);
      continue;
    }
    constexpr std::size_t kSector = 512;
    for (std::size_t begin = 0; begin < operation.bytes.size(); begin += kSector) {
      if (!safe && !random.between(0, 1)) continue;
      const auto part = std::min(kSector, operation.bytes.size() - begin);
      if (bytes.size() < at + begin + part) bytes.resize(at + begin + part);
      bytes.replace(at + begin, part, operation.bytes, begin, part);
    }
  }
  for (const auto& [name, bytes] : files) std::ofstream{directory / name, std::ios::binary} << bytes;
}

TEST(StoreCrash, WhatWasAcknowledgedIsThereAfterAPowerFailure) {
  auto& disk = FaultyDisk::get();
  disk.set(FaultyDisk::State::Healthy);
  const SystemClock clock;
  std::vector<Operation> operations;
  {
    const TemporaryDirectory directory;
    disk.start_recording();
    const auto store = open({.directory = directory.path(), .clock = &clock, .vfs = FaultyDisk::kName});
    run_blocking(with_scope("writers", [&](Scope& scope) -> Task<> {
      for (int i = 0; i < 4; ++i) {
        scope.spawn([](Store& to, int writer) -> Task<> {
          // Large enough that checkpoints happen, and the write-ahead log begins anew.
          const std::string large = "\"" + std::string(100'000, 'x') + "\"";
          for (int n = 0; n < 40; ++n) {
            auto transaction = pair(fmt::format("{}-{}", writer, n));
            if (n % 2) transaction.put_spec(key(fmt::format("{}-{}", writer, n), "Left"), large);
            const auto revision = co_await to.commit(std::move(transaction));
            FaultyDisk::get().mark(revision);
          }
        }(*store, i));
      }
      co_await scope.join();
    }));
    operations = disk.stop_recording();
    run_blocking(store->close());
  }
  ASSERT_GT(operations.size(), 1'000u);
  Random random{20260301};
  for (int round = 0; round < 40; ++round) {
    const auto end =
        static_cast<std::size_t>(random.between(1, static_cast<std::int64_t>(operations.size())));
    const std::span done{operations.data(), end};
    StoreRevision acknowledged = 0;
    for (const auto& operation : done)
      if (operation.kind == Operation::Kind::Mark) acknowledged = std::max(acknowledged, operation.at);
    SCOPED_TRACE(fmt::format("power fails after operation {} of {}", end, operations.size()));
    const TemporaryDirectory left;
    leave_files(left.path(), done, random);
    std::unique_ptr<Store> store;
    try {
      store = open({.directory = left.path(), .clock = &clock});
    } catch (const Error& error) {
      FAIL() << error.message();
    }
    const auto snapshot = store->snapshot();
    EXPECT_GE(snapshot->revision(), acknowledged);
    const auto lefts = snapshot->list({.kind = "Left"});
    EXPECT_EQ(static_cast<StoreRevision>(lefts.size()), snapshot->revision()) << "what is there is a prefix";
    EXPECT_EQ(snapshot->list({.kind = "Right"}).size(), lefts.size());
    run_blocking(store->close());
  }
}

}  // namespace
}  // namespace tow::store::sqlite
