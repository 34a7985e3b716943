// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the kernel says of this process.

#include <cstdint>

namespace tow::observe {

struct ProcessStats {
  double cpu_seconds = 0;
  double start_seconds = 0;  // since 1970
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  std::uint64_t open_files = 0;
  std::uint64_t most_files = 0;
};
/// From /proc; zeros where that is not there.
ProcessStats process_stats();

}  // namespace tow::observe
