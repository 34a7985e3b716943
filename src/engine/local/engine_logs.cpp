// SPDX-License-Identifier: Apache-2.0
// The engine's logs and volumes: what is kept in files.
#include <sys/inotify.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <filesystem>

#include "base/error.hpp"
#include "base/log.hpp"
#include "engine/local/disk.hpp"
#include "engine/local/engine.hpp"
#include "engine/local/log_files.hpp"
#include "engine/local/terminal.hpp"
#include "engine/validate.hpp"

namespace tow::engine::local {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

/// "GROUP-N" is an instance of that group's logs, or a job or group by itself.
struct Source {
  std::string directory;
  std::string instance;  // empty: all
};
Source find_source(const Place& place, const std::string& name) {
  check_id("log's source", name);
  if (fs::exists(place.logs(name))) return {name, {}};
  const auto hyphen = name.rfind('-');
  if (hyphen != std::string::npos) return {name.substr(0, hyphen), name};
  return {name, {}};
}

/// The next line in the order of time over several containers.
class Merge {
 public:
  Merge(fs::path directory, std::string instance, std::string container)
      : directory_{std::move(directory)}, only_{std::move(instance)}, only_container_{std::move(container)} {}

  void seek(std::optional<TimePoint> since, std::size_t tail) {
    open(since, tail);
    if (tail == 0 || readers_.size() < 2) return;
    // The last lines of all together: each container's last ones, less the earliest of them.
    std::vector<LogLine> last;
    while (auto line = take()) last.push_back(std::move(*line));
    for (std::size_t i = last.size() > tail ? last.size() - tail : 0; i < last.size(); ++i)
      ready_.push_back(std::move(last[i]));
  }

  /// Up to some hundred lines; none when there is nothing new. New ones are found on the way.
  std::vector<LogLine> more() {
    open({}, 0);
    std::vector<LogLine> lines;
    while (lines.size() < 256) {
      if (!ready_.empty()) {
        lines.push_back(std::move(ready_.front()));
        ready_.pop_front();
      } else if (auto line = take()) {
        lines.push_back(std::move(*line));
      } else {
        break;
      }
    }
    return lines;
  }

 private:
  void open(std::optional<TimePoint> since, std::size_t tail) {
    for (const auto& key : logged_containers(directory_)) {
      const auto [id, container] = split_key(key);
      if (!only_.empty() && id != only_) continue;
      if (!only_container_.empty() && container != only_container_) continue;
      if (std::ranges::any_of(readers_, [&](const auto& r) { return r.reader.key() == key; })) continue;
      readers_.push_back({LogReader{directory_, key}, {}});
      readers_.back().reader.seek(since, tail);
    }
  }
  std::optional<LogLine> take() {
    Reader* first = nullptr;
    for (auto& one : readers_) {
      if (!one.head) one.head = one.reader.next();
      if (one.head && (!first || one.head->time < first->head->time)) first = &one;
    }
    if (!first) return std::nullopt;
    return std::exchange(first->head, std::nullopt);
  }

