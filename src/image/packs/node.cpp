// SPDX-License-Identifier: Apache-2.0
// Node: programs, and sites that a Node tool builds.
#include <fmt/ranges.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/node.hpp"
#include "image/packs/node_version.hpp"
#include "image/packs/pack.hpp"
#include "image/packs/text.hpp"

namespace tow::image::packs {
namespace {

struct Project {
  const Tree& tree;
  Node package;

  std::string text(std::string_view key) const {
    const Node* found = package.find(key);
    return found && found->string() ? *found->string() : std::string{};
  }
  std::string text(std::string_view map, std::string_view key) const {
    const Node* outer = package.find(map);
    const Node* found = outer ? outer->find(key) : nullptr;
    return found && found->string() ? *found->string() : std::string{};
  }
  std::string script(std::string_view name) const { return text("scripts", name); }
  bool depends_on(std::string_view name) const {
    return !text("dependencies", name).empty() || !text("devDependencies", name).empty();
  }
  /// Whether a map of the package has anything in it.
  bool has_any(std::string_view key) const {
    const Node* found = package.find(key);
    return found && found->map() && !found->map()->empty();
  }
};

/// How dependencies are fetched: the files that decide about them, and the commands.
struct Installer {
  std::string program = "npm";
  std::string set_up;              // a command that brings the program, or empty
  std::vector<std::string> files;  // copied first
  std::string all;                 // installs everything
  std::string production;          // installs what running takes
  std::string cache;               // directory worth keeping between builds
  bool needs_source = false;       // installing runs or reads files of the project
  bool needs_git = false;
};

Project read_project(const Tree& tree, const std::string& json) {
  try {
    Project project{tree, parse_json(json)};
    if (!project.package.map()) throw Error{Code::Invalid, "is not an object"};
    return project;
  } catch (const Error& error) {
    throw fail(Code::Invalid, "{} cannot be read: {}", tree.source("package.json"), error.message());
  }
}

/// "pnpm@9.1.0+sha256…" in packageManager: the version of that program, or empty.
std::string pinned(const Project& project, std::string_view program) {
  const auto text = project.text("packageManager");
  if (!text.starts_with(program) || text.size() <= program.size() || text[program.size()] != '@') return {};
  auto version = text.substr(program.size() + 1);
  version = version.substr(0, version.find('+'));
  const bool sound =
      std::ranges::all_of(version, [](unsigned char c) { return std::isalnum(c) || c == '.'; });
  if (version.empty() || !sound)
    throw fail(Code::Invalid, "packageManager in {} is \"{}\"; write NAME@VERSION",
               project.tree.source("package.json"), text);
  return version;
}

/// Dependencies that are directories beside the component, and workspaces, need more than the component.
void refuse_local_dependencies(const Project& project) {
  if (const auto root = project.tree.read_of_context("package.json"); root && project.tree.source() != "./") {
    Node whole;
    try {
      whole = parse_json(*root);
    } catch (const Error&) {
      whole = {};  // another component's business
    }
    if (whole.find("workspaces") || project.tree.read_of_context("pnpm-workspace.yaml"))
      throw fail(Code::Unsupported,
                 "{} belongs to the workspaces of the package.json at the top of the repository, which the "
                 "Node pack "
                 "does not know; write a Containerfile for it (its context is the whole repository)",
                 project.tree.source("package.json"));
  }
  for (const char* map : {"dependencies", "devDependencies", "optionalDependencies"}) {
    const Node* all = project.package.find(map);
    if (!all || !all->map()) continue;
    for (const auto& [name, version] : *all->map()) {
      const std::string text = version.string() ? *version.string() : "";
      if (text.starts_with("workspace:") || text.starts_with("link:") || text.contains("file:.."))
        throw fail(
            Code::Unsupported,
            "{} depends on \"{}\" as \"{}\", which lies outside of the component; write a Containerfile "
            "for it (its context is the whole repository)",
            project.tree.source("package.json"), name, text);
    }
  }
}

Installer npm(const Project& project) {
  Installer installer;
  installer.cache = "/root/.npm";
  const char* lock = project.tree.has("npm-shrinkwrap.json") ? "npm-shrinkwrap.json"
                     : project.tree.has("package-lock.json") ? "package-lock.json"
                                                             : nullptr;
  if (lock) installer.files.emplace_back(lock);
  installer.all = lock ? "npm ci" : "npm install";
  installer.production = installer.all + " --omit=dev";
  return installer;
}

Installer pnpm(const Project& project, const std::string& lock) {
  auto version = pinned(project, "pnpm");
  // The lock file's layout decides which majors can read it.
  if (version.empty()) version = lock.contains("lockfileVersion: '9") ? "9" : "8";
  return {.program = "pnpm",
          .set_up = "npm install --global pnpm@" + version,
          .files = {"pnpm-lock.yaml"},
          .all = "pnpm install --frozen-lockfile",
          .production = "pnpm install --frozen-lockfile --prod",
          .cache = "/root/.local/share/pnpm/store"};
}

Installer yarn(const Project& project) {
  auto version = pinned(project, "yarn");
  if (project.tree.has(".yarnrc.yml") || (!version.empty() && !version.starts_with("1.")))
    throw fail(
        Code::Unsupported,
        "{} uses Yarn 2 or later, which the Node pack does not know; it knows npm, pnpm and Yarn 1: write "
        "a Containerfile",
        project.tree.source("package.json"));
  return {.program = "yarn",
          .set_up = "npm install --global yarn@" + (version.empty() ? "1" : version),
          .files = {"yarn.lock"},
          .all = "yarn install --frozen-lockfile",
          .production = "yarn install --frozen-lockfile --production",
          .cache = "/usr/local/share/.cache/yarn"};
}

/// "git+https://…", "github:user/repository", "user/repository"
bool is_from_git(const std::string& version) {
  static const RE2 pattern{R"(^(?:git(?:\+\w+)?:|github:|gitlab:|bitbucket:|[\w.-]+/[\w.-]+(?:#|$)))"};
  return RE2::PartialMatch(version, pattern);
}

Installer choose_installer(const Project& project) {
  const Tree& tree = project.tree;
  for (const char* file : {"bun.lockb", "bun.lock", "deno.lock"})
    if (tree.has(file))
      throw fail(Code::Unsupported,
                 "{} belongs to a runtime which the Node pack does not know; it knows npm, pnpm and Yarn 1: "
                 "write a Containerfile",
                 tree.source(file));
  refuse_local_dependencies(project);
  Installer installer;
  if (const auto lock = tree.read("pnpm-lock.yaml"))
    installer = pnpm(project, *lock);
  else if (tree.has("yarn.lock"))
    installer = yarn(project);
  else
    installer = npm(project);
  installer.files.insert(installer.files.begin(), "package.json");
  if (tree.has(".npmrc")) installer.files.emplace_back(".npmrc");
  for (const char* script : {"preinstall", "install", "postinstall", "prepare"})
    if (!project.script(script).empty()) installer.needs_source = true;
  for (const char* map : {"dependencies", "devDependencies", "optionalDependencies"})
    if (const Node* all = project.package.find(map); all && all->map())
      for (const auto& [name, version] : *all->map())
        if (const auto* text = version.string()) {
          installer.needs_source = installer.needs_source || text->starts_with("file:");
          installer.needs_git = installer.needs_git || is_from_git(*text);
        }
  return installer;
}

NodeChoice choose_node(const Project& project) {
  for (const char* file : {".nvmrc", ".node-version"})
    if (const auto text = project.tree.read(file))
      for (const auto& line : lines(*text)) {
        const auto version = trim(std::string_view{line}.substr(0, line.find('#')));
        if (!version.empty()) return packs::choose_node(version, project.tree.source(file));
      }
  return packs::choose_node(trim(project.text("engines", "node")),
                            "engines.node in " + project.tree.source("package.json"));
}

/// The directory a site builder writes to, or nothing when none that is known is among the dependencies.
std::optional<std::string> site_output(const Project& project) {
  // In the order of precedence: a framework before the tool it is made with.
  constexpr std::array<std::pair<std::string_view, std::string_view>, 17> builders = {{
      {"@docusaurus/core", "build"},
      {"gatsby", "public"},
      {"@11ty/eleventy", "_site"},
      {"vitepress", ".vitepress/dist"},
      {"vuepress", ".vuepress/dist"},
      {"hexo", "public"},
      {"astro", "dist"},
      {"@sveltejs/adapter-static", "build"},
      {"@angular/cli", "dist"},
      {"react-scripts", "build"},
      {"@vue/cli-service", "dist"},
      {"preact-cli", "build"},
      {"parcel", "dist"},
      {"vite", "dist"},
      {"webpack", "dist"},
      {"rollup", "dist"},
      {"esbuild", "dist"},
  }};
  for (const auto& [name, directory] : builders) {
    if (!project.depends_on(name)) continue;
    if (name == "vite") {
      for (const char* file : {"vite.config.js", "vite.config.ts", "vite.config.mjs", "vite.config.mts"}) {
        const auto text = project.tree.read(file).value_or("");
        const auto at = text.find("outDir");
        const auto open = at == std::string::npos ? at : text.find_first_of("'\"`", at);
        const auto close = open == std::string::npos ? open : text.find(text[open], open + 1);
        if (close == std::string::npos) continue;
        auto directory_name = text.substr(open + 1, close - open - 1);
        if (!directory_name.empty() && !directory_name.contains("..") && !directory_name.starts_with('/'))
          return directory_name;
      }
    }
    if (name == "@angular/cli") return "dist/" + project.text("name") + "/browser";
    return std::string{directory};
  }
  return {};
}

/// Servers that are for development, or that only hand out the built site: lighttpd does that better.
bool serves_for_development(std::string_view script) {
  constexpr std::array<std::string_view, 20> commands = {"vite",
                                                         "vite dev",
                                                         "vite serve",
                                                         "vite preview",
                                                         "react-scripts start",
                                                         "ng serve",
                                                         "webpack serve",
                                                         "webpack-dev-server",
                                                         "parcel",
                                                         "parcel serve",
                                                         "gatsby develop",
                                                         "gatsby serve",
                                                         "astro dev",
                                                         "astro preview",
                                                         "docusaurus start",
                                                         "docusaurus serve",
                                                         "eleventy --serve",
                                                         "vue-cli-service serve",
                                                         "vitepress dev",
                                                         "hexo server"};
  script = trim(script);
  return std::ranges::any_of(commands, [&](std::string_view command) {
    return script == command ||
           (script.starts_with(command) && script.substr(command.size()).starts_with(" --"));
  });
}

struct Start {
  std::vector<std::string> command;
  std::string reason;
  bool listens = true;
};

/// Follows "npm run X" so that npm is not the process that gets the signals.
std::string resolve_script(const Project& project, std::string line) {
  for (int depth = 0; depth < 5; ++depth) {
    std::string_view text = trim(line);
    for (const std::string_view prefix : {"npm run ", "yarn run ", "pnpm run ", "yarn ", "pnpm "})
      if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
    const auto next = project.script(text);
    if (text == trim(line) || next.empty() || text.contains(' ')) break;
    line = next;
  }
  return line;
}

std::optional<Start> find_start(const Project& project) {
  if (const auto text = project.tree.read("Procfile")) {
    const auto process = choose_process(*text, project.tree.source("Procfile"));
    return Start{start_command(process.command), "Procfile's " + process.name, process.listens()};
  }
  if (const auto script = project.script("start"); !script.empty()) {
    auto line = resolve_script(project, script);
    if (const auto before = project.script("prestart"); !before.empty()) line = before + " && " + line;
    return Start{start_command(line), "its start script"};
  }
  const bool built = !project.script("build").empty();
  if (built && site_output(project)) return {};
  if (auto main = project.text("main"); !main.empty()) {
    if (main.starts_with("./")) main.erase(0, 2);
    // What the build makes cannot be seen yet.
    for (const std::string suffix : {"", ".js", ".cjs", ".mjs"})
      if (project.tree.has(main + suffix)) return Start{{"node", main + suffix}, "its main file"};
    if (built) return Start{{"node", main}, "its main file"};
  }
  for (const char* file :
       {"server.js", "server.mjs", "server.cjs", "index.js", "index.mjs", "app.js", "main.js"})
    if (project.tree.has(file)) return Start{{"node", file}, file};
  return {};
}

std::string run_install(const Installer& installer, const std::string& command) {
  return "RUN --mount=type=cache,target=" + installer.cache + " " + command + "\n";
}

std::vector<std::string> sources(const Project& project, const Installer& installer) {
  std::vector<std::string> result;
  for (const auto& file : installer.files) result.push_back(project.tree.source(file));
  return result;
}

/// FROM, Node's version and the package manager: what changes least. The base image works in /app.
std::string beginning(const NodeChoice& choice, const Installer& installer, std::string_view stage) {
  std::string text = fmt::format("FROM towpath/node:12{}{}\n", stage.empty() ? "" : " AS ", stage);
  if (!choice.npm_version.empty()) text += "RUN npm install --global 'node@" + choice.npm_version + "'\n";
  if (installer.needs_git) text += std::string{kInstallGit} + "\n";
  if (!installer.set_up.empty()) text += "RUN " + installer.set_up + "\n";
  return text;
}

std::string settings(const Start& start) {
  std::string environment = "NODE_ENV=production";
  if (start.command.front() != "node") environment += " PATH=/app/node_modules/.bin:$PATH";
  return program_settings(environment, start.listens, start.command);
}

/// Copies what decides about the dependencies and installs them.
std::string dependencies(const Project& project, const Installer& installer, const std::string& command,
                         std::string_view flags) {
  if (installer.needs_source)
    return "# Installing runs or reads files of the project, so all of it comes first.\n" +
           copy({project.tree.source()}, "./", flags) + "\n" + run_install(installer, command);
  return "# Dependencies first: they are installed again only when one of these files changes.\n" +
         copy(sources(project, installer), "./") + "\n" + run_install(installer, command);
}

std::string program(const Project& project, const NodeChoice& choice, const Installer& installer,
                    const Start& start) {
  const bool installs =
      installer.needs_source || project.has_any("dependencies") || project.has_any("optionalDependencies");
  if (project.script("build").empty()) {
    std::string text = beginning(choice, installer, "") + settings(start) + "\n";
    if (installs) text += dependencies(project, installer, installer.production, "--chown=app");
    if (installer.needs_source) return text + "USER app\n";
    if (installs) text += "\n";
    return text + "USER app\n" + copy({project.tree.source()}, "./", "--chown=app") + "\n";
  }
  std::string text = beginning(choice, installer, "dependencies");
  if (installs) text += "\n" + dependencies(project, installer, installer.production, "");
  text +=
      "\n# Building takes the development tools too; they stay behind in this stage.\n"
      "FROM dependencies AS build\n";
  if (!installs) text += copy(sources(project, installer), "./") + "\n";
  text += run_install(installer, installer.all);
  if (!installer.needs_source) text += copy({project.tree.source()}, "./") + "\n";
  text += fmt::format("RUN {} run build \\\n && mkdir /out \\\n", installer.program);
  text += " && find . -mindepth 1 -maxdepth 1 ! -name node_modules -exec cp -a -t /out {} +\n";
  return text + "\nFROM dependencies\n" + settings(start) +
         "USER app\nCOPY --from=build --chown=app /out/ ./\n";
}

std::string built_site(const Project& project, const NodeChoice& choice, const Installer& installer,
                       const std::string& output) {
  std::string text = beginning(choice, installer, "build");
  text += "\n" + dependencies(project, installer, installer.all, "");
  if (!installer.needs_source) text += "\n" + copy({project.tree.source()}, "./") + "\n";
  text += fmt::format("RUN {} run build\n\n", installer.program);
  text += "# A web server for /srv, on PORT, with 404.html for what is not there.\nFROM towpath/static:12\n";
  return text + copy({"/app/" + output + "/"}, "/srv/", "--from=build") + "\n";
}

}  // namespace

std::optional<Detection> node(const Tree& tree, Missing& missing) {
  const auto json = tree.read("package.json");
  if (!json) return {};
  const auto project = read_project(tree, *json);
  const bool builds = !project.script("build").empty();
  const auto output = site_output(project);
  auto start = find_start(project);
  // A start script that only serves what was built is not what production should run.
  if (start && builds && output && serves_for_development(resolve_script(project, project.script("start"))) &&
      !tree.has("Procfile"))
    start.reset();
  if (!start && !(builds && (output || tree.has("index.html")))) {
    missing.push_back("package.json has neither a start script nor a main file that exists");
    return {};
  }
  const auto choice = choose_node(project);
  const auto installer = choose_installer(project);
  Detection detection{.pack = "node"};
  if (start) {
    detection.explanation = fmt::format("package.json, started by {}; {}", start->reason, choice.words);
    detection.containerfile = program(project, choice, installer, *start);
    if (start->listens) detection.port = kPort;
  } else {
    const auto directory = output.value_or("dist");
    detection.explanation =
        fmt::format("package.json with a build script that makes a site in {}; {}", directory, choice.words);
    detection.containerfile = built_site(project, choice, installer, directory);
    detection.port = kPort;
  }
  detection.containerfile = "# " + detection.explanation + "\n" + detection.containerfile;
  return detection;
}

}  // namespace tow::image::packs
