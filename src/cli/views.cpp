// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <chrono>

#include "base/process.hpp"
#include "cli/commands.hpp"
#include "cli/exit.hpp"
#include "model/project.hpp"

namespace tow::cli {
namespace {

TimePoint now() { return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()); }

std::string joined(const std::vector<std::string>& parts) { return fmt::format("{}", fmt::join(parts, " ")); }

Task<int> list_deployments(Context& context) {
  if (context.output.format != Format::Table) {
    auto list = co_await context.server().list(key<Deployment>(context.project(), {}));
    std::erase_if(list.items, [&](const Node& item) {
      const Node* spec = item.find("spec");
      const Node* environment = spec ? spec->find("environment") : nullptr;
      return !context.environment_option.empty() &&
             (!environment || !environment->string() || *environment->string() != context.environment_option);
    });
    context.output.document(list.items);
    co_return kOk;
  }
  const auto deployments = co_await context.list<Deployment>();
  std::vector<std::vector<std::string>> rows{
      {"COMPONENT", "ENVIRONMENT", "PHASE", "READY", "REVISION", "AGE", "URL"}};
  for (const auto& deployment : deployments) {
    if (!context.environment_option.empty() && deployment.spec.environment != context.environment_option)
      continue;
    const auto phase =
        std::string{names(Of<Deployment::Phase>{})[static_cast<std::size_t>(deployment.status.phase)].text};
    rows.push_back({deployment.spec.component, deployment.spec.environment,
                    context.output.paint(colour_of(phase), phase),
                    fmt::format("{}/{}", deployment.status.ready, deployment.spec.scale),
                    std::to_string(deployment.status.serving), age(deployment.record->created, now()),
                    joined(deployment.status.urls)});
  }
  if (rows.size() == 1)
    context.output.note(
        "Nothing is deployed yet: git push tow main, or tow deploy COMPONENT --image REFERENCE");
  else
    context.output.table(rows);
  co_return kOk;
}

// Why it is not ready; else how it last ended, when it was not of its own accord.
std::string reason_of(const ContainerStatus& container) {
  if (!container.reason.empty() || !container.last_end || container.last_end->reason.empty())
    return container.reason;
  const auto& end = *container.last_end;
  return "last: " + end.reason + (end.time ? fmt::format(", {} ago", age(*end.time, now())) : std::string{});
}

void show_status(Context& context, const DeploymentStatus& status) {
  const auto& out = context.output;
  const auto phase = std::string{names(Of<Deployment::Phase>{})[static_cast<std::size_t>(status.phase)].text};
  out.line(fmt::format("{}  {}{}", out.paint(Colour::Bold, status.deployment),
                       out.paint(colour_of(phase), phase),
                       status.message.empty() ? "" : "  " + status.message));
  for (const auto& url : status.urls) out.line("  " + url);
  std::string release = status.release.empty() ? "none" : status.release;
  if (status.commit)
    release += fmt::format("  {} {} ({})", status.commit->id.substr(0, 8), status.commit->subject,
                           status.commit->author);
  out.line(fmt::format("  revision {}{}  release {}", status.serving,
                       status.latest != status.serving ? fmt::format(" (newest: {})", status.latest) : "",
                       release));
  if (status.hold) out.line(out.paint(Colour::Yellow, "  pushes are held"));
  if (status.signals)
    out.line(fmt::format("  {:.1f} requests/s  {:.1f}% errors  {:.0f} ms  {} open",
                         status.signals->requests_per_second, status.signals->error_ratio * 100,
                         status.signals->response_ms, status.signals->sessions));
  if (status.instances.empty()) return;
  std::vector<std::vector<std::string>> rows{
      {"  INSTANCE", "REVISION", "PHASE", "RESTARTS", "AGE", "CPU", "MEMORY", "REASON"}};
  for (const auto& instance : status.instances) {
    const bool several = instance.containers.size() > 1;
    rows.push_back(
        {"  " + instance.name, std::to_string(instance.revision),
         out.paint(colour_of(instance.phase), instance.phase), std::to_string(instance.restarts),
         instance.started ? age(*instance.started, now()) : "-", fmt::format("{:.2f}", instance.cpu),
         instance.memory_limit.count
             ? fmt::format("{} / {}", size_text(instance.memory), size_text(instance.memory_limit))
             : size_text(instance.memory),
         several || instance.containers.empty() ? instance.reason : reason_of(instance.containers.front())});
    if (!several) continue;
    for (const auto& container : instance.containers)
      rows.push_back({"    " + container.name, "", out.paint(colour_of(container.phase), container.phase),
                      std::to_string(container.restarts),
                      container.started ? age(*container.started, now()) : "-", "", "",
                      reason_of(container)});
  }
  out.table(rows);
}

Task<int> status(Context& context, std::string given) {
  std::vector<std::string> wanted;
  if (!given.empty() || !context.workspace().here.empty()) {
    wanted.push_back(context.deployment(given).text());
  } else {
    for (const auto& deployment : co_await context.list<Deployment>())
      if (context.environment_option.empty() || deployment.spec.environment == context.environment_option)
        wanted.push_back(deployment.name());
    if (wanted.empty()) co_return co_await list_deployments(context);
  }
  Node::List documents;
  for (const auto& name : wanted) {
    const auto one = co_await context.call<DeploymentStatus>("deployments.status", name, Nothing{});
    if (context.output.format == Format::Table)
      show_status(context, one);
    else
      documents.push_back(write(one));
  }
  if (context.output.format != Format::Table)
    context.output.document(documents.size() == 1 ? documents[0] : Node{documents});
  co_return kOk;
}

Task<int> open_url(Context& context, std::string given) {
  const auto name = context.deployment(given);
  const auto deployment = co_await context.find<Deployment>(name.text());
  if (!deployment) throw fail(Code::NotFound, "{} is not deployed in {}", name.component, name.environment);
  if (deployment->status.urls.empty())
    throw fail(Code::FailedPrecondition, "{} has no route: add a resource of type route to its score.yaml",
               name.text());
  if (context.output.format != Format::Table) {
    Node::List urls;
    for (const auto& url : deployment->status.urls) urls.push_back(url);
    context.output.document(Node::Map{{"urls", std::move(urls)}});
    co_return kOk;
  }
  for (const auto& url : deployment->status.urls) context.output.line(url);
  if (!context.output.terminal()) co_return kOk;
  Command browser;
  browser.argv = {"xdg-open", deployment->status.urls[0]};
  for (const char* variable : {"DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"})
    if (const char* value = std::getenv(variable)) browser.env[variable] = value;
  browser.deadline = std::chrono::seconds{5};
  try {
    co_await tow::run(std::move(browser));
  } catch (const Error&) {
    // No desktop here: the address was printed.
  }
  co_return kOk;
}

Task<int> history(Context& context, std::string given) {
  const auto name = context.deployment(given);
  const auto all = co_await context.call<History>("deployments.history", name.text(), Nothing{});
  if (context.output.format != Format::Table) {
    context.output.document(write(all));
    co_return kOk;
  }
  std::vector<std::vector<std::string>> rows{
      {"REVISION", "PHASE", "AGE", "BY", "CAUSE", "COMMIT", "CHANGES"}};
  for (const auto& entry : all.revisions) {
    const auto phase = std::string{names(Of<Revision::Phase>{})[static_cast<std::size_t>(entry.phase)].text};
    auto changes = fmt::format("{}", fmt::join(entry.changes, ", "));
    if (entry.restores)
      changes = fmt::format("back to revision {}{}{}", entry.restores, changes.empty() ? "" : ": ", changes);
    if (!entry.message.empty()) changes += (changes.empty() ? "" : "; ") + entry.message;
    rows.push_back(
        {std::to_string(entry.revision), context.output.paint(colour_of(phase), phase),
         entry.created ? age(*entry.created, now()) : "-", entry.by, entry.cause,
         entry.commit ? fmt::format("{} {}", entry.commit->id.substr(0, 8), entry.commit->subject) : "-",
         changes});
  }
  context.output.table(rows);
  co_return kOk;
}

using View = Task<int> (*)(Context&, std::string);

}  // namespace

void add_views(CLI::App& app, Context& context) {
  app.add_subcommand("ls", "What is deployed in the project")->callback([&context] {
    context.action = [&context] { return list_deployments(context); };
  });
  const auto add = [&](const char* name, const char* help, View view) {
    auto* command = app.add_subcommand(name, help);
    auto given = std::make_shared<std::string>();
    command->add_option("COMPONENT", *given, "COMPONENT[.ENVIRONMENT]");
    command->callback([&context, view, given] {
      context.action = [&context, view, given] { return view(context, *given); };
    });
  };
  add("status", "How a component is: revision, instances, traffic", status);
  add("open", "Print a component's address, and open it where there is a browser", open_url);
  add("history", "Revisions with their differences and authors", history);
}

}  // namespace tow::cli
