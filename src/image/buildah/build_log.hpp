// SPDX-License-Identifier: Apache-2.0
#pragma once
// Reads a build's log as it comes: which step is at work, whether it came from the cache, and what to say
// when it fails. Not thread-safe.

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "image/image.hpp"

namespace tow::image::buildah {

class BuildLog {
 public:
  /// `secrets`: values that must appear nowhere; they are replaced by "***".
  BuildLog(ProgressSink sink, std::vector<std::string> secrets);

  void line(std::string_view line);

  /// Every step came from the cache.
  bool cached() const { return steps_ > 0 && static_cast<int>(from_cache_.size()) == steps_; }
  /// Ids of the images that were taken from the cache.
  const std::vector<std::string>& from_cache() const { return from_cache_; }
  /// "step 3/7: RUN npm ci", or empty before the first one.
  const std::string& step() const { return step_; }
  /// What to say of a failure: the step, and its last lines.
  std::string failure(std::string_view what) const;
  /// Whether the disk was full.
  bool disk_full() const { return disk_full_; }
  /// Whether a program of the last step was killed, or got no memory.
  bool killed() const { return killed_; }

 private:
  std::string clean(std::string_view line) const;

  ProgressSink sink_;
  std::vector<std::string> secrets_;
  std::string step_;
  std::deque<std::string> last_;
  int steps_ = 0;
  std::vector<std::string> from_cache_;
  bool disk_full_ = false;
  bool killed_ = false;
};

}  // namespace tow::image::buildah
