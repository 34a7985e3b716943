// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstdio>

#include "base/ids.hpp"
#include "cli/checks.hpp"
#include "cli/commands.hpp"
#include "cli/exit.hpp"

namespace tow::cli {
namespace {

void add_shared_options(CLI::App& app, Context& context) {
  app.add_option("--url", context.url_option, "Address of the server");
  app.add_option("-p,--project", context.project_option, "Project; else that of the repository");
  app.add_option("-e,--environment", context.environment_option, "Environment; else development");
  app.add_option_function<std::string>(
         "-o,--output",
         [&context](const std::string& name) {
           context.output.format = name == "json"   ? Format::Json
                                   : name == "yaml" ? Format::Yaml
                                                    : Format::Table;
         },
         "table, json or yaml")
      ->check(one_of({"table", "json", "yaml"}))
      ->option_text("FORMAT");
}

std::string path_of(const CLI::App& app, const CLI::App* command) {
  std::string path;
  for (; command && command != &app; command = command->get_parent()) path = " " + command->get_name() + path;
  return "tow" + path;
}

// The option that a word names, of a command or of those above it.
const CLI::Option* option_named(const CLI::App* command, const std::string& name) {
  for (; command; command = command->get_parent())
    if (const auto* option = command->get_option_no_throw(name)) return option;
  return nullptr;
}

std::string nearest_option(const CLI::App* command, const std::string& name) {
  std::vector<std::string> known;
  for (; command; command = command->get_parent())
    for (const auto* option : command->get_options())
      for (const auto& each : option->get_lnames()) known.push_back("--" + each);
  return nearest(name, known);
}

// The first word that stands where a command or an option should and is none, with the nearest that is one.
std::string suggestion(const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* at = &app;
  const auto commands_of = [](const CLI::App* command) {
    return command->get_subcommands([](const CLI::App*) { return true; });
  };
  const auto names_of = [&](const CLI::App* command) {
    std::vector<std::string> known;
    for (const auto* each : commands_of(command))
      if (!each->get_group().empty()) known.push_back(each->get_name());
    return known;
  };
  for (std::size_t i = 0; i < words.size() && words[i] != "--"; ++i) {
    const auto& word = words[i];
    if (word.size() > 1 && word[0] == '-' && !std::isdigit(static_cast<unsigned char>(word[1]))) {
      const auto name = word.starts_with("--") ? word.substr(0, word.find('=')) : word.substr(0, 2);
      if (const auto* option = option_named(at, name)) {
        if (option->get_items_expected_max() > 0 && word == name) ++i;  // its value
        continue;
      }
      const auto near = nearest_option(at, name);
      return fmt::format("\"{}\" is no option of `{}`; {}", name, path_of(app, at),
                         near.empty() ? fmt::format("`{} --help` lists them", path_of(app, at))
                                      : fmt::format("did you mean \"{}\"?", near));
    }
    const auto below = commands_of(at);
    const auto next = std::ranges::find(below, word, [](const CLI::App* each) { return each->get_name(); });
    if (next != below.end()) {
      at = *next;
    } else if (!below.empty() && at->get_require_subcommand_min() > 0) {
      const auto known = names_of(at);
      const auto near = nearest(word, known);
      return fmt::format("\"{}\" is no command{}{}", word, at == &app ? "" : " of `" + path_of(app, at) + "`",
                         !near.empty() ? fmt::format("; did you mean \"{}\"?", near)
                         : at == &app  ? std::string{"; `tow --help` lists them"}
                                       : fmt::format("; there are {}", fmt::join(known, ", ")));
    }
  }
  if (at->get_require_subcommand_min() > 0 && at->get_subcommands().empty())
    return at == &app
               ? std::string{"say what to do; `tow --help` lists the commands"}
               : fmt::format("`{}` needs a command: {}", path_of(app, at), fmt::join(names_of(at), ", "));
  return {};
}

// What follows "--" goes to `exec` and `run` as it is: the parser would take "{}" and "[x]" for lists.
void split_rest(std::vector<std::string>& words, Context& context) {
  const auto dashes = std::ranges::find(words, "--");
  const bool hands_on = std::any_of(words.begin(), dashes,
                                    [](const std::string& word) { return word == "exec" || word == "run"; });
  if (dashes == words.end() || !hands_on) return;
  context.rest.emplace(dashes + 1, words.end());
  words.erase(dashes, words.end());
}

}  // namespace

int run(int argc, char** argv, const Extras& extras) {
  Context context{extras};
  CLI::App app{"Towpath: from commit to production, by yourself.", "tow"};
  app.set_version_flag("--version", "tow " + extras.version);
  app.require_subcommand(1);
  app.fallthrough();
  int code = kOk;
  add_shared_options(app, context);
  add_sign_in(app, context);
  add_projects(app, context);
  add_workspace(app, context);
  add_deployments(app, context);
  add_views(app, context);
  add_configuration(app, context);
  add_logs(app, context);
  add_builds(app, context);
  add_jobs(app, context);
  add_terminals(app, context);
  add_entities(app, context);
  if (extras.add_commands) extras.add_commands(app, code, context.output);
  add_manual(app, context);
  std::vector<std::string> words(argv + 1, argv + argc);
  split_rest(words, context);
  try {
    app.parse(std::vector<std::string>{words.rbegin(), words.rend()});
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForAllHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForVersion& version) {
    return app.exit(version);
  } catch (const CLI::ParseError& error) {
    const auto said = suggestion(app, words);
    std::fprintf(stderr, "tow: %s\n", said.empty() ? error.what() : said.c_str());
    return kInvalid;
  }
  if (!context.action) return code;
  try {
    code = run_blocking(context.act());
  } catch (const Error& error) {
    std::fputs(("tow: " + explain(error)).c_str(), stderr);
    return exit_code(error.code());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tow: %s\n", error.what());
    return kFailed;
  }
  return code;
}

}  // namespace tow::cli
