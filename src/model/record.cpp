// SPDX-License-Identifier: Apache-2.0
#include "model/record.hpp"

#include <algorithm>

namespace tow {

std::string to_string(const Key& key) {
  std::string text = key.kind;
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  text += ':';
  if (!key.project.empty()) text += key.project + '/';
  return text + key.name;
}

}  // namespace tow
