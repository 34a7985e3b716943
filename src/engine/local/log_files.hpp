// SPDX-License-Identifier: Apache-2.0
#pragma once
// Logs as files, one for each container (see container_key): SOURCE/KEY.log is what conmon writes now; when
// it is full it becomes KEY.log.000001 and conmon opens a new one; older ones are compressed (….zst), and the
// oldest is removed. Blocking.
//
// A line is "TIME STREAM P|F TEXT": the form that Kubernetes reads. P is a part of a longer line.

#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.hpp"
#include "engine/local/descriptor.hpp"

namespace tow::engine::local {

struct RawLine {
  TimePoint time;
  Stream stream = Stream::Out;
  bool partial = false;
  std::string_view text;
};
/// Nothing for what is no such line.
std::optional<RawLine> parse_log_line(std::string_view line);

/// Puts the parts of long lines together, for each stream apart. Longer than 1 MiB comes in pieces after all.
class LineJoiner {
 public:
  std::optional<LogLine> take(const RawLine& raw, const std::string& key);

 private:
  std::string pending_[2];
};

/// One container's log from its beginning (or from `since`, or its last `tail` lines) to what is written now.
class LogReader {
 public:
  LogReader(std::filesystem::path directory, std::string key);

  /// Before the first next(). Lines of before `since` are skipped; with a tail all but the last ones.
  void seek(std::optional<TimePoint> since, std::size_t tail);
  /// Nothing at the present end; a later call goes on with what was written since.
  std::optional<LogLine> next();
  const std::string& key() const { return key_; }

 private:
  bool load();
  bool follow_rotation();

  std::filesystem::path directory_;
  std::string key_;
  std::deque<std::filesystem::path> older_;  // rotated files that are still to be read
  std::optional<TimePoint> since_;
  std::size_t skip_ = 0;
  int last_ = 0;  // the highest number of a rotated file that was read, or lies in older_
  Descriptor current_;
  std::string data_;
  std::size_t at_ = 0;
  LineJoiner joiner_;
  bool started_ = false;
};

/// Keys of the containers of which the source has logs, in order.
std::vector<std::string> logged_containers(const std::filesystem::path& directory);

/// Ends a last line that its writer left without an end, so that the next run's first does not become a part
/// of it. Nobody may be writing.
void end_last_line(const std::filesystem::path& directory, const std::string& key);

/// Renames the current file when it is at least `limit` long; true when it did, and conmon must open it anew.
bool rotate_log(const std::filesystem::path& directory, const std::string& key, Bytes limit);
/// Compresses rotated files that nobody writes any more, and removes the oldest beyond `keep` (the current
/// one counts).
void tidy_logs(const std::filesystem::path& directory, const std::string& key, int keep);
/// Tells a conmon, by the control pipe in its bundle, to open its log again.
void reopen_log(const std::filesystem::path& bundle);

}  // namespace tow::engine::local
