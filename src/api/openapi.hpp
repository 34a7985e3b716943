// SPDX-License-Identifier: Apache-2.0
#pragma once
// The API as an OpenAPI 3.1 document, made from the kinds' tables and the operations' declarations.

#include "api/api.hpp"

namespace tow::api {

Node describe_api(const std::vector<AnyOperation>& operations, std::string_view version);

}  // namespace tow::api
