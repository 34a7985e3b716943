// SPDX-License-Identifier: Apache-2.0
// Node: programs, and sites that a Node tool builds.
#include <fmt/ranges.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "image/packs/node_frameworks.hpp"
#include "image/packs/node_version.hpp"
#include "image/packs/pack.hpp"
#include "image/packs/text.hpp"

namespace tow::image::packs {
namespace {

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
  bool prepares = false;  // "prepare" is for people's own copies; it runs before the build, not at installing
};

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
  for (const char* script : {"preinstall", "install", "postinstall"})
    if (!project.script(script).empty()) installer.needs_source = true;
  for (const char* map : {"dependencies", "devDependencies", "optionalDependencies"})
    if (const Node* all = project.package.find(map); all && all->map())
      for (const auto& [name, version] : *all->map())
        if (const auto* text = version.string()) {
          installer.needs_source = installer.needs_source || text->starts_with("file:");
          installer.needs_git = installer.needs_git || is_from_git(*text);
        }
  installer.prepares = !project.script("prepare").empty() && !installer.needs_source;
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
  const bool built = !project.script("build").empty();
  for (const char* name : {"start:prod", "start:production", "start"}) {
    const auto script = project.script(name);
    if (script.empty()) continue;
    auto line = resolve_script(project, script);
    // A server for development is not what production should run, where there is something else.
    if (built && (serves_for_development(line) || (line == "next start" && site_output(project)))) continue;
    if (const auto before = project.script("pre" + std::string{name}); !before.empty())
      line = before + " && " + line;
    return Start{start_command(line), fmt::format("its {} script", name)};
  }
  if (const auto server = framework_server(project); !server.empty())
    return Start{start_command(server), "what its framework's build makes"};
  if (const auto script = project.script("start"); !script.empty() && !(built && site_output(project)))
    return Start{start_command(resolve_script(project, script)), "its start script"};
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
  const char* before = installer.prepares ? "npm pkg delete scripts.prepare && " : "";
  return "RUN --mount=type=cache,target=" + installer.cache + " " + before + command + "\n";
}

std::vector<std::string> sources(const Project& project, const Installer& installer) {
  std::vector<std::string> result;
  for (const auto& file : installer.files) result.push_back(project.tree.source(file));
  return result;
}

/// The build with what has to come before it.
std::string run_build(const Installer& installer) {
  std::string text = "RUN ";
  if (installer.prepares) text += fmt::format("{} run prepare \\\n && ", installer.program);
  return text + fmt::format("{} run build", installer.program);
}

/// FROM, Node's version and the package manager: what changes least. The base image works in /app.
std::string beginning(const NodeChoice& choice, const Installer& installer, std::string_view stage) {
  std::string text = fmt::format("FROM towpath/node:12{}{}\n", stage.empty() ? "" : " AS ", stage);
  if (!choice.npm_version.empty()) text += "RUN npm install --global 'node@" + choice.npm_version + "'\n";
  if (installer.needs_git) text += std::string{kInstallGit} + "\n";
  if (!installer.set_up.empty()) text += "RUN " + installer.set_up + "\n";
  return text;
}

std::string settings(const Project& project, const Start& start) {
  std::string environment = "NODE_ENV=production";
  if (const auto listening = listening_settings(project); start.listens && !listening.empty())
    environment += " " + listening;
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
    std::string text = beginning(choice, installer, "") + settings(project, start) + "\n";
    if (installs) text += dependencies(project, installer, installer.production, "--chown=app");
    if (installer.needs_source) return text + "USER app\n";
    if (installs) text += "\n";
    return text + "USER app\n" + copy({project.tree.source()}, "./", "--chown=app") + "\n";
  }
  if (start.command.back().starts_with(".output/")) {
    std::string whole = beginning(choice, installer, "build");
    whole += "\n" + dependencies(project, installer, installer.all, "");
    if (!installer.needs_source) whole += "\n" + copy({project.tree.source()}, "./") + "\n";
    whole += run_build(installer) + "\n\n# What was built has all that it needs.\n";
    Installer none;
    return whole + beginning(choice, none, "") + settings(project, start) +
           "USER app\nCOPY --from=build --chown=app /app/.output/ ./.output/\n";
  }
  std::string text = beginning(choice, installer, "dependencies");
  if (installs) text += "\n" + dependencies(project, installer, installer.production, "");
  text +=
      "\n# Building takes the development tools too; they stay behind in this stage.\n"
      "FROM dependencies AS build\n";
  if (!installs) text += copy(sources(project, installer), "./") + "\n";
  text += run_install(installer, installer.all);
  if (!installer.needs_source) text += copy({project.tree.source()}, "./") + "\n";
  text += run_build(installer) + " \\\n && mkdir /out \\\n";
  text += " && find . -mindepth 1 -maxdepth 1 ! -name node_modules -exec cp -a -t /out {} +\n";
  return text + "\nFROM dependencies\n" + settings(project, start) +
         "USER app\nCOPY --from=build --chown=app /out/ ./\n";
}

std::string built_site(const Project& project, const NodeChoice& choice, const Installer& installer,
                       const std::string& output) {
  std::string text = beginning(choice, installer, "build");
  text += "\n" + dependencies(project, installer, installer.all, "");
  if (!installer.needs_source) text += "\n" + copy({project.tree.source()}, "./") + "\n";
  text += run_build(installer) + "\n\n";
  if (!is_single_page(project)) {
    text +=
        "# A web server for /srv, on PORT, with 404.html for what is not there.\nFROM towpath/static:12\n";
  } else {
    text +=
        "# A web server for /srv, on PORT. The one page answers for every path without a dot: its program\n"
        "# knows which there are. (Your own public/404.html ends that.)\n"
        "FROM towpath/static:12\nUSER root\n"
        "RUN printf '%s\\n' 'include \"lighttpd.conf\"' 'server.modules += (\"mod_rewrite\")' \\\n"
        "      'url.rewrite-if-not-file = (\"^/([^?]*/)?[^.?/]*(\\?.*)?$\" => \"/index.html\")' \\\n"
        "      > /etc/lighttpd/one-page.conf\n"
        "USER app\nCMD [\"lighttpd\", \"-D\", \"-f\", \"/etc/lighttpd/one-page.conf\"]\n";
  }
  return text + copy({"/app/" + output + "/"}, "/srv/", "--from=build") + "\n";
}

}  // namespace

std::optional<Detection> node(const Tree& tree, Missing& missing) {
  const auto json = tree.read("package.json");
  if (!json) return {};
  const auto project = read_project(tree, *json);
  const bool builds = !project.script("build").empty();
  const auto output = site_output(project);
  const auto start = find_start(project);
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
