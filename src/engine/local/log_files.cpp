// SPDX-License-Identifier: Apache-2.0
#include "engine/local/log_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "base/error.hpp"
#include "base/log.hpp"
#include "engine/local/place.hpp"
#include "engine/local/records.hpp"

namespace tow::engine::local {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestLine = 1 << 20;
constexpr std::size_t kBlock = 1 << 18;

/// Two or more digits at a fixed place; -1 when they are none.
int digits(std::string_view text, std::size_t at, std::size_t count) {
  int value = 0;
  const auto* begin = text.data() + at;
  const auto [end, error] = std::from_chars(begin, begin + count, value);
  return error == std::errc{} && end == begin + count ? value : -1;
}

/// "2026-11-22T17:08:16.123456789+01:00", as conmon writes it.
std::optional<TimePoint> parse_stamp(std::string_view text) {
  if (text.size() < 20) return std::nullopt;
  using namespace std::chrono;
  const year_month_day day{year{digits(text, 0, 4)}, month{static_cast<unsigned>(digits(text, 5, 2))},
                           std::chrono::day{static_cast<unsigned>(digits(text, 8, 2))}};
  if (!day.ok()) return std::nullopt;
  TimePoint time = sys_days{day} + hours{digits(text, 11, 2)} + minutes{digits(text, 14, 2)} +
                   seconds{digits(text, 17, 2)};
  std::string_view rest = text.substr(19);
  if (rest.starts_with('.')) {
    if (rest.size() < 4) return std::nullopt;
    time += milliseconds{digits(rest, 1, 3)};
    rest.remove_prefix(std::min(rest.find_first_of("+-Z"), rest.size()));
  }
  if (rest.size() >= 6 && rest.front() != 'Z') {
    const auto offset = hours{digits(rest, 1, 2)} + minutes{digits(rest, 4, 2)};
    rest.front() == '+' ? time -= offset : time += offset;
  }
  return time;
}

std::string decompress(const std::string& packed) {
  const auto size = ZSTD_getFrameContentSize(packed.data(), packed.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > (std::uint64_t{1} << 32))
    return {};
  std::string text(size, '\0');
  const auto done = ZSTD_decompress(text.data(), text.size(), packed.data(), packed.size());
  return ZSTD_isError(done) ? std::string{} : text;
}

/// A rotated file may be compressed, or removed, between its being found and its being read.
std::string read_log(const fs::path& path) {
  if (path.extension() != ".zst")
    if (auto text = read_text(path)) return std::move(*text);
  const fs::path packed = path.extension() == ".zst" ? path : fs::path{path.string() + ".zst"};
  return decompress(read_text(packed).value_or(""));
}

/// The number of a rotated file, compressed or not; 0 when the name is another's.
int rotation_number(const std::string& name, const std::string& key) {
  const std::string prefix = key + ".log.";
  if (!name.starts_with(prefix) || name.ends_with(".new")) return 0;
  int number = 0;
  std::from_chars(name.data() + prefix.size(), name.data() + name.size(), number);
  return number;
}

struct Rotated {
  int number;
  fs::path path;
};
std::vector<Rotated> rotated_files(const fs::path& directory, const std::string& key) {
  std::vector<Rotated> all;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator{directory, ignored})
    if (const int number = rotation_number(entry.path().filename(), key))
      all.push_back({number, entry.path()});
  // Compressed and not of the same number: a crash between the two steps; either is whole.
  std::ranges::sort(all, [](const auto& a, const auto& b) {
    return std::pair{a.number, a.path.native()} < std::pair{b.number, b.path.native()};
  });
  const auto same = std::ranges::unique(all, {}, &Rotated::number);
  all.erase(same.begin(), same.end());
  return all;
}

}  // namespace

