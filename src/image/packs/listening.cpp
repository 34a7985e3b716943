// SPDX-License-Identifier: Apache-2.0
#include "image/packs/listening.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <set>

#include "base/error.hpp"
#include "image/packs/text.hpp"

namespace tow::image::packs {
namespace {

/// How sources write down a port: Node, Python and C++ frameworks alike.
constexpr const char* kFixedPorts[] = {
    R"(\.(?:listen|run)\(\s*(\d{2,5})\b)",                                      // app.listen(3000)
    R"(\.(?:listen|addListener|bind)\(\s*["'][^"'\n]*["']\s*,\s*(\d{2,5})\b)",  // listen("0.0.0.0", 8080)
    R"(\bport["']?\s*[:=]\s*(\d{2,5})\b)",                             // port: 3000, port=5000, port = 3000
    R"(\bPORT\s*(?::\s*\w+\s*)?=\s*(\d{2,5})\b)",                      // const PORT: number = 3000
    R"(\(\s*["'][^"'\n]*["']\s*,\s*(\d{2,5})\s*\)\s*,\s*\w*Handler)",  // HTTPServer(("", 8000), Handler)
    R"(\.port\(\s*(\d{2,5})\s*\))",                                    // crow: app.port(18080)
    R"((?:htons|v4\(\)\s*,|v6\(\)\s*,)\s*\(?\s*(\d{2,5})\b)",          // sockets, Asio
};
/// In a command line.
constexpr const char* kCommandPort =
    R"((?:^|\s)(?:--port[= ]|-p[ =]?|PORT=|(?:--bind|-b)[= ]\S*:|runserver\s+\S*:)(\d{2,5})(?:\s|$))";

constexpr std::size_t kLargestSource = 128 << 10;
constexpr int kMostSources = 400;
constexpr int kMostFolders = 2000;

bool starts_the_program(std::string_view file) {
  const auto slash = file.rfind('/');
  auto name = slash == std::string_view::npos ? file : file.substr(slash + 1);
  name = name.substr(0, name.find('.'));
  constexpr std::string_view names[] = {"index", "main", "server",   "app", "www",
                                        "start", "run",  "__main__", "bot"};
  return std::ranges::find(names, name) != std::end(names);
}

struct Reader {
  const Tree& tree;
  std::initializer_list<std::string_view> suffixes;
  int left = kMostSources;
  int folders = kMostFolders;
  bool reads_port = false;
  bool reads_host = false;
  std::set<int> ports;
  std::string fixed_by;

  void read(const std::string& file) {
    static const RE2 asks_port{R"((?i:env)[\w.\[\]("'!?:,&*\s]{0,40}?\bPORT\b)"};
    static const RE2 asks_host{R"((?i:env)[\w.\[\]("'!?:,&*\s]{0,40}?\bHOST\b)"};
    std::string text;
    try {
      text = tree.read(file).value_or("");
    } catch (const Error&) {
      return;  // larger than any source that people write
    }
    if (text.size() > kLargestSource) return;
    reads_port = reads_port || RE2::PartialMatch(text, asks_port);
    reads_host = reads_host || RE2::PartialMatch(text, asks_host);
    if (!starts_the_program(file)) return;
    std::string code;
    for (const auto& line : lines(text)) {
      const auto begin = trim(line);
      if (!begin.starts_with("//") && !begin.starts_with('#') && !begin.starts_with('*')) code += line + "\n";
    }
    for (const char* pattern : kFixedPorts) {
      re2::StringPiece rest{code};
      int port = 0;
      while (RE2::FindAndConsume(&rest, pattern, &port)) {
        if (port < 80 || port > 65535) continue;
        ports.insert(port);
        fixed_by = file;
      }
    }
  }

  void walk(const std::string& directory, int depth) {
    if (--folders < 0) return;
    for (const auto& name : tree.files(directory)) {
      const auto dot = name.rfind('.');
      const auto suffix =
          dot == std::string::npos ? std::string_view{} : std::string_view{name}.substr(dot + 1);
      const bool script = name == "www" && suffix.empty();  // what Express's generator calls it
      if (!script && std::ranges::find(suffixes, suffix) == suffixes.end()) continue;
      if (name.contains(".test.") || name.contains(".spec.") || name.contains(".config.")) continue;
      if (--left < 0) return;
      read(directory.empty() ? name : directory + "/" + name);
    }
    if (depth == 6) return;
    for (const auto& name : tree.directories(directory)) {
      constexpr std::string_view others[] = {
          "node_modules", "dist", "build",  "out",      "test",     "tests",      "__tests__",   "docs",
          "public",       "venv", "static", "coverage", "examples", "migrations", "third_party", "vendor"};
      if (std::ranges::find(others, name) == std::end(others))
        walk(directory.empty() ? name : directory + "/" + name, depth + 1);
    }
  }
};

}  // namespace

Listening find_listening(const Tree& tree, std::string_view command,
                         std::initializer_list<std::string_view> suffixes) {
  Reader reader{.tree = tree, .suffixes = suffixes, .ports = {}, .fixed_by = {}};
  reader.walk({}, 0);
  Listening found{.port = kPort, .reads_host = reader.reads_host, .remark = {}};
  int port = 0;
  if (RE2::PartialMatch(command, kCommandPort, &port) && port > 0 && port < 65536) {
    found.port = port;
    if (port != kPort) found.remark = fmt::format("; listens on {}, as that says", port);
  } else if (!reader.reads_port && !command.contains("PORT") && reader.ports.size() == 1) {
    found.port = *reader.ports.begin();
    if (found.port != kPort)
      found.remark = fmt::format("; listens on {}, which {} fixes", found.port, tree.source(reader.fixed_by));
  }
  return found;
}

}  // namespace tow::image::packs
