// SPDX-License-Identifier: Apache-2.0
#pragma once
// Identifiers and names. Thread-safe.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tow {

/// 26 lower-case letters and digits (Crockford base 32), ordered by time of making: 48 bits of milliseconds,
/// 80 random bits from the system. Safe as a part of file, cgroup and interface names.
std::string new_uid();

/// `size` bytes from the system's generator.
std::string random_bytes(std::size_t size);
/// A token of `size` random bytes in base64url without padding.
std::string random_token(std::size_t size = 32);

std::string hex(std::string_view bytes);
/// SHA-256, as 64 hexadecimal digits.
std::string sha256_hex(std::string_view bytes);
std::string base64(std::string_view bytes);
/// Throws Error{Invalid} for what is not base64 (the standard alphabet, padded).
std::string base64_decode(std::string_view text);
/// Equal in a time that does not depend on where they differ.
bool equal_constant_time(std::string_view a, std::string_view b);

/// A DNS label as Towpath takes it: 1–63 of [a-z0-9-], no hyphen at an end, no "--".
bool is_name(std::string_view text);
/// What is_name demands, in words, for messages.
inline constexpr std::string_view kNameRule =
    "lower-case letters, digits and single hyphens, beginning and ending with a letter or digit, at most 63";

/// The member of `candidates` that `text` most likely meant, or empty when none is near.
std::string nearest(std::string_view text, std::span<const std::string> candidates);

}  // namespace tow
