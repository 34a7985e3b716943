// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a commit means: the documents in it, read and checked together, and what each component is made of.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "model/manifest.hpp"
#include "model/score.hpp"
#include "pipeline/pipeline.hpp"

namespace tow::pipeline {

struct PlannedComponent {
  std::string name;
  manifest::Component settings;
  score::Document document;
  std::string directory;  // of the Score document
  bool inferred = false;
  bool built = false;  // its image comes from the repository
  std::string inputs;  // digest of all that the image is made of; empty where it is not built
  std::map<std::string, std::string> files;  // what the document mounts, by path
};

struct CommitPlan {
  manifest::Document manifest;
  std::vector<PlannedComponent> components;
  std::optional<std::string> environment;
  std::vector<std::string> notes;
};

struct CommitReader {
  const Sources& sources;
  std::string project;
  std::string repository;
  std::string commit;

  Task<std::optional<std::string>> read(std::string path) const;
  Task<std::optional<std::string>> tree_id(std::string path) const;
};

/// Reads and checks every document of the commit. Throws Error{Invalid, Unsupported} whose faults are those
/// of all files, each fault's path led by its file: "web/score.yaml: containers.web…".
Task<CommitPlan> plan_commit(CommitReader reader, std::string branch, std::string default_branch);

/// A fault as its author reads it: "web/score.yaml:14:7  containers.web.image: …".
std::vector<std::string> describe_faults(const Error& error);

}  // namespace tow::pipeline
