// SPDX-License-Identifier: Apache-2.0
#include "model/manifest.hpp"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/ids.hpp"
#include "model/score.hpp"

namespace tow::manifest {

constexpr auto fields(Of<Component>) {
  return std::tuple{
      field("path", &Component::path, "Its folder in the repository; the root when absent."),
      field("watch", &Component::watch,
            "Paths of the repository whose change builds it anew; its folder when absent."),
      field("score", &Component::score, "Its Score document; score.yaml in its folder when absent."),
      field("containerfile", &Component::containerfile,
            "Its Containerfile; when absent, one in its folder, else one is made from what is found there."),
      field("buildArgs", &Component::build_args, "Build arguments."),
      field("dependsOn", &Component::depends_on,
            "Components of this repository: its deployment begins when theirs, of the same push, are live."),
  };
}
constexpr auto fields(Of<Setting>) {
  return std::tuple{
      field("scale", &Setting::scale, "How many instances; 1 when nobody says.", between(0, 100)),
      field("strategy", &Setting::strategy, "How a new revision replaces the old one; rolling when absent."),
      field("domains", &Setting::domains, "Host names of one's own.",
            not_yet("a component is reached at COMPONENT--ENVIRONMENT--PROJECT and the platform's domain")),
      field("hooks", &Setting::hooks, "Commands around a deployment."),
      field("jobs", &Setting::jobs, "Commands on a schedule, by name."),
      field("overrides", &Setting::overrides,
            "Merged over the Score document: maps merge, other values replace, null deletes."),
  };
}
constexpr auto fields(Of<Environment>) {
  return std::tuple{
      field("branch", &Environment::branch,
            "A push to this branch deploys here; when absent, only releases are deployed here."),
      field("type", &Environment::type, "The EnvironmentType whose policy holds here."),
      field("components", &Environment::components, "What differs here, by component."),
  };
}
constexpr auto fields(Of<Document>) {
  return std::tuple{
      field("apiVersion", &Document::api_version, "Always towpath.dev/v1.", required,
            matches("towpath\\.dev/v1", "towpath.dev/v1")),
      field("components", &Document::components, "The components of this repository, by name."),
      field("environments", &Document::environments, "The environments it is deployed to, by name."),
  };
}

namespace {

void unsupported(Reading& reading, Position at, std::string message) {
  Node here;
  here.at = at;
  reading.unsupported(here, std::move(message));
}

// Brings a path into its one spelling.
void settle_path(Text& path, Reading& reading) {
  const auto settled = score::repository_path("", *path);
  if (!settled || has_control(*path))
    reading.fault_at(path.at, fmt::format("\"{}\" must be a path inside the repository", *path));
  else if (path->find_first_of("*?[") != std::string::npos)
    unsupported(reading, path.at, "patterns are not supported yet; write a folder or a file");
  else
    *path = *settled;
}

void check_name(std::string_view name, Position at, std::size_t least, Reading& reading) {
  if (!is_name(name) || name.size() < least)
    reading.fault_at(at, fmt::format("\"{}\" must be {}{}", name, kNameRule,
                                     least > 1 ? fmt::format(" and at least {}", least) : ""));
}

void check_components(Document& document, Reading& reading) {
  std::map<std::string, std::string> documents;
  auto step = reading.into("components");
  for (const auto& entry : in_place(document.components)) {
    const auto& name = entry.first;
    auto& component = document.components.at(name);
    auto inner = reading.into(name);
    check_name(name, component.key_at, 2, reading);
    const auto settle = [&](std::string_view key, Text& path) {
      auto where = reading.into(key);
      settle_path(path, reading);
    };
    settle("path", component->path);
    for (std::size_t i = 0; i < component->watch.size(); ++i) {
      auto where = reading.into("watch");
      auto index = reading.into(i);
      settle_path(component->watch[i], reading);
    }
    for (auto [key, path] :
         {std::pair{"score", &component->score}, {"containerfile", &component->containerfile}}) {
      if (!*path) continue;
      settle(key, **path);
      auto where = reading.into(key);
      if ((*path)->value.empty()) reading.fault_at((*path)->at, "must name a file");
    }
    const auto [other, fresh] = documents.try_emplace(score_file(*component), name);
    if (!fresh)
      reading.fault_at(component.key_at,
                       fmt::format("has the Score document of \"{}\", {}; two components need two",
                                   other->second, other->first));
  }
}

// The components from `from` over what each depends on, back to `from`; empty when nothing leads back.
std::vector<std::string> cycle_from(const Document& document, const std::string& from) {
  std::map<std::string, std::string> reached_from{{from, {}}};
  std::vector<std::string> open{from};
  for (std::size_t i = 0; i < open.size(); ++i) {
    const auto found = document.components.find(open[i]);
    if (found == document.components.end()) continue;
    for (const auto& next : found->second->depends_on) {
      if (*next == from) {
        std::vector<std::string> path{from};
        for (auto at = open[i]; !at.empty(); at = reached_from.at(at)) path.push_back(at);
        std::ranges::reverse(path);
        return path;
      }
      if (reached_from.try_emplace(*next, open[i]).second) open.push_back(*next);
    }
  }
  return {};
}

// Every name exists, and none leads back to itself.
void check_dependencies(const Document& document, Reading& reading) {
  const auto known = keys_of(document.components);
  std::set<std::set<std::string>> told;
  auto step = reading.into("components");
  for (const auto& [name, component] : in_place(document.components)) {
    auto inner = reading.into(name);
    auto key = reading.into("dependsOn");
    const auto& all = (*component)->depends_on;
    for (std::size_t i = 0; i < all.size(); ++i) {
      auto index = reading.into(i);
      if (!document.components.contains(*all[i]))
        reading.fault_at(all[i].at,
                         fmt::format("there is no component \"{}\" in this repository; it has {}{}", *all[i],
                                     list_of(known), suggestion(*all[i], known)));
    }
    const auto path = cycle_from(document, name);
    if (!path.empty() && told.insert({path.begin(), path.end()}).second)
      reading.fault_at(all.front().at, fmt::format("leads back to itself: {}", fmt::join(path, " → ")));
  }
}

// What `git check-ref-format --branch` takes.
std::string branch_fault(std::string_view branch) {
  if (branch.empty()) return "must name a branch; leave it out to deploy releases only";
  const bool odd =
      has_control(branch) || branch.find_first_of(" ~^:\\") != std::string_view::npos ||
      branch.find("..") != std::string_view::npos || branch.find("@{") != std::string_view::npos ||
      branch.find("//") != std::string_view::npos || branch.find("/.") != std::string_view::npos ||
      branch.starts_with('-') || branch.starts_with('/') || branch.starts_with('.') ||
      branch.ends_with('/') || branch.ends_with('.') || branch.ends_with(".lock") || branch == "@";
  return odd ? fmt::format("\"{}\" is not the name of a branch", branch) : std::string{};
}

void check_hooks(const Hooks& hooks, Position at, Reading& reading) {
  auto step = reading.into("hooks");
  for (const auto& [key, commands] : {std::pair{"before", &hooks.before}, {"after", &hooks.after}})
    for (std::size_t i = 0; i < commands->size(); ++i) {
      auto inner = reading.into(key);
      auto index = reading.into(i);
      if ((*commands)[i].empty() || (*commands)[i].front().empty())
        reading.fault_at(at, "must name a program: [python, manage.py, migrate]");
    }
}

void check_overrides(const Located<Node>& overrides, Reading& reading) {
  auto step = reading.into("overrides");
  if (overrides->is_null()) {
    if (overrides.at.line > 0)
      reading.fault_at(overrides.at, "has no value; write one, or leave the key out");
    return;
  }
  if (!overrides->map()) {
    reading.fault_at(overrides.at, fmt::format("must be a map, not {}", overrides->kind()));
    return;
  }
  const std::vector<std::string> known = {"metadata", "service", "containers", "resources"};
  for (const auto& [key, value] : *overrides->map()) {
    auto inner = reading.into(key);
    if (std::find(known.begin(), known.end(), key) == known.end())
      reading.fault_at(value.key_at, fmt::format("cannot be overridden; a Score override has {}{}",
                                                 list_of(known), suggestion(key, known)));
  }
  if (const Node* metadata = overrides->find("metadata"))
    if (const Node* name = metadata->find("name")) {
      auto inner = reading.into("metadata.name");
      reading.fault_at(name->key_at, "a component has the same name everywhere");
    }
}

void check_environments(const Document& document, Reading& reading) {
  std::map<std::string, std::string> branches;
  auto step = reading.into("environments");
  for (const auto& [name, entry] : in_place(document.environments)) {
    auto inner = reading.into(name);
    const Environment& environment = **entry;
    check_name(name, entry->key_at, 1, reading);
    if (environment.branch) {
      auto key = reading.into("branch");
      const auto& branch = *environment.branch;
      const auto wrong = branch_fault(*branch);
      const auto [other, fresh] = branches.try_emplace(*branch, name);
      if (branch->find_first_of("*?[") != std::string::npos)
        unsupported(reading, branch.at, "patterns of branches are not supported yet; write one branch");
      else if (!wrong.empty())
        reading.fault_at(branch.at, wrong);
      else if (!fresh)
        reading.fault_at(
            branch.at,
            fmt::format("\"{}\" is the branch of \"{}\" already; a push deploys to one environment, "
                        "and tow deploy takes its release to others",
                        *branch, other->second));
    }
    if (environment.type) {
      auto key = reading.into("type");
      check_name(**environment.type, environment.type->at, 1, reading);
    }
    auto components = reading.into("components");
    for (const auto& [component, setting] : environment.components) {
      auto key = reading.into(component);
      check_hooks(*setting->hooks, setting->hooks.at, reading);
      check_jobs(*setting->jobs, setting->jobs.at, reading);
      check_overrides(setting->overrides, reading);
    }
  }
}

}  // namespace

Document read(const Node& node) {
  Reading reading;
  Document document;
  if (node.is_null()) {
    reading.fault_at({1, 1}, "it is empty");
    reading.finish(kFileName);
  }
  tow::read(node, document, reading);
  constexpr std::size_t kMost = 256;
  if (document.components.size() > kMost || document.environments.size() > kMost) {
    unsupported(reading, {1, 1},
                fmt::format("more than {} components or environments are not supported", kMost));
  } else if (node.map()) {
    check_components(document, reading);
    check_dependencies(document, reading);
    check_environments(document, reading);
    if (!document.components.empty()) {
      const auto known = keys_of(document.components);
      for (const Fault& fault : unknown_components(document, {known.begin(), known.end()})) {
        auto step = reading.into(fault.path);
        reading.fault_at(fault.at, fault.message);
      }
    }
  }
  reading.finish(kFileName);
  return document;
}

Node write(const Document& document) { return tow::write(document); }

Node schema() {
  Node made = Node::Map{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                        {"title", "towpath.yaml: how the components of a repository are run"}};
  for (auto& [key, value] : *tow::schema<Document>().map()) made.set(key, std::move(value));
  return made;
}

std::string render(const Document& document) {
  std::string text = "# How the components of this repository are run, where, and from which branch.\n";
  const Node written = write(document);
  for (const auto& [key, value] : *written.map()) {
    if (key != "apiVersion") text += '\n';
    text += to_yaml(Node::Map{{key, value}});
  }
  return text;
}

Document infer(const std::map<std::string, std::string>& components, const std::string& default_branch) {
  Document made;
  for (const auto& [name, path] : components) made.components[name]->path->assign(path);
  made.environments["development"]->branch = Text{default_branch, {}, {}};
  made.environments["production"];
  return made;
}

std::string score_file(const Component& component) {
  if (component.score) return **component.score;
  return component.path->empty() ? "score.yaml" : *component.path + "/score.yaml";
}

bool watches(const Component& component, std::string_view file) {
  const auto below = [&](const std::string& path) {
    return path.empty() ||
           (file.starts_with(path) && (file.size() == path.size() || file[path.size()] == '/'));
  };
  if (file == score_file(component) || (component.containerfile && file == **component.containerfile))
    return true;
  if (component.watch.empty()) return below(*component.path);
  return std::any_of(component.watch.begin(), component.watch.end(),
                     [&](const Text& path) { return below(*path); });
}

std::optional<std::string> environment_of(const Document& document, std::string_view branch,
                                          std::string_view default_branch) {
  bool named = false;
  for (const auto& [name, environment] : document.environments) {
    if (!environment->branch) continue;
    named = true;
    if (**environment->branch == branch) return name;
  }
  if (!named && branch == default_branch) return "development";
  return {};
}

std::vector<Fault> unknown_components(const Document& document, const std::set<std::string>& names) {
  const std::vector<std::string> known(names.begin(), names.end());
  std::vector<Fault> faults;
  for (const auto& [environment, entry] : document.environments)
    for (const auto& [component, setting] : entry->components)
      if (!names.contains(component))
        faults.push_back(
            {.path = fmt::format("environments.{}.components.{}", environment, component),
             .at = setting.key_at,
             .message = fmt::format("there is no component \"{}\" in this repository; it has {}{}", component,
                                    list_of(known), suggestion(component, known))});
  return faults;
}

}  // namespace tow::manifest
