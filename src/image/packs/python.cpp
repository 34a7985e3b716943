// SPDX-License-Identifier: Apache-2.0
// Python: programs with requirements.txt or pyproject.toml, or with nothing but the standard library.
#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cctype>

#include "base/error.hpp"
#include "image/packs/pack.hpp"
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

struct Dependencies {
  std::string text;  // requirements and pyproject.toml together, lower case: for what it depends on
  std::vector<std::string> files;  // requirements.txt and what it includes
  bool needs_source = false;       // a requirement is a directory of the component
  bool requirements = false;
  bool project = false;  // pyproject.toml has [project]
  bool package = false;  // … and says how it is built

  bool on(std::string_view name) const {
    for (auto at = text.find(name); at != std::string::npos; at = text.find(name, at + 1)) {
      const auto next = at + name.size();
      const auto is_word = [](unsigned char c) {
        return std::isalnum(c) || c == '_' || c == '-' || c == '.';
      };
      if ((at == 0 || !is_word(static_cast<unsigned char>(text[at - 1]))) &&
          (next == text.size() || !is_word(static_cast<unsigned char>(text[next]))))
        return true;
    }
    return false;
  }
};

/// A requirements file and those that it includes.
void read_requirements(const Tree& tree, const std::string& file, Dependencies& result) {
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

Dependencies read_dependencies(const Tree& tree) {
  Dependencies result;
  read_requirements(tree, "requirements.txt", result);
  result.requirements = !result.files.empty();
  if (const auto text = tree.read("pyproject.toml")) {
    result.text += *text;
    result.project = !table(*text, "project").empty();
    result.package = result.project && !table(*text, "build-system").empty();
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

struct Start {
  std::vector<std::string> command;
  std::string reason;
  bool listens = true;
};

/// The name of the variable that holds a web application: "app = FastAPI(" gives "app".
std::string application(const std::string& text, const char* kind) {
  std::string name;
  RE2::PartialMatch(text, std::string{R"((?m)^(\w+)\s*(?::[^=\n]+)?=\s*(?:\w+\.)?)"} + kind + R"(\()", &name);
  return name;
}

/// A module of the component that makes a web application, served by a server among the dependencies.
std::optional<Start> served(const Tree& tree, const Dependencies& dependencies) {
  const auto bind = fmt::format("0.0.0.0:${{PORT:-{}}}", kPort);
  for (const char* module : {"app", "main", "wsgi", "asgi", "server", "application"}) {
    const auto text = tree.read(std::string{module} + ".py");
    if (!text) continue;
    for (const char* kind : {"FastAPI", "Starlette", "Litestar", "Quart"})
      if (const auto name = application(*text, kind); !name.empty() && dependencies.on("uvicorn"))
        return Start{start_command(fmt::format("uvicorn --host 0.0.0.0 --port ${{PORT:-{}}} {}:{}", kPort,
                                               module, name)),
                     fmt::format("uvicorn, which serves {}.py", module)};
    if (!dependencies.on("gunicorn")) continue;
    for (const char* kind : {"Flask", "get_wsgi_application", "Bottle", "Falcon", "App", "API", "create_app"})
      if (const auto name = application(*text, kind); !name.empty())
        return Start{start_command(fmt::format("gunicorn --bind {} {}:{}", bind, module, name)),
                     fmt::format("gunicorn, which serves {}.py", module)};
  }
  return {};
}

std::optional<Start> django(const Tree& tree, const Dependencies& dependencies) {
  if (!tree.has("manage.py") || !dependencies.on("django")) return {};
  for (const auto& directory : tree.directories())
    if (tree.has(directory + "/wsgi.py")) {
      if (dependencies.on("gunicorn"))
        return Start{
            start_command(fmt::format("gunicorn --bind 0.0.0.0:${{PORT:-{}}} {}.wsgi", kPort, directory)),
            fmt::format("gunicorn, which serves {}/wsgi.py", directory)};
      if (dependencies.on("uvicorn") && tree.has(directory + "/asgi.py"))
        return Start{
            start_command(fmt::format("uvicorn --host 0.0.0.0 --port ${{PORT:-{}}} {}.asgi:application",
                                      kPort, directory)),
            fmt::format("uvicorn, which serves {}/asgi.py", directory)};
    }
  return Start{
      start_command(fmt::format("python3 manage.py runserver --noreload 0.0.0.0:${{PORT:-{}}}", kPort)),
      "manage.py runserver (add gunicorn to the dependencies for production)"};
}

std::optional<Start> find_start(const Tree& tree, const Dependencies& dependencies) {
  if (const auto text = tree.read("Procfile")) {
    const auto process = choose_process(*text, tree.source("Procfile"));
    return Start{start_command(process.command), "Procfile's " + process.name, process.listens()};
  }
  if (auto start = django(tree, dependencies)) return start;
  if (auto start = served(tree, dependencies)) return start;
  for (const char* file : {"main.py", "app.py", "server.py", "run.py", "wsgi.py", "__main__.py"})
    if (tree.has(file)) return Start{{"python3", file}, file};
  for (const auto& directory : tree.directories())
    if (dependencies.project && tree.has(directory + "/__main__.py"))
      return Start{{"python3", "-m", directory}, directory + "/__main__.py"};
  if (const auto text = tree.read("pyproject.toml"); text && dependencies.package) {
    static const RE2 entry{R"re(^["']?([A-Za-z0-9_.-]+)["']?\s*=\s*["'])re"};
    for (const auto& line : table(*text, "project.scripts")) {
      std::string name;
      if (RE2::PartialMatch(line, entry, &name)) return Start{{name}, "project.scripts of pyproject.toml"};
    }
  }
  return {};
}

std::string render(const Tree& tree, const Dependencies& dependencies, const Start& start) {
  const std::string cached = "RUN --mount=type=cache,target=/root/.cache/pip ";
  std::string text = "FROM towpath/python:12\n";
  if (dependencies.text.contains("git+")) text += std::string{kInstallGit} + "\n";
  text += program_settings("PYTHONUNBUFFERED=1", start.listens, start.command);
  if (dependencies.requirements && dependencies.needs_source) {
    return text + "\n# A requirement lies in the project, so all of it comes first.\n" +
           copy({tree.source()}, "./", "--chown=app") + "\n" + cached +
           "pip install -r requirements.txt\nUSER app\n";
  }
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
    text += cached + "pip install -r requirements.txt\n";
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
  const bool packaged = dependencies.package && !dependencies.requirements;
  if (!packaged) return text + "\nUSER app\n" + copy({tree.source()}, "./", "--chown=app") + "\n";
  text += "\n" + copy({tree.source()}, "./", "--chown=app") + "\n";
  return text + cached + "pip install --no-deps .\nUSER app\n";
}

}  // namespace

std::optional<Detection> python(const Tree& tree, Missing& missing) {
  const char* sign = nullptr;
  for (const char* file : {"requirements.txt", "pyproject.toml", "manage.py", "Pipfile", "setup.py",
                           "main.py", "app.py", "wsgi.py"})
    if (tree.has(file)) {
      sign = file;
      break;
    }
  if (!sign) return {};
  const auto remark = check_versions(tree);
  const auto dependencies = read_dependencies(tree);
  const auto start = find_start(tree, dependencies);
  if (!start) {
    missing.push_back(
        fmt::format("{} is there, but none of main.py, app.py, manage.py, wsgi.py and Procfile", sign));
    return {};
  }
  Detection detection{.pack = "python"};
  const auto how = start->reason == sign ? std::string{} : ", started by " + start->reason;
  detection.explanation = fmt::format("{}{}; Python 3.11 from Debian{}", sign, how, remark);
  detection.containerfile = "# " + detection.explanation + "\n" + render(tree, dependencies, *start);
  if (start->listens) detection.port = kPort;
  return detection;
}

}  // namespace tow::image::packs
