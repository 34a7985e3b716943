// SPDX-License-Identifier: Apache-2.0
#include "deploy/configuration.hpp"

#include <algorithm>

#include "deploy/names.hpp"

namespace tow::deploy {
namespace {

// What a scope says about a name now.
std::optional<ConfigurationValue> value_in(const ScopeValues& scope, const std::string& name) {
  if (const auto found = scope.values.find(name); found != scope.values.end() && found->second.value)
    return ConfigurationValue{.value = found->second.value, .secret = {}, .version = 0, .from = scope.name};
  if (const auto found = scope.secrets.find(name); found != scope.secrets.end()) {
    const auto& secret = found->second;
    if (!secret.removed && !secret.versions.empty())
      return ConfigurationValue{
          .value = {}, .secret = secret.entity, .version = secret.versions.back(), .from = scope.name};
  }
  return {};
}

bool changed_after(const std::vector<ScopeValues>& scopes, const std::string& name, TimePoint since) {
  return std::ranges::any_of(scopes, [&](const ScopeValues& scope) {
    if (const auto found = scope.values.find(name);
        found != scope.values.end() && found->second.changed > since)
      return true;
    const auto found = scope.secrets.find(name);
    return found != scope.secrets.end() &&
           (found->second.changed > since || found->second.removed.value_or(TimePoint{}) > since);
  });
}

// A value of an earlier revision as it can be had now: a secret's version that was destroyed is replaced by
// the newest; nothing when there is none.
std::optional<ConfigurationValue> still_there(const ConfigurationValue& value,
                                              const std::vector<ScopeValues>& scopes) {
  if (value.value) return value;
  for (const auto& scope : scopes)
    for (const auto& [name, secret] : scope.secrets) {
      if (secret.entity != value.secret) continue;
      if (std::ranges::find(secret.versions, value.version) != secret.versions.end()) return value;
      if (secret.versions.empty()) return {};
      auto newest = value;
      newest.version = secret.versions.back();
      return newest;
    }
  return {};
}

}  // namespace

std::map<std::string, Resolved> resolve(const std::vector<std::string>& names,
                                        const std::vector<ScopeValues>& scopes,
                                        const std::optional<RestoredValues>& restored) {
  std::map<std::string, Resolved> made;
  for (const auto& name : names) {
    Resolved& resolved = made[name];
    if (restored && restored->values.contains(name) && !changed_after(scopes, name, restored->since)) {
      resolved.value = still_there(restored->values.at(name), scopes);
      if (resolved.value) resolved.restored_from = restored->revision;
    }
    for (const auto& scope : scopes) {
      auto value = value_in(scope, name);
      if (!value) continue;
      if (!resolved.value)
        resolved.value = std::move(value);
      else if (resolved.restored_from || resolved.value->from != scope.name)
        resolved.hidden.push_back(scope.name);
    }
  }
  return made;
}

std::vector<ScopeValues> read_scopes(const store::Snapshot& snapshot, const std::string& project,
                                     const std::string& environment, const std::string& component) {
  std::vector<ScopeValues> scopes;
  for (const auto& name :
       {deployment_name(component, environment), environment, std::string{kProjectScope}}) {
    ScopeValues& scope = scopes.emplace_back();
    scope.name = name;
    if (const auto record = snapshot.get(key<Configuration>(project, name)))
      scope.values = decode<Configuration>(record).spec.values;
    const store::Filter secrets{
        .kind = std::string{Secret::kind}, .project = project, .owner = {}, .labels = {{"scope", name}}};
    for (const auto& record : snapshot.list(secrets)) {
      const auto secret = decode<Secret>(record);
      SecretSeen& seen = scope.secrets[secret.spec.name];
      seen.entity = record->key.name;
      seen.removed = secret.spec.removed;
      for (const auto& version : secret.spec.versions) {
        seen.versions.push_back(version.version);
        seen.changed = version.changed;
        seen.by = version.by;
      }
    }
  }
  return scopes;
}

std::map<std::string, ConfigurationValue> values_of(const std::map<std::string, Resolved>& resolved) {
  std::map<std::string, ConfigurationValue> values;
  for (const auto& [name, each] : resolved)
    if (each.value) values.emplace(name, *each.value);
  return values;
}

namespace {
bool same(const ConfigurationValue& a, const ConfigurationValue& b) {
  return a.value == b.value && a.secret == b.secret && a.version == b.version;
}
}  // namespace

std::vector<std::string> differing(const std::map<std::string, ConfigurationValue>& a,
                                   const std::map<std::string, ConfigurationValue>& b) {
  std::vector<std::string> names;
  for (const auto& [name, value] : a)
    if (const auto other = b.find(name); other == b.end() || !same(value, other->second))
      names.push_back(name);
  for (const auto& [name, value] : b)
    if (!a.contains(name)) names.push_back(name);
  std::ranges::sort(names);
  return names;
}

bool same_values(const std::map<std::string, ConfigurationValue>& a,
                 const std::map<std::string, ConfigurationValue>& b) {
  return differing(a, b).empty();
}

std::optional<LastChange> last_change(const std::vector<ScopeValues>& scopes,
                                      const std::vector<std::string>& names) {
  std::optional<LastChange> last;
  const auto take = [&](TimePoint time, const std::string& by) {
    if (!last || time > last->time) last = LastChange{time, by};
  };
  for (const auto& scope : scopes)
    for (const auto& name : names) {
      if (const auto found = scope.values.find(name); found != scope.values.end())
        take(found->second.changed, found->second.by);
      if (const auto found = scope.secrets.find(name); found != scope.secrets.end())
        take(found->second.changed, found->second.by);
    }
  return last;
}

}  // namespace tow::deploy
