// SPDX-License-Identifier: Apache-2.0
#pragma once
// A disk that can be made full, broken or slow: a layer under SQLite that passes everything on to the real
// one.

#include <sqlite3.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

namespace tow::store::sqlite {

class FaultyDisk {
 public:
  static constexpr const char* kName = "faulty";
  /// There is one; it is registered with SQLite when first asked for, and starts healthy.
  static FaultyDisk& get();

  enum class State { Healthy, Full, SyncFails, SyncWaits };
  /// Releases who waits in a sync.
  void set(State state);
  /// Waits until somebody waits in a sync.
  void await_sync();
  int syncs() const;

  /// What reached the disk, in order. A mark is the test's own: "this was acknowledged".
  struct Operation {
    enum class Kind { Write, Truncate, Sync, Remove, Mark } kind;
    std::string file;  // its name without the directory
    std::int64_t at;   // offset, size after truncation, or the mark's number
    std::string bytes;
  };
  void start_recording();
  std::vector<Operation> stop_recording();
  void mark(std::int64_t number);

 private:
  FaultyDisk();
  friend struct FaultyFile;
  int before_write();
  int before_sync();
  void record(Operation::Kind kind, const char* path, std::int64_t at, std::string bytes = {});

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  State state_ = State::Healthy;
  int syncs_ = 0;  // of write-ahead logs
  int waiting_ = 0;
  bool recording_ = false;
  std::vector<Operation> operations_;
};

}  // namespace tow::store::sqlite
