// SPDX-License-Identifier: Apache-2.0
#include "pipeline/build_log.hpp"

#include <fstream>

namespace tow::pipeline {
namespace {

constexpr std::uintmax_t kLargest = 16 << 20;
constexpr std::size_t kTimeLength = 24;  // "2026-03-01T12:00:00.250Z"

}  // namespace

BuildLogs::BuildLogs(std::filesystem::path directory, Clock& clock)
    : directory_{std::move(directory)}, clock_{clock} {
  std::filesystem::create_directories(directory_);
}

std::filesystem::path BuildLogs::file(const std::string& build) const {
  return directory_ / (build + ".log");
}

void BuildLogs::append(const std::string& build, std::string_view line) {
  const std::lock_guard lock{mutex_};
  const auto path = file(build);
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (!error && size > kLargest) return;
  std::ofstream out{path, std::ios::app | std::ios::binary};
  out << to_string(clock_.now()) << ' ' << line << '\n';
  if (!error && size + line.size() > kLargest)
    out << to_string(clock_.now()) << " (the log ends here: 16 MiB)\n";
  out.close();
  std::erase_if(listeners_, [](const auto& each) { return each.expired(); });
  for (const auto& each : listeners_)
    if (const auto listener = each.lock()) listener->notify();
}

std::vector<LogEntry> BuildLogs::read(const std::string& build, std::uintmax_t& offset) const {
  std::vector<LogEntry> entries;
  std::ifstream in{file(build), std::ios::binary};
  if (!in) return entries;
  in.seekg(static_cast<std::streamoff>(offset));
  std::string line;
  while (entries.size() < 1000 && std::getline(in, line)) {
    if (in.eof()) break;  // its end is not written yet
    offset += line.size() + 1;
    LogEntry entry;
    entry.time = parse_time(line.substr(0, kTimeLength)).value_or(TimePoint{});
    entry.text = line.size() > kTimeLength ? line.substr(kTimeLength + 1) : "";
    entries.push_back(std::move(entry));
  }
  return entries;
}

void BuildLogs::remove(const std::string& build) {
  std::error_code ignored;
  std::filesystem::remove(file(build), ignored);
}

void BuildLogs::listen(std::weak_ptr<Signal> listener) {
  const std::lock_guard lock{mutex_};
  listeners_.push_back(std::move(listener));
}

}  // namespace tow::pipeline
