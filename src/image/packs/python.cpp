// SPDX-License-Identifier: Apache-2.0
// Python: programs with requirements.txt or pyproject.toml, or with nothing but the standard library.
#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cctype>

#include "base/error.hpp"
#include "image/packs/listening.hpp"
#include "image/packs/pack.hpp"
#include "image/packs/python_start.hpp"
#include "image/packs/semver.hpp"
#include "image/packs/text.hpp"

namespace tow::image::packs {
namespace {

/// What python3 of Debian 12 is.
constexpr Version kDebian{3, 11, 2};

[[noreturn]] void refuse_version(std::string_view asked, const std::string& where) {
  throw fail(
      Code::Invalid,
      "{} asks for Python {}, which cannot be had here; there is 3.11.2 (Debian 12's). Ask for 3.11, or "
      "write a Containerfile",
      where, asked);
}

Partial parse_version(std::string_view text, std::string_view asked, const std::string& where) {
  const auto partial = parse_partial(trim(text));
  if (partial) return *partial;
  throw fail(Code::Invalid,
             "{} asks for Python \"{}\", which is not a version; there is 3.11.2 (Debian 12's)", where,
             asked);
}

/// One specifier of PEP 440 (">=3.9", "==3.11.*", "~=3.10") or of Poetry ("^3.9"): whether Debian's satisfies
/// it.
bool satisfies(std::string_view specifier, std::string_view all, const std::string& where) {
  const auto end = std::min(specifier.find_first_not_of("<>=!~^"), specifier.size());
  const auto sign = specifier.substr(0, end);
  const auto partial = parse_version(specifier.substr(end), all, where);
  const Version& v = partial.version;
  // Those that agree with what was given are [v, after).
  const Version after = partial.parts == 0   ? Version{1'000'000, 0, 0}
                        : partial.parts == 1 ? Version{v.major + 1, 0, 0}
                        : partial.parts == 2 ? Version{v.major, v.minor + 1, 0}
                                             : Version{v.major, v.minor, v.patch + 1};
  const bool agrees = v <= kDebian && kDebian < after;
  if (sign == ">=") return kDebian >= v;
  if (sign == ">") return kDebian >= after;
  if (sign == "<=") return kDebian < after;
  if (sign == "<") return kDebian < v;
  if (sign == "!=") return !agrees;
  if (sign == "~=")
    return kDebian >= v && kDebian.major == v.major && (partial.parts < 3 || kDebian.minor == v.minor);
  if (sign == "^") return kDebian >= v && kDebian.major == v.major;
  return agrees;  // "", "=", "==", "===", "~"
}

void check_range(std::string_view asked, const std::string& where) {
  std::string_view rest = asked;
  while (true) {
    const auto comma = rest.find(',');
    const auto specifier = trim(rest.substr(0, comma));
    if (!specifier.empty() && !satisfies(specifier, asked, where)) refuse_version(asked, where);
    if (comma == std::string_view::npos) return;
    rest.remove_prefix(comma + 1);
  }
}

/// A version that was pinned for people's own machines: the patch release is Debian's, whatever the pin says.
/// Returns what to say about that, if there is something to say.
std::string check_pin(std::string_view asked, const std::string& where) {
  const auto partial = parse_version(asked, asked, where);
  const auto& v = partial.version;
  if (v.major != kDebian.major || (partial.parts > 1 && v.minor != kDebian.minor))
    refuse_version(asked, where);
  if (partial.parts < 3 || v == kDebian) return {};
  return fmt::format(" ({} where {} asks for {})", to_string(kDebian), where, asked);
}

/// The lines of one table of a TOML document, comments left out. Enough for the few keys that are read here.
std::vector<std::string> table(const std::string& toml, std::string_view name) {
  std::vector<std::string> result;
  bool inside = false;
  for (const auto& line : lines(toml)) {
    const auto text = trim(line);
    if (text.starts_with('[') && text.ends_with(']') && !text.contains('='))
      inside = text == fmt::format("[{}]", name);
    else if (inside && !text.empty() && !text.starts_with('#'))
      result.emplace_back(text);
  }
  return result;
}

std::string value(const std::vector<std::string>& table, std::string_view key) {
  static const RE2 pattern{R"re(^([A-Za-z0-9_."-]+)\s*=\s*["']([^"']*)["'])re"};
  for (const auto& line : table) {
    std::string name;
    std::string text;
    if (RE2::PartialMatch(line, pattern, &name, &text) && name == key) return text;
  }
  return {};
}

