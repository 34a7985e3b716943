// SPDX-License-Identifier: Apache-2.0
#include "model/score_text.hpp"
#include "base/reading.hpp"

#include <algorithm>

namespace tow::score {
namespace {

std::vector<std::string> split_keys(std::string_view inside) {
  std::vector<std::string> keys(1);
  for (std::size_t i = 0; i < inside.size(); ++i) {
    if (inside.substr(i, 2) == "\\.") {
      keys.back() += '.';
      ++i;
    } else if (inside[i] == '.') {
      keys.emplace_back();
    } else {
      keys.back() += inside[i];
    }
  }
  return keys;
}

// Enough of a text to know it again in a message.
std::string excerpt(std::string_view text) {
  const auto line = text.substr(0, text.find('\n'));
  if (line.size() <= 60) return std::string{line};
  std::size_t end = 60;
  while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xc0) == 0x80) --end;  // between characters
  return std::string{line.substr(0, end)} + "…";
}

}  // namespace

Expanded::Expanded(std::string text) {
  if (!text.empty()) parts.push_back({std::move(text), {}});
}

Expanded Expanded::secret(std::string reference) {
  Expanded made;
  made.parts.push_back({{}, std::move(reference)});
  return made;
}

void Expanded::append(const Expanded& other) {
  for (const Part& part : other.parts) {
    if (part.secret.empty() && !parts.empty() && parts.back().secret.empty())
      parts.back().text += part.text;
    else
      parts.push_back(part);
  }
}

bool Expanded::has_secret() const {
  return std::any_of(parts.begin(), parts.end(), [](const Part& part) { return !part.secret.empty(); });
}

std::optional<std::string> Expanded::plain() const {
  if (has_secret()) return {};
  std::string text;
  for (const Part& part : parts) text += part.text;
  return text;
}

void read_custom(const Node& node, Expanded& out, Reading& reading) {
  if (const auto* text = node.string()) {
    out = Expanded{*text};
    return;
  }
  const auto* list = detail::expect_list(node, reading);
  if (!list) return;
  out = {};
  for (const Node& part : *list) {
    if (const auto* text = part.string())
      out.append(Expanded{*text});
    else if (const Node* reference = part.find("secret"); reference && reference->string())
      out.append(Expanded::secret(*reference->string()));
    else
      reading.fault(part, "must be a string, or {secret: reference}");
  }
}

Node write_custom(const Expanded& value) {
  if (auto text = value.plain()) return Node{std::move(*text)};
  Node::List list;
  for (const Part& part : value.parts)
    list.push_back(part.secret.empty() ? Node{part.text} : Node{Node::Map{{"secret", part.secret}}});
  return list;
}

Node schema_custom(Of<Expanded>) {
  Node secret = Node::Map{{"type", "object"},
                          {"properties", Node::Map{{"secret", Node::Map{{"type", "string"}}}}},
                          {"required", Node::List{"secret"}},
                          {"additionalProperties", false}};
  Node part = Node::Map{{"oneOf", Node::List{Node::Map{{"type", "string"}}, std::move(secret)}}};
  return Node::Map{{"oneOf", Node::List{Node::Map{{"type", "string"}},
                                        Node::Map{{"type", "array"}, {"items", std::move(part)}}}}};
}

ParsedText parse_text(std::string_view text) {
  ParsedText parsed;
  std::string plain;
  int line = 1;
  const auto flush = [&] {
    if (!plain.empty()) parsed.pieces.push_back({std::move(plain), {}});
    plain.clear();
  };
  for (std::size_t i = 0; i < text.size();) {
    if (text.substr(i, 2) == "$$") {
      plain += '$';
      i += 2;
    } else if (text.substr(i, 2) == "${") {
      const auto end = text.find('}', i);
      if (end == std::string_view::npos) {
        parsed.problems.push_back(fmt::format(
            "{} is not closed by }}; write $${{ where the text itself is meant", excerpt(text.substr(i))));
        plain += text.substr(i);
        break;
      }
      flush();
      const auto spelling = text.substr(i, end - i + 1);
      parsed.pieces.push_back(
          {{}, Reference{split_keys(spelling.substr(2, spelling.size() - 3)), excerpt(spelling), line}});
      line += static_cast<int>(std::count(spelling.begin(), spelling.end(), '\n'));
      i = end + 1;
    } else {
      if (text[i] == '\n') ++line;
      plain += text[i++];
    }
  }
  flush();
  return parsed;
}

Expanded expand(std::string_view text, const Lookup& lookup,
                const std::function<void(std::string)>& problem) {
  const auto parsed = parse_text(text);
  for (const auto& message : parsed.problems) problem(message);
  Expanded out;
  for (const auto& piece : parsed.pieces) {
    if (!piece.reference)
      out.append(Expanded{piece.text});
    else if (const auto value = lookup(*piece.reference))
      out.append(*value);
  }
  return out;
}

}  // namespace tow::score
