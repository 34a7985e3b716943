// SPDX-License-Identifier: Apache-2.0
// What the packs write, built and tried out.
#include <csignal>

#include "image/buildah/real_fixture.hpp"

namespace tow::image::buildah {
namespace {

class RealPacks : public RealImages {
 public:
  /// Runs shell commands in a built image, as its user, and returns what they print.
  std::string in_image(const BuildResult& built, const std::string& user, const std::string& script) {
    const auto directory = context_.string() + "-try";
    std::filesystem::create_directories(directory);
    std::ofstream{directory + "/script"} << script;
    std::ofstream{directory + "/Containerfile"}
        << "FROM " << built.image.id << "\nUSER root\nCOPY --chmod=755 script /try/script\nUSER " << user
        << "\nENV TRY=" << new_uid() << "\nRUN bash /try/script\n";
    auto wanted = request("Containerfile");
    wanted.context = directory;
    const auto before = log().size();
    build(wanted);
    std::filesystem::remove_all(directory);
    return log().substr(before);
  }
};

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)
#define EXPECT_LACKS(text, part) EXPECT_EQ((text).find(part), std::string::npos) << (text)

TEST_F(RealPacks, AStaticSiteIsServedAsItShouldBe) {
  write("index.html", "<h1>home</h1>");
  write("404.html", "<h1>lost</h1>");
  write("docs/index.html", "docs");
  write("empty/x.txt", "0123456789");
  write("app.js", "let a;");
  write("m.wasm", "wasm");
  write(".secret", "hidden");
  write(".well-known/security.txt", "contact");
  write("score.yaml", "x");
  const auto built = build(request());
  EXPECT_EQ(built.pack, "static");
  EXPECT_EQ(built.image.user, "app");
  EXPECT_EQ(built.image.exposed_ports, (std::vector<std::uint16_t>{8080}));
  const auto said = in_image(built, "app", R"(
export PORT=18474
lighttpd -D -f /etc/lighttpd/lighttpd.conf &
server=$!
ask() {
  for i in $(seq 100); do exec 3<>/dev/tcp/127.0.0.1/$PORT && break; sleep 0.05; done 2>/dev/null
  printf "GET $1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n$2\r\n" >&3
  echo "== $1"; tr -d '\r' <&3; echo; exec 3>&-
}
ask /; ask /missing; ask /docs/; ask /docs; ask /empty/; ask /app.js; ask /m.wasm; ask /.secret; ask /score.yaml
ask /.well-known/security.txt; ask /empty/x.txt 'Range: bytes=2-4\r\n'; ask /../etc/passwd; ask / 'Accept-Encoding: gzip\r\n' | head -8
kill -INT $server; wait $server; echo "ended $?"; id -u
)");
  const auto answer = [&](const std::string& path) {
    const auto begin = said.find("== " + path + "\n");
    return said.substr(begin, said.find("\n== ", begin + 1) - begin);
  };
  EXPECT_HAS(answer("/"), "200 OK");
  EXPECT_HAS(answer("/"), "Content-Type: text/html;charset=utf-8");
  EXPECT_HAS(answer("/"), "ETag:");
  EXPECT_LACKS(answer("/"), "Server:");
  EXPECT_HAS(answer("/missing"), "404 Not Found");
  EXPECT_HAS(answer("/missing"), "<h1>lost</h1>");
  EXPECT_HAS(answer("/docs/"), "200 OK");
  EXPECT_HAS(answer("/docs"), "301 Moved");
  EXPECT_HAS(answer("/docs"), "Location: /docs/\n");  // whatever the proxy in front is called
  EXPECT_HAS(answer("/empty/"), "40");                // no listing
  EXPECT_LACKS(answer("/empty/"), "x.txt");
  EXPECT_HAS(answer("/app.js"), "Content-Type: text/javascript;charset=utf-8");
  EXPECT_HAS(answer("/m.wasm"), "Content-Type: application/wasm");
  EXPECT_LACKS(answer("/.secret"), "hidden");
  EXPECT_HAS(answer("/score.yaml"), "404 Not Found");
  EXPECT_HAS(answer("/.well-known/security.txt"), "contact");
  EXPECT_HAS(answer("/empty/x.txt"), "206 Partial Content");
  EXPECT_HAS(answer("/empty/x.txt"), "\n234");
  EXPECT_LACKS(answer("/../etc/passwd"), "root:");
  EXPECT_HAS(said, "ended 0");
  EXPECT_HAS(said, "\n1000\n");
}

TEST_F(RealPacks, ASourceChangeReusesTheDependencies) {
  write(
      "package.json",
      R"({ "name": "a", "scripts": { "start": "node main.js" }, "dependencies": { "mustache": "4.2.0" } })");
  write("main.js", "console.log('one', require('mustache').render('{{a}}', { a: 7 * 6 }));");
  const auto first = build(request());
  EXPECT_EQ(first.image.command, (std::vector<std::string>{"node", "main.js"}));
  EXPECT_HAS(
      in_image(first, "app", "node main.js; id -un; touch /app/mine && npm --version && node --version"),
      "one 42\napp\n10.");
  write("main.js", "console.log('two " + new_uid() + "')");
  const auto before = log().size();
  const auto second = build(request());
  EXPECT_FALSE(second.cached);
  const auto said = log().substr(before);
  const auto install = said.find("npm install");
  ASSERT_NE(install, std::string::npos) << said;
  EXPECT_EQ(said.find("  taken from the cache", install), said.find('\n', install) + 1) << said;
}

TEST_F(RealPacks, AnotherNodeComesFromNpm) {
  write("package.json", R"({ "engines": { "node": "^22.1" }, "scripts": { "start": "node main.js" } })");
  write("main.js", "console.log(process.version, process.execPath)");
  const auto built = build(request());
  const auto said = in_image(built, "app", "node main.js");
  EXPECT_HAS(said, "v22.");
}

TEST_F(RealPacks, ANodeBuildLeavesItsToolsBehind) {
  write("package.json",
        R"({ "scripts": { "build": "node build.js", "start": "node out/main.js" },
             "dependencies": { "mustache": "4.2.0" }, "devDependencies": { "semver": "7.6.0" } })");
  write("build.js",
        "const fs = require('fs'); require('semver'); fs.mkdirSync('out', { recursive: true });"
        "fs.writeFileSync('out/main.js', 'console.log(\"built\", !!require(\"mustache\"))');");
  const auto built = build(request());
  const auto said = in_image(built, "app", "node out/main.js; ls node_modules; ls");
  EXPECT_HAS(said, "built true");
  EXPECT_HAS(said, "\nmustache\n");
  EXPECT_LACKS(said, "\nsemver\n");
}

