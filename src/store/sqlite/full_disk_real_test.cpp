// SPDX-License-Identifier: Apache-2.0
// The store on a file system that is really full: a small tmpfs in a mount namespace of its own. Needs root.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <thread>

#include "store/contract_test.hpp"
#include "store/sqlite/sqlite.hpp"
#include "store/temporary_test.hpp"

namespace tow::store::sqlite {
namespace {

// In a thread whose mounts nobody else sees; they go with it and the threads that it starts.
std::string try_a_full_disk(const std::filesystem::path& directory) {
  if (unshare(CLONE_FS | CLONE_NEWNS) != 0)
    return fmt::format("no mount namespace: {}", std::strerror(errno));
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("tmpfs", directory.c_str(), "tmpfs", 0, "size=4m") != 0)
    return fmt::format("no tmpfs: {}", std::strerror(errno));
  const SystemClock clock;
  const auto ballast = directory / "ballast";
  std::ofstream{ballast} << std::string(1 << 20, 'b');
  auto store = open({.directory = directory / "data", .clock = &clock});
  const std::string spec(10'000, 's');
  std::vector<std::string> acknowledged;
  std::optional<Code> refused;
  for (int i = 0; i < 1'000 && !refused; ++i) {
    const auto name = std::to_string(i);
    try {
      run_blocking(store->commit(create(key(name), spec)));
      acknowledged.push_back(name);
    } catch (const Error& error) {
      refused = error.code();
    }
  }
  EXPECT_EQ(refused, Code::Exhausted);
  EXPECT_GT(acknowledged.size(), 10u);
  EXPECT_EQ(store->snapshot()->list({}).size(), acknowledged.size()) << "reads go on";
  EXPECT_EQ(run_blocking(store->history(key("0"))).size(), 1u);
  EXPECT_THROW(run_blocking(store->commit(create(key("still"), spec))), Error);

  store.reset();
  std::optional<Code> not_opened;
  try {
    store = open({.directory = directory / "data", .clock = &clock});
    EXPECT_EQ(store->snapshot()->list({}).size(), acknowledged.size());
  } catch (const Error& error) {
    not_opened = error.code();
    EXPECT_EQ(not_opened, Code::Exhausted) << error.message();
  }
  std::filesystem::remove(ballast);
  if (not_opened) store = open({.directory = directory / "data", .clock = &clock});
  run_blocking(store->commit(create(key("room"), spec)));
  acknowledged.push_back("room");
  store.reset();
  store = open({.directory = directory / "data", .clock = &clock});
  for (const auto& name : acknowledged) EXPECT_TRUE(store->snapshot()->get(key(name))) << name;
  EXPECT_EQ(store->snapshot()->list({}).size(), acknowledged.size());
  run_blocking(store->close());
  return {};
}

TEST(StoreOnAFullDisk, RefusesUntilThereIsRoomAndLosesNothing) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to mount a small file system";
  const TemporaryDirectory directory;
  std::string impossible;
  std::thread{[&] { impossible = try_a_full_disk(directory.path()); }}.join();
  if (!impossible.empty()) GTEST_SKIP() << impossible;
}

}  // namespace
}  // namespace tow::store::sqlite
