// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <map>

#include "control/control.hpp"
#include "store/memory/memory.hpp"
