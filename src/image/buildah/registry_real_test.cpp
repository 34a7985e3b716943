// SPDX-License-Identifier: Apache-2.0
// Fetching, from a registry that this test serves on the loopback address.
#include <csignal>

#include "image/buildah/real_fixture.hpp"

namespace tow::image::buildah {
namespace {

/// A read-only registry over a directory that skopeo's "dir:" wrote.
constexpr const char* kRegistry = R"(
import hashlib, http.server, os, sys
folder = sys.argv[1]
class Registry(http.server.BaseHTTPRequestHandler):
    def answer(self, code, body=b"", kind="application/json"):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if code == 200: self.send_header("Docker-Content-Digest", "sha256:" + hashlib.sha256(body).hexdigest())
        self.end_headers()
        if self.command != "HEAD": self.wfile.write(body)
    def do_GET(self):
        if self.path == "/v2/": return self.answer(200, b"{}")
        if self.path.startswith("/v2/private/"):
            return self.answer(401, b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}')
        if self.path.startswith("/v2/team/app/manifests/") and self.path.rsplit("/", 1)[1] in ("1", sys.argv[2]):
            body = open(folder + "/manifest.json", "rb").read()
            return self.answer(200, body, "application/vnd.oci.image.manifest.v1+json")
        name = folder + "/" + self.path.rsplit(":", 1)[-1]
        if self.path.startswith("/v2/team/app/blobs/") and os.path.exists(name):
            return self.answer(200, open(name, "rb").read(), "application/octet-stream")
        self.answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
    do_HEAD = do_GET
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
print("port", server.server_port, flush=True)
server.serve_forever()
)";

class RealRegistry : public RealImages {
 public:
  RealRegistry() {
    settings_.directory = std::filesystem::temp_directory_path() / ("towpath-registry-" + new_uid());
    settings_.run_directory = default_run_directory(settings_.directory);
  }
  ~RealRegistry() override { forget(); }

  /// Makes an image, writes it as a registry has it, and forgets it again.
  Task<std::string> publish(const std::filesystem::path& directory) {
    write("hello", "hello");
    write("Containerfile", "FROM scratch\nCOPY hello /hello\nENTRYPOINT [\"/hello\"]\n");
    const auto wanted = request();
    const auto built = co_await images_->build(wanted, {});
    const auto where = layout(settings_);
    const auto copied = co_await run_checked(
        {.argv = {"unshare", "--mount", "--", "skopeo", "--insecure-policy", "copy", "--format", "oci",
                  "containers-storage:[overlay@" + where.storage.string() + "+" + where.storage_run.string() +
                      "]@" + built.image.id,
                  "dir:" + directory.string()}});
    co_return "sha256:" + sha256_hex(text_of(directory / "manifest.json"));
  }
  /// A storage without anything in it.
  void forget() {
    std::error_code error;
    std::filesystem::remove_all(settings_.directory, error);
    EXPECT_FALSE(error) << error.message();
    std::filesystem::remove_all(settings_.run_directory, error);
  }
  static std::string text_of(const std::filesystem::path& path) {
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, {}};
  }
};

TEST_F(RealRegistry, GivesWhatItHasAndSaysWhatItHasNot) {
  run_blocking([](RealRegistry& self) -> Task<> {
    const auto directory = self.context_ / "registry";
    const auto digest = co_await self.publish(directory);
    self.forget();
    Command serve{.argv = {"python3", "-c", kRegistry, directory.string(), digest}};
    const auto server = co_await Child::start(std::move(serve));
    const auto said = co_await server->read();
    const auto host = "127.0.0.1:" + std::to_string(std::stoi(said.substr(5)));
    self.settings_.plain_registries = {host};
    self.images_ = make(self.settings_);
    co_await self.images_->start();

    const auto before = co_await self.images_->find(host + "/team/app:1");
    EXPECT_FALSE(before);
    const auto image = co_await self.images_->ensure(host + "/team/app:1", self.sink());
    EXPECT_EQ(image.entrypoint, (std::vector<std::string>{"/hello"}));
    EXPECT_NE(self.log().find("fetching " + host + "/team/app:1"), std::string::npos);
    EXPECT_EQ(text_of(self.top_layer(image.id) / "hello"), "hello");
    const auto by_digest = co_await self.images_->ensure(host + "/team/app@" + digest, {});
    EXPECT_EQ(by_digest.id, image.id);

    // A build on it, too.
    self.write("Containerfile", "FROM " + host + "/team/app:1\nCOPY hello /again\n");
    auto wanted = self.request();
    const auto built = co_await self.images_->build(wanted, self.sink());
    EXPECT_EQ(built.image.entrypoint, (std::vector<std::string>{"/hello"}));

    for (const std::string name : {"/team/app:2", "/private/app:1"}) {
      std::optional<Error> error;
      try {
        co_await self.images_->ensure(host + name, {});
      } catch (const Error& thrown) {
        error = thrown;
      }
      EXPECT_TRUE(error && error->code() == Code::NotFound) << name;
      if (error) EXPECT_NE(error->message().find(host + name), std::string::npos) << error->message();
    }
    server->signal(SIGTERM);
    co_await server->wait();
    // What is here needs no registry any more.
    const auto again = co_await self.images_->ensure(host + "/team/app:1", {});
    EXPECT_EQ(again.id, image.id);
    std::optional<Error> gone;
    try {
      co_await self.images_->ensure(host + "/team/app:3", {});
    } catch (const Error& thrown) {
      gone = thrown;
    }
    EXPECT_TRUE(gone && gone->code() == Code::Unavailable);
  }(*this));
}

}  // namespace
}  // namespace tow::image::buildah
