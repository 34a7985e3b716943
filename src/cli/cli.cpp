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

Task<> act(Context& context, int& code) {
  context.set_executor(co_await boost::asio::this_coro::executor);
  code = co_await context.action();
}

// A word that is no command: the nearest that is one.
void suggest(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  std::vector<std::string> known;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; }))
    known.push_back(command->get_name());
  if (std::find(known.begin(), known.end(), argv[1]) != known.end()) return;
  const auto near = nearest(argv[1], known);
  std::fprintf(
      stderr, "tow: \"%s\" is no command%s\n", argv[1],
      near.empty() ? "; `tow --help` lists them" : fmt::format("; did you mean \"{}\"?", near).c_str());
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
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForAllHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForVersion& version) {
    return app.exit(version);
  } catch (const CLI::ParseError& error) {
    suggest(app, argc, argv);
    std::fprintf(stderr, "tow: %s\n", error.what());
    return kInvalid;
  }
  if (!context.action) return code;
  try {
    run_blocking(act(context, code));
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
