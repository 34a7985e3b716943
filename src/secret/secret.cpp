// SPDX-License-Identifier: Apache-2.0
#include "secret/secret.hpp"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/error.hpp"
#include "base/ids.hpp"

namespace tow::secret {
namespace {

constexpr std::size_t kKeySize = 32;
constexpr int kNonceSize = 12;  // what GCM takes without hashing it first
constexpr int kTagSize = 16;
constexpr std::string_view kKeyFilePrefix = "towpath-key-1:";
constexpr std::string_view kSealPrefix = "v1.";

using Key = std::array<unsigned char, kKeySize>;

struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

void check(int result) {
  if (result != 1) throw Error{Code::Internal, "the cryptographic library refused to work"};
}

/// Tells a value under another key from one that was changed; says nothing about the key itself.
std::string key_id(const Key& key) {
  std::string material = "towpath key id\n";
  material.append(reinterpret_cast<const char*>(key.data()), key.size());
  std::string id = sha256_hex(material).substr(0, 8);
  OPENSSL_cleanse(material.data(), material.size());
  return id;
}

class KeySealer final : public Sealer {
 public:
  explicit KeySealer(const Key& key) : key_{key}, prefix_{std::string{kSealPrefix} + key_id(key) + "."} {}
  ~KeySealer() override { OPENSSL_cleanse(key_.data(), key_.size()); }
  KeySealer(const KeySealer&) = delete;
  KeySealer& operator=(const KeySealer&) = delete;

  std::string seal(std::string_view value, std::string_view context) const override {
    // nonce, ciphertext, tag
    std::string box = random_bytes(kNonceSize);
    box.resize(kNonceSize + value.size() + kTagSize);
    const Cipher cipher{EVP_CIPHER_CTX_new()};
    check(EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key_.data(), bytes(box)));
    int size = 0;
    check(EVP_EncryptUpdate(cipher.get(), nullptr, &size, bytes(context), static_cast<int>(context.size())));
    unsigned char* out = bytes(box) + kNonceSize;
    check(EVP_EncryptUpdate(cipher.get(), out, &size, bytes(value), static_cast<int>(value.size())));
    check(EVP_EncryptFinal_ex(cipher.get(), out + size, &size));
    check(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagSize, out + value.size()));
    return prefix_ + base64(box);
  }

  std::string open(std::string_view sealed, std::string_view context) const override {
    if (!sealed.starts_with(kSealPrefix)) throw Error{Code::Invalid, "this is not a sealed value"};
    if (!sealed.starts_with(prefix_))
      throw Error{Code::Invalid,
                  "the value was sealed under another key; restore the key file that belongs "
                  "to this store, or set the secret again"};
    std::string box = base64_decode(sealed.substr(prefix_.size()));
    if (box.size() < kNonceSize + kTagSize) throw changed();
    const std::size_t length = box.size() - kNonceSize - kTagSize;
    const Cipher cipher{EVP_CIPHER_CTX_new()};
    check(EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key_.data(), bytes(box)));
    int size = 0;
    check(EVP_DecryptUpdate(cipher.get(), nullptr, &size, bytes(context), static_cast<int>(context.size())));
    std::string value(length, '\0');
    check(EVP_DecryptUpdate(cipher.get(), bytes(value), &size, bytes(box) + kNonceSize,
                            static_cast<int>(length)));
    check(
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagSize, bytes(box) + kNonceSize + length));
    if (EVP_DecryptFinal_ex(cipher.get(), bytes(value) + length, &size) != 1) {
      OPENSSL_cleanse(value.data(), value.size());
      throw changed();
    }
    return value;
  }

 private:
  static Error changed() {
    return Error{Code::Invalid, "the sealed value was changed, or belongs to another secret or version"};
  }

  Key key_;
  std::string prefix_;
};

/// A descriptor that closes itself.
class File {
 public:
  explicit File(int descriptor) : descriptor_{descriptor} {}
  File(File&& other) noexcept : descriptor_{std::exchange(other.descriptor_, -1)} {}
  File& operator=(File&&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

Error not_a_key(const std::filesystem::path& path) {
  return fail(
      Code::FailedPrecondition,
      "{} is not a key file of Towpath; restore it from a backup, or move it away to start with a new "
      "key (values sealed under the old one are lost then)",
      path.string());
}

std::optional<Key> read_key(const std::filesystem::path& path) {
  const File file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.get() < 0) {
    if (errno == ENOENT) return {};
    throw system_error("cannot open the key file " + path.string(), errno);
  }
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) throw system_error("cannot examine " + path.string(), errno);
  if (!S_ISREG(status.st_mode)) throw not_a_key(path);
  if ((status.st_mode & 077) != 0)
    throw fail(Code::FailedPrecondition,
               "the key file {} has mode {:04o}: others than its owner can reach it; run: chmod 600 {}",
               path.string(), status.st_mode & 07777U, path.string());
  std::string text(256, '\0');
  const ssize_t size = ::read(file.get(), text.data(), text.size());
  if (size < 0) throw system_error("cannot read the key file " + path.string(), errno);
  text.resize(static_cast<std::size_t>(size));
  if (!text.starts_with(kKeyFilePrefix) || !text.ends_with('\n')) throw not_a_key(path);
  std::string raw;
  try {
    raw = base64_decode(
        std::string_view{text}.substr(kKeyFilePrefix.size(), text.size() - kKeyFilePrefix.size() - 1));
  } catch (const Error&) {
    throw not_a_key(path);
  }
  OPENSSL_cleanse(text.data(), text.size());
  if (raw.size() != kKeySize) throw not_a_key(path);
  Key key{};
  std::copy(raw.begin(), raw.end(), key.begin());
  OPENSSL_cleanse(raw.data(), raw.size());
  return key;
}

void sync_directory(const std::filesystem::path& directory) {
  const File file{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (file.get() < 0 || ::fsync(file.get()) != 0)
    throw system_error("cannot make " + directory.string() + " durable", errno);
}

/// The key is complete and on disk before it has its name, and an existing one is never replaced: of two
/// processes that start at once, both end with the same key.
void make_key(const std::filesystem::path& path) {
  const auto directory = path.has_parent_path() ? path.parent_path() : std::filesystem::path{"."};
  const auto temporary = directory / fmt::format(".{}.{}", path.filename().string(), new_uid());
  {
    const File file{::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
    if (file.get() < 0) throw system_error("cannot make the key file " + path.string(), errno);
    const std::string text = std::string{kKeyFilePrefix} + base64(random_bytes(kKeySize)) + "\n";
    if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::fsync(file.get()) != 0) {
      const int number = errno;
      ::unlink(temporary.c_str());
      throw system_error("cannot write the key file " + path.string(), number);
    }
  }
  const int linked = ::link(temporary.c_str(), path.c_str());
  const int number = errno;
  ::unlink(temporary.c_str());
  if (linked != 0 && number != EEXIST)
    throw system_error("cannot make the key file " + path.string(), number);
  sync_directory(directory);
}

}  // namespace

std::unique_ptr<Sealer> open_key_file(const std::filesystem::path& path) {
  auto key = read_key(path);
  if (!key) {
    make_key(path);
    key = read_key(path);
  }
  if (!key)
    throw fail(Code::FailedPrecondition, "the key file {} vanished while it was opened", path.string());
  auto sealer = std::make_unique<KeySealer>(*key);
  OPENSSL_cleanse(key->data(), key->size());
  return sealer;
}

}  // namespace tow::secret
