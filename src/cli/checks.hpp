// SPDX-License-Identifier: Apache-2.0
#pragma once
// What an argument may be, said in a sentence. Only for .cpp files of this folder: it knows the parser.

#include <CLI/CLI.hpp>
#include <initializer_list>
#include <string>

namespace tow::cli {

/// "17": between both bounds, these included.
CLI::Validator whole_number(std::int64_t low, std::int64_t high);
CLI::Validator one_of(std::initializer_list<std::string> words);

}  // namespace tow::cli
