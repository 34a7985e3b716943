// SPDX-License-Identifier: Apache-2.0
#pragma once
// Samples on disk: a file of a fixed size for each series, holding one row for each interval of the last day.
//
// A row's place follows from its time, so that nothing else has to be written: a row is overwritten when its
// place comes round again, a gap is a place whose row is too old, and a torn row fails its checksum and is a
// gap, too. Nothing is flushed to disk: a power failure costs the last seconds of samples, not their order.
//
// Blocking, and not thread-safe: one thread uses a Rings at a time.

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.hpp"

namespace tow::observe {

inline constexpr std::size_t kMostColumns = 12;

struct Row {
  TimePoint time{};
  std::array<std::uint64_t, kMostColumns> values{};
};

struct RingShape {
  Duration interval = std::chrono::seconds{10};
  std::size_t rows = 8640;
};

class Rings {
 public:
  /// Makes the directory when it is missing. `limit`: bytes of all files together.
  Rings(std::filesystem::path directory, RingShape shape, Bytes limit);

  /// The first `columns` values of the row are kept. A file that is damaged, or of another shape, is begun
  /// anew. False when the limit forbids a new file. Throws Error{Exhausted, Internal} when the disk fails.
  bool write(std::string_view series, std::size_t columns, const Row& row);
  /// The rows with from <= time <= to, in order of time; none when there is no such series.
  std::vector<Row> read(std::string_view series, TimePoint from, TimePoint to) const;

  struct Series {
    std::string name;
    Duration age{};  // since it was last written, by the clock of the file system
  };
  /// Every series whose name begins so.
  std::vector<Series> list(std::string_view prefix = {}) const;
  void remove(std::string_view series);

 private:
  std::filesystem::path path(std::string_view series) const;
  std::size_t file_size(std::size_t columns) const;

  std::filesystem::path directory_;
  RingShape shape_;
  Bytes limit_;
  Bytes used_;
};

}  // namespace tow::observe
