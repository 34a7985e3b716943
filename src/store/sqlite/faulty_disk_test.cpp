// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/faulty_disk_test.hpp"

#include <cstddef>
#include <cstring>
#include <utility>

namespace tow::store::sqlite {

// Before the real file, which SQLite allocates together with it.
struct FaultyFile {
  sqlite3_file base;
  bool is_log;               // a write-ahead log: the file whose sync makes a commit durable
  const char* path;          // SQLite keeps it as long as the file is open
  alignas(8) char space[8];  // SQLite aligns to eight bytes

  static sqlite3_file* real(sqlite3_file* file) {
    return reinterpret_cast<sqlite3_file*>(reinterpret_cast<FaultyFile*>(file)->space);
  }
  static FaultyFile& own(sqlite3_file* file) { return *reinterpret_cast<FaultyFile*>(file); }
  static FaultyDisk& disk() { return FaultyDisk::get(); }

  static int close(sqlite3_file* f) { return real(f)->pMethods->xClose(real(f)); }
  static int read(sqlite3_file* f, void* to, int n, sqlite3_int64 at) {
    return real(f)->pMethods->xRead(real(f), to, n, at);
  }
  static int write(sqlite3_file* f, const void* from, int n, sqlite3_int64 at) {
    if (const int fault = disk().before_write()) return fault;
    disk().record(FaultyDisk::Operation::Kind::Write, own(f).path, at,
                  {static_cast<const char*>(from), static_cast<std::size_t>(n)});
    return real(f)->pMethods->xWrite(real(f), from, n, at);
  }
  static int truncate(sqlite3_file* f, sqlite3_int64 n) {
    disk().record(FaultyDisk::Operation::Kind::Truncate, own(f).path, n);
    return real(f)->pMethods->xTruncate(real(f), n);
  }
  static int sync(sqlite3_file* f, int flags) {
    if (own(f).is_log)
      if (const int fault = disk().before_sync()) return fault;
    disk().record(FaultyDisk::Operation::Kind::Sync, own(f).path, 0);
    return real(f)->pMethods->xSync(real(f), flags);
  }
  static int size(sqlite3_file* f, sqlite3_int64* n) { return real(f)->pMethods->xFileSize(real(f), n); }
  static int lock(sqlite3_file* f, int level) { return real(f)->pMethods->xLock(real(f), level); }
  static int unlock(sqlite3_file* f, int level) { return real(f)->pMethods->xUnlock(real(f), level); }
  static int reserved(sqlite3_file* f, int* out) {
    return real(f)->pMethods->xCheckReservedLock(real(f), out);
  }
  static int control(sqlite3_file* f, int op, void* arg) {
    return real(f)->pMethods->xFileControl(real(f), op, arg);
  }
  static int sector(sqlite3_file* f) { return real(f)->pMethods->xSectorSize(real(f)); }
  static int device(sqlite3_file* f) { return real(f)->pMethods->xDeviceCharacteristics(real(f)); }
  static int map(sqlite3_file* f, int page, int size, int extend, void volatile** out) {
    return real(f)->pMethods->xShmMap(real(f), page, size, extend, out);
  }
  static int shm_lock(sqlite3_file* f, int offset, int n, int flags) {
    return real(f)->pMethods->xShmLock(real(f), offset, n, flags);
  }
  static void barrier(sqlite3_file* f) { real(f)->pMethods->xShmBarrier(real(f)); }
  static int unmap(sqlite3_file* f, int remove) { return real(f)->pMethods->xShmUnmap(real(f), remove); }

  static int remove(sqlite3_vfs*, const char* name, int sync) {
    disk().record(FaultyDisk::Operation::Kind::Remove, name, 0);
    auto* vfs = sqlite3_vfs_find(nullptr);
    return vfs->xDelete(vfs, name, sync);
  }
  static int open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out) {
    static const sqlite3_io_methods methods = {.iVersion = 2,
                                               .xClose = close,
                                               .xRead = read,
                                               .xWrite = write,
                                               .xTruncate = truncate,
                                               .xSync = sync,
                                               .xFileSize = size,
                                               .xLock = lock,
                                               .xUnlock = unlock,
                                               .xCheckReservedLock = reserved,
                                               .xFileControl = control,
                                               .xSectorSize = sector,
                                               .xDeviceCharacteristics = device,
                                               .xShmMap = map,
                                               .xShmLock = shm_lock,
                                               .xShmBarrier = barrier,
                                               .xShmUnmap = unmap,
                                               .xFetch = nullptr,
                                               .xUnfetch = nullptr};
    auto* vfs = sqlite3_vfs_find(nullptr);
    const int result = vfs->xOpen(vfs, name, real(file), flags, out);
    own(file).is_log = (flags & SQLITE_OPEN_WAL) != 0;
    own(file).path = name;
    file->pMethods = real(file)->pMethods ? &methods : nullptr;
    return result;
  }
};

FaultyDisk& FaultyDisk::get() {
  static FaultyDisk disk;
  return disk;
}

FaultyDisk::FaultyDisk() {
  static sqlite3_vfs vfs = *sqlite3_vfs_find(nullptr);
  vfs.szOsFile += static_cast<int>(offsetof(FaultyFile, space));
  vfs.zName = kName;
  vfs.xOpen = FaultyFile::open;
  vfs.xDelete = FaultyFile::remove;
  sqlite3_vfs_register(&vfs, 0);
}

void FaultyDisk::set(State state) {
  const std::lock_guard lock{mutex_};
  state_ = state;
  changed_.notify_all();
}

void FaultyDisk::await_sync() {
  std::unique_lock lock{mutex_};
  changed_.wait(lock, [&] { return waiting_ > 0; });
}

int FaultyDisk::syncs() const {
  const std::lock_guard lock{mutex_};
  return syncs_;
}

void FaultyDisk::start_recording() {
  const std::lock_guard lock{mutex_};
  recording_ = true;
  operations_.clear();
}

std::vector<FaultyDisk::Operation> FaultyDisk::stop_recording() {
  const std::lock_guard lock{mutex_};
  recording_ = false;
  return std::exchange(operations_, {});
}

void FaultyDisk::mark(std::int64_t number) { record(Operation::Kind::Mark, nullptr, number); }

void FaultyDisk::record(Operation::Kind kind, const char* path, std::int64_t at, std::string bytes) {
  const std::lock_guard lock{mutex_};
  if (!recording_) return;
  std::string file = path ? path : "";
  file.erase(0, file.find_last_of('/') + 1);
  operations_.push_back({kind, std::move(file), at, std::move(bytes)});
}

int FaultyDisk::before_write() {
  const std::lock_guard lock{mutex_};
  return state_ == State::Full ? SQLITE_FULL : SQLITE_OK;
}

int FaultyDisk::before_sync() {
  std::unique_lock lock{mutex_};
  ++syncs_;
  ++waiting_;
  changed_.notify_all();
  changed_.wait(lock, [&] { return state_ != State::SyncWaits; });
  --waiting_;
  return state_ == State::SyncFails ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

}  // namespace tow::store::sqlite
