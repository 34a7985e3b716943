// SPDX-License-Identifier: Apache-2.0
#include "pipeline/plan.hpp"

#include <algorithm>

#include "base/ids.hpp"
#include "model/score_infer.hpp"

namespace tow::pipeline {
namespace {

// Faults of several files together; each keeps its file in front of its path, after a separator that no path
// has.
constexpr char kFileEnd = '\x1f';

class Faults {
 public:
  void take(const std::string& file, const Error& error) {
    if (error.faults().empty())
      faults_.push_back(Fault{.path = file + kFileEnd, .at = {}, .message = error.message()});
    for (auto fault : error.faults()) {
      fault.path = file + kFileEnd + fault.path;
      if (error.code() == Code::Unsupported) fault.unsupported = true;
      faults_.push_back(std::move(fault));
    }
  }
  void finish() const {
    if (faults_.empty()) return;
    const bool unsupported =
        std::all_of(faults_.begin(), faults_.end(), [](const Fault& f) { return f.unsupported; });
    throw Error{unsupported ? Code::Unsupported : Code::Invalid,
                faults_.size() == 1 ? "1 fault. Nothing was built or deployed"
                                    : fmt::format("{} faults. Nothing was built or deployed", faults_.size()),
                faults_};
  }

 private:
  std::vector<Fault> faults_;
};

std::string parent(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::string at(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : folder + "/" + name;
}

// The override of the environment that the branch is deployed to is checked along with the document, so that
// a fault in it is known before anything is built.
std::vector<score::Override> overrides_of(const manifest::Document& manifest,
                                          const std::optional<std::string>& environment,
                                          const std::string& component) {
  if (!environment) return {};
  const auto found = manifest.environments.find(*environment);
  if (found == manifest.environments.end()) return {};
  const auto setting = found->second->components.find(component);
  if (setting == found->second->components.end() || setting->second->overrides.value.is_null()) return {};
  return {{.node = setting->second->overrides.value, .origin = std::string{manifest::kFileName}}};
}

// Equal content of all that is watched, equal instructions: an equal image.
Task<std::string> inputs_of(const CommitReader& reader, const manifest::Component& component) {
  std::set<std::string> paths{component.path.value};
  for (const auto& each : component.watch) paths.insert(each.value);
  if (component.containerfile) paths.insert(component.containerfile->value);
  // A member of a workspace is made of others, too: of all of it, where nothing says of which.
  if (component.watch.empty() && !component.path.value.empty()) {
    const auto package = co_await reader.read("package.json");
    const auto pnpm = co_await reader.read("pnpm-workspace.yaml");
    if (pnpm || (package && package->contains("\"workspaces\""))) paths.insert("");
  }
  std::string all = component.containerfile ? component.containerfile->value : "";
  for (const auto& [name, value] : component.build_args) all += fmt::format("\narg {}={}", name, value);
  for (const auto& path : paths) {
    const auto id = co_await reader.tree_id(path);
    all += fmt::format("\n{} {}", path, id.value_or("-"));
  }
  co_return sha256_hex(all).substr(0, 32);
}

}  // namespace

Task<std::optional<std::string>> CommitReader::read(std::string path) const {
  co_return co_await sources.read(project, repository, commit, std::move(path));
}
Task<std::optional<std::string>> CommitReader::tree_id(std::string path) const {
  co_return co_await sources.tree_id(project, repository, commit, std::move(path));
}

Task<CommitPlan> plan_commit(CommitReader reader, std::string branch, std::string default_branch) {
  CommitPlan plan;
  Faults faults;
  const std::string manifest_name{manifest::kFileName};
  if (const auto text = co_await reader.read(manifest_name)) {
    try {
      plan.manifest = manifest::read(parse_yaml(*text));
    } catch (const Error& error) {
      faults.take(manifest_name, error);
      faults.finish();  // without it nobody knows which components there are
    }
  }
  plan.environment = manifest::environment_of(plan.manifest, branch, default_branch);

  auto components = plan.manifest.components;
  const bool alone = components.empty();
  if (alone) components[score::component_name(reader.repository)] = {};
  std::set<std::string> names;
  for (const auto& [name, located] : components) {
    PlannedComponent component{.name = name, .settings = located.value};
    const auto file = manifest::score_file(component.settings);
    component.directory = parent(file);
    const auto text = co_await reader.read(file);
    try {
      if (text) {
        const Node node = parse_yaml(*text);
        // Alone in its repository, a component is called what its document says.
        if (alone)
          if (const Node* metadata = node.find("metadata"))
            if (const Node* named = metadata->find("name"); named && named->string())
              component.name = *named->string();
        component.document = score::read(node, overrides_of(plan.manifest, plan.environment, component.name));
        if (component.document.name() != component.name)
          throw Error{
              Code::Invalid,
              "another name",
              {Fault{.path = "metadata.name",
                     .at = {},
                     .message = fmt::format("is \"{}\", but {} calls this component \"{}\"",
                                            component.document.name(), manifest_name, component.name)}}};
      } else if (component.settings.score) {
        throw Error{Code::Invalid,
                    fmt::format("{} names this file, and it is not in the commit", manifest_name)};
      } else {
        const auto folder = component.settings.path.value;
        if (!folder.empty() && !co_await reader.tree_id(folder))
          throw Error{Code::Invalid,
                      fmt::format("{} says that the component {} lies in {}, which is not in the commit",
                                  manifest_name, name, folder)};
        component.inferred = true;
        component.document = score::infer({.name = component.name, .port = 8080});
        plan.notes.push_back(
            fmt::format("{} has no {}: its image is taken as it comes, with a route to its one port (`tow "
                        "init` writes the file)",
                        component.name, at(component.directory, "score.yaml")));
      }
      for (const auto& path : score::source_files(component.document, component.directory)) {
        const auto content = co_await reader.read(path);
        if (!content) throw Error{Code::Invalid, fmt::format("mounts {}, which is not in the commit", path)};
        component.files[path] = *content;
      }
    } catch (const Error& error) {
      faults.take(file, error);
    }
    for (const auto& [unused, container] : component.document.containers)
      if (container->image.value == ".") component.built = true;
    if (component.built) component.inputs = co_await inputs_of(reader, component.settings);
    names.insert(component.name);
    plan.components.push_back(std::move(component));
  }
  for (const auto& fault : manifest::unknown_components(plan.manifest, names))
    faults.take(manifest_name, Error{Code::Invalid, fault.message, {fault}});
  faults.finish();
  co_return plan;
}

std::vector<std::string> describe_faults(const Error& error) {
  std::vector<std::string> lines;
  for (auto fault : error.faults()) {
    std::string file;
    if (const auto end = fault.path.find(kFileEnd); end != std::string::npos) {
      file = fault.path.substr(0, end);
      fault.path.erase(0, end + 1);
    }
    lines.push_back(describe(fault, file));
  }
  return lines;
}

}  // namespace tow::pipeline
