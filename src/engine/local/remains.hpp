// SPDX-License-Identifier: Apache-2.0
#pragma once
// What there is of instances on the machine, and how it goes: of a start that failed, of a life that is over,
// of an engine that was killed. Blocking.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/local/making.hpp"

namespace tow::engine::local {

/// Each conmon of this engine that runs, by instance. One walk over /proc.
std::map<InstanceId, Descriptor> find_monitors(const Workshop& workshop);

/// Finds what runs from before: conmon, which is moved out of `monitors`, and the run record must be there;
/// without its first process `init` is empty. Nothing otherwise.
std::optional<Running> adopt(Workshop& workshop, const InstanceId& id,
                             std::map<InstanceId, Descriptor>& monitors);

/// The code with which it ended, as conmon wrote it; nothing when conmon was lost.
std::optional<int> exit_code(const Workshop& workshop, const InstanceId& id);

/// Removes everything of an instance but its log and address: processes, container, control group, link,
/// directories. Whatever of it there is; safe to repeat. `link` and `monitor` may be empty.
void unmake(Workshop& workshop, const InstanceId& id, const Runtime& runtime, const std::string& link,
            const Descriptor& monitor);

/// Instances of which there is a directory at run time, wholly made or not.
std::vector<InstanceId> leftovers(const Workshop& workshop);

/// Unmakes all of these, some at once, whatever runtime made them; `default_runtime` for those that none
/// knows.
void remove_remains(Workshop& workshop, const std::set<InstanceId>& ids,
                    const std::map<InstanceId, Descriptor>& monitors, const std::string& default_runtime);

}  // namespace tow::engine::local
