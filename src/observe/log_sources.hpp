// SPDX-License-Identifier: Apache-2.0
#pragma once
// Lines of several sources of an engine as one stream. Each source is read by a task of its own, which waits
// when it is ahead, so that little is in memory whatever the logs' sizes. Everything of one object happens on
// one task's executor, and it outlives the scope in which its sources are read.

#include <deque>
#include <exception>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "engine/engine.hpp"

namespace tow::observe {

/// In the order of time: for sources that end by themselves.
class OrderedLines {
 public:
  explicit OrderedLines(engine::Engine& engine) : engine_{engine} {}

  /// Before the first next(). A source without logs is an empty one.
  void add(Scope& scope, engine::LogQuery query);
  /// Nothing at the end of all. Throws what a source threw.
  Task<std::optional<engine::LogLine>> next();

 private:
  struct Source {
    std::deque<engine::LogLine> lines;
    Signal room;
    bool ended = false;
  };
  Task<> read(Source& source, engine::LogQuery query);

  engine::Engine& engine_;
  std::list<Source> sources_;
  Signal changed_;
  std::exception_ptr failure_;
};

/// As they come: for sources that go on. Lines that are there at the same time are given in order.
class LiveLines {
 public:
  /// Waits while too many lines are untaken.
  Task<> put(engine::LogLine line);
  /// No more will come.
  void close(std::exception_ptr failure = {});
  /// At least one line; none when it is closed and all are taken. Throws what it was closed with.
  Task<std::vector<engine::LogLine>> take();

 private:
  std::vector<engine::LogLine> lines_;
  Signal changed_;
  Signal room_;
  bool closed_ = false;
  std::exception_ptr failure_;
};

}  // namespace tow::observe
