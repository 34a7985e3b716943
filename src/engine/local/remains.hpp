// SPDX-License-Identifier: Apache-2.0
#pragma once
// What there is of containers on the machine, each by its key (see container_key), and how it goes: of a
// start that failed, of a life that is over, of an engine that was killed. Blocking.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/local/making.hpp"

namespace tow::engine::local {

/// Each conmon of this engine that runs, by container. One walk over /proc.
std::map<std::string, Descriptor> find_monitors(const Workshop& workshop);

/// Finds what runs from before: conmon, which is moved out of `monitors`, and the run record must be there;
/// without its first process `init` is empty. Nothing otherwise.
std::optional<Running> adopt(Workshop& workshop, const std::string& key,
                             std::map<std::string, Descriptor>& monitors);

/// How a container ended that was wholly made, as far as is known; nothing when it was not, or conmon is
/// lost.
struct Ended {
  RunRecord record;
  LastEnd end;
};
std::optional<Ended> find_end(const Workshop& workshop, const std::string& key,
                              const ContainerSpec& container);

/// The code with which it ended, as conmon wrote it; nothing when conmon was lost.
std::optional<int> exit_code(const Workshop& workshop, const std::string& key);

/// Removes everything of a container but its log and address: processes, container, control group, link,
/// directories. Whatever of it there is; safe to repeat. `link` and `monitor` may be empty.
void unmake(Workshop& workshop, const std::string& key, const Runtime& runtime, const std::string& link,
            const Descriptor& monitor);

/// Containers of which there is a directory at run time, wholly made or not.
std::vector<std::string> leftovers(const Workshop& workshop);

/// Unmakes all of these, some at once, whatever runtime made them; `default_runtime` for those that none
/// knows.
void remove_remains(Workshop& workshop, const std::set<std::string>& keys,
                    const std::map<std::string, Descriptor>& monitors, const std::string& default_runtime);

}  // namespace tow::engine::local
