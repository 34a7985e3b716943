// SPDX-License-Identifier: Apache-2.0
#include "observe/log_sources.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace tow::observe {
namespace {

constexpr std::size_t kAhead = 256;

}  // namespace

void OrderedLines::add(Scope& scope, engine::LogQuery query) {
  auto& source = sources_.emplace_back();
  scope.spawn(read(source, std::move(query)));
}

Task<> OrderedLines::read(Source& source, engine::LogQuery query) {
  std::exception_ptr failure;
  try {
    co_await engine_.logs(std::move(query), [&](const engine::LogLine& line) -> Task<> {
      while (source.lines.size() >= kAhead) co_await source.room.wait();
      source.lines.push_back(line);
      if (source.lines.size() == 1) changed_.notify();
    });
  } catch (const Error& error) {
    if (error.code() != Code::NotFound) failure = std::current_exception();
  } catch (...) {
    failure = std::current_exception();
  }
  source.ended = true;
  if (failure && !failure_) failure_ = failure;
  changed_.notify();
}

Task<std::optional<engine::LogLine>> OrderedLines::next() {
  while (true) {
    if (failure_) std::rethrow_exception(failure_);
    Source* first = nullptr;
    bool unknown = false;  // a source that has not said yet what comes next
    for (auto& source : sources_) {
      if (source.lines.empty())
        unknown = unknown || !source.ended;
      else if (!first || source.lines.front().time < first->lines.front().time)
        first = &source;
    }
    if (unknown) {
      co_await changed_.wait();
      continue;
    }
    if (!first) co_return std::nullopt;
    auto line = std::move(first->lines.front());
    first->lines.pop_front();
    if (first->lines.empty()) first->room.notify();
    co_return line;
  }
}

Task<> LiveLines::put(engine::LogLine line) {
  while (lines_.size() >= 4 * kAhead) co_await room_.wait();
  lines_.push_back(std::move(line));
  changed_.notify();
}

void LiveLines::close(std::exception_ptr failure) {
  closed_ = true;
  if (failure && !failure_) failure_ = failure;
  changed_.notify();
}

Task<std::vector<engine::LogLine>> LiveLines::take() {
  while (lines_.empty() && !closed_) co_await changed_.wait();
  if (failure_) std::rethrow_exception(failure_);
  auto taken = std::exchange(lines_, {});
  room_.notify();
  std::ranges::stable_sort(taken, {}, &engine::LogLine::time);
  co_return taken;
}

}  // namespace tow::observe
