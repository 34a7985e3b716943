// SPDX-License-Identifier: Apache-2.0
#include "image/packs/node_installer.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/error.hpp"

namespace tow::image::packs {
namespace {

constexpr const char* kDependencies[] = {"dependencies", "devDependencies", "optionalDependencies"};

/// "pnpm@9.1.0+sha256…" in packageManager: the version of that program, or empty.
std::string pinned(const Project& top, std::string_view program) {
  const auto text = top.text("packageManager");
  if (!text.starts_with(program) || text.size() <= program.size() || text[program.size()] != '@') return {};
  auto version = text.substr(program.size() + 1);
  version = version.substr(0, version.find('+'));
  const bool sound =
      std::ranges::all_of(version, [](unsigned char c) { return std::isalnum(c) || c == '.' || c == '-'; });
  if (version.empty() || !sound)
    throw fail(Code::Invalid, "packageManager in {} is \"{}\"; write NAME@VERSION",
               top.tree.source("package.json"), text);
  return version;
}

/// Dependencies that are directories beside the component need more than the component.
void refuse_local_dependencies(const Project& project, const Workspace* workspace) {
  for (const char* map : kDependencies) {
    const Node* all = project.package.find(map);
    if (!all || !all->map()) continue;
    for (const auto& [name, version] : *all->map()) {
      const std::string text = version.string() ? *version.string() : "";
      if (workspace ||
          !(text.starts_with("workspace:") || text.starts_with("link:") || text.contains("file:..")))
        continue;
      throw fail(
          Code::Unsupported,
          "{} depends on \"{}\" as \"{}\", which lies outside of the component; make both members of a "
          "workspace (\"workspaces\" in a package.json above them), or write a Containerfile",
          project.tree.source("package.json"), name, text);
    }
  }
}

Installer npm(const Project& top) {
  Installer installer{.program = "npm", .words = "npm"};
  installer.cache = "/root/.npm";
  const char* lock = top.tree.has("npm-shrinkwrap.json") ? "npm-shrinkwrap.json"
                     : top.tree.has("package-lock.json") ? "package-lock.json"
                                                         : nullptr;
  if (lock) installer.files.emplace_back(lock);
  installer.all = lock ? "npm ci" : "npm install";
  installer.production = installer.all + " --omit=dev";
  installer.prune = "npm prune --omit=dev --ignore-scripts";
  return installer;
}

Installer pnpm(const Project& top, const std::string& lock, const Workspace* workspace) {
  auto version = pinned(top, "pnpm");
  // The lock file's layout decides which majors can read it.
  if (version.empty()) version = lock.contains("lockfileVersion: '9") ? "10" : "8";
  Installer installer{.program = "pnpm",
                      .words = "pnpm " + version,
                      .set_up = "npm install --global pnpm@" + version,
                      .files = {"pnpm-lock.yaml"},
                      // Otherwise it asks whether what another choice of packages left may be replaced.
                      .all = "CI=true pnpm install --frozen-lockfile",
                      .production = "CI=true pnpm install --frozen-lockfile --prod",
                      .prune = "CI=true pnpm prune --prod --ignore-scripts",
                      .cache = "/root/.local/share/pnpm/store"};
  if (workspace) {
    // It prunes single packages only.
    installer.prune.clear();
    if (!workspace->self.path.empty())
      installer.production += fmt::format(" --filter '{{./{}}}...'", workspace->self.path);
  }
  for (const char* file : {"pnpm-workspace.yaml", ".pnpmfile.cjs"})
    if (top.tree.has(file)) installer.files.emplace_back(file);
  if (top.tree.has_directory("patches")) installer.folders.emplace_back("patches");
  return installer;
}

Installer yarn_1(const Project& top, const std::string& version) {
  Installer installer{
      .program = "yarn",
      .words = "Yarn 1",
      .set_up = "npm install --global yarn@" + (version.empty() ? "1" : version),
      .files = {},
      .all = "yarn install --frozen-lockfile",
      .production = "yarn install --frozen-lockfile --production",
      .prune = "yarn install --frozen-lockfile --production --ignore-scripts --prefer-offline",
      .cache = "/usr/local/share/.cache/yarn"};
  if (top.tree.has("yarn.lock")) installer.files.emplace_back("yarn.lock");
  return installer;
}

/// Yarn 2 and later. Its packages are unpacked as every other tool expects them; the registry is npm's.
Installer yarn_berry(const Project& top, std::string version, const Workspace* workspace) {
  if (version.empty()) version = "4";
  Installer installer{.program = "yarn",
                      .words = "Yarn " + version,
                      .set_up = "npm install --global @yarnpkg/cli-dist@" + version,
                      .environment =
                          "YARN_NODE_LINKER=node-modules YARN_ENABLE_TELEMETRY=0 "
                          "YARN_ENABLE_GLOBAL_CACHE=true YARN_NPM_REGISTRY_SERVER=\"$(npm config get "
                          "registry)\" ",
                      .files = {},
                      .all = "yarn install --immutable",
                      .production = "yarn workspaces focus --all --production",
                      .cache = "/root/.yarn/berry/cache"};
  if (workspace && !workspace->self.name.empty())
    installer.production = fmt::format("yarn workspaces focus '{}' --production", workspace->self.name);
  for (const char* file : {"yarn.lock", ".yarnrc.yml"})
    if (top.tree.has(file)) installer.files.emplace_back(file);
  for (const char* folder : {".yarn/releases", ".yarn/plugins", ".yarn/patches"})
    if (top.tree.has_directory(folder)) installer.folders.emplace_back(folder);
  return installer;
}

Installer yarn(const Project& top, const Workspace* workspace) {
  auto version = pinned(top, "yarn");
  const auto lock = top.tree.read_large("yarn.lock").value_or("");
  const bool berry = top.tree.has(".yarnrc.yml") || lock.contains("\n__metadata:") ||
                     (!version.empty() && !version.starts_with("1."));
  return berry ? yarn_berry(top, version, workspace) : yarn_1(top, version);
}

/// "git+https://…", "github:user/repository", "user/repository"
bool is_from_git(const std::string& version) {
  static const RE2 pattern{R"(^(?:git(?:\+\w+)?:|github:|gitlab:|bitbucket:|[\w.-]+/[\w.-]+(?:#|$)))"};
  return RE2::PartialMatch(version, pattern);
}

/// Packages that compile native code when they are installed, or fetch it from places other than the registry
/// and compile it where those do not answer; and the tools by which others do so, as lock files name them.
constexpr std::string_view kNative[] = {"better-sqlite3",
                                        "sqlite3",
                                        "canvas",
                                        "argon2",
                                        "node-sass",
                                        "re2",
                                        "zeromq",
                                        "leveldown",
                                        "node-pty",
                                        "node-expat",
                                        "libxmljs2",
                                        "isolated-vm",
                                        "bufferutil",
                                        "utf-8-validate",
                                        "node-gyp",
                                        "prebuild-install",
                                        "@mapbox/node-pre-gyp",
                                        "nan",
                                        "cmake-js"};

bool compiles(const Project& project, const Project& top) {
  for (const auto& name : kNative)
    if (project.depends_on(name)) return true;
  if (project.depends_on("bcrypt") && !project.tree.has("package-lock.json")) return true;
  for (const char* file : {"package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock"}) {
    const auto lock = top.tree.read_large(file);
    if (!lock) continue;
    for (const auto& name : kNative)
      for (const auto& entry :
           {fmt::format("node_modules/{}\"", name), fmt::format("\n{}@", name), fmt::format("\n\"{}@", name),
            fmt::format("\n  {}@", name), fmt::format("\n  '{}@", name), fmt::format("\n  /{}@", name)})
        if (lock->contains(entry)) return true;
  }
  return false;
}

/// Git's hooks, and guards of people's own copies: nothing that a build wants.
bool is_for_people(const std::string& script) {
  static const RE2 pattern{
      R"(^(?:npx (?:-y )?)?(?:husky|lefthook|simple-git-hooks|only-allow|is-ci|pre-commit|yorkie|git config)\b)"};
  return RE2::PartialMatch(script, pattern) && !script.contains("&&");
}

void look_at_scripts(const Project& project, Installer& installer) {
  for (const char* name : {"preinstall", "install", "postinstall", "prepare"}) {
    const auto script = project.script(name);
    if (script.empty()) continue;
    if (is_for_people(script))
      installer.dropped.emplace_back(name);
    else if (std::string_view{name} == "prepare")
      installer.prepares = true;
    else
      installer.runs_scripts = true;
  }
}

void look_at_dependencies(const Node& package, Installer& installer) {
  for (const char* map : kDependencies)
    if (const Node* all = package.find(map); all && all->map())
      for (const auto& [name, version] : *all->map())
        if (const auto* text = version.string()) {
          installer.runs_scripts = installer.runs_scripts || text->starts_with("file:");
          installer.needs_git = installer.needs_git || is_from_git(*text);
        }
}

}  // namespace

Installer choose_installer(const Project& project, const Project& top, const Workspace* workspace) {
  for (const char* file : {"bun.lockb", "bun.lock", "deno.lock"})
    if (top.tree.has(file))
      throw fail(Code::Unsupported,
                 "{} belongs to a runtime which the Node pack does not know; it knows npm, pnpm and Yarn: "
                 "write a Containerfile",
                 top.tree.source(file));
  refuse_local_dependencies(project, workspace);
  Installer installer;
  if (const auto lock = top.tree.read_large("pnpm-lock.yaml"))
    installer = pnpm(top, *lock, workspace);
  else if (top.tree.has("yarn.lock"))
    installer = yarn(top, workspace);
  else if (top.tree.has("package-lock.json") || top.tree.has("npm-shrinkwrap.json"))
    installer = npm(top);
  else if (!pinned(top, "yarn").empty())
    throw fail(Code::Invalid, "{} asks for Yarn, but yarn.lock is not in the repository: commit it",
               top.tree.source("package.json"));
  else if (!pinned(top, "pnpm").empty() || top.tree.has("pnpm-workspace.yaml"))
    throw fail(Code::Invalid, "{} asks for pnpm, but pnpm-lock.yaml is not in the repository: commit it",
               top.tree.source("package.json"));
  else
    installer = npm(top);
  installer.files.insert(installer.files.begin(), "package.json");
  if (top.tree.has(".npmrc")) installer.files.emplace_back(".npmrc");
  look_at_scripts(top, installer);
  look_at_dependencies(project.package, installer);
  if (workspace) {
    for (const auto& member : workspace->members) {
      const Project each{top.tree, member.package};
      for (const char* script : {"preinstall", "install", "postinstall", "prepare"})
        if (const auto text = each.script(script); !text.empty() && !is_for_people(text))
          installer.runs_scripts = true;
      look_at_dependencies(member.package, installer);
    }
    if (installer.prepares) installer.runs_scripts = true;
  }
  installer.compiles = compiles(project, top);
  if (installer.runs_scripts) installer.prepares = false;
  return installer;
}

}  // namespace tow::image::packs
