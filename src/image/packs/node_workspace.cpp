// SPDX-License-Identifier: Apache-2.0
#include "image/packs/node_workspace.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <set>

#include "base/error.hpp"

namespace tow::image::packs {
namespace {

constexpr std::size_t kMostMembers = 300;
constexpr int kMostFolders = 5000;
constexpr int kDeepest = 4;

Node read(const Tree& tree, const std::string& file, Node (*parse)(std::string_view)) {
  try {
    if (const auto text = tree.read(file)) return parse(*text);
  } catch (const Error&) {
    // What is wrong with it is said when it is used.
  }
  return {};
}

/// The patterns that name the members, or nothing for what is no workspace.
std::vector<std::string> patterns_of(const Tree& top) {
  const Node package = read(top, "package.json", parse_json);
  const Node pnpm = read(top, "pnpm-workspace.yaml", parse_yaml);
  const Node* list = package.find("workspaces");
  if (list && list->map()) list = list->find("packages");  // as Yarn 1 has it
  if (const Node* packages = pnpm.find("packages")) list = packages;
  std::vector<std::string> patterns;
  if (!list || !list->list()) return patterns;
  for (const auto& each : *list->list()) {
    if (!each.string()) continue;
    auto pattern = *each.string();
    const bool without = pattern.starts_with('!');
    if (without) pattern.erase(0, 1);
    if (pattern.starts_with("./")) pattern.erase(0, 2);
    while (pattern.ends_with('/')) pattern.pop_back();
    if (!pattern.empty()) patterns.push_back((without ? "!" : "") + pattern);
  }
  return patterns;
}

bool matches(const std::string& pattern, const std::string& path) {
  // "**" stands for folders at any depth.
  const int flags = pattern.contains("**") ? 0 : FNM_PATHNAME;
  if (::fnmatch(pattern.c_str(), path.c_str(), flags) == 0) return true;
  return pattern.ends_with("/**") &&
         ::fnmatch(pattern.substr(0, pattern.size() - 3).c_str(), path.c_str(), FNM_PATHNAME) == 0;
}

bool is_member(const std::vector<std::string>& patterns, const std::string& path) {
  bool result = false;
  for (const auto& pattern : patterns)
    if (pattern.starts_with('!')) {
      if (matches(pattern.substr(1), path)) result = false;
    } else if (matches(pattern, path)) {
      result = true;
    }
  return result;
}

Member read_member(const Tree& top, const std::string& path) {
  Member member{.path = path, .name = {}, .package = {}};
  member.package = read(top, path.empty() ? "package.json" : path + "/package.json", parse_json);
  if (const Node* name = member.package.find("name"); name && name->string()) member.name = *name->string();
  return member;
}

void collect(const Tree& top, const std::vector<std::string>& patterns, const std::string& directory,
             int depth, int& folders, std::vector<Member>& members) {
  for (const auto& name : top.directories(directory)) {
    if (name == "node_modules" || members.size() == kMostMembers || --folders < 0) continue;
    const auto path = directory.empty() ? name : directory + "/" + name;
    if (is_member(patterns, path) && top.has(path + "/package.json"))
      if (auto member = read_member(top, path); member.package.map()) members.push_back(std::move(member));
    if (depth < kDeepest) collect(top, patterns, path, depth + 1, folders, members);
  }
}

bool depends(const Member& member, const std::string& name) {
  if (name.empty()) return false;
  for (const char* map : {"dependencies", "devDependencies", "optionalDependencies", "peerDependencies"})
    if (const Node* all = member.package.find(map); all && all->find(name)) return true;
  return false;
}

void visit(const Workspace& workspace, const Member& member, std::set<std::string>& seen,
           std::vector<const Member*>& result) {
  for (const auto& other : workspace.members)
    if (depends(member, other.name) && seen.insert(other.path).second) {
      visit(workspace, other, seen, result);
      result.push_back(&other);
    }
}

}  // namespace

std::optional<Workspace> find_workspace(const Tree& tree) {
  std::string top = tree.path();
  while (true) {
    const Tree candidate{tree.context(), top};
    const auto patterns = patterns_of(candidate);
    const auto path = top.empty()                       ? tree.path()
                      : top.size() < tree.path().size() ? tree.path().substr(top.size() + 1)
                                                        : std::string{};
    if (!patterns.empty() && (path.empty() || is_member(patterns, path))) {
      Workspace workspace{.top = top, .members = {}, .self = read_member(candidate, path)};
      int folders = kMostFolders;
      collect(candidate, patterns, {}, 1, folders, workspace.members);
      return workspace;
    }
    if (top.empty()) return {};
    const auto slash = top.rfind('/');
    top = slash == std::string::npos ? "" : top.substr(0, slash);
  }
}

std::vector<const Member*> dependencies_of(const Workspace& workspace, const Member& member) {
  std::set<std::string> seen{member.path};
  std::vector<const Member*> result;
  visit(workspace, member, seen, result);
  return result;
}

std::vector<const Member*> leaves_of(const Workspace& workspace) {
  std::vector<const Member*> result;
  for (const auto& member : workspace.members)
    if (std::ranges::none_of(workspace.members, [&](const Member& other) {
          return &other != &member && depends(other, member.name);
        }))
      result.push_back(&member);
  return result;
}

}  // namespace tow::image::packs
