// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which value a component sees for each configuration name it reads, and why. Three scopes can set a name:
// the project, the environment, the component in the environment; the nearest that does wins. After a
// rollback the values of that revision hold for every name that nobody has set since. Pure functions over a
// snapshot.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/deployment.hpp"
#include "model/identity.hpp"
#include "store/store.hpp"

namespace tow::deploy {

/// What a Secret entity says, without its values.
struct SecretSeen {
  std::string entity;         // its name
  std::vector<int> versions;  // whose values are there, oldest first
  TimePoint changed{};        // of the newest
  std::string by;
  std::optional<TimePoint> removed;
};

struct ScopeValues {
  std::string name;  // "project", an environment, or COMPONENT.ENVIRONMENT
  std::map<std::string, Setting> values;
  std::map<std::string, SecretSeen> secrets;
};

struct RestoredValues {
  int revision = 0;
  TimePoint since{};
  std::map<std::string, ConfigurationValue> values;
};

struct Resolved {
  std::optional<ConfigurationValue> value;  // nothing: nobody set it
  int restored_from = 0;                    // the revision that a rollback returned to, if it says so
  std::vector<std::string> hidden;          // farther scopes that set it, too
};

/// `scopes` are in order of nearness.
std::map<std::string, Resolved> resolve(const std::vector<std::string>& names,
                                        const std::vector<ScopeValues>& scopes,
                                        const std::optional<RestoredValues>& restored);

/// The scopes that a component sees, nearest first.
std::vector<ScopeValues> read_scopes(const store::Snapshot& snapshot, const std::string& project,
                                     const std::string& environment, const std::string& component);

/// Who last set or unset one of the names, and when; nothing when nobody ever did.
struct LastChange {
  TimePoint time{};
  std::string by;
};
std::optional<LastChange> last_change(const std::vector<ScopeValues>& scopes,
                                      const std::vector<std::string>& names);
/// The names whose values differ.
std::vector<std::string> differing(const std::map<std::string, ConfigurationValue>& a,
                                   const std::map<std::string, ConfigurationValue>& b);

/// The names that have a value, for a revision.
std::map<std::string, ConfigurationValue> values_of(const std::map<std::string, Resolved>& resolved);
/// Whether two configurations give a component the same values, wherever they come from.
bool same_values(const std::map<std::string, ConfigurationValue>& a,
                 const std::map<std::string, ConfigurationValue>& b);

}  // namespace tow::deploy
