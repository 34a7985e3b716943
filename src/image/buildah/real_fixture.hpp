// SPDX-License-Identifier: Apache-2.0
#pragma once
// For tests with the real buildah. Base images and layers are made once per machine, in the directory named
// by TOWPATH_TEST_CACHE (default /var/cache/towpath-test); several test programs may use it at the same time.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <mutex>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/log.hpp"
#include "base/process.hpp"
#include "image/buildah/buildah.hpp"
#include "image/buildah/commands.hpp"
#include "image/buildah/storage.hpp"

namespace tow::image::buildah {

inline Settings test_settings() {
  Settings settings;
  const char* cache = std::getenv("TOWPATH_TEST_CACHE");
  settings.directory = std::filesystem::path{cache ? cache : "/var/cache/towpath-test"} / "images";
  // A machine that needs its own certificates to reach the registries says so like this.
  for (const char* name : {"NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"})
    if (const char* file = std::getenv(name); file && *file) {
      settings.trust_host_certificates = true;
      settings.host_certificates = file;
      break;
    }
  settings.run_directory = default_run_directory(settings.directory);
  return settings;
}

/// A source tree to build from, and the platform's images.
class RealImages : public testing::Test {
 public:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "building images takes root";
    images_ = make(settings_);
    run_blocking(images_->start());
    std::filesystem::create_directories(context_);
  }
  void TearDown() override { std::filesystem::remove_all(context_); }

  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((context_ / path).parent_path());
    std::ofstream{context_ / path} << text;
  }

  BuildRequest request(std::string containerfile = {}) const {
    BuildRequest request;
    request.id = new_uid();
    request.project = "test";
    request.context = context_;
    request.containerfile = std::move(containerfile);
    return request;
  }

  ProgressSink sink() {
    return [this](std::string_view line) {
      const std::lock_guard lock{mutex_};
      log_ += std::string{line} + "\n";
    };
  }
  BuildResult build(BuildRequest request) { return run_blocking(images_->build(std::move(request), sink())); }
  std::string log() {
    const std::lock_guard lock{mutex_};
    return log_;
  }

  /// Where a build that ended well, badly or not at all may have left something.
  std::string traces(const std::string& build) const {
    std::string found;
    const auto where = layout(settings_);
    for (const auto& path : {where.builds / build, where.temporary / build})
      if (std::filesystem::exists(path)) found += path.string() + "\n";
    std::error_code error;
    for (const auto& controller : std::filesystem::directory_iterator{"/sys/fs/cgroup", error})
      if (std::filesystem::exists(controller.path() / "towpath-build" / build, error))
        found += controller.path().string() + "\n";
    for (const auto& id : Storage{where.storage}.working_containers(steps_cgroup(build)))
      found += "container " + id + "\n";
    std::ifstream mounts{"/proc/self/mounts"};
    for (std::string line; std::getline(mounts, line);)
      // What is mounted there, not what others mounted of it.
      if (line.contains(" " + where.storage.string() + "/overlay/") && line.contains("/merged "))
        found += line + "\n";
    return found;
  }
  void expect_no_traces(const std::string& build) const { EXPECT_EQ(traces(build), ""); }

  /// The directory of an image's last layer.
  std::filesystem::path top_layer(const std::string& id) const {
    return storage_root(settings_) / "overlay" / Storage{storage_root(settings_)}.resolve(id)->layer / "diff";
  }

  Signal began_;
  std::optional<BuildResult> found_;
  Settings settings_ = test_settings();
  std::unique_ptr<Images> images_;
  std::filesystem::path context_ = std::filesystem::temp_directory_path() / ("towpath-image-" + new_uid());

 private:
  std::mutex mutex_;
  std::string log_;
};

template <class F>
std::optional<Error> error_of(F f) {
  try {
    f();
  } catch (const Error& error) {
    return error;
  }
  return {};
}

}  // namespace tow::image::buildah
