// SPDX-License-Identifier: Apache-2.0
#pragma once
// towpath.yaml: how the components of a repository are run, where, and from which branch. Values; nothing
// here reads a disk. Optional: a repository without one has one component at its root, and its default branch
// is deployed to `development`.
//
// Every path in it starts at the repository's root and is kept in one spelling ("" is the root).

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "model/jobs.hpp"
#include "model/located.hpp"
#include "model/strategy.hpp"

namespace tow::manifest {

inline constexpr std::string_view kVersion = "towpath.dev/v1";
inline constexpr std::string_view kFileName = "towpath.yaml";

struct Component {
  Text path;                          // its folder
  std::vector<Text> watch;            // a change below one of these builds it; empty: its folder
  std::optional<Text> score;          // its Score document; PATH/score.yaml when absent
  std::optional<Text> containerfile;  // found or made in its folder when absent
  std::map<std::string, std::string> build_args;
  std::vector<Text> depends_on;  // components of this repository that are live before it is deployed
};

/// What differs for a component in one environment. Absent: as it is elsewhere.
struct Setting {
  std::optional<int> scale;
  std::optional<Located<Strategy>> strategy;
  std::vector<std::string> domains;
  Located<Hooks> hooks;
  Located<std::map<std::string, JobDefinition>> jobs;
  Located<Node> overrides;  // merged over the Score document
};

struct Environment {
  std::optional<Text> branch;  // a push to it deploys here; absent: only releases are deployed here
  std::optional<Text> type;    // EnvironmentType
  std::map<std::string, Located<Setting>> components;
};

struct Document {
  std::string api_version{kVersion};
  std::map<std::string, Located<Component>> components;  // empty: one, at the root
  std::map<std::string, Located<Environment>> environments;
};

/// Reads and checks. Throws Error{Invalid} with every fault in order of place, or Error{Unsupported} when all
/// of them are of that sort.
Document read(const Node& node);
Node write(const Document& document);
/// JSON Schema (2020-12).
Node schema();
/// YAML for people.
std::string render(const Document& document);

/// The document that `tow init` proposes for components by name and folder.
Document infer(const std::map<std::string, std::string>& components, const std::string& default_branch);

/// Where the component's Score document is.
std::string score_file(const Component& component);
/// Whether a change of this file of the repository builds the component anew.
bool watches(const Component& component, std::string_view file);
/// The environment to which a push to the branch is deployed; none for most branches. Where no environment
/// names a branch, it is `development` for the default branch.
std::optional<std::string> environment_of(const Document& document, std::string_view branch,
                                          std::string_view default_branch);
/// Faults for components that environments speak of and that are not in `names`: for a document without
/// components of its own, whose one component is named by its Score document.
std::vector<Fault> unknown_components(const Document& document, const std::set<std::string>& names);

}  // namespace tow::manifest
