// SPDX-License-Identifier: Apache-2.0
// YAML in and out: libfyaml parses; the core schema's types are resolved here.
#include <libfyaml.h>

#include <charconv>
#include <limits>
#include <memory>
#include <optional>
#include <set>

#include "base/node.hpp"

namespace tow {
namespace {

constexpr std::size_t kMaxNodes = 100'000;
constexpr int kMaxDepth = 64;

[[noreturn]] void reject(Position at, std::string message) {
  throw Error{Code::Invalid,
              fmt::format("not YAML: {} at line {}, column {}", message, at.line, at.column),
              {Fault{.path = {}, .at = at, .message = std::move(message)}}};
}

Position position_of(fy_token* token) {
  const fy_mark* mark = token ? fy_token_start_mark(token) : nullptr;
  return mark ? Position{mark->line + 1, mark->column + 1} : Position{};
}

// https://yaml.org/spec/1.2.2/#103-core-schema
Node resolve_plain(std::string_view text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return {};
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  const char* const end = text.data() + text.size();
  const auto integer = [&](std::string_view digits, int base) -> std::optional<std::int64_t> {
    std::int64_t value = 0;
    const auto [stop, error] = std::from_chars(digits.data(), end, value, base);
    if (error != std::errc{} || stop != end || digits.empty()) return {};
    return value;
  };
  if (text.starts_with("0x") && text.size() > 2 && text[2] != '-') {
    if (const auto value = integer(text.substr(2), 16)) return *value;
    return text;
  }
  if (text.starts_with("0o") && text.size() > 2 && text[2] != '-') {
    if (const auto value = integer(text.substr(2), 8)) return *value;
    return text;
  }
  const auto unsigned_part = text.substr(text.front() == '-' || text.front() == '+' ? 1 : 0);
  if (unsigned_part == ".inf" || unsigned_part == ".Inf" || unsigned_part == ".INF")
    return text.front() == '-' ? -std::numeric_limits<double>::infinity()
                               : std::numeric_limits<double>::infinity();
  if (text == ".nan" || text == ".NaN" || text == ".NAN") return std::numeric_limits<double>::quiet_NaN();
  if (unsigned_part.empty() || unsigned_part.find_first_not_of("0123456789.eE+-") != std::string_view::npos ||
      unsigned_part.front() == '-' || unsigned_part.front() == '+' || unsigned_part.front() == 'e' ||
      unsigned_part.front() == 'E' || unsigned_part == ".")
    return text;
  const auto digits = text.front() == '+' ? unsigned_part : text;
  if (const auto value = integer(digits, 10)) return *value;
  double value = 0;
  const auto [stop, error] = std::from_chars(digits.data(), end, value);
  if (error == std::errc{} && stop == end) return value;
  return text;
}

class Converter {
 public:
  Node convert(fy_node* node, int depth = 0) {
    if (!node) return {};
    if (++count_ > kMaxNodes) reject({1, 1}, "the document grows beyond 100,000 values");
    if (depth > kMaxDepth) reject(position(node), "nested more than 64 levels deep");
    if (fy_node_is_alias(node)) {
      fy_node* target = fy_node_resolve_alias(node);
      if (!target) reject(position(node), "an alias of an anchor that does not exist");
      Node made = convert(target, depth + 1);
      made.at = position(node);
      return made;
    }
    Node made;
    switch (fy_node_get_type(node)) {
      case FYNT_SCALAR:
        made = scalar(node);
        break;
      case FYNT_SEQUENCE:
        made = sequence(node, depth);
        break;
      case FYNT_MAPPING:
        made = mapping(node, depth);
        break;
    }
    made.at = position(node);
    return made;
  }

