// SPDX-License-Identifier: Apache-2.0
#include "model/score_infer.hpp"

#include "model/score_fields.hpp"

namespace tow::score {

Document infer(const Facts& facts) {
  constexpr std::uint16_t kPort = 8080;
  Document made;
  made.metadata->name = facts.name;
  made.containers["main"]->image->assign(".");
  if (!facts.port) return made;
  Port& http = *made.service.ports["http"];
  http.port = kPort;
  if (*facts.port != kPort) http.target = *facts.port;
  Resource& route = *made.resources["route"];
  route.type->assign("route");
  route.params["port"] = Node{static_cast<int>(kPort)};
  return made;
}

std::string render(const Document& document) {
  std::string text = "# What this component needs to run: a Score document (https://docs.score.dev).\n";
  const Node written = write(document);
  for (const auto& [key, value] : *written.map()) {
    if (key != "apiVersion") text += '\n';
    text += to_yaml(Node::Map{{key, value}});
  }
  // The writer is careful and quotes a lone dot, which nobody does by hand.
  constexpr std::string_view kQuoted = "image: \".\"\n";
  for (auto at = text.find(kQuoted); at != std::string::npos; at = text.find(kQuoted, at))
    text.replace(at, kQuoted.size(), "image: .\n");
  return text;
}

std::string component_name(std::string_view folder) {
  while (folder.ends_with('/')) folder.remove_suffix(1);
  if (const auto slash = folder.rfind('/'); slash != std::string_view::npos) folder.remove_prefix(slash + 1);
  if (folder.ends_with(".git")) folder.remove_suffix(4);
  std::string name;
  for (const char c : folder.substr(0, 63)) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool fits = upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (fits)
      name += upper ? static_cast<char>(c - 'A' + 'a') : c;
    else if (!name.empty() && !name.ends_with('-'))
      name += '-';
  }
  while (name.ends_with('-')) name.pop_back();
  if (name.empty()) return "app";
  return name.size() == 1 ? name + "-app" : name;
}

}  // namespace tow::score
