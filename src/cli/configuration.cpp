// SPDX-License-Identifier: Apache-2.0
#include <termios.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "cli/commands.hpp"
#include "cli/exit.hpp"
#include "model/identity.hpp"

namespace tow::cli {
namespace {

struct Arguments {
  std::string component;
  std::vector<std::string> names;
  std::string name;
  bool whole_project = false;
};

// Where a value is set: a component in an environment, an environment, or the whole project.
std::string scope_of(Context& context, const Arguments& arguments) {
  if (arguments.whole_project) return "project";
  if (!arguments.component.empty()) return context.deployment(arguments.component).text();
  return context.environment();
}

Task<int> show(Context& context, Arguments arguments) {
  const auto name = context.deployment(arguments.component);
  const auto view =
      co_await context.call<ConfigurationView>("deployments.configuration", name.text(), Nothing{});
  if (context.output.format != Format::Table) {
    context.output.document(write(view));
    co_return kOk;
  }
  std::vector<std::vector<std::string>> rows{{"NAME", "VALUE", "FROM", "OVERRIDES"}};
  bool missing = false;
  for (const auto& entry : view.values) {
    missing = missing || entry.missing;
    const auto value = entry.missing     ? context.output.paint(Colour::Red, "(not set)")
                       : entry.is_secret ? "(secret)"
                                         : entry.value.value_or("");
    rows.push_back({entry.name, value, entry.from, fmt::format("{}", fmt::join(entry.overrides, ", "))});
  }
  if (rows.size() == 1)
    context.output.note(fmt::format(
        "{} reads no configuration: a resource of type environment in its score.yaml does", name.text()));
  else
    context.output.table(rows);
  co_return missing ? kFailed : kOk;
}

Task<int> set(Context& context, Arguments arguments) {
  ConfigureInput input{.scope = scope_of(context, arguments)};
  for (const auto& pair : arguments.names) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos || equals == 0)
      throw fail(Code::Invalid, "\"{}\" is not NAME=VALUE", pair);
    input.set[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  context.output.note(
      fmt::format("Setting {} name(s) for {} of {}", input.set.size(), input.scope, context.project()));
  const auto output = co_await context.call<Accepted>("configurations.set", {}, input);
  if (!output.message.empty()) context.output.note(output.message);
  co_return kOk;
}

Task<int> unset(Context& context, Arguments arguments) {
  const ConfigureInput input{.scope = scope_of(context, arguments), .set = {}, .unset = arguments.names};
  context.output.note(fmt::format("Unsetting {} for {} of {}", fmt::join(arguments.names, ", "), input.scope,
                                  context.project()));
  const auto output = co_await context.call<Accepted>("configurations.set", {}, input);
  if (!output.message.empty()) context.output.note(output.message);
  co_return kOk;
}

// From a pipe as it is, without its last line end; from a terminal without showing it.
std::string read_secret() {
  const bool terminal = isatty(STDIN_FILENO) == 1;
  termios before{};
  if (terminal) {
    tcgetattr(STDIN_FILENO, &before);
    termios quiet = before;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
    std::cerr << "Value: " << std::flush;
  }
  std::string value;
  if (terminal) {
    std::getline(std::cin, value);
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
    std::cerr << "\n";
  } else {
    value.assign(std::istreambuf_iterator<char>{std::cin}, {});
    if (value.ends_with('\n')) value.pop_back();
  }
  return value;
}

Task<int> set_secret(Context& context, Arguments arguments) {
  if (arguments.name.find('=') != std::string::npos)
    throw fail(Code::Invalid,
               "a secret's value is no argument, where others could see it: give it on standard input, or "
               "type it when asked");
  const SecretInput input{
      .scope = scope_of(context, arguments), .name = arguments.name, .value = read_secret()};
  if (input.value.empty()) throw fail(Code::Invalid, "the value is empty");
  const auto output = co_await context.call<Accepted>("secrets.set", {}, input);
  context.output.note(output.message.empty() ? fmt::format("{} is set for {}", input.name, input.scope)
                                             : output.message);
  co_return kOk;
}

Task<int> list_secrets(Context& context, Arguments) {
  if (context.output.format != Format::Table) {
    const auto all = co_await context.server().list(key<Secret>(context.project(), {}));
    context.output.document(all.items);
    co_return kOk;
  }
  std::vector<std::vector<std::string>> rows{{"NAME", "SCOPE", "VERSION", "CHANGED", "BY"}};
  for (const auto& secret : co_await context.list<Secret>()) {
    if (secret.spec.removed || secret.spec.versions.empty()) continue;
    const auto& newest = secret.spec.versions.back();
    rows.push_back({secret.spec.name, secret.spec.scope, std::to_string(newest.version),
                    to_string(newest.changed), newest.by});
  }
  context.output.table(rows);
  co_return kOk;
}

Task<int> remove_secret(Context& context, Arguments arguments) {
  const SecretName input{.scope = scope_of(context, arguments), .name = arguments.name};
  context.output.note(fmt::format("Removing the secret {} of {}", input.name, input.scope));
  const auto output = co_await context.call<Accepted>("secrets.remove", {}, input);
  if (!output.message.empty()) context.output.note(output.message);
  co_return kOk;
}

using Verb = Task<int> (*)(Context&, Arguments);

CLI::App* add(CLI::App& parent, Context& context, const char* name, const char* help, Verb verb,
              const std::shared_ptr<Arguments>& arguments) {
  auto* command = parent.add_subcommand(name, help);
  command->callback([&context, verb, arguments] {
    context.action = [&context, verb, arguments] { return verb(context, *arguments); };
  });
  return command;
}

void add_scope(CLI::App* command, const std::shared_ptr<Arguments>& arguments) {
  command->add_option("-c,--component", arguments->component,
                      "For one component; else for all of the environment");
  command->add_flag("--all-environments", arguments->whole_project, "For the whole project");
}

}  // namespace

void add_configuration(CLI::App& app, Context& context) {
  auto shown = std::make_shared<Arguments>();
  auto* config = app.add_subcommand("config", "Every value that a component sees, and where it comes from");
  config->add_option("-c,--component,COMPONENT", shown->component, "COMPONENT[.ENVIRONMENT]");
  config->require_subcommand(0, 1);
  // A group's callback runs after that of the command chosen in it.
  config->callback([&context, shown] {
    if (!context.action) context.action = [&context, shown] { return show(context, *shown); };
  });
  {
    auto a = std::make_shared<Arguments>();
    auto* command = add(*config, context, "set", "Set values; what reads them gets a new revision", set, a);
    command->add_option("NAME=VALUE", a->names, "What to set")->required();
    add_scope(command, a);
  }
  {
    auto a = std::make_shared<Arguments>();
    auto* command = add(*config, context, "unset", "Forget values", unset, a);
    command->add_option("NAME", a->names, "What to forget")->required();
    add_scope(command, a);
  }
  auto* secret = app.add_subcommand("secret", "Values that nobody can read back");
  secret->require_subcommand(1);
  {
    auto a = std::make_shared<Arguments>();
    auto* command = add(*secret, context, "set",
                        "Set one; its value comes from standard input, or is asked for", set_secret, a);
    command->add_option("NAME", a->name, "Its name")->required();
    add_scope(command, a);
  }
  add(*secret, context, "ls", "List them", list_secrets, std::make_shared<Arguments>());
  {
    auto a = std::make_shared<Arguments>();
    auto* command = add(*secret, context, "rm", "Take one away", remove_secret, a);
    command->add_option("NAME", a->name, "Its name")->required();
    add_scope(command, a);
  }
}

}  // namespace tow::cli
