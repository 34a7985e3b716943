// SPDX-License-Identifier: Apache-2.0
#pragma once
// Named places at which a test can end the whole process, as a power failure would: with
// TOWPATH_FAULT=deploy.traffic-moved in its environment the process kills itself where that point is first
// come by; with TOWPATH_FAULT=store.committed:3, at the third time. Without the variable a point costs a
// comparison. They stand between an effect and its record, where a crash hurts most; what must hold after
// each is tested from outside (docs/reliability.md).

#include <string_view>

namespace tow {

/// Any thread. The name is "FOLDER.WHAT-HAS-HAPPENED", a literal, and stands once in the source.
void fault_point(std::string_view name);

}  // namespace tow
