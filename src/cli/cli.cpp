// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/ids.hpp"
#include "cli/commands.hpp"
#include "cli/exit.hpp"

namespace tow::cli {
namespace {

void add_shared_options(CLI::App& app, Context& context) {
  app.add_option("--url", context.url_option, "Address of the server");
  app.add_option("-p,--project", context.project_option, "Project; else that of the repository");
  app.add_option("-e,--environment", context.environment_option, "Environment; else development");
  const std::map<std::string, Format> formats{
      {"table", Format::Table}, {"json", Format::Json}, {"yaml", Format::Yaml}};
  app.add_option("-o,--output", context.output.format, "table, json or yaml")
      ->transform(CLI::CheckedTransformer(formats))
      ->option_text("FORMAT");
}

// The first word that stands where a command should, and the nearest that is one.
std::string suggestion(const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* at = &app;
  for (const auto& word : words) {
    if (word.starts_with('-')) return {};
    const auto commands = at->get_subcommands([](const CLI::App*) { return true; });
    if (commands.empty()) return {};
    const CLI::App* next = nullptr;
    std::vector<std::string> known;
    for (const auto* command : commands) {
      if (command->get_name() == word) next = command;
      if (!command->get_group().empty()) known.push_back(command->get_name());
    }
    if (!next) {
      if (at->get_require_subcommand_min() == 0) return {};
      const auto near = nearest(word, known);
      const std::string place = at == &app ? "" : " of `tow " + at->get_name() + "`";
      return fmt::format("\"{}\" is no command{}{}", word, place,
                         !near.empty() ? fmt::format("; did you mean \"{}\"?", near)
                         : at == &app  ? std::string{"; `tow --help` lists them"}
                                       : fmt::format("; there are {}", fmt::join(known, ", ")));
    }
    at = next;
  }
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
  add_terminals(app, context);
  add_entities(app, context);
  if (extras.add_commands) extras.add_commands(app, code);
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
    const auto said = words.empty() ? std::string{} : suggestion(app, words);
    std::fprintf(stderr, "tow: %s\n", said.empty() ? error.what() : said.c_str());
    if (words.empty()) std::fputs("`tow --help` lists the commands.\n", stderr);
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
