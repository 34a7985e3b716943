// SPDX-License-Identifier: Apache-2.0
#pragma once
// Units that live in types, and their spelling in documents.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tow {

using Duration = std::chrono::milliseconds;
/// Wall-clock time, UTC, to the millisecond.
using TimePoint = std::chrono::sys_time<std::chrono::milliseconds>;

struct Bytes {
  std::uint64_t count = 0;
  auto operator<=>(const Bytes&) const = default;
};

/// "1h30m", "2m", "500ms", "1.5s"; nothing for anything else.
std::optional<Duration> parse_duration(std::string_view text);
std::string to_string(Duration duration);

/// A decimal with an optional K…E (powers of 1000) or Ki…Ei (powers of 1024), as in Score and Kubernetes.
std::optional<Bytes> parse_bytes(std::string_view text);
std::string to_string(Bytes bytes);

/// RFC 3339 in UTC: "2026-03-01T12:00:00.250Z".
std::optional<TimePoint> parse_time(std::string_view text);
std::string to_string(TimePoint time);

}  // namespace tow
