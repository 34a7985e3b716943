// SPDX-License-Identifier: Apache-2.0
#pragma once
// Images that are made of nothing, for the simulation and the tests of others. What a source is, is detected
// for real; a build of the same files gives the same image. Instant unless told otherwise. Thread-safe.

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "image/image.hpp"

namespace tow::image::fake {

class FakeImages final : public Images {
 public:
  /// The clock must outlive it.
  explicit FakeImages(Clock& clock) : clock_{clock} {}

  /// Time that every build and fetch takes from now on.
  void take(Duration duration);
  /// Builds from now on end with this error, or well again.
  void fail_builds(std::optional<Error> error);
  /// The next fetch of a reference ends with this error.
  void fail_fetch(const std::string& reference, Error error);
  /// What a registry has, or what is in the store already (`present`). Returns the image.
  Image add(const std::string& reference, bool present = false);
  /// Changes what comes out of every build: entrypoint, ports, …
  void shape(std::function<void(const BuildRequest&, Image&)> shape);

  /// Every build that began, in their order.
  std::vector<BuildRequest> builds() const;
  std::size_t running() const;
  std::size_t most_running() const;
  /// Ids of the images that are in the store.
  std::set<std::string> present() const;

  Task<> start() override;
  Task<BuildResult> build(BuildRequest request, ProgressSink progress) override;
  Detection detect(const std::filesystem::path& source,
                   const std::filesystem::path& component) const override;
  Task<Image> ensure(std::string reference, ProgressSink progress) override;
  Task<std::optional<Image>> find(std::string reference) override;
  Task<> ensure_base(std::string name, ProgressSink progress) override;
  Task<Bytes> collect(std::vector<std::string> used) override;

 private:
  Clock& clock_;
  mutable std::mutex mutex_;
  Duration duration_{0};
  std::optional<Error> build_error_;
  std::map<std::string, Error> fetch_errors_;
  std::function<void(const BuildRequest&, Image&)> shape_;
  std::vector<BuildRequest> builds_;
  std::size_t running_ = 0;
  std::size_t most_running_ = 0;
  std::map<std::string, Image> registry_;     // by reference
  std::map<std::string, Image> present_;      // by id
  std::map<std::string, std::string> names_;  // reference -> id
};

}  // namespace tow::image::fake
