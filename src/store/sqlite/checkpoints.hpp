// SPDX-License-Identifier: Apache-2.0
#pragma once
// The thread that moves what is in the write-ahead log into the database file, so that the committing thread
// does not. Only when the log has become long does it hold commits up, for the little that came meanwhile:
// then the log begins anew.

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace tow::store::sqlite {

class Checkpoints {
 public:
  /// `writing` is held by whoever writes, for the time of a transaction.
  Checkpoints(std::string path, std::string vfs, std::mutex& writing);
  ~Checkpoints();

  /// Called after a commit: how many pages the write-ahead log has.
  void log_has(int pages);

 private:
  void loop();

  const std::string path_, vfs_;
  std::mutex& writing_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int pages_ = 0;
  int done_ = 0;  // pages of the present log that have been moved, about
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace tow::store::sqlite
