// SPDX-License-Identifier: Apache-2.0
#include "base/ids.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/error.hpp"

namespace tow {
namespace {

unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Edits (insert, remove, replace, swap neighbours) that make one of the other; case does not count.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      const bool swapped =
          i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]);
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string new_uid() {
  constexpr std::string_view digits = "0123456789abcdefghjkmnpqrstvwxyz";
  using namespace std::chrono;
  const auto now = duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
  unsigned __int128 value = static_cast<unsigned __int128>(now) & 0xffff'ffff'ffff;
  for (const char byte : random_bytes(10)) value = value << 8 | static_cast<unsigned char>(byte);
  std::string uid(26, '0');
  for (auto digit = uid.rbegin(); digit != uid.rend(); ++digit, value >>= 5)
    *digit = digits[static_cast<std::size_t>(value & 31)];
  return uid;
}

std::string random_bytes(std::size_t size) {
  std::string bytes(size, '\0');
  if (size > 0 && RAND_bytes(bytes_of(bytes), static_cast<int>(size)) != 1)
    throw Error{Code::Internal, "the system's random generator does not work"};
  return bytes;
}

std::string random_token(std::size_t size) {
  std::string text = base64(random_bytes(size));
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  text.erase(text.find_last_not_of('=') + 1);
  return text;
}

std::string hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char byte : bytes) {
    text += digits[static_cast<unsigned char>(byte) >> 4];
    text += digits[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

std::string sha256_hex(std::string_view bytes) {
  std::string digest(32, '\0');
  if (EVP_Digest(bytes.data(), bytes.size(), bytes_of(digest), nullptr, EVP_sha256(), nullptr) != 1)
    throw Error{Code::Internal, "SHA-256 is not available in this OpenSSL"};
  return hex(digest);
}

std::string base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // OpenSSL ends it with a zero byte
  const int size = EVP_EncodeBlock(bytes_of(text), bytes_of(bytes), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::string base64_decode(std::string_view text) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  // OpenSSL skips white space and takes "=" anywhere; this does not.
  const auto last = text.find_last_not_of('=');
  const auto body = text.substr(0, last == text.npos ? 0 : last + 1);
  const auto padding = text.size() - body.size();
  if (text.size() % 4 != 0 || padding > 2 || body.find_first_not_of(alphabet) != body.npos)
    throw Error{Code::Invalid, "this is not base64 (A-Z a-z 0-9 + /, padded with =)"};
  std::string bytes(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(bytes_of(bytes), bytes_of(text), static_cast<int>(text.size()));
  if (size < 0) throw Error{Code::Invalid, "this is not base64"};
  bytes.resize(static_cast<std::size_t>(size) - padding);
  return bytes;
}

bool equal_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > 63) return false;
  if (text.front() == '-' || text.back() == '-' || text.find("--") != text.npos) return false;
  return std::ranges::all_of(
      text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

std::string nearest(std::string_view text, std::span<const std::string> candidates) {
  // A third of the letters may be wrong; more would be a guess.
  auto best = std::clamp<std::size_t>(text.size() / 3, 1, 3) + 1;
  std::string found;
  for (const auto& candidate : candidates) {
    if (std::max(candidate.size(), text.size()) - std::min(candidate.size(), text.size()) >= best) continue;
    const auto edits = distance(text, candidate);
    if (edits >= best) continue;
    best = edits;
    found = candidate;
  }
  return found;
}

}  // namespace tow
