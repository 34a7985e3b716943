// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "cli/checks.hpp"
#include "cli/commands.hpp"
#include "cli/exit.hpp"

namespace tow::cli {
namespace {

struct Arguments {
  std::string component;
  std::string since;
  LogInput input;
  bool build = false;
};

// The build of that name; else the newest one of the component, whatever became of it.
Task<std::string> find_build(Context& context, std::string given) {
  if (!given.empty() && co_await context.find<Build>(given)) co_return given;
  const auto component = context.deployment(given).component;
  std::string name;
  TimePoint newest{};
  for (const auto& build : co_await context.list<Build>())
    if (build.spec.component == component && build.record->created >= newest) {
      newest = build.record->created;
      name = build.name();
    }
  if (name.empty())
    throw fail(Code::NotFound,
               "{} was never built here, and no build is called so; `tow build ls` lists them", component);
  co_return name;
}

Task<int> show(Context& context, Arguments arguments) {
  if (!arguments.since.empty()) {
    arguments.input.since = parse_duration(arguments.since);
    if (!arguments.input.since)
      throw fail(Code::Invalid, "\"{}\" is not a duration; write 30s, 10m or 2h", arguments.since);
  }
  const auto& out = context.output;
  const std::function<bool(const LogEntry&)> print = [&out](const LogEntry& entry) {
    if (out.format == Format::Json) {
      out.line(to_json(write(entry)));
    } else {
      auto source = entry.source.empty() ? "" : entry.source + " ";
      if (!entry.container.empty()) source = entry.source + "/" + entry.container + " ";
      out.line(fmt::format("{} {}{}", out.paint(Colour::Dim, to_string(entry.time)),
                           out.paint(Colour::Dim, source),
                           entry.error ? out.paint(Colour::Red, entry.text) : entry.text));
    }
    return true;
  };
  if (arguments.build) {
    const auto build = co_await find_build(context, arguments.component);
    co_await context.server().stream<LogEntry>("builds.logs", context.project(), build, arguments.input,
                                               print);
  } else {
    const auto name = context.deployment(arguments.component);
    co_await context.server().stream<LogEntry>("deployments.logs", context.project(), name.text(),
                                               arguments.input, print);
  }
  co_return kOk;
}

}  // namespace

void add_logs(CLI::App& app, Context& context) {
  auto a = std::make_shared<Arguments>();
  auto* command =
      app.add_subcommand("logs", "What a component wrote, of all its instances, also of those that are gone");
  command->add_option("COMPONENT", a->component, "COMPONENT[.ENVIRONMENT]; with --build also a build's name");
  command->add_flag("-f,--follow", a->input.follow, "Go on with what comes");
  command->add_option("--since", a->since, "Only what is younger: 30s, 10m, 2h");
  command->add_option("-n,--tail", a->input.tail, "Only the last lines")
      ->check(whole_number(0, 1'000'000'000));
  command->add_option("--grep", a->input.grep, "Only lines that match this regular expression");
  command->add_option("-c,--container", a->input.container, "Only of this container of its instances");
  auto* previous = command->add_flag("--previous", a->input.previous, "Of the revision before");
  command->add_flag("--build", a->build, "Of its newest build, or of the one that is named")
      ->excludes(previous);
  command->callback([&context, a] { context.action = [&context, a] { return show(context, *a); }; });
}

}  // namespace tow::cli
