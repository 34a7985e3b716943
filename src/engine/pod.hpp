// SPDX-License-Identifier: Apache-2.0
#pragma once
// The containers of one instance taken together: in what order they start, and what they are as one. Pure;
// every engine decides by it.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/engine.hpp"

namespace tow::engine {

/// How far each container has ever come in this life of the instance: a gate that was open stays open, so
/// that one that starts again waits for nobody.
using Progress = std::map<std::string, std::set<Milestone>>;

void note(Progress& progress, const ContainerView& container);
/// What it still waits for, for people: "prepare to be complete"; empty when it may start.
std::string awaited(const ContainerSpec& container, const Progress& progress);

/// Phase, reason, counts and times of the whole, out of view.containers.
void combine(InstanceView& view);

/// Containers that wait for each other, from one back to itself ("a → b → a"); empty when there are none.
std::string find_cycle(const std::vector<ContainerSpec>& containers);

}  // namespace tow::engine