std::optional<RawLine> parse_log_line(std::string_view line) {
  const auto first = line.find(' ');
  if (first == std::string_view::npos || line.size() < first + 10) return std::nullopt;
  const auto time = parse_stamp(line.substr(0, first));
  std::string_view rest = line.substr(first + 1);
  if (!time || rest.size() < 9 || rest[6] != ' ' || rest[8] != ' ') return std::nullopt;
  RawLine raw{.time = *time};
  if (rest.starts_with("stderr"))
    raw.stream = Stream::Err;
  else if (!rest.starts_with("stdout"))
    return std::nullopt;
  raw.partial = rest[7] == 'P';
  raw.text = rest.substr(9);
  return raw;
}

std::optional<LogLine> LineJoiner::take(const RawLine& raw, const std::string& key) {
  auto& pending = pending_[raw.stream == Stream::Err ? 1 : 0];
  pending += raw.text;
  if (raw.partial && pending.size() < kLongestLine) return std::nullopt;
  auto [id, container] = split_key(key);
  LogLine line{.time = raw.time,
               .instance = std::move(id),
               .container = std::move(container),
               .stream = raw.stream,
               .text = std::move(pending)};
  pending.clear();
  return line;
}

LogReader::LogReader(fs::path directory, std::string key)
    : directory_{std::move(directory)}, key_{std::move(key)} {}

