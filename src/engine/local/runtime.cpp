// SPDX-License-Identifier: Apache-2.0
#include "engine/local/runtime.hpp"

#include <unistd.h>

#include "base/error.hpp"

namespace tow::engine::local {
namespace {

std::vector<std::string> with_root(const Runtime& runtime, std::vector<std::string> rest) {
  std::vector<std::string> command{runtime.program, "--root", runtime.root};
  command.insert(command.end(), rest.begin(), rest.end());
  return command;
}

}  // namespace

std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return ::access(name.c_str(), X_OK) == 0 ? name : "";
  for (const char* directory :
       {"/usr/local/sbin/", "/usr/local/bin/", "/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"})
    if (const std::string path = directory + name; ::access(path.c_str(), X_OK) == 0) return path;
  return "";
}

Runtime choose_runtime(const std::string& name, const std::filesystem::path& roots, const Cgroups& cgroups) {
  const std::vector<std::string> candidates =
      name.empty() ? std::vector<std::string>{"crun", "runc"} : std::vector<std::string>{name};
  for (const auto& candidate : candidates) {
    const std::string program = find_program(candidate);
    if (program.empty()) continue;
    const std::string base = std::filesystem::path{candidate}.filename();
    Runtime runtime{.name = base, .program = program, .root = roots / base};
    if (base == "crun") {
      runtime.hidden = cgroups.second_hierarchy();
      runtime.seccomp = Container::Seccomp::Program;
    }
    return runtime;
  }
  throw fail(Code::NotFound, "no OCI runtime: {} is not installed; install the package crun or runc",
             name.empty() ? "neither crun nor runc" : name);
}

Runtime maker(const std::string& name, const std::filesystem::path& roots, const Cgroups& cgroups) {
  if (name.empty() || !find_program(name).empty()) return choose_runtime(name, roots, cgroups);
  const std::string base = std::filesystem::path{name}.filename();
  return {.name = base, .program = {}, .root = roots / base};
}

std::vector<std::string> monitor_command(const std::string& conmon, const Runtime& runtime,
                                         const Monitor& m) {
  std::vector<std::string> command{
      conmon,
      "--api-version",
      "1",
      "--cid",
      m.id,
      "--cuuid",
      m.id,
      "--name",
      m.id,
      "--runtime",
      runtime.program,
      "--runtime-arg",
      "--root",
      "--runtime-arg",
      runtime.root,
      "--bundle",
      m.bundle,
      "--container-pidfile",
      m.bundle / "init.pid",
      "--conmon-pidfile",
      m.bundle / "conmon.pid",
      "--exit-dir",
      m.bundle / "exit",
      "--log-path",
      "k8s-file:" + m.log.string(),
      "--log-level",
      "error",
      "--full-attach",
      "--sync",  // it is the process that was launched, not a child of it
  };
  if (m.terminal) command.push_back("--terminal");
  return command;
}

std::vector<std::string> start_command(const Runtime& runtime, const std::string& id) {
  return with_root(runtime, {"start", id});
}

std::vector<std::string> delete_command(const Runtime& runtime, const std::string& id) {
  return with_root(runtime, {"delete", "--force", id});
}

std::vector<std::string> exec_command(const Runtime& runtime, const std::string& id,
                                      const std::filesystem::path& process, const std::filesystem::path& pid,
                                      bool terminal) {
  std::vector<std::string> rest{"exec", "--process", process, "--pid-file", pid};
  if (terminal) rest.push_back("--tty");
  rest.push_back(id);
  return with_root(runtime, rest);
}

}  // namespace tow::engine::local
