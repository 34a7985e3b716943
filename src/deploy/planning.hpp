// SPDX-License-Identifier: Apache-2.0
#pragma once
// From a release and its place to a plan: what is read out of the store for it.

#include <map>
#include <string>
#include <vector>

#include "base/task.hpp"
#include "deploy/configuration.hpp"
#include "model/project.hpp"
#include "model/score_plan.hpp"
#include "store/store.hpp"

namespace tow::deploy {

struct PlanInput {
  std::string project;
  std::string environment;
  std::string component;
  std::string domain;
  const Release::Spec* release = nullptr;
  const score::Document* document = nullptr;  // of the release, with overrides
};

/// The release's document with what its deployment overrides.
score::Document document_of(const Release::Spec& release, const Node& overrides);
/// Reads a file that the release kept.
std::function<std::optional<std::string>(const std::string&)> reader_of(const Release::Spec& release);
std::vector<std::string> required_names(const PlanInput& input);

/// Ports of the components that a document refers to, and the components that do not exist.
struct Neighbours {
  std::map<std::string, std::vector<score::ServicePort>> ports;
  std::vector<std::string> missing;
};
Task<Neighbours> find_neighbours(store::Store& store, PlanInput input);

/// Throws Error{Invalid, Unsupported} with every fault.
score::Plan make_plan(const PlanInput& input, const std::map<std::string, ConfigurationValue>& values,
                      const Neighbours& neighbours);

/// Every fault of an error in one text, a line each.
std::string text_of(const Error& error);

}  // namespace tow::deploy
