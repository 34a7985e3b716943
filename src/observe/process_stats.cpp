// SPDX-License-Identifier: Apache-2.0
#include "observe/process_stats.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace tow::observe {
namespace {

/// When the machine was started, in seconds since 1970.
double boot_time() {
  std::ifstream file{"/proc/stat"};
  for (std::string word; file >> word;) {
    if (word == "btime") {
      double seconds = 0;
      file >> seconds;
      return seconds;
    }
    file.ignore(1 << 16, '\n');
  }
  return 0;
}

}  // namespace

ProcessStats process_stats() {
  ProcessStats stats;
  std::ifstream file{"/proc/self/stat"};
  std::string text{std::istreambuf_iterator<char>{file}, {}};
  // The second field is the program's name, which may hold anything; the third follows the last parenthesis.
  if (const auto close = text.rfind(')'); close != std::string::npos) {
    std::istringstream rest{text.substr(close + 1)};
    std::string state;
    rest >> state;
    std::uint64_t fields[25] = {};  // by their number in proc(5)
    for (int i = 4; i < 25 && rest; ++i) {
      std::int64_t value = 0;  // some are negative
      rest >> value;
      fields[i] = static_cast<std::uint64_t>(value);
    }
    const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
    stats.cpu_seconds = static_cast<double>(fields[14] + fields[15]) / ticks;
    stats.start_seconds = boot_time() + static_cast<double>(fields[22]) / ticks;
    stats.virtual_bytes = fields[23];
    stats.resident_bytes = fields[24] * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  }
  std::error_code ignored;
  for (std::filesystem::directory_iterator at{"/proc/self/fd", ignored}, end; at != end;
       at.increment(ignored))
    ++stats.open_files;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) stats.most_files = limit.rlim_cur;
  return stats;
}

}  // namespace tow::observe
