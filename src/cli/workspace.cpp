// SPDX-License-Identifier: Apache-2.0
#include "cli/workspace.hpp"

#include <fstream>
#include <sstream>

#include "base/process.hpp"
#include "model/score_infer.hpp"

namespace tow::cli {
namespace {

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

std::optional<std::string> ask_git(const std::filesystem::path& directory,
                                   std::vector<std::string> arguments) {
  Command command;
  command.argv = {"git", "-C", directory.string()};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  try {
    const auto outcome = run_blocking(run(std::move(command)));
    if (outcome.ok()) return first_line(outcome.out);
  } catch (const Error&) {
    // No git, no repository: the command may do without.
  }
  return {};
}

// The name in a Score document that may be faulty elsewhere.
std::string name_in(const std::filesystem::path& score) {
  try {
    const Node node = parse_yaml(read_file(score));
    if (const Node* metadata = node.find("metadata"))
      if (const Node* name = metadata->find("name"); name && name->string()) return *name->string();
  } catch (const Error&) {
  }
  return {};
}

}  // namespace

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in{path, std::ios::binary};
  if (!in) throw fail(Code::NotFound, "there is no file {}", path.string());
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::optional<Remote> parse_remote(std::string_view address) {
  const auto git = address.find("/git/");
  if (!address.starts_with("http") || git == std::string_view::npos) return {};
  Remote remote{.url = std::string{address.substr(0, git)}, .project = {}, .repository = {}};
  // A token that somebody wrote into the address is not part of the server's name.
  if (const auto at = remote.url.find('@'); at != std::string::npos)
    remote.url = remote.url.substr(0, remote.url.find("//") + 2) + remote.url.substr(at + 1);
  auto rest = address.substr(git + 5);
  const auto slash = rest.find('/');
  if (slash == std::string_view::npos) return {};
  remote.project = rest.substr(0, slash);
  rest.remove_prefix(slash + 1);
  if (rest.ends_with(".git")) rest.remove_suffix(4);
  remote.repository = rest;
  if (remote.project.empty() || remote.repository.empty()) return {};
  return remote;
}

Workspace look(const std::filesystem::path& directory) {
  Workspace workspace;
  const auto root = ask_git(directory, {"rev-parse", "--show-toplevel"});
  workspace.root = root ? std::filesystem::path{*root} : directory;
  if (const auto remote = ask_git(directory, {"remote", "get-url", "tow"}))
    if (const auto parts = parse_remote(*remote)) {
      workspace.url = parts->url;
      workspace.project = parts->project;
      workspace.repository = parts->repository;
    }
  const auto manifest_file = workspace.root / manifest::kFileName;
  std::error_code ignored;
  const auto relative = std::filesystem::relative(directory, workspace.root, ignored).string();
  if (std::filesystem::exists(manifest_file)) {
    try {
      const auto document = manifest::read(parse_yaml(read_file(manifest_file)));
      for (const auto& [name, component] : document.components) {
        workspace.components.push_back(name);
        const auto& path = component->path.value;
        if (!path.empty() && (relative == path || relative.starts_with(path + "/"))) workspace.here = name;
      }
    } catch (const Error&) {
      // `tow check` says what is wrong with it.
    }
  }
  if (workspace.components.empty()) {
    auto name = name_in(workspace.root / "score.yaml");
    if (name.empty() && !workspace.repository.empty()) name = score::component_name(workspace.repository);
    if (!name.empty()) workspace.components.push_back(name);
  }
  if (workspace.components.size() == 1) workspace.here = workspace.components[0];
  return workspace;
}

}  // namespace tow::cli
