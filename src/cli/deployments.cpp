// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "cli/checks.hpp"
#include "cli/commands.hpp"
#include "cli/exit.hpp"
#include "model/project.hpp"

namespace tow::cli {
namespace {

// Options and positionals of these commands; each uses some.
struct Arguments {
  std::string name;
  std::vector<std::string> names;
  std::string image;
  std::string release;
  std::string from;
  std::string score;
  std::string why;
  int number = 0;
  bool hold = false;
  bool unhold = false;
  bool wait = true;
  bool yes = false;
  std::string sort;
};

Task<int> finish(Context& context, const Arguments& arguments, std::string deployment,
                 std::int64_t generation) {
  if (!arguments.wait) co_return kOk;
  co_return co_await context.follow(deployment, generation);
}

// What is deployed, and with what else.
Task<DeployOutput> ask(Context& context, const Arguments& arguments, const DeploymentName& name,
                       std::vector<std::string> with) {
  DeployInput input{.component = name.component,
                    .environment = name.environment,
                    .release = arguments.release,
                    .image = arguments.image};
  input.from = arguments.from;
  input.with = std::move(with);
  if (!arguments.score.empty()) input.score = parse_yaml(read_file(arguments.score));
  if (input.release.empty() && input.image.empty() && input.from.empty()) {
    // Without a word about what: the component's newest release.
    const auto component = co_await context.find<Component>(name.component);
    if (!component || component->status.release.empty())
      throw fail(Code::NotFound, "{} has no release yet: push its repository, or name an image by --image",
                 name.component);
    input.release = component->status.release;
  }
  const auto what = !input.image.empty()  ? input.image
                    : !input.from.empty() ? "what runs in " + input.from
                                          : input.release;
  context.output.note(fmt::format("Deploying {} to {} of {}", what, name.text(), context.project()));
  co_return co_await context.call<DeployOutput>("deployments.deploy", {}, input);
}

// Each after those that it depends on.
Task<std::vector<DeploymentName>> in_order(Context& context, std::vector<DeploymentName> names) {
  std::map<std::string, std::vector<std::string>> depends_on;
  for (const auto& name : names)
    if (const auto component = co_await context.find<Component>(name.component))
      depends_on[name.component] = component->spec.depends_on;
  std::vector<DeploymentName> ordered;
  while (!names.empty()) {
    const auto free = std::ranges::find_if(names, [&](const auto& one) {
      return std::ranges::none_of(depends_on[one.component], [&](const auto& other) {
        return std::ranges::find(names, other, &DeploymentName::component) != names.end();
      });
    });
    const auto next = free == names.end() ? names.begin() : free;  // a circle over several repositories
    ordered.push_back(*next);
    names.erase(next);
  }
  co_return ordered;
}

Task<int> deploy(Context& context, Arguments arguments) {
  if (!arguments.release.empty() + !arguments.image.empty() + !arguments.from.empty() > 1)
    throw fail(Code::Invalid, "--image, --release and --from are three ways to say the same; use one");
  if (arguments.names.empty()) arguments.names.emplace_back();
  std::vector<DeploymentName> names;
  for (const auto& each : arguments.names) {
    const auto name = context.deployment(each);
    if (std::ranges::find(names, name.text(), &DeploymentName::text) == names.end()) names.push_back(name);
  }
  if (names.size() > 1 && (!arguments.release.empty() || !arguments.image.empty()))
    throw fail(Code::Invalid, "--image and --release say what one component is; name one");
  names = co_await in_order(context, std::move(names));
  std::vector<std::string> with;
  std::vector<DeployOutput> asked;
  for (const auto& name : names) {
    asked.push_back(co_await ask(context, arguments, name, with));
    with.push_back(name.component);
  }
  int code = kOk;
  for (const auto& each : asked)
    code = std::max(code, co_await finish(context, arguments, each.deployment, each.generation));
  co_return code;
}

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos && text.size() < 10;
}

Task<int> rollback(Context& context, Arguments arguments) {
  // `tow rollback 3`, in a repository of one component.
  if (!arguments.number && is_number(arguments.name)) {
    arguments.number = std::stoi(arguments.name);
    arguments.name.clear();
  }
  if (arguments.unhold) {
    const auto held = context.deployment(arguments.name);
    context.output.note(fmt::format("Lifting the hold on {} of {}", held.text(), context.project()));
    const auto lifted = co_await context.call<Accepted>("deployments.unhold", held.text(), Nothing{});
    if (!lifted.message.empty()) context.output.note(lifted.message);
    co_return kOk;
  }
  const auto name = context.deployment(arguments.name);
  const RollbackInput input{.revision = arguments.number, .hold = arguments.hold};
  context.output.note(fmt::format("Rolling {} of {} back to {}", name.text(), context.project(),
                                  input.revision ? fmt::format("revision {}", input.revision)
                                                 : std::string{"the revision that served before"}));
  const auto output = co_await context.call<RollbackOutput>("deployments.rollback", name.text(), input);
  context.output.note(fmt::format("Returning to revision {}: release {} with its configuration",
                                  output.revision, output.release));
  co_return co_await finish(context, arguments, name.text(), output.generation);
}

Task<int> scale(Context& context, Arguments arguments) {
  const auto name = context.deployment(arguments.name);
  context.output.note(
      fmt::format("Scaling {} of {} to {}", name.text(), context.project(), arguments.number));
  const ScaleInput input{.count = arguments.number};
  const auto output = co_await context.call<Accepted>("deployments.scale", name.text(), input);
  co_return co_await finish(context, arguments, name.text(), output.generation);
}

Task<int> restart(Context& context, Arguments arguments) {
  const auto name = context.deployment(arguments.name);
  context.output.note(fmt::format("Restarting {} of {}", name.text(), context.project()));
  const auto output = co_await context.call<Accepted>("deployments.restart", name.text(), Nothing{});
  co_return co_await finish(context, arguments, name.text(), output.generation);
}

// One of the words that change a rollout, or a lock.
Task<int> tell(Context& context, Arguments arguments, std::string operation, std::string saying,
               bool follows) {
  const auto name = context.deployment(arguments.name);
  context.output.note(fmt::format("{} {} of {}", saying, name.text(), context.project()));
  const auto output = co_await context.call<Accepted>("deployments." + operation, name.text(), Nothing{});
  if (!output.message.empty()) context.output.note(output.message);
  if (!follows) co_return kOk;
  co_return co_await finish(context, arguments, name.text(), output.generation);
}
Task<int> pause_rollout(Context& context, Arguments arguments) {
  co_return co_await tell(context, arguments, "pause", "Pausing the rollout to", false);
}
Task<int> continue_rollout(Context& context, Arguments arguments) {
  co_return co_await tell(context, arguments, "continue", "Continuing the rollout to", true);
}
Task<int> abort_rollout(Context& context, Arguments arguments) {
  co_return co_await tell(context, arguments, "abort", "Aborting the rollout to", false);
}
Task<int> unlock(Context& context, Arguments arguments) {
  co_return co_await tell(context, arguments, "unlock", "Unlocking", false);
}

Task<int> lock(Context& context, Arguments arguments) {
  const auto name = context.deployment(arguments.name);
  context.output.note(fmt::format("Locking {} of {}", name.text(), context.project()));
  const LockInput input{.why = arguments.why};
  const auto output = co_await context.call<Accepted>("deployments.lock", name.text(), input);
  if (!output.message.empty()) context.output.note(output.message);
  co_return kOk;
}

std::string share_of_errors(std::uint64_t answers, std::uint64_t errors) {
  if (answers == 0) return "no answers";
  return fmt::format("{} answers, {:.1f}% errors", answers,
                     100 * static_cast<double>(errors) / static_cast<double>(answers));
}

Task<int> rollout_status(Context& context, Arguments arguments) {
  const auto name = context.deployment(arguments.name);
  const auto deployment = co_await context.find<Deployment>(name.text());
  if (!deployment) throw fail(Code::NotFound, "{} is not deployed in {}", name.component, name.environment);
  const auto& status = deployment->status;
  if (context.output.format != Format::Table) {
    context.output.document(status.rollout ? write(*status.rollout) : Node{Node::Map{}});
    co_return kOk;
  }
  const auto& out = context.output;
  const auto phase = std::string{names(Of<Deployment::Phase>{})[static_cast<std::size_t>(status.phase)].text};
  out.line(fmt::format("{}  {}{}", out.paint(Colour::Bold, name.text()), out.paint(colour_of(phase), phase),
                       status.message.empty() ? "" : "  " + status.message));
  if (const auto& lock = deployment->spec.lock)
    out.line(fmt::format("  locked by {} since {}: {}", lock->by, tow::to_string(lock->since), lock->why));
  if (!status.rollout) {
    out.line(status.serving ? fmt::format("  no rollout is under way; revision {} serves", status.serving)
                            : "  no rollout is under way");
    co_return kOk;
  }
  const auto& rollout = *status.rollout;
  out.line(fmt::format("  revision {}: {}% of the traffic; revision {}: {}%", rollout.revision,
                       rollout.weight, status.serving, 100 - rollout.weight));
  if (rollout.step > 0)
    out.line(fmt::format("  step {} of {}{}", rollout.step, rollout.steps,
                         rollout.until ? ", until " + tow::to_string(*rollout.until) : ""));
  if (rollout.weight > 0 && rollout.step > 0)
    out.line(fmt::format("  in this step: revision {}: {}; revision {}: {}", rollout.revision,
                         share_of_errors(rollout.answers, rollout.errors), status.serving,
                         share_of_errors(rollout.serving_answers, rollout.serving_errors)));
  for (const auto& url : rollout.previews) out.line("  preview: " + url);
  if (rollout.waiting) out.line("  it waits: tow rollout continue " + name.text());
  co_return kOk;
}

Task<std::vector<std::string>> what_goes(Context& context, Key target) {
  std::vector<std::string> lines;
  for (const auto& deployment : co_await context.list<Deployment>())
    if (target.kind == "Project" ||
        (target.kind == "Component" && deployment.spec.component == target.name) ||
        (target.kind == "Environment" && deployment.spec.environment == target.name))
      lines.push_back(
          fmt::format("deployment {} with {} instances", deployment.name(), deployment.spec.scale));
  for (const auto& volume : co_await context.list<Volume>())
    if (target.kind == "Project" || (target.kind == "Component" && volume.spec.component == target.name) ||
        (target.kind == "Environment" && volume.spec.environment == target.name))
      lines.push_back(fmt::format("volume {} with its data", volume.name()));
  co_return lines;
}

Task<int> destroy(Context& context, Arguments arguments) {
  Key target;
  if (arguments.sort == "project") {
    context.project_option = arguments.name;
    target = key<Project>({}, arguments.name);
  } else if (arguments.sort == "component") {
    target = key<Component>(context.project(), arguments.name);
  } else {
    target = key<Environment>(context.project(), arguments.name);
  }
  if (!co_await context.server().get(target)) throw fail(Code::NotFound, "there is no {}", to_string(target));
  const auto lines = co_await what_goes(context, target);
  context.output.note(
      fmt::format("Destroying {}{}", to_string(target), lines.empty() ? "" : ", and with it:"));
  for (const auto& line : lines) context.output.note("  " + line);
  if (!arguments.yes) {
    std::cerr << "This cannot be undone. Type the name to go on: " << std::flush;
    std::string typed;
    std::getline(std::cin, typed);
    if (typed != arguments.name) throw fail(Code::Cancelled, "nothing was destroyed");
  }
  co_await context.server().remove(target);
  if (arguments.wait) {
    bool exists = false;
    co_await context.server().watch(target, [&exists](const client::Change& change) {
      if (!change.listed) exists = !change.removed;
      return exists || !(change.listed || change.removed);
    });
  }
  context.output.note(arguments.wait ? "Gone." : "It is going.");
  co_return kOk;
}

using Verb = Task<int> (*)(Context&, Arguments);

CLI::App* add(CLI::App& app, Context& context, const char* name, const char* help, Verb verb,
              std::shared_ptr<Arguments> arguments) {
  auto* command = app.add_subcommand(name, help);
  command->add_flag("!--no-wait", arguments->wait, "Return at once, without showing how it goes");
  command->callback([&context, verb, arguments] {
    context.action = [&context, verb, arguments] { return verb(context, *arguments); };
  });
  return command;
}

}  // namespace

