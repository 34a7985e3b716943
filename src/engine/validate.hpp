// SPDX-License-Identifier: Apache-2.0
#pragma once
// What every engine refuses before it does anything. All throw Error{Invalid}.

#include <string_view>

#include "base/error.hpp"
#include "engine/engine.hpp"

namespace tow::engine {

/// Ids become parts of file names, links and control groups: 1–63 of [a-z0-9-], no hyphen in front.
void check_id(std::string_view what, std::string_view id);
void check(const GroupSpec& group);
void check(const JobSpec& job);
/// Throws Error{FailedPrecondition} when a group would get containers of other names.
void check_same_containers(const GroupId& group, const Workload& before, const Workload& now);
Error no_such_container(const InstanceId& instance, const std::string& container);
/// Its endpoints are the implementation's to check: it knows its addresses.
void check(const Service& service);

}  // namespace tow::engine
