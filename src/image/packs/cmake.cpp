// SPDX-License-Identifier: Apache-2.0
// C and C++ with CMake: built in one stage, run from another without compilers.
#include <fmt/ranges.h>
#include <re2/re2.h>

#include <algorithm>
#include <map>

#include "base/error.hpp"
#include "image/packs/listening.hpp"
#include "image/packs/pack.hpp"
#include "image/packs/text.hpp"

namespace tow::image::packs {
namespace {

/// What find_package and pkg_check_modules look for, and the Debian packages that have it. What is not here
/// is named in an Aptfile.
struct Library {
  std::string_view name;
  std::string_view debian;
};
constexpr Library kLibraries[] = {
    {"Boost", "libboost-all-dev"},
    {"CURL", "libcurl4-openssl-dev"},
    {"libcurl", "libcurl4-openssl-dev"},
    {"OpenSSL", "libssl-dev"},
    {"openssl", "libssl-dev"},
    {"SQLite3", "libsqlite3-dev"},
    {"sqlite3", "libsqlite3-dev"},
    {"ZLIB", "zlib1g-dev"},
    {"zlib", "zlib1g-dev"},
    {"PostgreSQL", "libpq-dev"},
    {"libpq", "libpq-dev"},
    {"libpqxx", "libpqxx-dev"},
    {"fmt", "libfmt-dev"},
    {"spdlog", "libspdlog-dev"},
    {"nlohmann_json", "nlohmann-json3-dev"},
    {"httplib", "libcpp-httplib-dev"},
    {"Poco", "libpoco-dev"},
    {"CLI11", "libcli11-dev"},
    {"cxxopts", "libcxxopts-dev"},
    {"yaml-cpp", "libyaml-cpp-dev"},
    {"tinyxml2", "libtinyxml2-dev"},
    {"pugixml", "libpugixml-dev"},
    {"Protobuf", "libprotobuf-dev protobuf-compiler"},
    {"gRPC", "libgrpc++-dev protobuf-compiler-grpc"},
    {"re2", "libre2-dev"},
    {"absl", "libabsl-dev"},
    {"Eigen3", "libeigen3-dev"},
    {"OpenCV", "libopencv-dev"},
    {"hiredis", "libhiredis-dev"},
    {"libuv", "libuv1-dev"},
    {"libevent", "libevent-dev"},
    {"Libevent", "libevent-dev"},
    {"ZeroMQ", "libzmq3-dev"},
    {"GTest", "libgtest-dev"},
    {"Catch2", "catch2"},
    {"BZip2", "libbz2-dev"},
    {"LibXml2", "libxml2-dev"},
    {"TBB", "libtbb-dev"},
};

struct Targets {
  std::string project;
  std::vector<std::string> executables;  // in the order of the files
  std::vector<std::string> installed;
  std::vector<std::string> packages;  // of Debian, which what it looks for is in
  bool installs = false;
};

void look_for(const std::string& name, Targets& targets) {
  for (const auto& library : kLibraries)
    if (library.name == name && std::ranges::find(targets.packages, library.debian) == targets.packages.end())
      targets.packages.emplace_back(library.debian);
}

bool is_for_tests(const std::string& name) {
  return RE2::PartialMatch(name, "(?i)(^|[_-])(test|tests|bench|benchmark|example|fuzz)s?([_-]|$)") ||
         RE2::PartialMatch(name, "(?:Test|Tests)$");
}

/// Reads a CMakeLists.txt and those it adds. What is computed (variables, generator expressions) stays
/// unknown.
void read_lists(const Tree& tree, const std::string& directory, int depth, Targets& targets) {
  const auto file = directory.empty() ? std::string{"CMakeLists.txt"} : directory + "/CMakeLists.txt";
  const auto text = tree.read(file);
  if (!text || depth > 8) return;
  std::string code;
  for (const auto& line : lines(*text)) code += line.substr(0, line.find('#')) + "\n";
  static const RE2 command{R"((?i)(\w+)\s*\(\s*([^()]*)\))"};
  re2::StringPiece rest{code};
  std::string name;
  std::string arguments;
  while (RE2::FindAndConsume(&rest, command, &name, &arguments)) {
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    std::vector<std::string> words;
    static const RE2 word{R"re("([^"]*)"|([^\s"]+))re"};
    re2::StringPiece left{arguments};
    std::string quoted;
    std::string plain;
    while (RE2::FindAndConsume(&left, word, &quoted, &plain))
      words.push_back(quoted.empty() ? plain : quoted);
    if (words.empty()) continue;
    const auto expanded = [&](const std::string& text_of_word) {
      return text_of_word == "${PROJECT_NAME}" || text_of_word == "${CMAKE_PROJECT_NAME}" ? targets.project
                                                                                          : text_of_word;
    };
    if (name == "project" && targets.project.empty()) targets.project = words.front();
    if (name == "add_executable" && !(words.size() > 1 && (words[1] == "IMPORTED" || words[1] == "ALIAS"))) {
      const auto target = expanded(words.front());
      if (!target.contains('$') && !is_for_tests(target)) targets.executables.push_back(target);
    }
    if (name == "find_package") look_for(words.front(), targets);
    if (name == "pkg_check_modules" || name == "pkg_search_module")
      for (const auto& word_of : words) look_for(word_of.substr(0, word_of.find_first_of("<>=")), targets);
    if (name == "install") {
      targets.installs = true;
      if (words.front() == "TARGETS")
        for (std::size_t i = 1; i < words.size() && words[i] != "RUNTIME" && words[i] != "DESTINATION"; ++i)
          targets.installed.push_back(expanded(words[i]));
    }
    if (name == "add_subdirectory" && !words.front().contains('$') && !is_for_tests(words.front()))
      read_lists(tree, directory.empty() ? words.front() : directory + "/" + words.front(), depth + 1,
                 targets);
  }
}

/// The program to run: the one executable, else the one called like the project.
std::string choose_executable(const Tree& tree, const Targets& targets) {
  std::vector<std::string> candidates;
  for (const auto& name : targets.executables)
    if (targets.installed.empty() || std::ranges::find(targets.installed, name) != targets.installed.end())
      candidates.push_back(name);
  if (candidates.size() == 1) return candidates.front();
  for (const auto& wanted : {targets.project, std::string{"server"}, std::string{"main"}})
    if (std::ranges::find(candidates, wanted) != candidates.end()) return wanted;
  throw fail(Code::Invalid,
             "{} makes the programs {}; say which one to start in a Procfile, as in \"web: {}\"",
             tree.source("CMakeLists.txt"), fmt::join(candidates, ", "), candidates.front());
}

}  // namespace

std::optional<Detection> cmake(const Tree& tree, Missing& missing) {
  if (!tree.has("CMakeLists.txt")) return {};
  Targets targets;
  read_lists(tree, {}, 0, targets);
  if (targets.executables.empty()) {
    missing.emplace_back("CMakeLists.txt names no executable (add_executable) besides tests");
    return {};
  }
  std::vector<std::string> command;
  std::string reason;
  bool listens = true;
  if (const auto text = tree.read("Procfile")) {
    const auto process = choose_process(*text, tree.source("Procfile"));
    command = start_command(process.command);
    reason = "started by Procfile's " + process.name;
    listens = process.listens();
  } else {
    command = {choose_executable(tree, targets)};
    reason = fmt::format("which {} {}", targets.installs ? "installs" : "makes", command.front());
  }
  const bool installs = targets.installs && !targets.installed.empty();

  auto packages = debian_packages(tree);
  std::vector<std::string> running;
  for (const auto& name : packages)
    if (!name.ends_with("-dev")) running.push_back(name);
  packages.insert(packages.end(), targets.packages.begin(), targets.packages.end());

  std::string text = "FROM towpath/build:12 AS build\nWORKDIR /src\n" + install_packages(packages) +
                     copy({tree.source()}, "./") + "\n";
  text += "# The compiler's results are kept between builds; only what changed is compiled again.\n";
  text += "RUN --mount=type=cache,target=/root/.cache/ccache \\\n";
  text += "    cmake -S . -B /build -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF \\\n";
  text += "      -DCMAKE_INSTALL_PREFIX=/usr/local \\\n";
  text += "      -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache \\\n";
  if (installs) {
    text += " && cmake --build /build \\\n && DESTDIR=/out cmake --install /build --strip\n";
  } else {
    text += fmt::format(" && cmake --build /build --target {} \\\n", fmt::join(targets.executables, " "));
    text += " && mkdir -p /out/usr/local/bin \\\n";
    for (const auto& name : targets.executables)
      text += fmt::format(
          " && find /build -type f -perm -u+x -name {} -exec install -s -t /out/usr/local/bin {{}} + \\\n",
          name);
    text.erase(text.size() - 3);
    text += "\n";
  }
  if (!packages.empty())
    text +=
        "# The shared libraries that the programs need, without what only building takes.\n"
        "RUN find /out -type f -perm -u+x -exec ldd {} + 2>/dev/null | awk '/=> \\// { print $3 }' | sort -u "
        "\\\n"
        " | while read -r file; do install -D -m 644 \"$file\" \"/out/usr${file#/usr}\"; done\n";
  Listening listening{.port = kPort, .remark = {}};
  if (listens)
    listening =
        find_listening(tree, fmt::format("{}", fmt::join(command, " ")), {"cpp", "cc", "cxx", "c", "hpp"});
  text += "\nFROM towpath/base:12\nWORKDIR /app\n" + install_packages(running) +
          program_settings("", listens ? listening.port : 0, command);
  text += "USER app\nCOPY --from=build /out/ /\n";

  Detection detection{.pack = "cmake"};
  detection.explanation = fmt::format("CMakeLists.txt, {}; g++ 12 from Debian", reason);
  if (!packages.empty()) detection.explanation += fmt::format(" with {}", fmt::join(packages, " "));
  detection.explanation += listening.remark;
  detection.containerfile = "# " + detection.explanation + "\n" + text;
  if (listens) detection.port = listening.port;
  return detection;
}

}  // namespace tow::image::packs