 private:
  static Position position(fy_node* node) {
    if (fy_node_get_type(node) == FYNT_SCALAR) return position_of(fy_node_get_scalar_token(node));
    // A block collection begins where its first key or item does.
    if (fy_node_get_type(node) == FYNT_MAPPING) {
      if (fy_node_mapping_item_count(node) > 0) {
        void* at = nullptr;
        fy_node_pair* first = fy_node_mapping_iterate(node, &at);
        if (fy_node* key = fy_node_pair_key(first)) return position(key);
      }
    } else if (fy_node_sequence_item_count(node) > 0) {
      void* at = nullptr;
      return position(fy_node_sequence_iterate(node, &at));
    }
    return {};
  }

  static Node scalar(fy_node* node) {
    std::size_t length = 0;
    const char* text = fy_node_get_scalar(node, &length);
    const std::string_view value{text ? text : "", text ? length : 0};
    std::size_t tag_length = 0;
    const char* tag = fy_node_get_tag(node, &tag_length);
    const bool plain = fy_node_get_style(node) == FYNS_PLAIN || fy_node_get_style(node) == FYNS_ANY;
    if (plain && !(tag && std::string_view{tag, tag_length} == "tag:yaml.org,2002:str"))
      return resolve_plain(value);
    return value;
  }

  Node sequence(fy_node* node, int depth) {
    Node::List list;
    void* at = nullptr;
    while (fy_node* item = fy_node_sequence_iterate(node, &at)) {
      list.push_back(convert(item, depth + 1));
      if (list.back().at.line == 0) list.back().at = position(node);  // an empty collection has no mark
    }
    return list;
  }

  Node mapping(fy_node* node, int depth) {
    Node::Map map;
    std::set<std::string> seen;
    void* at = nullptr;
    while (fy_node_pair* pair = fy_node_mapping_iterate(node, &at)) {
      fy_node* key = fy_node_pair_key(pair);
      if (key && fy_node_is_alias(key)) key = fy_node_resolve_alias(key);
      if (key && fy_node_get_type(key) != FYNT_SCALAR) reject(position(key), "a key that is not a scalar");
      std::size_t length = 0;
      const char* text = key ? fy_node_get_scalar(key, &length) : nullptr;
      std::string name{text ? text : "", text ? length : 0};
      const Position key_at = key ? position(key) : Position{};
      if (!seen.insert(name).second) reject(key_at, fmt::format("the key \"{}\" is there twice", name));
      Node value = convert(fy_node_pair_value(pair), depth + 1);
      if (value.at.line == 0) value.at = key_at;
      value.key_at = key_at;
      map.emplace_back(std::move(name), std::move(value));
    }
    return map;
  }

