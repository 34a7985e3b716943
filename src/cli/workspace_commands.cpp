// SPDX-License-Identifier: Apache-2.0
// init and check: what a repository says, before anything is pushed.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>

#include "base/ids.hpp"
#include "base/process.hpp"
#include "cli/commands.hpp"
#include "cli/exit.hpp"
#include "model/score.hpp"
#include "model/score_infer.hpp"

namespace tow::cli {
namespace {

namespace fs = std::filesystem;

struct InitArguments {
  bool print_containerfile = false;
  std::string component;
};

void write_file(Context& context, const fs::path& path, const std::string& text) {
  if (fs::exists(path)) {
    context.output.note(fmt::format("{} is there and stays as it is", path.filename().string()));
    return;
  }
  std::ofstream out{path};
  out << text;
  out.close();
  if (!out) throw fail(Code::Exhausted, "{} cannot be written", path.string());
  context.output.line("wrote " + path.string());
}

// The folders that are components, by name: what the folder is called, with the one above it where that is
// taken.
std::map<std::string, std::string> name_components(const std::vector<std::string>& folders,
                                                   const fs::path& root) {
  std::map<std::string, std::string> named;
  for (const auto& folder : folders) {
    const auto path = folder.empty() ? root : fs::path{folder};
    auto name = score::component_name(path.filename().string());
    if (named.contains(name))
      name = score::component_name(path.parent_path().filename().string() + "-" + path.filename().string());
    named[name] = folder;
  }
  return named;
}

Task<> add_remote(Context& context, fs::path root, std::string name) {
  std::string url = context.url();
  if (!url.starts_with("http")) url = "http://127.0.0.1:8690";
  const auto address = fmt::format("{}/git/{}/{}.git", url, name, name);
  const auto git = [&](std::vector<std::string> arguments) {
    Command command;
    command.argv = {"git", "-C", root.string()};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    if (const char* home = std::getenv("HOME")) command.env["HOME"] = home;
    return tow::run(std::move(command));
  };
  const auto known = co_await git({"remote", "get-url", "tow"});
  if (known.ok()) {
    co_await git({"remote", "set-url", "tow", address});
  } else {
    const auto added = co_await git({"remote", "add", "tow", address});
    if (!added.ok())
      throw fail(Code::FailedPrecondition, "this is no git repository yet: git init, then again");
  }
  context.output.line("git remote tow is " + address);
}

Task<int> init(Context& context, InitArguments arguments) {
  const auto& workspace = context.workspace();
  const auto root = workspace.root;
  if (arguments.print_containerfile) {
    const auto here = fs::relative(fs::current_path(), root).generic_string();
    const auto folder = arguments.component.empty() ? (here == "." ? "" : here) : arguments.component;
    const auto detected = context.extras.detect(root, folder);
    if (detected.containerfile.empty())
      throw fail(Code::NotFound, "nothing that can be built was recognised: {}", detected.explanation);
    context.output.note("# " + detected.explanation);
    std::fputs(detected.containerfile.c_str(), stdout);
    co_return kOk;
  }
  const auto components = name_components(context.extras.find_components(root), root);
  if (components.empty())
    throw fail(Code::NotFound, "no component was found, here or two folders below: {}",
               context.extras.detect(root, {}).explanation);
  auto document = manifest::infer(components, "main");
  for (const auto& [name, folder] : components) {
    const auto directory = folder.empty() ? root : root / folder;
    const auto detected = context.extras.detect(root, folder);
    for (const auto& path : detected.watch) document.components[name]->watch.push_back(Text{path, {}, {}});
    if (!detected.explanation.empty()) context.output.line(fmt::format("{}: {}", name, detected.explanation));
    if (!fs::exists(directory / "score.yaml"))
      write_file(context, directory / "score.yaml",
                 score::render(score::infer({.name = name, .port = detected.port})));
  }
  if (components.size() > 1 || !components.begin()->second.empty())
    write_file(context, root / manifest::kFileName, manifest::render(document));
  const auto project = context.project_option.empty() ? workspace.project : context.project_option;
  if (project.empty()) {
    context.output.note("No project yet: tow project create NAME, then tow init -p NAME adds the git remote");
    co_return kOk;
  }
  co_await add_remote(context, root, project);
  context.output.line("Next: git add, git commit, git push tow main");
  co_return kOk;
}

// What `tow check` looks at when no file is named.
std::vector<std::string> files_of(const Workspace& workspace) {
  std::vector<std::string> files;
  const auto add = [&](const fs::path& path) {
    if (fs::exists(path)) files.push_back(fs::relative(path).string());
  };
  add(workspace.root / manifest::kFileName);
  add(workspace.root / "score.yaml");
  if (fs::exists(workspace.root / manifest::kFileName)) {
    try {
      const auto document = manifest::read(parse_yaml(read_file(workspace.root / manifest::kFileName)));
      for (const auto& [name, component] : document.components)
        if (const auto path = workspace.root / manifest::score_file(*component);
            path != workspace.root / "score.yaml")
          add(path);
    } catch (const Error&) {
      // Its own faults are shown when it is checked.
    }
  }
  return files;
}

Task<int> check(Context& context, std::vector<std::string> files) {
  if (files.empty()) files = files_of(context.workspace());
  if (files.empty())
    throw fail(Code::NotFound, "there is no score.yaml or towpath.yaml here; `tow init` writes them");
  int code = kOk;
  for (const auto& file : files) {
    try {
      const Node node = parse_yaml(read_file(file));
      const Node* version = node.find("apiVersion");
      if (version && version->string() && *version->string() == manifest::kVersion)
        manifest::read(node);
      else
        score::read(node);
      context.output.line(file + ": fine");
    } catch (const Error& error) {
      if (error.code() != Code::Invalid && error.code() != Code::Unsupported) throw;
      for (const auto& fault : error.faults()) context.output.line(describe(fault, file));
      if (error.faults().empty()) context.output.line(fmt::format("{}  {}", file, error.message()));
      const auto count = error.faults().size();
      context.output.note(fmt::format("{}: {} {}", file, count, count == 1 ? "fault" : "faults"));
      // Invalid outweighs unsupported.
      if (code != kInvalid) code = exit_code(error.code());
    }
  }
  co_return code;
}

}  // namespace

void add_workspace(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<InitArguments>();
  auto* command = app.add_subcommand(
      "init",
      "Write score.yaml, and towpath.yaml where it is needed, from what is found; add the git remote");
  command->add_flag("--print-containerfile", arguments->print_containerfile,
                    "Show what would be built instead");
  command->add_option("COMPONENT", arguments->component, "Folder, with --print-containerfile");
  command->callback([&context, arguments] {
    context.action = [&context, arguments] { return init(context, *arguments); };
  });

  auto files = std::make_shared<std::vector<std::string>>();
  auto* checking = app.add_subcommand(
      "check", "All that is wrong in score.yaml or towpath.yaml; 0 fine, 2 invalid, 3 not supported yet");
  checking->add_option("FILE", *files, "Files; else those of the repository");
  checking->callback(
      [&context, files] { context.action = [&context, files] { return check(context, *files); }; });
}

}  // namespace tow::cli
