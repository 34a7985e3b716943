// SPDX-License-Identifier: Apache-2.0
#include "image/packs/python_start.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "image/packs/text.hpp"

namespace tow::image::packs {
namespace {

enum class Interface { Asgi, Wsgi };

/// What makes a web application, as in "app = FastAPI(…)".
struct Maker {
  std::string_view name;
  Interface interface;
};
constexpr auto kMakers = std::to_array<Maker>({
    {"FastAPI", Interface::Asgi},
    {"Starlette", Interface::Asgi},
    {"Litestar", Interface::Asgi},
    {"Quart", Interface::Asgi},
    {"get_asgi_application", Interface::Asgi},
    {"Flask", Interface::Wsgi},
    {"APIFlask", Interface::Wsgi},
    {"Dash", Interface::Wsgi},
    {"Bottle", Interface::Wsgi},
    {"default_app", Interface::Wsgi},
    {"Falcon", Interface::Wsgi},
    {"App", Interface::Wsgi},
    {"API", Interface::Wsgi},
    {"get_wsgi_application", Interface::Wsgi},
    {"create_app", Interface::Wsgi},
});

/// What serves it, when it is among the dependencies: the first that is.
struct Server {
  std::string_view package;
  Interface interface;
  std::string_view command;  // {} is the application: "main:app"
  std::string_view remark;
};
constexpr auto kServers = std::to_array<Server>({
    {"uvicorn", Interface::Asgi, "uvicorn --host 0.0.0.0 --port ${{PORT:-8080}} {}", ""},
    {"fastapi[standard]", Interface::Asgi, "uvicorn --host 0.0.0.0 --port ${{PORT:-8080}} {}", ""},
    {"hypercorn", Interface::Asgi, "hypercorn --bind 0.0.0.0:${{PORT:-8080}} {}", ""},
    {"gunicorn", Interface::Wsgi, "gunicorn --bind 0.0.0.0:${{PORT:-8080}} {}", ""},
    {"waitress", Interface::Wsgi, "waitress-serve --listen=0.0.0.0:${{PORT:-8080}} {}", ""},
    {"flask", Interface::Wsgi, "flask --app {} run --host 0.0.0.0 --port ${{PORT:-8080}}",
     " (add gunicorn to the dependencies for production)"},
});
static_assert(kPort == 8080);

struct Module {
  std::string name;  // "app.main"
  std::string file;  // "app/main.py"
};

/// Where web applications are made: beside the project's files, or in a package of it.
std::vector<Module> modules_of(const Tree& tree) {
  std::vector<Module> modules;
  for (const char* name : {"app", "main", "wsgi", "asgi", "server", "application", "api", "run"})
    modules.push_back({name, fmt::format("{}.py", name)});
  for (const auto& directory : tree.directories()) {
    constexpr std::string_view usual[] = {"app", "api", "src", "backend", "server"};
    const bool package = tree.has(directory + "/__init__.py");
    if (!package && std::ranges::find(usual, directory) == std::end(usual)) continue;
    for (const char* name : {"main", "app", "wsgi", "asgi", "server"})
      modules.push_back({fmt::format("{}.{}", directory, name), fmt::format("{}/{}.py", directory, name)});
    if (package) modules.push_back({directory, directory + "/__init__.py"});
  }
  return modules;
}

/// The name of the variable that holds what a maker makes: "app = FastAPI(" gives "app".
std::string application(const std::string& text, std::string_view maker) {
  std::string name;
  const auto pattern =
      fmt::format(R"((?m)^(\w+)\s*(?::[^=\n]+)?=\s*(?:\w+\.)?{}\()", RE2::QuoteMeta(std::string{maker}));
  RE2::PartialMatch(text, pattern, &name);
  return name;
}

std::optional<PythonStart> serve(const PythonDependencies& dependencies, Interface interface,
                                 const std::string& target, const std::string& file) {
  for (const auto& server : kServers) {
    if (server.interface != interface || !dependencies.on(server.package)) continue;
    const bool flask = server.package == "flask";
    // Flask's own server finds a factory by itself, and takes a name without a call.
    const auto what =
        flask ? target.substr(0, target.find("()'")).substr(target.starts_with('\'') ? 1 : 0) : target;
    return PythonStart{fmt::format(fmt::runtime(server.command), what),
                       fmt::format("{}, which serves {}{}",
                                   server.command.substr(0, server.command.find(' ')), file, server.remark)};
  }
  return {};
}

/// A module that makes a web application, served by a server among the dependencies.
std::optional<PythonStart> served(const Tree& tree, const PythonDependencies& dependencies) {
  for (const auto& [module, file] : modules_of(tree)) {
    const auto text = tree.read(file);
    if (!text) continue;
    for (const auto& maker : kMakers)
      if (const auto name = application(*text, maker.name); !name.empty())
        if (auto start = serve(dependencies, maker.interface, fmt::format("{}:{}", module, name), file))
          return start;
    if (RE2::PartialMatch(*text, R"((?m)^def create_app\()"))
      if (auto start = serve(dependencies, Interface::Wsgi, fmt::format("'{}:create_app()'", module), file))
        return start;
  }
  return {};
}

std::optional<PythonStart> django(const Tree& tree, const PythonDependencies& dependencies) {
  if (!tree.has("manage.py") || !dependencies.on("django")) return {};
  for (const auto& directory : tree.directories())
    for (const auto& [file, interface, target] : {std::tuple{"wsgi.py", Interface::Wsgi, "wsgi:application"},
                                                  std::tuple{"asgi.py", Interface::Asgi, "asgi:application"}})
      if (tree.has(directory + "/" + file))
        if (auto start = serve(dependencies, interface, fmt::format("{}.{}", directory, target),
                               fmt::format("{}/{}", directory, file)))
          return start;
  return PythonStart{fmt::format("python3 manage.py runserver --noreload 0.0.0.0:${{PORT:-{}}}", kPort),
                     "manage.py runserver (add gunicorn to the dependencies for production)"};
}

std::optional<PythonStart> streamlit(const Tree& tree, const PythonDependencies& dependencies) {
  if (!dependencies.on("streamlit")) return {};
  for (const char* file : {"streamlit_app.py", "app.py", "main.py", "Home.py"})
    if (const auto text = tree.read(file); text && text->contains("streamlit"))
      return PythonStart{
          fmt::format(
              "streamlit run {} --server.address 0.0.0.0 --server.port ${{PORT:-{}}} --server.headless true",
              file, kPort),
          fmt::format("streamlit, which serves {}", file)};
  return {};
}

}  // namespace

bool PythonDependencies::on(std::string_view name) const {
  for (auto at = text.find(name); at != std::string::npos; at = text.find(name, at + 1)) {
    const auto next = at + name.size();
    const auto is_word = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || c == '.'; };
    if ((at == 0 || !is_word(static_cast<unsigned char>(text[at - 1]))) &&
        (next == text.size() || !is_word(static_cast<unsigned char>(text[next]))))
      return true;
  }
  return false;
}

