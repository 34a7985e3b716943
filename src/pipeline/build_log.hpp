// SPDX-License-Identifier: Apache-2.0
#pragma once
// The logs of builds: a file each, "TIME TEXT" a line, kept after the build. Whoever follows one is told of
// new lines. Thread-safe.

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "model/operations.hpp"

namespace tow::pipeline {

class BuildLogs {
 public:
  BuildLogs(std::filesystem::path directory, Clock& clock);

  /// Beyond 16 MiB a log says so once and takes no more.
  void append(const std::string& build, std::string_view line);
  /// The lines from `offset` on, which is moved behind them. At most 1,000.
  std::vector<LogEntry> read(const std::string& build, std::uintmax_t& offset) const;
  void remove(const std::string& build);

  /// Told after every append to any build, as long as it lives.
  void listen(std::weak_ptr<Signal> listener);

 private:
  std::filesystem::path file(const std::string& build) const;

  std::filesystem::path directory_;
  Clock& clock_;
  std::mutex mutex_;
  std::vector<std::weak_ptr<Signal>> listeners_;
};

}  // namespace tow::pipeline
