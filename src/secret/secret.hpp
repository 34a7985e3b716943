// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sealed values. AES-256-GCM under a key file of mode 0600; the context (which secret, which version) is
// authenticated, so that a sealed value cannot be moved to another place. Thread-safe.

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace tow::secret {

class Sealer {
 public:
  virtual ~Sealer() = default;
  /// Text, safe for JSON. Two calls with the same arguments give different results.
  virtual std::string seal(std::string_view value, std::string_view context) const = 0;
  /// Throws Error{Invalid} when it was sealed for another context, under another key, or was changed.
  virtual std::string open(std::string_view sealed, std::string_view context) const = 0;
};

/// Reads the key, or makes it when there is none (0600, fsynced). Throws Error{FailedPrecondition} when
/// others than the owner can read it, or when it is not a key.
std::unique_ptr<Sealer> open_key_file(const std::filesystem::path& path);

}  // namespace tow::secret
