// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which records may go. Pure: the same inventory, policy and time give the same answer.

#include <set>
#include <string>
#include <vector>

#include "model/record.hpp"

namespace tow::retention {

/// How much is kept of what has ended. What is in use is kept in any case.
struct Policy {
  int runs = 50;                                   // of each repository
  int builds = 20;                                 // of each component
  int releases = 20;                               // of each component
  Duration age = std::chrono::hours{24 * 7};       // what is younger is kept, however many there are
  Duration events = std::chrono::hours{24 * 365};  // the audit trail
  Duration history = std::chrono::hours{24 * 30};  // earlier states of what exists
};

/// What there is, of all projects. Names are "PROJECT/NAME".
struct Inventory {
  struct Run {
    Key key;
    std::string repository;
    TimePoint created{};
    bool ended = false;
    std::vector<std::string> builds;    // that it waits for or has used
    std::vector<std::string> releases;  // that it has made
  };
  struct Build {
    Key key;
    std::string component;
    TimePoint created{};
    bool ended = false;
    std::string image;  // empty where none came of it
  };
  struct Release {
    Key key;
    std::string component;
    TimePoint created{};
    std::string build;
    std::string image;
    std::vector<std::string> further;  // images of its other containers
  };
  // Each newest first.
  std::vector<Run> runs;
  std::vector<Build> builds;
  std::vector<Release> releases;
  /// Releases that a deployment wants, a revision has (which a rollback may return to), or a component calls
  /// its newest.
  std::set<std::string> named_releases;
};

struct Choice {
  std::vector<Key> runs;
  std::vector<Key> builds;
  std::vector<Key> releases;
  std::vector<std::string> images;  // ids that are still named, of what is kept
};

Choice choose(const Inventory& inventory, const Policy& policy, TimePoint now);

}  // namespace tow::retention