  struct Reader {
    LogReader reader;
    std::optional<LogLine> head;
  };
  fs::path directory_;
  std::string only_, only_container_;
  std::vector<Reader> readers_;
  std::deque<LogLine> ready_;
};

/// Notifies whenever something in the directory changes.
Task<> watch_directory(fs::path directory, Signal& changed) {
  const int descriptor = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (descriptor < 0) throw system_error("watching logs", errno);
  boost::asio::posix::stream_descriptor stream{co_await boost::asio::this_coro::executor, descriptor};
  if (::inotify_add_watch(descriptor, directory.c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
    throw system_error("watching " + directory.string(), errno);
  char events[4096];
  for (;;) {
    co_await stream.async_wait(boost::asio::posix::stream_descriptor::wait_read, boost::asio::use_awaitable);
    while (::read(descriptor, events, sizeof events) > 0) {
    }
    changed.notify();
  }
}

}  // namespace

Task<> Local::logs(LogQuery query, LogSink sink) {
  const Source source = find_source(place_, query.source);
  const fs::path directory = place_.logs(source.directory);
  if (!fs::exists(directory) && !views_.writes(source.directory, source.instance))
    throw fail(Code::NotFound, "there are no logs of {}", query.source);
  Merge merge{directory, source.instance, query.container};
  co_await pool_.run([&] { merge.seek(query.since, query.tail); });

  const auto changed = std::make_shared<Signal>();
  const auto drain = [&]() -> Task<> {
    for (;;) {
      const auto lines = co_await pool_.run([&] { return merge.more(); });
      if (lines.empty()) co_return;
      for (const auto& line : lines) co_await sink(line);
    }
  };
  if (!query.follow) co_return co_await drain();

  views_.follow(changed);
  co_await pool_.run([&] { fs::create_directories(directory); });
  co_await with_scope("log watch", [&](Scope& watching) -> Task<> {
    watching.spawn(watch_directory(directory, *changed));
    for (;;) {
      // Looked at before the last lines are read: what is written between the two is not lost.
      const bool goes_on = views_.writes(source.directory, source.instance);
      co_await drain();
      if (!goes_on) break;
      co_await changed->wait();
    }
  });
}

Task<> Local::remove_logs(std::string source) {
  check_id("log's source", source);
  co_await pool_.run([&] { fs::remove_all(place_.logs(source)); });
}

/// Rotates a log that has become too large, and tidies the older ones. Returns whether it grows fast.
bool Local::keep_log(const std::string& source, const std::string& key, std::uintmax_t& before) {
  const fs::path directory = place_.logs(source);
  std::error_code missing;
  const auto size = fs::file_size(directory / (key + ".log"), missing);
  if (missing || size == before) return false;
  const bool fast = size > before && size - before > settings_.log_file_size.count / 8;
  before = size;
  if (rotate_log(directory, key, settings_.log_file_size)) {
    reopen_log(place_.instance(key));
    before = 0;
  }
  tidy_logs(directory, key, settings_.log_files);
  return fast;
}

/// Looks after the size of logs, more often while something writes fast.
Task<> Local::keep_logs() {
  std::map<std::string, std::uintmax_t> sizes;
  std::string told;
  for (Duration gap = milliseconds{1000};;) {
    co_await settings_.clock->sleep(gap);
    std::map<std::string, std::string> all;  // containers with their sources
    for (const auto& [id, group] : groups_)
      for (const auto& [ordinal, instance] : group->instances)
        for (const auto& container : group->workload->containers)
          all[container_key(instance->identity().id, *group->workload, container)] = id;
    for (const auto& [id, job] : jobs_)
      if (job->instance) all[id] = id;
    std::erase_if(sizes, [&](const auto& one) { return !all.contains(one.first); });
    const bool fast = co_await pool_.run([&] {
      bool growing = false;
      for (const auto& [key, source] : all) try {
          growing |= keep_log(source, key, sizes[key]);
        } catch (...) {
          const auto fault = explained(std::current_exception()).message();
          if (std::exchange(told, fault) != fault)
            log::warning("engine", "the logs of {} cannot be kept small: {}", key, fault);
        }
      return growing;
    });
    gap = fast ? milliseconds{50} : milliseconds{1000};
  }
}

Task<Bytes> Local::volume_size(std::string volume) {
  check_id("volume", volume);
  co_return co_await pool_.run([&] {
    Bytes all;
    std::error_code ignored;
    // Files come and go while it is walked: what has gone is passed over.
    for (fs::recursive_directory_iterator at{place_.volume(volume), ignored}, end; at != end;
         at.increment(ignored)) {
      struct stat about{};
      if (::lstat(at->path().c_str(), &about) == 0)
        all.count += static_cast<std::uint64_t>(about.st_blocks) * 512;
    }
    return all;
  });
}

Task<> Local::remove_volume(std::string volume) {
  check_id("volume", volume);
  co_await on_strand([](Local& self, std::string uid) -> Task<> {
    for (const auto& [id, group] : self.groups_)
      if (mounts(*group->workload, uid))
        throw fail(Code::FailedPrecondition, "volume {} is in use by group {}; retire it first", uid, id);
    for (const auto& [id, job] : self.jobs_)
      if (job->instance && mounts(job->record.spec.workload, uid))
        throw fail(Code::FailedPrecondition, "volume {} is in use by job {}; remove it first", uid, id);
    co_return;
  }(*this, volume));
  co_await pool_.run([&] { fs::remove_all(place_.volume(volume)); });
}

Task<std::unique_ptr<Terminal>> Local::exec(InstanceId instance, std::vector<std::string> command,
                                            bool terminal, std::string container) {
  const auto executor = co_await boost::asio::this_coro::executor;
  const auto view = views_.instance(instance);
  std::string key = instance;
  if (view) {
    const auto& all = view->containers;
    const auto chosen =
        container.empty() ? all.begin() : std::ranges::find(all, container, &ContainerView::name);
    if (chosen == all.end()) throw no_such_container(instance, container);
    if (all.size() > 1) key += "." + chosen->name;
  }
  co_return co_await pool_.run([&] {
    const auto text = read_text(place_.instance(key) / "run.json");
    if (!text) throw fail(Code::FailedPrecondition, "instance {} does not run", key);
    const auto record = from_node<RunRecord>(parse_json(*text));
    const auto runtime = choose_runtime(record.runtime.empty() ? settings_.runtime : record.runtime,
                                        place_.runtimes(), cgroups_);
    return open_terminal(shop_, executor, key, runtime, command, terminal);
  });
}

}  // namespace tow::engine::local
