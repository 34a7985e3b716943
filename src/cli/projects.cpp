// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "base/ids.hpp"
#include "cli/commands.hpp"
#include "cli/exit.hpp"
#include "model/project.hpp"

namespace tow::cli {
namespace {

Task<int> create_project(Context& context, std::string name, std::string title) {
  if (!is_name(name)) throw fail(Code::Invalid, "\"{}\" is not a name: {}", name, kNameRule);
  const auto project = key<Project>({}, name);
  Node spec{Node::Map{}};
  if (!title.empty()) spec.set("title", title);
  Node document = Node::Map{{"metadata", Node::Map{{"name", name}}}, {"spec", std::move(spec)}};
  co_await context.server().create(project, std::move(document));
  // It is there when it has its environments: a project without them could take no push.
  const Key environment = key<Environment>(name, "production");
  co_await context.server().watch(
      environment, [](const client::Change& change) { return change.removed || change.listed; });
  context.output.line(fmt::format("The project {} has the environments development and production.", name));
  context.output.line(fmt::format("Next, in your repository: tow init -p {}, then git push tow main", name));
  co_return kOk;
}

Task<int> list_projects(Context& context) {
  if (context.output.format != Format::Table) {
    const auto all = co_await context.server().list(key<Project>({}, {}));
    context.output.document(all.items);
    co_return kOk;
  }
  const auto projects = co_await context.list<Project>();
  std::vector<std::vector<std::string>> rows{{"PROJECT", "TITLE"}};
  for (const auto& project : projects) rows.push_back({project.name(), project.spec.title});
  context.output.table(rows);
  co_return kOk;
}

}  // namespace

void add_projects(CLI::App& app, Context& context) {
  auto* project = app.add_subcommand("project", "Projects: the boundary of a team's work");
  project->require_subcommand(1);
  auto* create =
      project->add_subcommand("create", "Make a project, with the environments development and production");
  auto name = std::make_shared<std::string>();
  auto title = std::make_shared<std::string>();
  create->add_option("NAME", *name, "Its name")->required();
  create->add_option("--title", *title, "What people call it");
  create->callback([&context, name, title] {
    context.action = [&context, name, title] { return create_project(context, *name, *title); };
  });
  project->add_subcommand("ls", "List them")->callback([&context] {
    context.action = [&context] { return list_projects(context); };
  });
}

}  // namespace tow::cli
