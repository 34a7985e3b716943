// SPDX-License-Identifier: Apache-2.0
#pragma once
// The running HAProxy: a master, its worker, and workers of before a reload. Knows commands and files, no
// sites.

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/task.hpp"
#include "route/haproxy/console.hpp"
#include "route/haproxy/daemon.hpp"
#include "route/haproxy/render.hpp"

namespace tow::route::haproxy {

/// For tasks of one strand, one call at a time but for write() and processes().
class Proxy {
 public:
  using Files = std::vector<std::pair<std::string, std::string>>;

  /// `scope` runs on the strand; `lost` is called there when the master or the worker has ended.
  Proxy(Frame frame, Scope& scope, std::function<Task<>(int pid)> lost);

  const Frame& frame() const { return frame_; }
  const Processes& processes() const { return processes_; }
  std::filesystem::path path(std::string_view file) const;

  /// Whether it runs; looks, and from then on watches what it found. One that is there but does not answer,
  /// because it starts, reloads or ends, is waited for.
  Task<bool> find();
  /// Ends what is left of the one before, then starts it from the files of the directory. Throws
  /// Error{FailedPrecondition} for a port in use.
  Task<> launch();
  /// Starts a new worker from the files of the directory; the old one serves what it has begun. Returns when
  /// the new one takes requests. Throws Error{Internal} with what HAProxy says against the configuration.
  Task<> reload();

  /// Files that differ from what was written last, each by an atomic rename. Blocks; not on the strand.
  void write(const Files& files);

  /// Commands to the present worker; the older ones hand everything new over to it. False when it did not do
  /// them all.
  Task<bool> tell(std::vector<std::string> commands);
  /// The same commands to every worker that is there, the present one first.
  Task<std::map<int, std::vector<std::string>>> ask_all(std::vector<std::string> commands);
  Task<std::vector<std::string>> ask(std::vector<std::string> commands);

 private:
  void see(Processes processes);
  Task<> watch(int pid);
  Task<> free_port(const std::string& address, std::uint16_t port);

  Frame frame_;
  Scope& scope_;
  std::function<Task<>(int)> lost_;
  Console console_;
  Processes processes_;
  std::set<int> watched_;
  std::map<std::string, std::string> written_;
};

}  // namespace tow::route::haproxy
