// SPDX-License-Identifier: Apache-2.0
#include "observe/ring.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/crc.hpp>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/error.hpp"
#include "base/spawn.hpp"

// A file is a header of 64 bytes and `rows` places. All numbers are the machine's own 64-bit words:
//   header: magic, interval in milliseconds, rows, columns, checksum, zeros
//   place:  time in milliseconds since 1970, values, checksum
namespace tow::observe {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMagic = 0x31676e6972776f74;  // "towring1"
constexpr std::size_t kHeaderWords = 8;
constexpr std::string_view kEnding = ".ring";

using Words = std::vector<std::uint64_t>;

std::uint64_t checksum(std::span<const std::uint64_t> words) {
  boost::crc_32_type crc;
  crc.process_bytes(words.data(), words.size_bytes());
  return crc.checksum() | std::uint64_t{1} << 32;  // never zero: an unwritten place is no row
}

Words header(const RingShape& shape, std::size_t columns) {
  Words words{kMagic, static_cast<std::uint64_t>(shape.interval.count()), shape.rows, columns};
  words.push_back(checksum(words));
  words.resize(kHeaderWords);
  return words;
}

/// Words read; fewer at the end of the file.
std::size_t read_words(int file, std::size_t at, std::span<std::uint64_t> words) {
  std::size_t done = 0;
  auto* bytes = reinterpret_cast<char*>(words.data());
  while (done < words.size_bytes()) {
    const auto n = ::pread(file, bytes + done, words.size_bytes() - done, static_cast<off_t>(at * 8 + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw system_error("reading samples", errno);
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done / 8;
}

void write_words(int file, std::size_t at, std::span<const std::uint64_t> words) {
  const auto n = ::pwrite(file, words.data(), words.size_bytes(), static_cast<off_t>(at * 8));
  if (n < 0) throw system_error("writing samples", errno);
  if (static_cast<std::size_t>(n) != words.size_bytes()) throw system_error("writing samples", ENOSPC);
}

/// Columns of a file of this shape; nothing when its header is another's or damaged.
std::optional<std::size_t> columns_of(int file, const RingShape& shape) {
  Words words(kHeaderWords);
  if (read_words(file, 0, words) != kHeaderWords || words[3] == 0 || words[3] > kMostColumns)
    return std::nullopt;
  if (words != header(shape, words[3])) return std::nullopt;
  return words[3];
}

}  // namespace

Rings::Rings(fs::path directory, RingShape shape, Bytes limit)
    : directory_{std::move(directory)}, shape_{shape}, limit_{limit} {
  fs::create_directories(directory_);
  for (const auto& entry : fs::directory_iterator{directory_})
    if (entry.path().extension() == kEnding) used_.count += entry.file_size();
}

fs::path Rings::path(std::string_view series) const {
  const auto harmless = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  };
  if (series.empty() || series.size() > 200 || !std::ranges::all_of(series, harmless))
    throw fail(Code::Internal, "\"{}\" cannot be the name of a series", series);
  return directory_ / (std::string{series} + std::string{kEnding});
}

std::size_t Rings::file_size(std::size_t columns) const {
  return (kHeaderWords + shape_.rows * (columns + 2)) * 8;
}

bool Rings::write(std::string_view series, std::size_t columns, const Row& row) {
  const auto name = path(series);
  Descriptor file{::open(name.c_str(), O_RDWR | O_CLOEXEC)};
  if (!file && errno != ENOENT) throw system_error("opening " + name.string(), errno);
  if (!file || columns_of(file.number(), shape_) != columns) {
    struct stat about{};
    if (file) ::fstat(file.number(), &about);
    const auto before = static_cast<std::uint64_t>(about.st_size);
    const auto size = file_size(columns);
    if (used_.count - std::min(used_.count, before) + size > limit_.count) return false;
    file = Descriptor{::open(name.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640)};
    if (!file) throw system_error("making " + name.string(), errno);
    write_words(file.number(), 0, header(shape_, columns));
    // Its whole length at once, as a hole: what is not written yet reads as zeros, which are no rows.
    if (::ftruncate(file.number(), static_cast<off_t>(size)) != 0)
      throw system_error("making " + name.string(), errno);
    used_.count += size - std::min<std::uint64_t>(before, used_.count);
  }
  Words words{static_cast<std::uint64_t>(row.time.time_since_epoch().count())};
  words.insert(words.end(), row.values.begin(), row.values.begin() + static_cast<std::ptrdiff_t>(columns));
  words.push_back(checksum(words));
  const auto place = static_cast<std::size_t>(row.time.time_since_epoch() / shape_.interval) % shape_.rows;
  write_words(file.number(), kHeaderWords + place * words.size(), words);
  return true;
}

std::vector<Row> Rings::read(std::string_view series, TimePoint from, TimePoint to) const {
  std::vector<Row> rows;
  const Descriptor file{::open(path(series).c_str(), O_RDONLY | O_CLOEXEC)};
  if (!file || to < from) return rows;
  const auto columns = columns_of(file.number(), shape_);
  if (!columns) return rows;
  const auto first =
      static_cast<std::uint64_t>(std::max(from, TimePoint{}).time_since_epoch() / shape_.interval);
  const auto last =
      static_cast<std::uint64_t>(std::max(to, TimePoint{}).time_since_epoch() / shape_.interval);
  const auto wanted = std::min<std::uint64_t>(last - first + 1, shape_.rows);
  const auto begin = last + 1 - wanted;
  const std::size_t width = *columns + 2;
  // At most two runs: to the end of the file, and from its beginning.
  Words words(wanted * width);
  const auto until_end = std::min<std::uint64_t>(shape_.rows - begin % shape_.rows, wanted);
  const std::span all{words};
  read_words(file.number(), kHeaderWords + begin % shape_.rows * width, all.first(until_end * width));
  read_words(file.number(), kHeaderWords, all.subspan(until_end * width));
  for (std::uint64_t i = 0; i < wanted; ++i) {
    const auto place = all.subspan(i * width, width);
    if (place.back() != checksum(place.first(width - 1))) continue;
    Row row{.time = TimePoint{Duration{static_cast<std::int64_t>(place[0])}}};
    if (row.time < from || row.time > to) continue;
    std::copy_n(place.begin() + 1, *columns, row.values.begin());
    rows.push_back(row);
  }
  // Places that will be written before `to` still hold rows of the round before.
  std::ranges::sort(rows, {}, &Row::time);
  return rows;
}

std::vector<Rings::Series> Rings::list(std::string_view prefix) const {
  std::vector<Series> all;
  for (const auto& entry : fs::directory_iterator{directory_}) {
    if (entry.path().extension() != kEnding) continue;
    auto name = entry.path().stem().string();
    if (!name.starts_with(prefix)) continue;
    std::error_code gone;
    const auto written = entry.last_write_time(gone);
    if (gone) continue;
    all.push_back({.name = std::move(name),
                   .age = std::chrono::duration_cast<Duration>(fs::file_time_type::clock::now() - written)});
  }
  std::ranges::sort(all, {}, &Series::name);
  return all;
}

void Rings::remove(std::string_view series) {
  const auto name = path(series);
  std::error_code missing;
  const auto size = fs::file_size(name, missing);
  if (missing || !fs::remove(name)) return;
  used_.count -= std::min<std::uint64_t>(used_.count, size);
}

}  // namespace tow::observe