  std::size_t count_ = 0;
};

// libfyaml reports to a diagnostic object; the first error is what a person needs.
struct Diagnostics {
  fy_diag* diag;
  Diagnostics() {
    fy_diag_cfg config;
    fy_diag_cfg_default(&config);
    config.fp = nullptr;
    config.output_fn = [](fy_diag*, void*, const char*, std::size_t) {};
    config.level = FYET_ERROR;
    diag = fy_diag_create(&config);
    fy_diag_set_collect_errors(diag, true);
  }
  ~Diagnostics() { fy_diag_destroy(diag); }
  [[noreturn]] void raise() const {
    void* at = nullptr;
    if (const fy_diag_error* error = fy_diag_errors_iterate(diag, &at))
      reject({error->line, error->column}, error->msg ? error->msg : "a syntax error");
    reject({1, 1}, "a syntax error");
  }
};

bool plain_is_safe(const std::string& text) {
  if (text.empty() || text.front() == ' ' || text.back() == ' ') return false;
  if (!resolve_plain(text).string()) return false;
  for (const char* word :
       {"y", "Y", "n", "N", "yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF"})
    if (text == word) return false;  // for readers of YAML 1.1
  if (std::string_view{"-?:,[]{}#&*!|>'\"%@`=<~."}.find(text.front()) != std::string_view::npos &&
      !(text.front() == '.' && text.size() > 1) &&
      !(text.front() == '-' && text.size() > 1 && text[1] != ' '))
    return false;
  if (text.find(": ") != std::string::npos || text.find(" #") != std::string::npos || text.back() == ':')
    return false;
  for (unsigned char c : text)
    if (c < 0x20 || c == 0x7f) return false;
  return text.starts_with("---") || text.starts_with("...") ? false : true;
}

void append_scalar(std::string& out, const Node& node) {
  const auto* text = node.string();
  if (text && plain_is_safe(*text))
    out += *text;
  else
    out += to_json(node);
}

void append_block(std::string& out, const Node& node, int depth) {
  const std::string pad(static_cast<std::size_t>(depth) * 2, ' ');
  const auto nested = [&](const Node& value) {
    const bool empty = (value.map() && value.map()->empty()) || (value.list() && value.list()->empty());
    return (value.map() || value.list()) && !empty;
  };
  if (const auto* map = node.map()) {
    for (const auto& [key, value] : *map) {
      out += pad;
      append_scalar(out, Node{key});
      out += ':';
      if (nested(value)) {
        out += '\n';
        append_block(out, value, depth + 1);
      } else {
        out += ' ';
        append_scalar(out, value);
        out += '\n';
      }
    }
  } else if (const auto* list = node.list()) {
    for (const auto& value : *list) {
      if (nested(value)) {
        std::string inner;
        append_block(inner, value, depth + 1);
        out += pad + "- " + inner.substr(pad.size() + 2);
      } else {
        out += pad + "- ";
        append_scalar(out, value);
        out += '\n';
      }
    }
  }
}

}  // namespace

// Where the first byte stands that is no UTF-8. libfyaml can go over such bytes without end.
Position first_bad_byte(std::string_view text) {
  Position at{1, 1};
  while (!text.empty()) {
    std::size_t size = 1;
    while (size <= 4 && !is_utf8(text.substr(0, size))) ++size;
    if (size > 4) break;
    at = text.front() == '\n' ? Position{at.line + 1, 1} : Position{at.line, at.column + 1};
    text.remove_prefix(size);
  }
  return at;
}

Node parse_yaml(std::string_view text) {
  if (!is_utf8(text)) reject(first_bad_byte(text), "a byte that is no UTF-8");
  Diagnostics diagnostics;
  fy_parse_cfg config{};
  // libfyaml compares every key of a map with every other one; Converter finds duplicates by a set.
  config.flags = static_cast<fy_parse_cfg_flags>(FYPCF_QUIET | FYPCF_COLLECT_DIAG |
                                                 FYPCF_DEFAULT_VERSION_1_2 | FYPCF_ALLOW_DUPLICATE_KEYS);
  config.diag = diagnostics.diag;
  const std::unique_ptr<fy_parser, void (*)(fy_parser*)> parser{fy_parser_create(&config),
                                                                &fy_parser_destroy};
  if (!parser || fy_parser_set_string(parser.get(), text.data(), text.size()) != 0)
    reject({1, 1}, "cannot be read");
  const auto destroy = [&](fy_document* document) { fy_parse_document_destroy(parser.get(), document); };
  using Document = std::unique_ptr<fy_document, decltype(destroy)>;
  const Document document{fy_parse_load_document(parser.get()), destroy};
  if (!document) {
    if (fy_parser_get_stream_error(parser.get())) diagnostics.raise();
    return {};  // nothing but white space and comments
  }
  Node made = Converter{}.convert(fy_document_root(document.get()));
  const Document second{fy_parse_load_document(parser.get()), destroy};
  if (fy_parser_get_stream_error(parser.get())) diagnostics.raise();
  if (second) reject({1, 1}, "more than one document (---)");
  return made;
}

std::string to_yaml(const Node& node) {
  std::string out;
  const bool block = (node.map() && !node.map()->empty()) || (node.list() && !node.list()->empty());
  if (block) {
    append_block(out, node, 0);
  } else {
    append_scalar(out, node);
    out += '\n';
  }
  return out;
}

}  // namespace tow
