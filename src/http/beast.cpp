// SPDX-License-Identifier: Apache-2.0
// The compiled part of Beast, once for the program.
#include <boost/beast/src.hpp>
