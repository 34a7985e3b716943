// SPDX-License-Identifier: Apache-2.0
#include "image/packs/node_render.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

namespace tow::image::packs {
namespace {

/// A path as one word of a shell.
std::string word(const std::string& path) {
  constexpr std::string_view plain = "._/@+-";
  if (std::ranges::all_of(path, [&](unsigned char c) { return std::isalnum(c) || plain.contains(c); }))
    return path;
  std::string quoted = "'";
  for (const char c : path) quoted += c == '\'' ? std::string{"'\\''"} : std::string{c};
  return quoted + "'";
}

/// Where the component is below /app: "/apps/web", or empty.
std::string below(const NodePlan& plan) {
  return plan.workspace && !plan.workspace->self.path.empty() ? "/" + plan.workspace->self.path : "";
}

/// FROM, Node's version and the package manager: what changes least. The base image works in /app.
std::string beginning(const NodePlan& plan, std::string_view stage, bool with_installer) {
  std::string text = fmt::format("FROM towpath/node:12{}{}\n", stage.empty() ? "" : " AS ", stage);
  if (!plan.choice.npm_version.empty())
    text += "RUN npm install --global 'node@" + plan.choice.npm_version + "'\n";
  text += install_packages(plan.packages);
  if (!with_installer) return text;
  if (plan.installer.needs_git) text += std::string{kInstallGit} + "\n";
  if (plan.installer.compiles) {
    std::vector<std::string> compilers{"g++", "make", "python3"};
    if (plan.choice.npm_version.empty()) compilers.emplace_back("libnode-dev");  // the headers of Debian's
    text += "# Some dependencies have native code, which is compiled where nobody has done it before.\n" +
            install_packages(compilers);
  }
  if (!plan.installer.set_up.empty()) text += "RUN " + plan.installer.set_up + "\n";
  return text;
}

std::string run_install(const NodePlan& plan, const std::string& command) {
  const auto& installer = plan.installer;
  std::string before;
  std::vector<std::string> dropped;
  for (const auto& script : installer.dropped) dropped.push_back("scripts." + script);
  if (installer.prepares) dropped.emplace_back("scripts.prepare");
  if (!dropped.empty()) before = fmt::format("npm pkg delete {} && ", fmt::join(dropped, " "));
  // Headers of the Node that is there: otherwise they would be fetched.
  if (installer.compiles)
    before += plan.choice.npm_version.empty()
                  ? "npm_config_nodedir=/usr "
                  : "npm_config_nodedir=$(echo /usr/local/lib/node_modules/node/node_modules/node-linux-*) ";
  return "RUN --mount=type=cache,target=" + installer.cache + " " + before + installer.environment + command +
         "\n";
}

/// The files that decide about dependencies.
std::string copy_manifests(const NodePlan& plan) {
  std::vector<std::string> files;
  for (const auto& file : plan.installer.files) files.push_back(plan.top.tree.source(file));
  std::string text = packs::copy(files, "./") + "\n";
  for (const auto& folder : plan.installer.folders)
    text += packs::copy({plan.top.tree.source(folder) + "/"}, "./" + folder + "/") + "\n";
  if (plan.workspace)
    for (const auto& member : plan.workspace->members)
      text +=
          packs::copy({plan.top.tree.source(member.path + "/package.json")}, "./" + member.path + "/") + "\n";
  return text;
}

std::string copy_source(const NodePlan& plan, std::string_view flags = {}) {
  return packs::copy({plan.top.tree.source()}, "./", flags) + "\n";
}

/// Copies what decides about the dependencies and installs them.
std::string dependencies(const NodePlan& plan, const std::string& command) {
  if (plan.installer.runs_scripts)
    return "# Installing runs or reads files of the project, so all of it comes first.\n" +
           copy_source(plan) + run_install(plan, command);
  return "# Dependencies first: they are installed again only when one of these files changes.\n" +
         copy_manifests(plan) + run_install(plan, command);
}

/// The builds of what the component needs, then its own.
std::string run_build(const NodePlan& plan) {
  std::vector<std::string> steps;
  const auto& installer = plan.installer;
  if (installer.prepares)
    steps.push_back(fmt::format("{}{} run prepare", installer.environment, installer.program));
  if (plan.workspace)
    for (const auto* member : dependencies_of(*plan.workspace, plan.workspace->self))
      if (Project{plan.top.tree, member->package}.script("build").size() > 0)
        steps.push_back(fmt::format("(cd {} && {}{} run build)", word(member->path), installer.environment,
                                    installer.program));
  if (!plan.project.script("build").empty()) {
    auto environment = installer.environment;
    if (plan.server && !plan.server->environment.empty())
      environment = plan.server->environment + " " + environment;
    const auto command = fmt::format("{}{} run build", environment, installer.program);
    steps.push_back(below(plan).empty() ? command
                                        : fmt::format("(cd {} && {})", word(below(plan).substr(1)), command));
  }
  return fmt::format("RUN {}", fmt::join(steps, " \\\n && "));
}

bool builds(const NodePlan& plan) {
  if (!plan.project.script("build").empty()) return true;
  if (!plan.workspace) return false;
  for (const auto* member : dependencies_of(*plan.workspace, plan.workspace->self))
    if (Project{plan.top.tree, member->package}.script("build").size() > 0) return true;
  return false;
}

/// The directories that packages are installed to.
std::string installed(const NodePlan& plan) {
  std::string text = "node_modules";
  if (plan.workspace)
    for (const auto& member : plan.workspace->members) text += " " + word(member.path + "/node_modules");
  return text;
}

std::string settings(const NodePlan& plan, const Start& start) {
  std::string environment = "NODE_ENV=production";
  if (start.listens) {
    auto listens = listening_settings(plan.project);
    if (listens.empty() && plan.listening.reads_host) listens = "HOST=0.0.0.0";
    if (!listens.empty()) environment += " " + listens;
  }
  const auto command = start_command(start.line);
  const auto folder = below(plan);
  if (command.front() != "node") {
    environment += " PATH=";
    if (!folder.empty()) environment += fmt::format("/app{}/node_modules/.bin:", folder);
    environment += "/app/node_modules/.bin:$PATH";
  }
  return program_settings(environment, start.listens ? plan.listening.port : 0, command);
}

/// Where the program is started: after everything has been copied to /app.
std::string work_in(const NodePlan& plan) {
  return below(plan).empty() ? "" : "WORKDIR /app" + below(plan) + "\n";
}

bool installs(const NodePlan& plan) {
  return plan.workspace || plan.project.has_any("dependencies") ||
         plan.project.has_any("optionalDependencies") || plan.keeps_tools;
}

/// Everything is installed, built and pruned in one stage.
std::string whole_program(const NodePlan& plan, const Start& start) {
  const auto& installer = plan.installer;
  std::string text = beginning(plan, "build", true) + "\n" + dependencies(plan, installer.all);
  if (!installer.runs_scripts) text += "\n" + copy_source(plan);
  if (builds(plan)) text += run_build(plan) + "\n";
  const bool own = plan.server && !plan.server->whole.empty() && start.line == plan.server->command;
  if (!own && !plan.keeps_tools && !installer.prune.empty()) text += run_install(plan, installer.prune);
  if (own)
    text += "\n# What was built has all that it needs.\n";
  else
    text += "\n# What only building takes stays behind.\n";
  text += beginning(plan, "", false);
  if (start.line.contains(installer.program) && !installer.set_up.empty())
    text += "RUN " + installer.set_up + "\n";
  text += settings(plan, start);
  if (!own) return text + "USER app\nCOPY --from=build --chown=app /app/ ./\n" + work_in(plan);
  const auto directory = plan.server->whole + "/";
  return text + "USER app\n" +
         packs::copy({"/app" + below(plan) + "/" + directory}, "./" + directory, "--from=build --chown=app") +
         "\n";
}

}  // namespace

std::string program(const NodePlan& plan, const Start& start) {
  const auto& installer = plan.installer;
  const bool own = plan.server && !plan.server->whole.empty() && start.line == plan.server->command;
  if (installer.runs_scripts || own) return whole_program(plan, start);
  const auto& production = plan.keeps_tools ? installer.all : installer.production;
  // Compilers stay behind.
  const bool apart = installer.compiles && installs(plan);
  if (!builds(plan)) {
    if (!apart) {
      std::string text = beginning(plan, "", installs(plan)) + settings(plan, start) + "\n";
      if (installs(plan)) text += dependencies(plan, production) + "\n";
      return text + "USER app\n" + copy_source(plan, "--chown=app") + work_in(plan);
    }
    return beginning(plan, "dependencies", true) + "\n" + dependencies(plan, production) + "\n" +
           beginning(plan, "", false) + settings(plan, start) +
           "COPY --from=dependencies /app/ ./\nUSER app\n" + copy_source(plan, "--chown=app") + work_in(plan);
  }
  std::string text = beginning(plan, "dependencies", true);
  if (installs(plan)) text += "\n" + dependencies(plan, production);
  text +=
      "\n# Building takes the development tools too; they stay behind in this stage.\n"
      "FROM dependencies AS build\n";
  if (!installs(plan)) text += copy_manifests(plan);
  if (!installs(plan) || !plan.keeps_tools) text += run_install(plan, installer.all);
  text += copy_source(plan);
  text += run_build(plan) + fmt::format(" \\\n && rm -rf {}\n\n", installed(plan));
  if (!apart)
    text += "FROM dependencies\n" + settings(plan, start);
  else
    text += beginning(plan, "", false) + settings(plan, start) + "COPY --from=dependencies /app/ ./\n";
  return text + "USER app\nCOPY --from=build --chown=app /app/ ./\n" + work_in(plan);
}

std::string built_site(const NodePlan& plan) {
  const auto& installer = plan.installer;
  std::string text = beginning(plan, "build", true);
  text += "\n" + dependencies(plan, installer.all);
  if (!installer.runs_scripts) text += "\n" + copy_source(plan);
  text += run_build(plan) + "\n\n";
  if (!plan.site->one_page) {
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
  return text +
         packs::copy({"/app" + below(plan) + "/" + plan.site->directory + "/"}, "/srv/", "--from=build") +
         "\n";
}

}  // namespace tow::image::packs
