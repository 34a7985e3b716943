// SPDX-License-Identifier: Apache-2.0
#include "http/text.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace tow::http {
namespace {

constexpr std::array<bool, 256> kToken = [] {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[c] = table[c - 32] = true;
  for (const char c : std::string_view{"!#$%&'*+-.^_`|~"}) table[static_cast<unsigned char>(c)] = true;
  return table;
}();

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// Percent-decoding alone.
std::optional<std::string> unescape(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size()) return {};
      const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return {};
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  if (out.find('\0') != std::string::npos || !is_utf8(out)) return {};
  return out;
}

}  // namespace

bool is_token(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return kToken[static_cast<unsigned char>(c)]; });
}

bool is_field_value(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return is_control(c) && c != '\t'; });
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t at) -> std::uint32_t {
      return at < text.size() ? static_cast<unsigned char>(text[at]) : 0;
    };
    const auto first = byte(i);
    if (first < 0x80) {
      ++i;
      continue;
    }
    const int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    if (first < 0xc2 || first > 0xf4) return false;
    std::uint32_t code = first & (0x3fU >> more);
    for (int k = 1; k <= more; ++k) {
      const auto next = byte(i + static_cast<std::size_t>(k));
      if ((next & 0xc0) != 0x80) return false;
      code = code << 6 | (next & 0x3f);
    }
    if (more == 2 && (code < 0x800 || (code >= 0xd800 && code < 0xe000))) return false;
    if (more == 3 && (code < 0x10000 || code > 0x10ffff)) return false;
    i += static_cast<std::size_t>(more) + 1;
  }
  return true;
}

bool equal_without_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return x == y || lower(x) == lower(y); });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool list_has(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const auto part = list.substr(0, list.find(','));
    if (equal_without_case(trim(part), token)) return true;
    list.remove_prefix(std::min(list.size(), part.size() + 1));
  }
  return false;
}

std::string printable(std::string_view text) {
  std::string out{text.substr(0, 80)};
  for (char& c : out)
    if (is_control(c) || static_cast<unsigned char>(c) >= 0x80) c = '?';
  if (text.size() > 80) out += "...";
  return out;
}

std::optional<std::string> decode(std::string_view text) { return unescape(text, false); }
std::optional<std::string> decode_form(std::string_view text) { return unescape(text, true); }

std::optional<std::string> decode_segment(std::string_view text) {
  auto out = unescape(text, false);
  if (!out || *out == "." || *out == ".." || std::ranges::any_of(*out, is_control)) return {};
  return out;
}

std::string encode(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '.' || c == '_' ||
        c == '~') {
      out += c;
    } else {
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  return out;
}

std::optional<Target> split_target(std::string_view text) {
  if (text == "*") return Target{.path = text};
  for (const char c : text)
    if (c <= ' ' || c == 0x7f || static_cast<unsigned char>(c) >= 0x80 || c == '#' || c == '\\') return {};
  Target target;
  if (!text.starts_with('/')) {
    for (const std::string_view scheme : {"http://", "https://"}) {
      if (!equal_without_case(text.substr(0, scheme.size()), scheme)) continue;
      text.remove_prefix(scheme.size());
      target.authority = text.substr(0, text.find_first_of("/?"));
      text.remove_prefix(target.authority.size());
      break;
    }
    if (target.authority.empty()) return {};
  }
  const auto mark = text.find('?');
  target.path = text.substr(0, mark);
  if (target.path.empty()) target.path = "/";
  if (mark != std::string_view::npos) target.query = text.substr(mark + 1);
  return target;
}

std::optional<std::string> decode_path(std::string_view raw) {
  if (raw == "*") return std::string{raw};
  if (!raw.starts_with('/')) return {};
  std::string path;
  path.reserve(raw.size());
  for (auto rest = raw.substr(1);;) {
    const auto end = rest.find('/');
    const auto segment = rest.substr(0, end);
    const bool last = end == std::string_view::npos;
    if (segment.empty() && !last) return {};
    const auto decoded = decode_segment(segment);
    if (!decoded) return {};
    path += '/';
    for (const char c : *decoded) c == '/' ? path += "%2F" : path += c;
    if (last) return path;
    rest.remove_prefix(end + 1);
  }
}

}  // namespace tow::http
