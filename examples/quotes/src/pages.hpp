// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the service answers.

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "http.hpp"
#include "quotes.hpp"

namespace quotes {

// Picks a number below its argument; random in the service, chosen in tests.
using Pick = std::function<std::size_t(std::size_t)>;

//   /           one saying as text      /quotes      all, as JSON
//   /healthz    whether it is well      /quotes/N    the Nth, counted from 1
Handler pages(std::vector<Quote> sayings, Pick pick, std::string version);

// `text` as a JSON string, with its quotation marks. UTF-8 stays as it is.
std::string json_string(std::string_view text);

}  // namespace quotes
