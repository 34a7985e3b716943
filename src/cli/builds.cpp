// SPDX-License-Identifier: Apache-2.0
// Builds: what there is, an end, once more.
#include <CLI/CLI.hpp>
#include <chrono>

#include "cli/commands.hpp"
#include "cli/exit.hpp"

namespace tow::cli {
namespace {

struct Arguments {
  std::string name;
  bool no_wait = false;
};

TimePoint now() { return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()); }

std::string took(const Build::Status& status) {
  if (!status.started) return "-";
  const auto time = status.ended.value_or(now()) - *status.started;
  return fmt::format("{:.1f}s", static_cast<double>(time.count()) / 1000);
}

// Newest first.
Task<int> list_builds(Context& context, Arguments arguments) {
  auto builds = co_await context.list<Build>();
  std::erase_if(builds, [&](const auto& build) {
    return !arguments.name.empty() && build.spec.component != arguments.name;
  });
  std::ranges::sort(builds, std::greater{}, [](const auto& build) { return build.record->created; });
  if (context.output.format != Format::Table) {
    Node::List documents;
    for (const auto& build : builds) documents.push_back(to_document(*build.record));
    context.output.document(documents);
    co_return kOk;
  }
  std::vector<std::vector<std::string>> rows{
      {"NAME", "COMPONENT", "PHASE", "COMMIT", "TOOK", "AGE", "MESSAGE"}};
  for (const auto& build : builds) {
    const auto phase = std::string{names(Of<WorkPhase>{})[static_cast<std::size_t>(build.status.phase)].text};
    const auto& message = build.status.message;
    rows.push_back({build.name(), build.spec.component, context.output.paint(colour_of(phase), phase),
                    build.spec.commit.substr(0, 8), took(build.status), age(build.record->created, now()),
                    message.substr(0, message.find('\n'))});
  }
  if (rows.size() == 1)
    context.output.note("Nothing was built here yet");
  else
    context.output.table(rows);
  co_return kOk;
}

Task<int> cancel(Context& context, Arguments arguments) {
  context.output.note(fmt::format("Cancelling the build {} of {}", arguments.name, context.project()));
  const auto output = co_await context.call<Accepted>("builds.cancel", arguments.name, Nothing{});
  context.output.note(output.message);
  co_return kOk;
}

Task<int> repeat(Context& context, Arguments arguments) {
  context.output.note(fmt::format("Repeating the build {} of {}", arguments.name, context.project()));
  const auto output = co_await context.call<RepeatOutput>("builds.repeat", arguments.name, Nothing{});
  context.output.note(fmt::format("{} is its build", output.build));
  if (arguments.no_wait) co_return kOk;
  co_return co_await context.follow_run(output.run);
}

}  // namespace

void add_builds(CLI::App& app, Context& context) {
  auto* build = app.add_subcommand("build", "Builds: one making of an image from a commit each");
  build->require_subcommand(1);
  {
    auto a = std::make_shared<Arguments>();
    auto* command = build->add_subcommand("ls", "List them, newest first");
    command->add_option("COMPONENT", a->name, "Only of this component");
    command->callback([&context, a] { context.action = [&context, a] { return list_builds(context, *a); }; });
  }
  {
    auto a = std::make_shared<Arguments>();
    auto* command = build->add_subcommand("cancel", "End one that waits or runs, with all that it started");
    command->add_option("NAME", a->name, "Its name in `tow build ls`")->required();
    command->callback([&context, a] { context.action = [&context, a] { return cancel(context, *a); }; });
  }
  {
    auto a = std::make_shared<Arguments>();
    auto* command =
        build->add_subcommand("repeat", "Build the same commit again, and deploy it as its push did");
    command->add_option("NAME", a->name, "Its name in `tow build ls`")->required();
    command->add_flag("--no-wait", a->no_wait, "Return at once, without showing how it goes");
    command->callback([&context, a] { context.action = [&context, a] { return repeat(context, *a); }; });
  }
}

}  // namespace tow::cli
