// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where buildah works: the directories, the storage, and one workspace for each build, which is gone when the
// build is, however that ends. Thread-safe after start().

#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "image/buildah/build_log.hpp"
#include "image/buildah/commands.hpp"
#include "image/buildah/file_lock.hpp"
#include "image/buildah/storage.hpp"

namespace tow::image::buildah {

class Workshop {
 public:
  explicit Workshop(Settings settings);

  /// Looks for the programs, makes the directories and the configuration, removes what dead builds left.
  /// Throws Error{FailedPrecondition} with what to do about it.
  Task<> start();

  const Settings& settings() const { return settings_; }
  /// The same as they are now, for one build.
  Settings current_settings() const;
  const Layout& layout() const { return layout_; }
  const Storage& storage() const { return storage_; }
  std::filesystem::path lock_file(const char* name) const { return settings_.directory / name; }

  /// Runs `body` between the making and the removal of the build's directories.
  /// Throws Error{Conflict} when a build of this id is under way.
  template <class F>
  auto in_workspace(std::string id, std::string project, F body)
      -> Task<typename std::invoke_result_t<F>::value_type> {
    const auto owner = FileLock::try_lock(lock_of(id), FileLock::Mode::Exclusive);
    if (!owner) refuse_twice(id);
    std::exception_ptr failure;
    std::optional<typename std::invoke_result_t<F>::value_type> result;
    try {
      open_workspace(id, project);
      result.emplace(co_await body());
    } catch (...) {
      failure = std::current_exception();
    }
    const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
    co_await while_cleaning_up();
    co_await close_workspace(id);
    co_await boost::asio::this_coro::throw_if_cancelled(throws);
    if (failure) std::rethrow_exception(failure);
    co_return std::move(*result);
  }

  /// Runs buildah in an open workspace; returns the new image's id. Throws Error{Invalid} when a step failed,
  /// Error{Timeout} and Error{Exhausted}, each with the step and its last lines.
  Task<std::string> build(const BuildCommand& build, BuildLog& log) const;

 private:
  std::filesystem::path lock_of(const std::string& id) const;
  [[noreturn]] static void refuse_twice(const std::string& id);
  void open_workspace(const std::string& id, const std::string& project) const;
  Task<> close_workspace(std::string id) const;
  Task<> sweep(std::string id) const;

  const Settings settings_;
  const Layout layout_;
  const Storage storage_;
  std::string runtime_;
};

/// What a program of the buildah family said last, without its time and level.
std::string last_message(std::string text);

}  // namespace tow::image::buildah
