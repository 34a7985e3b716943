// SPDX-License-Identifier: Apache-2.0
#include "retention/choice.hpp"

#include <map>

namespace tow::retention {
namespace {

std::string name_of(const Key& key) { return key.project + "/" + key.name; }

// Counts what is met of each group, newest first, and says whether one is beyond what is kept of it.
class Newest {
 public:
  Newest(int keep, TimePoint since) : keep_{keep}, since_{since} {}
  bool beyond(const std::string& project, const std::string& group, TimePoint created) {
    return ++met_[project + "/" + group] > keep_ && created < since_;
  }

 private:
  int keep_;
  TimePoint since_;
  std::map<std::string, int> met_;
};

}  // namespace

Choice choose(const Inventory& inventory, const Policy& policy, TimePoint now) {
  const auto since = now - policy.age;
  Choice choice;
  std::set<std::string> named = inventory.named_releases;
  std::set<std::string> built;  // builds that something kept speaks of

  Newest runs{policy.runs, since};
  for (const auto& run : inventory.runs) {
    if (run.ended && runs.beyond(run.key.project, run.repository, run.created)) {
      choice.runs.push_back(run.key);
    } else if (!run.ended) {
      for (const auto& each : run.builds) built.insert(run.key.project + "/" + each);
      for (const auto& each : run.releases) named.insert(run.key.project + "/" + each);
    }
  }

  std::set<std::string> images;
  Newest releases{policy.releases, since};
  for (const auto& release : inventory.releases) {
    const bool beyond = releases.beyond(release.key.project, release.component, release.created);
    if (beyond && !named.contains(name_of(release.key))) {
      choice.releases.push_back(release.key);
      continue;
    }
    built.insert(release.key.project + "/" + release.build);
    images.insert(release.image);
    images.insert(release.further.begin(), release.further.end());
  }

  Newest builds{policy.builds, since};
  for (const auto& build : inventory.builds) {
    const bool beyond = build.ended && builds.beyond(build.key.project, build.component, build.created);
    if (beyond && !built.contains(name_of(build.key)))
      choice.builds.push_back(build.key);
    else
      images.insert(build.image);
  }
  images.erase("");
  choice.images.assign(images.begin(), images.end());
  return choice;
}

}  // namespace tow::retention