void LogReader::seek(std::optional<TimePoint> since, std::size_t tail) {
  since_ = since;
  // Opened first: a rotation that happens now makes it one of the rotated files, too.
  const fs::path current = directory_ / (key_ + ".log");
  current_ = Descriptor{::open(current.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat ours{}, other{};
  if (current_) ::fstat(current_.get(), &ours);
  for (const auto& file : rotated_files(directory_, key_)) {
    if (current_ && ::stat(file.path.c_str(), &other) == 0 && other.st_ino == ours.st_ino) break;
    older_.push_back(file.path);
    last_ = file.number;
  }
  if (tail == 0) return;
  // Whole lines of a file, newest file first, until there are enough; then all before them are skipped.
  const auto count = [](const std::string& text) {
    std::size_t lines = 0;
    for (std::size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
      if (const auto raw = parse_log_line(std::string_view{text}.substr(at, end - at)); raw && !raw->partial)
        ++lines;
    return lines;
  };
  std::size_t found = count(read_text(current).value_or(""));
  std::deque<fs::path> needed;
  while (found < tail && !older_.empty()) {
    needed.push_front(older_.back());
    older_.pop_back();
    found += count(read_log(needed.front()));
  }
  older_ = std::move(needed);
  skip_ = found > tail ? found - tail : 0;
}

/// At the end of the file that was the current one: when it has been rotated away, goes on with what came
/// after it.
bool LogReader::follow_rotation() {
  struct stat ours{}, named{};
  const fs::path path = directory_ / (key_ + ".log");
  if (::fstat(current_.get(), &ours) != 0 || ::stat(path.c_str(), &named) != 0 || ours.st_ino == named.st_ino)
    return false;
  bool own = true;  // the first new one is what we have read to its end
  for (const auto& file : rotated_files(directory_, key_)) {
    if (file.number <= last_) continue;
    if (!std::exchange(own, false)) older_.push_back(file.path);
    last_ = file.number;
  }
  current_.reset();
  return true;
}

/// Gets more bytes: the next rotated file, or what was appended to the current one. False when there are
/// none.
bool LogReader::load() {
  data_.erase(0, at_);
  at_ = 0;
  if (!older_.empty()) {
    data_ += read_log(older_.front());
    older_.pop_front();
    return true;
  }
  const fs::path path = directory_ / (key_ + ".log");
  for (;;) {
    if (!current_) {
      current_ = Descriptor{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
      if (!current_) return false;
    }
    char block[kBlock];
    const auto n = ::read(current_.get(), block, sizeof block);
    if (n > 0) {
      data_.append(block, static_cast<std::size_t>(n));
      return true;
    }
    if (!follow_rotation()) return false;
    if (!older_.empty()) return load();
  }
}

std::optional<LogLine> LogReader::next() {
  for (;;) {
    const auto end = data_.find('\n', at_);
    if (end == std::string::npos) {
      if (!load()) return std::nullopt;
      continue;
    }
    const auto raw = parse_log_line(std::string_view{data_}.substr(at_, end - at_));
    at_ = end + 1;
    if (!raw) continue;
    auto line = joiner_.take(*raw, key_);
    if (!line) continue;
    if (skip_ > 0) {
      --skip_;
      continue;
    }
    if (since_ && line->time < *since_) continue;
    return line;
  }
}

std::vector<std::string> logged_containers(const fs::path& directory) {
  std::vector<std::string> all;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator{directory, ignored}) {
    // "KEY.log", "KEY.log.000001" or "KEY.log.000001.zst"; a container may be called "log".
    fs::path name = entry.path().filename();
    if (name.extension() == ".zst") name = name.stem();
    const std::string last = name.extension();
    if (last.size() > 1 && last.find_first_not_of("0123456789", 1) == std::string::npos) name = name.stem();
    if (name.extension() == ".log") all.push_back(name.stem());
  }
  std::ranges::sort(all);
  const auto same = std::ranges::unique(all);
  all.erase(same.begin(), same.end());
  return all;
}

void end_last_line(const fs::path& directory, const std::string& key) {
  const fs::path path = directory / (key + ".log");
  const Descriptor file{::open(path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC)};
  const auto size = file ? ::lseek(file.get(), 0, SEEK_END) : 0;
  if (size <= 0) return;
  // The end of the file holds the last line of each stream, as far as one of them may be open.
  std::string end(static_cast<std::size_t>(std::min<off_t>(size, 1 << 16)), '\0');
  if (::pread(file.get(), end.data(), end.size(), size - static_cast<off_t>(end.size())) < 0) return;
  std::optional<RawLine> last[2];
  for (std::size_t at = 0, stop; (stop = end.find('\n', at)) != std::string::npos; at = stop + 1)
    if (const auto raw = parse_log_line(std::string_view{end}.substr(at, stop - at)))
      last[raw->stream == Stream::Err ? 1 : 0] = raw;
  for (const auto& raw : last) {
    if (!raw || !raw->partial) continue;
    const std::string line =
        tow::to_string(raw->time) + (raw->stream == Stream::Err ? " stderr F \n" : " stdout F \n");
    if (::write(file.get(), line.data(), line.size()) < 0) return;
  }
}

bool rotate_log(const fs::path& directory, const std::string& key, Bytes limit) {
  const fs::path current = directory / (key + ".log");
  std::error_code error;
  const auto size = fs::file_size(current, error);
  if (error || size < limit.count) return false;
  const auto before = rotated_files(directory, key);
  const int number = before.empty() ? 1 : before.back().number + 1;
  fs::rename(current, directory / fmt::format("{}.log.{:06}", key, number));
  return true;
}

void tidy_logs(const fs::path& directory, const std::string& key, int keep) {
  auto all = rotated_files(directory, key);
  while (static_cast<int>(all.size()) > std::max(keep - 1, 0)) {
    fs::remove(all.front().path);
    all.erase(all.begin());
  }
  // conmon may still write to what was renamed last until it has opened the new file.
  if (!fs::exists(directory / (key + ".log"))) return;
  for (const auto& file : all) {
    if (file.path.extension() == ".zst") continue;
    const std::string text = read_text(file.path).value_or("");
    std::string packed(ZSTD_compressBound(text.size()), '\0');
    const auto size = ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 3);
    if (ZSTD_isError(size)) continue;
    packed.resize(size);
    write_file(file.path.string() + ".zst", packed, 0640, Safety::Volatile);
    fs::remove(file.path);
  }
}

void reopen_log(const fs::path& bundle) {
  const Descriptor control{::open((bundle / "ctl").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC)};
  constexpr std::string_view reopen = "2 0 0\n";
  if (!control || ::write(control.get(), reopen.data(), reopen.size()) != static_cast<ssize_t>(reopen.size()))
    log::warning("engine", "the log of {} cannot be opened anew: {}", bundle.string(),
                 system_error("writing to conmon", errno).message());
}

}  // namespace tow::engine::local