void add_deployments(CLI::App& app, Context& context) {
  const auto make = [] { return std::make_shared<Arguments>(); };
  {
    auto a = make();
    auto* command =
        add(app, context, "deploy", "Deploy without git: an image, or a release that exists", deploy, a);
    command->add_option("COMPONENT", a->names,
                        "COMPONENT[.ENVIRONMENT]; several are deployed in the order of their dependsOn");
    command->add_option("--image", a->image, "Reference of an image");
    command->add_option("--release", a->release, "Name of a release; without it, the component's newest");
    command->add_option("--from", a->from, "Environment whose release is taken");
    command->add_option("--score", a->score, "Score document for an image")->check(CLI::ExistingFile);
  }
  {
    auto a = make();
    auto* command = add(app, context, "rollback",
                        "Return to an earlier revision: release and configuration together", rollback, a);
    command->add_option("COMPONENT", a->name, "COMPONENT[.ENVIRONMENT]");
    command->add_option("REVISION", a->number, "Its number in `tow history`; else the one that served before")
        ->check(whole_number(1, 1'000'000'000));
    auto* hold = command->add_flag("--hold", a->hold, "Refuse pushes until a deploy or --unhold lifts it");
    command->add_flag("--unhold", a->unhold, "Take pushes again; nothing is rolled back")->excludes(hold);
  }
  {
    auto a = make();
    auto* command = add(app, context, "scale", "Set how many instances run", scale, a);
    command->add_option("COMPONENT", a->name, "COMPONENT[.ENVIRONMENT]")->required();
    command->add_option("COUNT", a->number, "How many")->required()->check(whole_number(0, 100));
  }
  {
    auto a = make();
    auto* command =
        add(app, context, "restart", "Replace every instance by a fresh one, without a gap", restart, a);
    command->add_option("COMPONENT", a->name, "COMPONENT[.ENVIRONMENT]");
  }
  {
    auto* rollout = app.add_subcommand("rollout", "Look at a rollout, and steer it");
    rollout->require_subcommand(1);
    const auto word = [&](const char* name, const char* help, Verb verb) {
      auto a = make();
      add(*rollout, context, name, help, verb, a)
          ->add_option("COMPONENT", a->name, "COMPONENT[.ENVIRONMENT]");
    };
    word("status", "How far it is: step, shares of the traffic, errors, preview", rollout_status);
    word("pause", "It stays where it is until it is continued", pause_rollout);
    word("continue", "Go on after a pause, or to the next step at once", continue_rollout);
    word("abort", "Take the new revision back; what served before goes on", abort_rollout);
  }
  {
    auto a = make();
    auto* command =
        add(app, context, "lock", "Refuse everything that would deploy, until it is unlocked", lock, a);
    command->add_option("COMPONENT", a->name, "COMPONENT[.ENVIRONMENT]");
    command->add_option("--why", a->why, "The reason, which whoever is refused is told")->required();
  }
  {
    auto a = make();
    auto* command = add(app, context, "unlock", "Take deployments again", unlock, a);
    command->add_option("COMPONENT", a->name, "COMPONENT[.ENVIRONMENT]");
  }
  {
    auto a = make();
    auto* command =
        add(app, context, "destroy",
            "Take a component, an environment or a project away, with all that belongs to it", destroy, a);
    command->add_option("KIND", a->sort, "component, env or project")
        ->required()
        ->check(one_of({"component", "env", "environment", "project"}));
    command->add_option("NAME", a->name, "Its name")->required();
    command->add_flag("-y,--yes", a->yes, "Do not ask");
  }
}

}  // namespace tow::cli
