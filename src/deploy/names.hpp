// SPDX-License-Identifier: Apache-2.0
#pragma once
// How the entities of deploy are called and labelled, and how secrets are referred to.

#include <optional>
#include <string>
#include <string_view>

#include "model/deployment.hpp"

namespace tow::deploy {

inline constexpr std::string_view kFinalizer = "deploy";

/// Of jobs that are commands of a revision: its number.
inline constexpr std::string_view kHookLabel = "hook-of";

/// Of jobs that a schedule begins: the name of the ScheduledJob.
inline constexpr std::string_view kScheduleLabel = "scheduled-job";

std::string deployment_name(std::string_view component, std::string_view environment);
std::string revision_name(std::string_view deployment, int number);
/// The key of the deployment that a revision's name begins with.
Key deployment_of_revision(const Key& revision);

/// Labels of what belongs to a deployment.
Labels deployment_labels(std::string_view component, std::string_view environment);

/// The job of a command before or after a revision.
std::string hook_name(std::string_view revision, std::string_view when, int number);
/// Under which the new side of a deployment can be looked at: the first label stays one label.
std::string preview_host(std::string_view host);

std::string route_name(std::string_view deployment, std::string_view host, std::string_view path);

/// By Score's identity of the resource: "worker.development.data"; "development.cache" when it is shared.
std::string volume_name(std::string_view environment, std::string_view identity);

/// Configuration and secrets of the whole project; no environment may be called so.
inline constexpr std::string_view kProjectScope = "project";
std::string secret_name(std::string_view scope, std::string_view name);
/// What a sealed value is bound to.
std::string secret_context(std::string_view project, std::string_view secret, int version);

/// What stands in a workload for a secret.
struct SecretReference {
  std::string project;
  std::string secret;  // name of the entity
  int version = 0;
};
std::string to_string(const SecretReference& reference);
/// Nothing when it is not one.
std::optional<SecretReference> parse_secret_reference(std::string_view text);

}  // namespace tow::deploy
