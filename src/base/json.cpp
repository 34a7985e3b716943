// SPDX-License-Identifier: Apache-2.0
// JSON in and out: Boost.JSON parses; the writer walks the tree.
#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <cmath>

#include "base/node.hpp"

namespace tow {
namespace {

namespace json = boost::json;

// Builds a Node straight from the parser's events, without a second tree between.
struct Builder {
  static constexpr std::size_t max_object_size = 1 << 20, max_array_size = 1 << 20, max_key_size = 1 << 16,
                               max_string_size = 64 << 20;
  std::vector<Node> open;         // the containers that are being read
  std::vector<std::string> keys;  // the key under which each of them, and the next value, goes
  std::string text;
  Node root;

  void put(Node value) {
    if (open.empty()) {
      root = std::move(value);
    } else if (auto* list = open.back().list()) {
      list->push_back(std::move(value));
    } else {
      open.back().map()->emplace_back(std::move(keys.back()), std::move(value));
      keys.pop_back();
    }
  }
  void close() {
    Node done = std::move(open.back());
    open.pop_back();
    put(std::move(done));
  }
  using Ec = boost::system::error_code&;
  bool on_document_begin(Ec) { return true; }
  bool on_document_end(Ec) { return true; }
  bool on_object_begin(Ec) { return open.emplace_back(Node::Map{}), true; }
  bool on_array_begin(Ec) { return open.emplace_back(Node::List{}), true; }
  bool on_object_end(std::size_t, Ec) { return drop_earlier_duplicates(), close(), true; }
  bool on_array_end(std::size_t, Ec) { return close(), true; }
  bool on_key_part(json::string_view part, std::size_t, Ec) { return text.append(part), true; }
  bool on_key(json::string_view part, std::size_t, Ec) {
    text.append(part);
    keys.push_back(std::move(text));
    text.clear();
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, Ec) { return text.append(part), true; }
  bool on_string(json::string_view part, std::size_t, Ec) {
    text.append(part);
    put(std::move(text));
    text.clear();
    return true;
  }
  bool on_number_part(json::string_view, Ec) { return true; }
  bool on_int64(std::int64_t value, json::string_view, Ec) { return put(value), true; }
  bool on_uint64(std::uint64_t value, json::string_view, Ec) { return put(static_cast<double>(value)), true; }
  bool on_double(double value, json::string_view, Ec) { return put(value), true; }
  bool on_bool(bool value, Ec) { return put(value), true; }
  bool on_null(Ec) { return put(Node{}), true; }
  bool on_comment_part(json::string_view, Ec) { return true; }
  bool on_comment(json::string_view, Ec) { return true; }

  // Keys of a map are unique; of JSON's repeated ones the last counts, as everywhere.
  void drop_earlier_duplicates() {
    auto& map = *open.back().map();
    if (map.size() < 2) return;
    std::vector<std::pair<std::string_view, std::size_t>> order;
    order.reserve(map.size());
    for (std::size_t i = 0; i < map.size(); ++i) order.emplace_back(map[i].first, i);
    std::sort(order.begin(), order.end());
    std::vector<std::size_t> drop;
    for (std::size_t i = 0; i + 1 < order.size(); ++i)
      if (order[i].first == order[i + 1].first) drop.push_back(order[i].second);
    if (drop.empty()) return;
    std::sort(drop.rbegin(), drop.rend());
    for (auto at : drop) map.erase(map.begin() + static_cast<std::ptrdiff_t>(at));
  }
};

Position position_of(std::string_view text, std::size_t offset) {
  Position at{1, 1};
  for (char c : text.substr(0, offset)) c == '\n' ? (++at.line, at.column = 1) : ++at.column;
  return at;
}

void append(std::string& out, const Node& node, int indent) {
  const auto line = [&](int depth) {
    if (indent >= 0) out.append("\n").append(static_cast<std::size_t>(depth) * 2, ' ');
  };
  const int inner = indent >= 0 ? indent + 1 : indent;
  if (const auto* b = node.boolean()) {
    out += *b ? "true" : "false";
  } else if (const auto* i = node.integer()) {
    out += std::to_string(*i);
  } else if (const auto* d = node.real()) {
    char buffer[32];
    if (!std::isfinite(*d)) {
      out += "null";  // JSON has no other word for it
    } else {
      const auto end = std::to_chars(buffer, buffer + sizeof buffer, *d).ptr;
      out.append(buffer, end);
    }
  } else if (const auto* s = node.string()) {
    append_json_string(out, *s);
  } else if (const auto* list = node.list()) {
    out += '[';
    for (std::size_t at = 0; at < list->size(); ++at) {
      if (at) out += ',';
      line(inner);
      append(out, (*list)[at], inner);
    }
    if (!list->empty()) line(indent);
    out += ']';
  } else if (const auto* map = node.map()) {
    out += '{';
    for (std::size_t at = 0; at < map->size(); ++at) {
      if (at) out += ',';
      line(inner);
      append_json_string(out, (*map)[at].first);
      out += indent >= 0 ? ": " : ":";
      append(out, (*map)[at].second, inner);
    }
    if (!map->empty()) line(indent);
    out += '}';
  } else {
    out += "null";
  }
}

// The length of the valid UTF-8 sequence at the front of `text`, 0 if there is none.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const std::size_t length = first < 0x80                    ? 1
                             : first >= 0xf0 && first < 0xf5 ? 4
                             : first >= 0xe0 && first < 0xf0 ? 3
                             : first >= 0xc2 && first < 0xe0 ? 2
                                                             : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  if (first == 0xe0 && byte(1) < 0xa0) return 0;
  if (first == 0xed && byte(1) >= 0xa0) return 0;  // surrogates
  if (first == 0xf0 && byte(1) < 0x90) return 0;
  if (first == 0xf4 && byte(1) >= 0x90) return 0;
  return length;
}

}  // namespace

Node parse_json(std::string_view text) {
  json::parse_options options;
  options.max_depth = 64;
  json::basic_parser<Builder> parser{options};
  boost::system::error_code error;
  const auto used = parser.write_some(false, text.data(), text.size(), error);
  if (!error && used < text.size()) error = json::error::extra_data;
  if (error) {
    const auto at = position_of(text, used);
    throw Error{Code::Invalid,
                fmt::format("not JSON: {} at line {}, column {}", error.message(), at.line, at.column),
                {Fault{.path = {}, .at = at, .message = error.message()}}};
  }
  return std::move(parser.handler().root);
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto length = sequence_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    // Most text needs no escape: copy it in runs.
    std::size_t run = 0;
    while (run < text.size() && static_cast<unsigned char>(text[run]) >= 0x20 &&
           static_cast<unsigned char>(text[run]) < 0x80 && text[run] != '"' && text[run] != '\\')
      ++run;
    out.append(text.substr(0, run));
    text.remove_prefix(run);
    if (text.empty()) break;
    const auto c = static_cast<unsigned char>(text.front());
    if (c >= 0x80) {
      const auto length = sequence_length(text);
      if (length == 0) {
        out += "\xef\xbf\xbd";
        text.remove_prefix(1);
      } else {
        out.append(text.substr(0, length));
        text.remove_prefix(length);
      }
      continue;
    }
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += fmt::format("\\u{:04x}", c);
    }
    text.remove_prefix(1);
  }
  out += '"';
}

std::string to_json(const Node& node) {
  std::string out;
  append(out, node, -1);
  return out;
}

std::string to_pretty_json(const Node& node) {
  std::string out;
  append(out, node, 0);
  return out;
}

}  // namespace tow