TEST_F(RealPacks, ASiteIsBuiltByItsTool) {
  write(
      "package.json",
      R"({ "scripts": { "build": "node make.js", "start": "vite", "prepare": "node make.js prepared" }, "devDependencies": { "esbuild": "0.21.5" } })");
  write(".env", "COLOUR=blue\n");
  write("make.js",
        "const fs = require('fs'); if (process.argv[2]) { fs.writeFileSync('prepared', ''); process.exit(); }"
        "fs.readFileSync('.env'); fs.readFileSync('prepared');"
        "require('esbuild').buildSync({ stdin: { contents: 'alert(1+1)' }, outfile: 'dist/a.js' });"
        "require('fs').writeFileSync('dist/index.html', '<script src=a.js></script>');");
  const auto built = build(request());
  EXPECT_EQ(built.pack, "node");
  EXPECT_EQ(built.image.command.front(), "lighttpd");
  EXPECT_HAS(in_image(built, "app", "ls /srv; which node || echo none"), "a.js\nindex.html\nnone\n");
}

TEST_F(RealPacks, ACMakeProgramIsBuiltInTwoStages) {
  write("CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.20)\nproject(hello CXX)\nadd_executable(hello main.cpp)\n");
  write("main.cpp", "#include <iostream>\nint main() { std::cout << \"hello from C++\" << std::endl; }\n");
  const auto built = build(request());
  EXPECT_EQ(built.pack, "cmake");
  EXPECT_HAS(in_image(built, "app", "hello; which g++ || echo none"), "hello from C++\nnone\n");
}

TEST_F(RealPacks, PythonDependenciesComeFromTheConfiguredIndex) {
  // An index with one package, served on this machine.
  const auto index = context_.string() + "-index";
  const auto made = run_blocking(run({.argv = {"python3", "-c", R"(
import os, sys, zipfile
folder = sys.argv[1] + "/simple/towpath-test-package"
os.makedirs(folder)
name = "towpath_test_package-1.0-py3-none-any.whl"
with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
    wheel.writestr("towpath_test_package.py", "answer = 42\n")
    info = "towpath_test_package-1.0.dist-info/"
    wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: towpath-test-package\nVersion: 1.0\n")
    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(info + "RECORD", "")
open(folder + "/index.html", "w").write('<a href="%s">%s</a>' % (name, name))
)",
                                               index}}));
  ASSERT_TRUE(made.ok()) << made.err;
  run_blocking([](RealPacks& self, std::string directory) -> Task<> {
    Command serve{
        .argv = {"python3", "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", directory, "0"}};
    const auto server = co_await Child::start(std::move(serve));
    const auto said = co_await server->read();
    const auto port = std::stoi(said.substr(said.find(" port ") + 6));
    self.settings_.python_index = "http://127.0.0.1:" + std::to_string(port) + "/simple/";
    self.images_ = make(self.settings_);
    co_await self.images_->start();
    self.write("requirements.txt", "towpath-test-package==1.0\n# " + new_uid() + "\n");
    self.write("main.py",
               "import towpath_test_package\nprint('the answer is', towpath_test_package.answer)\n");
    const auto wanted = self.request();
    const auto built = co_await self.images_->build(wanted, self.sink());
    self.found_ = built;
    server->signal(SIGTERM);
    co_await server->wait();
  }(*this, index));
  std::filesystem::remove_all(index);
  EXPECT_HAS(log(), "Looking in indexes: http://127.0.0.1:");
  EXPECT_HAS(in_image(*found_, "app", "python3 main.py; id -un"), "the answer is 42\napp\n");
}

}  // namespace
}  // namespace tow::image::buildah
