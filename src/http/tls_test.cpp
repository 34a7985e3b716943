// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <thread>

#include "base/error.hpp"
#include "http/client.hpp"
#include "http/loopback_test.hpp"

namespace tow::http {
namespace {

using namespace std::chrono_literals;

// A key and a certificate that it signed itself, for a name.
struct Certificate {
  explicit Certificate(const std::string& name) : key{EVP_EC_gen("P-256")}, certificate{X509_new()} {
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_version(certificate, 2);
    X509_set_pubkey(certificate, key);
    auto* subject = X509_get_subject_name(certificate);
    const auto* text = reinterpret_cast<const unsigned char*>(name.c_str());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, text, -1, -1, 0);
    X509_set_issuer_name(certificate, subject);
    auto* names = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, ("DNS:" + name).c_str());
    X509_add_ext(certificate, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(certificate, key, EVP_sha256());
  }
  ~Certificate() {
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  Certificate(const Certificate&) = delete;
  Certificate& operator=(const Certificate&) = delete;
  void write(const std::filesystem::path& path) const {
    auto* file = std::fopen(path.c_str(), "w");
    PEM_write_X509(file, certificate);
    std::fclose(file);
  }
  EVP_PKEY* key;
  X509* certificate;
};

// Answers every connection with one response, by blocking calls on a thread of its own.
class TlsServer {
 public:
  explicit TlsServer(const Certificate& certificate) : context_{SSL_CTX_new(TLS_server_method())} {
    SSL_CTX_use_certificate(context_, certificate.certificate);
    SSL_CTX_use_PrivateKey(context_, certificate.key);
    listener_ = listen_on_loopback(port);
    thread_ = std::jthread{[this] { run(); }};
  }
  ~TlsServer() {
    ending_ = true;
    const RawClient waking{port};  // accept() returns
    thread_.join();
    ::close(listener_);
    SSL_CTX_free(context_);
  }
  std::uint16_t port = 0;
  std::atomic<int> handshakes = 0;

 private:
  void run() {
    for (;;) {
      const int socket = ::accept(listener_, nullptr, nullptr);
      if (ending_) return void(::close(socket));
      auto* tls = SSL_new(context_);
      SSL_set_fd(tls, socket);
      if (SSL_accept(tls) == 1) {
        ++handshakes;
        char bytes[4096];
        constexpr std::string_view answer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecure";
        while (SSL_read(tls, bytes, sizeof bytes) > 0) SSL_write(tls, answer.data(), answer.size());
      }
      SSL_free(tls);
      ::close(socket);
    }
  }

  SSL_CTX* context_;
  int listener_ = -1;
  std::atomic<bool> ending_ = false;
  std::jthread thread_;
};

struct Result {
  std::string body;
  std::optional<Error> error;
};

Result fetch(const std::string& origin, const std::string& authorities, int times = 1) {
  return run_blocking([](std::string to, std::string trusted, int count) -> Task<Result> {
    const auto executor = co_await boost::asio::this_coro::executor;
    Client client{executor, to, {.authorities = trusted}};
    Result result;
    try {
      for (int i = 0; i < count; ++i) {
        const auto response = co_await client.fetch({.deadline = 10s});
        result.body += response.body;
      }
    } catch (const Error& error) {
      result.error = error;
    }
    co_return result;
  }(origin, authorities, times));
}

class TlsTest : public testing::Test {
 protected:
  TlsTest() { certificate.write(trusted); }
  ~TlsTest() override { std::filesystem::remove(trusted); }
  std::string origin(std::string_view name) const { return fmt::format("https://{}:{}", name, server.port); }

  Certificate certificate{"good.localhost"};
  TlsServer server{certificate};
  std::filesystem::path trusted =
      std::filesystem::temp_directory_path() / fmt::format("http-tls-{}.pem", ::getpid());
};

TEST_F(TlsTest, TrustsWhatItIsToldToTrustAndKeepsTheConnection) {
  const auto result = fetch(origin("good.localhost"), trusted, 2);
  EXPECT_FALSE(result.error) << result.error->message();
  EXPECT_EQ(result.body, "securesecure");
  EXPECT_EQ(server.handshakes, 1);
}

TEST_F(TlsTest, RefusesACertificateOfAnotherName) {
  const auto result = fetch(origin("other.localhost"), trusted);
  ASSERT_TRUE(result.error);
  EXPECT_EQ(result.error->code(), Code::Unavailable);
  EXPECT_NE(result.error->message().find("certificate"), std::string::npos) << result.error->message();
}

TEST_F(TlsTest, RefusesACertificateThatNobodyVouchesFor) {
  const auto result = fetch(origin("good.localhost"), "");
  ASSERT_TRUE(result.error);
  EXPECT_NE(result.error->message().find("does not hold"), std::string::npos) << result.error->message();
}

TEST_F(TlsTest, APlainServerIsNoTlsServer) {
  Router router;
  Server plain{{.threads = 1}, router.handler()};
  const auto port = plain.listen({.host = "127.0.0.1"});
  const auto result = fetch(fmt::format("https://127.0.0.1:{}", port), trusted);
  ASSERT_TRUE(result.error);
  EXPECT_EQ(result.error->code(), Code::Unavailable);
}

}  // namespace
}  // namespace tow::http