/// A requirements file and those that it includes.
void read_requirements(const Tree& tree, const std::string& file, PythonDependencies& result) {
  static const RE2 includes{R"(^(?:-r|--requirement|-c|--constraint)[\s=]+(\S+))"};
  static const RE2 local{R"(^(?:-e\s|--editable|\.|/|file:))"};
  const auto text = tree.read(file);
  if (!text || std::ranges::find(result.files, file) != result.files.end()) return;
  result.files.push_back(file);
  for (const auto& line : lines(*text)) {
    const auto requirement = std::string{trim(std::string_view{line}.substr(0, line.find(" #")))};
    std::string other;
    if (requirement.starts_with('#')) continue;
    if (RE2::PartialMatch(requirement, includes, &other)) {
      const auto path = (std::filesystem::path{file}.parent_path() / other).lexically_normal();
      read_requirements(tree, path.string(), result);
    } else if (RE2::PartialMatch(requirement, local)) {
      result.needs_source = true;
    }
    result.text += requirement + "\n";
  }
}

/// Where requirements are written down.
constexpr const char* kRequirements[] = {"requirements.txt", "requirements/production.txt",
                                         "requirements/prod.txt", "requirements/base.txt"};

/// Packages that compile against libraries of the system, by what Debian calls those.
struct Native {
  std::string_view package;
  std::string_view debian;
};
constexpr Native kNative[] = {
    {"psycopg2", "gcc libc6-dev python3-dev libpq-dev"},
    {"mysqlclient", "gcc libc6-dev python3-dev pkg-config default-libmysqlclient-dev"},
    {"uwsgi", "gcc libc6-dev python3-dev"},
    {"python-ldap", "gcc libc6-dev python3-dev libldap-dev libsasl2-dev"},
    {"pycairo", "gcc libc6-dev python3-dev pkg-config libcairo2-dev"},
};

PythonDependencies read_dependencies(const Tree& tree) {
  PythonDependencies result;
  for (const char* file : kRequirements)
    if (result.files.empty()) read_requirements(tree, file, result);
  result.requirements = !result.files.empty();
  if (const auto text = tree.read("pyproject.toml")) {
    result.text += *text;
    result.project = !table(*text, "project").empty();
    result.package = result.project && !table(*text, "build-system").empty();
    static const RE2 entry{R"re(^["']?([A-Za-z0-9_.-]+)["']?\s*=\s*["'])re"};
    std::string name;
    for (const auto& line : table(*text, "project.scripts"))
      if (RE2::PartialMatch(line, entry, &name)) result.scripts.push_back(name);
    if (!result.requirements && !result.project && !table(*text, "tool.poetry").empty())
      throw fail(Code::Unsupported,
                 "{} declares its dependencies for Poetry alone; the Python pack reads [project] or "
                 "requirements.txt (poetry export -o requirements.txt), or write a Containerfile",
                 tree.source("pyproject.toml"));
  }
  if (!result.requirements && !result.project)
    for (const char* file : {"Pipfile", "environment.yml", "setup.py"})
      if (tree.has(file))
        throw fail(
            Code::Unsupported,
            "{} is not read by the Python pack, which knows requirements.txt and pyproject.toml; add one of "
            "them, or write a Containerfile",
            tree.source(file));
  std::ranges::transform(result.text, result.text.begin(), [](unsigned char c) { return std::tolower(c); });
  return result;
}

/// Returns what to say about it.
std::string check_versions(const Tree& tree) {
  std::string remark;
  if (const auto text = tree.read(".python-version"))
    for (const auto& line : lines(*text)) {
      const auto version = trim(std::string_view{line}.substr(0, line.find('#')));
      if (!version.empty()) remark = check_pin(version, tree.source(".python-version"));
    }
  if (const auto text = tree.read("runtime.txt")) {
    const auto version = trim(*text);
    if (version.starts_with("python-")) remark = check_pin(version.substr(7), tree.source("runtime.txt"));
  }
  if (const auto text = tree.read("pyproject.toml")) {
    const auto required = value(table(*text, "project"), "requires-python");
    if (!required.empty()) check_range(required, "requires-python in " + tree.source("pyproject.toml"));
    const auto poetry = value(table(*text, "tool.poetry.dependencies"), "python");
    if (!poetry.empty()) check_range(poetry, "tool.poetry.dependencies in " + tree.source("pyproject.toml"));
  }
  return remark;
}