std::optional<PythonStart> find_python_start(const Tree& tree, const PythonDependencies& dependencies) {
  if (const auto text = tree.read("Procfile")) {
    const auto process = choose_process(*text, tree.source("Procfile"));
    return PythonStart{.line = process.command,
                       .reason = "Procfile's " + process.name,
                       .listens = process.listens(),
                       .told_port = false};
  }
  if (auto start = django(tree, dependencies)) return start;
  if (auto start = streamlit(tree, dependencies)) return start;
  if (auto start = served(tree, dependencies)) return start;
  for (const char* file : {"main.py", "app.py", "server.py", "run.py", "wsgi.py", "__main__.py"})
    if (tree.has(file))
      return PythonStart{.line = fmt::format("python3 {}", file), .reason = file, .told_port = false};
  for (const auto& directory : tree.directories())
    if (dependencies.project && tree.has(directory + "/__main__.py"))
      return PythonStart{
          .line = "python3 -m " + directory, .reason = directory + "/__main__.py", .told_port = false};
  if (dependencies.package && !dependencies.scripts.empty())
    return PythonStart{.line = dependencies.scripts.front(),
                       .reason = "project.scripts of pyproject.toml",
                       .told_port = false,
                       .installed = true};
  return {};
}

}  // namespace tow::image::packs
