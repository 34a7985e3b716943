// SPDX-License-Identifier: Apache-2.0
#include "deploy/differences.hpp"

#include <fmt/format.h>

#include <set>

namespace tow::deploy {
namespace {

void compare(const std::string& path, const Node& before, const Node& after, std::vector<std::string>& out) {
  if (before == after) return;
  if (!before.map() || !after.map()) {
    out.push_back(path);
    return;
  }
  static const Node absent;
  std::set<std::string> keys;
  for (const auto& [key, value] : *before.map()) keys.insert(key);
  for (const auto& [key, value] : *after.map()) keys.insert(key);
  for (const auto& key : keys) {
    const auto* old = before.find(key);
    const auto* now = after.find(key);
    compare(path.empty() ? key : path + "." + key, old ? *old : absent, now ? *now : absent, out);
  }
}

void compare_configuration(const Revision::Spec& before, const Revision::Spec& after,
                           std::vector<std::string>& out) {
  const auto kind = [](const ConfigurationValue& value) {
    return value.secret.empty() ? "config" : "secret";
  };
  for (const auto& [name, now] : after.configuration) {
    const auto found = before.configuration.find(name);
    const bool fresh = found == before.configuration.end();
    if (!now.secret.empty()) {
      if (fresh || found->second.secret != now.secret || found->second.version != now.version)
        out.push_back(fmt::format("secret {} version {}", name, now.version));
    } else if (fresh || !found->second.secret.empty()) {
      out.push_back(fmt::format("config {} set", name));
    } else if (found->second.value != now.value) {
      out.push_back(fmt::format("config {} changed", name));
    }
  }
  for (const auto& [name, old] : before.configuration)
    if (!after.configuration.contains(name)) out.push_back(fmt::format("{} {} unset", kind(old), name));
}

Node document(const Described& side) {
  if (!side.release) return {};
  Node merged = side.release->score;
  if (!side.revision->overrides.is_null()) merge(merged, side.revision->overrides);
  return merged;
}

}  // namespace

std::vector<std::string> changed_paths(const Node& before, const Node& after) {
  std::vector<std::string> paths;
  compare({}, before, after, paths);
  return paths;
}

std::vector<std::string> differences(const Described& before, const Described& after) {
  std::vector<std::string> words;
  if (before.release && after.release) {
    const auto& old = before.release->commit;
    const auto& now = after.release->commit;
    if (now && (!old || old->id != now->id)) words.push_back(fmt::format("commit {}", now->id.substr(0, 7)));
    if (before.release->image != after.release->image) words.push_back("image");
    for (const auto& path : changed_paths(document(before), document(after)))
      words.push_back(path.empty() ? "score" : "score " + path);
    if (before.release->files != after.release->files) words.push_back("mounted files");
  } else if (before.revision->release != after.revision->release) {
    words.push_back(fmt::format("release {}", after.revision->release));
  }
  compare_configuration(*before.revision, *after.revision, words);
  if (before.revision->domain != after.revision->domain && !before.revision->domain.empty() &&
      !after.revision->domain.empty())
    words.push_back(fmt::format("domain {}", after.revision->domain));
  if (before.revision->restarted != after.revision->restarted) words.push_back("restart");
  return words;
}

}  // namespace tow::deploy