std::string render(const Tree& tree, const PythonDependencies& dependencies, const PythonStart& start,
                   int port) {
  const std::string cached = "RUN --mount=type=cache,target=/root/.cache/pip ";
  std::string text = "FROM towpath/python:12\n";
  if (dependencies.text.contains("git+")) text += std::string{kInstallGit} + "\n";
  auto packages = debian_packages(tree);
  for (const auto& [name, debian] : kNative)
    if (dependencies.on(name)) packages.emplace_back(debian);
  text += install_packages(packages);
  text += program_settings("PYTHONUNBUFFERED=1", port, start_command(start.line));
  // Pages and styles of Django that its server is to hand out are put together beforehand.
  const std::string last =
      dependencies.on("django") && dependencies.on("whitenoise")
          ? "RUN python3 manage.py collectstatic --noinput || echo 'collectstatic did not work: "
            "see above; the program starts without those files'\nUSER app\n"
          : "USER app\n";
  const auto source = copy({tree.source()}, "./", "--chown=app") + "\n";
  if (dependencies.requirements && dependencies.needs_source)
    return text + "\n# A requirement lies in the project, so all of it comes first.\n" + source + cached +
           "pip install -r " + dependencies.files.front() + "\n" + last;
  if (dependencies.requirements) {
    const bool one = dependencies.files.size() == 1;
    text += fmt::format(
        "\n# Dependencies first: they are installed again only when {} changes. The base image has\n"
        "# an empty virtual environment in /venv, first in PATH.\n",
        one ? "this file" : "one of these files");
    for (const auto& file : dependencies.files) {
      const auto folder = std::filesystem::path{file}.parent_path().string();
      text += copy({tree.source(file)}, folder.empty() ? "./" : "./" + folder + "/") + "\n";
    }
    text += cached + "pip install -r " + dependencies.files.front() + "\n";
  } else if (dependencies.project) {
    text +=
        "\n# Dependencies first: they are installed again only when this file changes. The base image has "
        "an\n"
        "# empty virtual environment in /venv, first in PATH.\n";
    text += copy({tree.source("pyproject.toml")}, "./") + "\n";
    text +=
        cached +
        "python3 -c \"import tomllib; "
        "print(*tomllib.load(open('pyproject.toml', 'rb'))['project'].get('dependencies', []), sep='\\n')\" "
        "> /tmp/requirements.txt \\\n && pip install -r /tmp/requirements.txt\n";
  }
  // What is started from its folder need not be installed, and often is in no shape to be.
  const bool packaged =
      dependencies.package && !dependencies.requirements && (start.installed || tree.has_directory("src"));
  if (!packaged && last == "USER app\n") return text + "\n" + last + source;
  text += "\n" + source;
  if (packaged) text += cached + "pip install --no-deps .\n";
  return text + last;
}

}  // namespace

std::optional<Detection> python(const Tree& tree, Missing& missing) {
  const char* sign = nullptr;
  for (const char* file :
       {"requirements.txt", "pyproject.toml", "manage.py", "Pipfile", "setup.py", "main.py", "app.py",
        "wsgi.py", "requirements/production.txt", "requirements/prod.txt", "requirements/base.txt"})
    if (tree.has(file)) {
      sign = file;
      break;
    }
  if (!sign) return {};
  auto remark = check_versions(tree);
  const auto dependencies = read_dependencies(tree);
  const auto start = find_python_start(tree, dependencies);
  if (!start) {
    missing.push_back(fmt::format(
        "{} is there, but no program: add main.py, app.py or manage.py, or a Procfile with \"web: COMMAND\"",
        tree.source(sign)));
    return {};
  }
  if (!dependencies.requirements)
    for (const char* lock : {"uv.lock", "poetry.lock", "pdm.lock"})
      if (tree.has(lock))
        remark += fmt::format("; {} is not read: versions are those of pyproject.toml", lock);
  Listening listening{.port = kPort, .remark = {}};
  if (!start->told_port && start->listens) listening = find_listening(tree, start->line, {"py"});
  Detection detection{.pack = "python"};
  const auto how = start->reason == sign ? std::string{} : ", started by " + start->reason;
  detection.explanation =
      fmt::format("{}{}; Python 3.11 from Debian{}{}", sign, how, remark, listening.remark);
  if (start->listens) detection.port = listening.port;
  detection.containerfile = "# " + detection.explanation + "\n" +
                            render(tree, dependencies, *start, start->listens ? listening.port : 0);
  return detection;
}

}  // namespace tow::image::packs
