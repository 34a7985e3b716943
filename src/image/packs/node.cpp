// SPDX-License-Identifier: Apache-2.0
// Node: programs, and sites that a Node tool builds.
#include <fmt/ranges.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "image/packs/listening.hpp"
#include "image/packs/node_frameworks.hpp"
#include "image/packs/node_installer.hpp"
#include "image/packs/node_render.hpp"
#include "image/packs/node_version.hpp"
#include "image/packs/node_workspace.hpp"
#include "image/packs/pack.hpp"
#include "image/packs/text.hpp"

namespace tow::image::packs {
namespace {

/// What a file for people's own machines asks for: its first line that is no comment.
std::string asked_by(const Tree& tree, const std::string& file) {
  const auto text = tree.read(file);
  if (!text) return {};
  for (const auto& line : lines(*text)) {
    auto version = trim(std::string_view{line}.substr(0, line.find('#')));
    if (file == ".tool-versions") {
      if (!version.starts_with("nodejs ")) continue;
      version = trim(version.substr(7));
    }
    if (!version.empty()) return std::string{version};
  }
  return {};
}

NodeChoice choose_node(const Project& project, const Project& top, bool in_workspace) {
  for (const auto* each : {&project, &top}) {
    for (const char* file : {".nvmrc", ".node-version", ".tool-versions"})
      if (const auto asked = asked_by(each->tree, file); !asked.empty())
        return packs::choose_node(asked, each->tree.source(file), Taste::Newest);
    const auto where = each->tree.source("package.json");
    if (const auto asked = each->text("volta", "node"); !asked.empty())
      return packs::choose_node(asked, "volta.node in " + where, Taste::Newest);
    // Without packages of others, any Node that satisfies will do.
    const bool alone = !in_workspace && !each->has_any("dependencies") && !each->has_any("devDependencies");
    const auto engines = each->text("engines", "node");
    const auto asked = trim(engines);
    if (!asked.empty() || each == &top)
      return packs::choose_node(asked, "engines.node in " + where, alone ? Taste::Debian : Taste::Newest);
  }
  return {};
}

/// Follows "npm run X" so that npm is not the process that gets the signals.
std::string resolve_script(const Project& project, std::string line) {
  for (int depth = 0; depth < 5; ++depth) {
    std::string_view text = trim(line);
    for (const std::string_view prefix : {"npm run ", "yarn run ", "pnpm run ", "yarn ", "pnpm ", "npm "})
      if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
    const auto next = project.script(text);
    if (text == trim(line) || next.empty() || text.contains(' ')) break;
    line = next;
  }
  return line;
}

/// What TypeScript's compiler makes of the file that starts the program.
std::string compiled_main(const Project& project) {
  const auto configuration = project.tree.read("tsconfig.json");
  if (!configuration || !project.script("build").contains("tsc")) return {};
  std::string out;
  if (!RE2::PartialMatch(*configuration, R"re((?m)^[^/\n]*"outDir"\s*:\s*"(?:\./)?([\w./-]+?)/?")re", &out))
    return {};
  for (const char* name : {"index", "main", "server", "app"})
    for (const char* folder : {"src/", ""})
      if (project.tree.has(fmt::format("{}{}.ts", folder, name))) return fmt::format("{}/{}.js", out, name);
  return {};
}

std::optional<Start> find_start(const Project& project, const std::optional<MadeServer>& server,
                                const std::optional<MadeSite>& site) {
  if (const auto text = project.tree.read("Procfile")) {
    const auto process = choose_process(*text, project.tree.source("Procfile"));
    return Start{process.command, "Procfile's " + process.name, process.listens()};
  }
  const bool built = !project.script("build").empty();
  for (const char* name : {"start:prod", "start:production", "start"}) {
    const auto script = project.script(name);
    if (script.empty()) continue;
    auto line = resolve_script(project, script);
    // A server for development is not what production should run, where there is something else.
    if (built && (server || site) && (serves_for_development(line) || (line == "next start" && site)))
      continue;
    if (const auto before = project.script("pre" + std::string{name}); !before.empty())
      line = before + " && " + line;
    return Start{line, fmt::format("its {} script", name)};
  }
  if (server) return Start{server->command, fmt::format("what {}'s build makes", server->framework)};
  if (site && site->sure) return {};
  if (auto main = project.text("main"); !main.empty()) {
    if (main.starts_with("./")) main.erase(0, 2);
    for (const std::string suffix : {"", ".js", ".cjs", ".mjs"})
      if (project.tree.has(main + suffix)) return Start{"node " + main + suffix, "its main file"};
    // What the build makes cannot be seen yet; "npm init" writes index.js whether it is there or not.
    if (built && main != "index.js") return Start{"node " + main, "its main file"};
  }
  for (const char* file : {"server.js", "server.mjs", "server.cjs", "index.js", "index.mjs", "app.js",
                           "main.js", "src/server.js", "src/index.js", "src/app.js", "src/main.js"})
    if (project.tree.has(file)) return Start{fmt::format("node {}", file), file};
  if (const auto main = compiled_main(project); !main.empty())
    return Start{"node " + main, fmt::format("{}, which tsc makes", main)};
  return {};
}

/// Whether the program is started by what its package.json calls a tool for development.
bool needs_tools(const Project& project, const Start& start) {
  const Node* tools = project.package.find("devDependencies");
  if (!tools || !tools->map()) return false;
  return std::ranges::any_of(*tools->map(), [&](const auto& tool) {
    const auto pattern = R"((?:^|[\s/]))" + RE2::QuoteMeta(tool.first) + R"((?:[\s/]|$))";
    return RE2::PartialMatch(start.line, pattern);
  });
}

std::string describe(const NodePlan& plan, const Start* start) {
  const auto framework = plan.server ? plan.server->framework : plan.site ? plan.site->builder : "";
  std::string words = plan.project.tree.source("package.json");
  if (plan.project.tree.path() == plan.top.tree.path() || !plan.workspace) words = "package.json";
  if (!framework.empty()) words += fmt::format(" ({})", framework);
  words += start ? fmt::format(", started by {}", start->reason)
                 : fmt::format(" with a build script that makes a site in {}", plan.site->directory);
  words += "; " + plan.choice.words;
  if (plan.installer.words != "npm") words += ", " + plan.installer.words;
  if (plan.workspace && !plan.workspace->self.path.empty()) {
    std::vector<std::string> needs;
    for (const auto* member : dependencies_of(*plan.workspace, plan.workspace->self))
      needs.push_back(member->path);
    words += fmt::format("; a member of the workspace in {}", plan.top.tree.source("package.json"));
    if (!needs.empty()) words += fmt::format(", built after {}", fmt::join(needs, ", "));
  }
  if (plan.installer.files.size() > 0 && !plan.has_lock &&
      (plan.project.has_any("dependencies") || plan.project.has_any("devDependencies")))
    words += "; without a lock file, so npm takes the newest versions that package.json allows";
  return words + plan.listening.remark;
}

/// What a change of which makes another image: the component, what it needs, and what decides about packages.
std::vector<std::string> watched(const NodePlan& plan) {
  std::vector<std::string> paths;
  if (!plan.workspace || plan.workspace->self.path.empty()) return paths;
  paths.push_back(plan.project.tree.path());
  for (const auto* member : dependencies_of(*plan.workspace, plan.workspace->self))
    paths.push_back(plan.top.tree.source(member->path));
  auto files = plan.installer.files;
  for (const auto& name : plan.top.tree.files())
    if (name.starts_with("tsconfig") && name.ends_with(".json")) files.push_back(name);
  for (const auto& file : files) paths.push_back(plan.top.tree.source(file));
  for (const auto& folder : plan.installer.folders) paths.push_back(plan.top.tree.source(folder));
  return paths;
}

}  // namespace

std::vector<std::string> programs_of_workspace(const Tree& top) {
  std::vector<std::string> paths;
  const auto workspace = find_workspace(top);
  if (!workspace || !workspace->self.path.empty() || workspace->top != top.path()) return paths;
  for (const auto* member : leaves_of(*workspace)) {
    const Tree tree{top.context(), top.source(member->path)};
    const Project project{tree, member->package};
    const auto site = made_site(project);
    bool starts = made_server(project) || (site && site->sure);
    for (const char* script : {"start", "start:prod", "start:production"})
      starts = starts || !project.script(script).empty();
    for (const char* file : {"Procfile", "Containerfile", "Dockerfile", "score.yaml"})
      starts = starts || tree.has(file);
    if (starts) paths.push_back(tree.path());
  }
  return paths;
}

std::optional<Detection> node(const Tree& tree, Missing& missing) {
  const auto json = tree.read("package.json");
  if (!json) return {};
  const auto project = read_project(tree, *json);
  const auto workspace = find_workspace(tree);
  const Tree above{tree.context(), workspace ? workspace->top : tree.path()};
  const auto top = read_project(above, above.read("package.json").value_or("{}"));

  NodePlan plan{.project = project, .top = top, .workspace = workspace ? &*workspace : nullptr};
  plan.server = made_server(project);
  plan.site = made_site(project);
  const auto start = find_start(project, plan.server, plan.site);
  if (!start && !plan.site) {
    missing.push_back(
        fmt::format("{} names no program: add \"start\": \"node FILE.js\" to its scripts, or a Procfile with "
                    "\"web: COMMAND\"",
                    tree.source("package.json")));
    return {};
  }
  plan.choice = choose_node(project, top, plan.workspace != nullptr);
  plan.installer = choose_installer(project, top, plan.workspace);
  plan.packages = debian_packages(tree);
  plan.has_lock = std::ranges::any_of(plan.installer.files, [](const std::string& file) {
    return file.contains("lock") || file == "npm-shrinkwrap.json";
  });
  Detection detection{.pack = "node"};
  if (start) {
    if (start->listens) plan.listening = find_listening(tree, start->line, {"js", "mjs", "cjs", "ts", "mts"});
    // What frameworks make asks for PORT, whatever is written down for people's own machines.
    if (plan.server && start->line == plan.server->command) plan.listening = {.port = kPort};
    plan.keeps_tools = needs_tools(project, *start);
    if (start->listens) detection.port = plan.listening.port;
  } else {
    detection.port = kPort;
  }
  detection.explanation = describe(plan, start ? &*start : nullptr);
  detection.containerfile =
      "# " + detection.explanation + "\n" + (start ? program(plan, *start) : built_site(plan));
  detection.watch = watched(plan);
  return detection;
}

}  // namespace tow::image::packs
