// SPDX-License-Identifier: Apache-2.0
// Jobs on a schedule: what there is, what they ran, one more run, a pause.
#include <CLI/CLI.hpp>
#include <chrono>

#include "cli/checks.hpp"
#include "cli/commands.hpp"
#include "cli/exit.hpp"

namespace tow::cli {
namespace {

struct Arguments {
  std::string name;
  std::string since;
  LogInput input;
  bool no_wait = false;
};

TimePoint now() { return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()); }

std::string phase_text(Context& context, WorkPhase phase) {
  const auto text = std::string{names(Of<WorkPhase>{})[static_cast<std::size_t>(phase)].text};
  return context.output.paint(colour_of(text), text);
}

std::string time_text(const std::optional<TimePoint>& time) {
  return time ? tow::to_string(*time).substr(0, 19) + "Z" : "-";
}

// What the server has of these, whole, for programs.
template <class K>
Task<> print_documents(Context& context, std::vector<Entity<K>> entities) {
  const auto list = co_await context.server().list(key<K>(context.project(), {}));
  Node::List documents;
  for (const auto& entity : entities)
    for (const auto& item : list.items) {
      const Node* metadata = item.find("metadata");
      const Node* name = metadata ? metadata->find("name") : nullptr;
      if (name && name->string() && *name->string() == entity.name()) documents.push_back(item);
    }
  context.output.document(documents);
}

// JOB, COMPONENT.JOB or COMPONENT.ENVIRONMENT.JOB: its whole name.
std::string whole_name(Context& context, const std::string& given) {
  const auto last = given.rfind('.');
  const auto place = last == std::string::npos ? "" : given.substr(0, last);
  const auto job = last == std::string::npos ? given : given.substr(last + 1);
  return context.deployment(place).text() + "." + job;
}

Task<int> list_jobs(Context& context, Arguments arguments) {
  auto jobs = co_await context.list<ScheduledJob>();
  std::erase_if(jobs, [&](const auto& job) {
    const auto& deployment = job.spec.deployment;
    const auto dot = deployment.find('.');
    return (!arguments.name.empty() && arguments.name != deployment &&
            arguments.name != deployment.substr(0, dot)) ||
           (!context.environment_option.empty() && context.environment_option != deployment.substr(dot + 1));
  });
  if (context.output.format != Format::Table) {
    co_await print_documents(context, std::move(jobs));
    co_return kOk;
  }
  std::vector<std::vector<std::string>> rows{
      {"NAME", "SCHEDULE", "TIME ZONE", "NEXT", "LAST RUN", "OUTCOME"}};
  for (const auto& job : jobs) {
    const auto& definition = job.spec.definition;
    const auto& status = job.status;
    auto next = time_text(status.next);
    if (job.spec.suspended) next = fmt::format("suspended by {}", job.spec.suspended_by);
    if (!status.message.empty()) next = status.message;
    rows.push_back({job.name(), *definition.schedule,
                    definition.time_zone->empty() ? "UTC" : *definition.time_zone, next,
                    time_text(status.last_started),
                    status.last_phase ? phase_text(context, *status.last_phase) : "-"});
  }
  if (rows.size() == 1)
    context.output.note(
        "There is no job on a schedule here: towpath.yaml says them, for a component in an environment");
  else
    context.output.table(rows);
  co_return kOk;
}

// The runs of a scheduled job, newest first.
Task<std::vector<Entity<Job>>> runs_of(Context& context, std::string name) {
  if (!co_await context.find<ScheduledJob>(name))
    throw fail(Code::NotFound, "there is no scheduled job {}; `tow job ls` lists them", name);
  auto jobs = co_await context.list<Job>();
  std::erase_if(jobs, [&](const auto& job) { return job.spec.scheduled_job != name; });
  std::ranges::sort(jobs, std::greater{}, [](const auto& job) { return job.record->created; });
  co_return jobs;
}

Task<int> history(Context& context, Arguments arguments) {
  auto jobs = co_await runs_of(context, whole_name(context, arguments.name));
  if (context.output.format != Format::Table) {
    co_await print_documents(context, std::move(jobs));
    co_return kOk;
  }
  std::vector<std::vector<std::string>> rows{
      {"RUN", "PHASE", "SCHEDULED", "STARTED", "TOOK", "ATTEMPT", "BY", "MESSAGE"}};
  for (const auto& job : jobs) {
    const auto& status = job.status;
    std::string took = "-";
    if (status.started)
      took = fmt::format(
          "{:.1f}s", static_cast<double>((status.ended.value_or(now()) - *status.started).count()) / 1000);
    rows.push_back({job.name(), phase_text(context, status.phase), time_text(job.spec.scheduled_for),
                    time_text(status.started), took, std::to_string(job.spec.attempt), job.spec.by,
                    status.message.substr(0, status.message.find('\n'))});
  }
  if (rows.size() == 1)
    context.output.note("It has not run yet");
  else
    context.output.table(rows);
  co_return kOk;
}

Task<> print_log(Context& context, std::string job, LogInput input, bool times) {
  const auto& out = context.output;
  const std::function<bool(const LogEntry&)> print = [&out, times](const LogEntry& entry) {
    if (out.format == Format::Json)
      out.line(to_json(write(entry)));
    else
      out.line(fmt::format("{}{}", times ? out.paint(Colour::Dim, to_string(entry.time)) + " " : "",
                           entry.error ? out.paint(Colour::Red, entry.text) : entry.text));
    return true;
  };
  co_await context.server().stream<LogEntry>("jobs.logs", context.project(), std::move(job), input, print);
}

Task<int> logs(Context& context, Arguments arguments) {
  if (!arguments.since.empty()) {
    arguments.input.since = parse_duration(arguments.since);
    if (!arguments.input.since)
      throw fail(Code::Invalid, "\"{}\" is not a duration; write 30s, 10m or 2h", arguments.since);
  }
  auto job = arguments.name;
  if (!co_await context.find<Job>(job)) {
    const auto name = whole_name(context, arguments.name);
    const auto runs = co_await runs_of(context, name);
    if (runs.empty()) throw fail(Code::NotFound, "{} has not run yet; `tow job run {}` runs it", name, name);
    job = runs.front().name();
  }
  co_await print_log(context, job, arguments.input, true);
  co_return kOk;
}

Task<int> run_now(Context& context, Arguments arguments) {
  const auto name = whole_name(context, arguments.name);
  context.output.note(fmt::format("Running {} of {}", name, context.project()));
  const auto output = co_await context.call<RunJobOutput>("scheduledjobs.run", name, Nothing{});
  context.output.note(fmt::format("{} is its run", output.job));
  if (arguments.no_wait) co_return kOk;
  const LogInput input{.follow = true};
  co_await print_log(context, output.job, input, false);
  // Its last line and its end are two things.
  std::optional<Job::Status> found;
  const auto id = key<Job>(context.project(), output.job);
  co_await context.server().watch(id, [&found](const client::Change& change) {
    if (change.removed) found.reset();
    if (change.removed || (change.listed && !found)) return false;
    if (!change.listed) {
      const Node* part = change.document.find("status");
      found =
          part ? read_document<Job::Status>(*part, "the server's answer", Strictness::Stored) : Job::Status{};
    }
    return !ended(found->phase);
  });
  const auto status =
      found.value_or(Job::Status{.phase = WorkPhase::Cancelled, .message = "it was taken away"});
  if (status.phase == WorkPhase::Succeeded) co_return kOk;
  context.output.note(fmt::format("It {}: {}", status.phase == WorkPhase::Cancelled ? "was ended" : "failed",
                                  status.message));
  co_return status.exit_code.value_or(kFailed) == 0 ? kFailed : status.exit_code.value_or(kFailed);
}

Task<int> tell(Context& context, Arguments arguments, std::string operation, std::string saying) {
  const auto name = whole_name(context, arguments.name);
  context.output.note(fmt::format("{} {} of {}", saying, name, context.project()));
  const auto output = co_await context.call<Accepted>("scheduledjobs." + operation, name, Nothing{});
  context.output.note(output.message);
  co_return kOk;
}
Task<int> suspend(Context& context, Arguments arguments) {
  co_return co_await tell(context, arguments, "suspend", "Suspending");
}
Task<int> resume(Context& context, Arguments arguments) {
  co_return co_await tell(context, arguments, "resume", "Resuming");
}

}  // namespace

void add_jobs(CLI::App& app, Context& context) {
  auto* job = app.add_subcommand("job", "Jobs on a schedule: commands that towpath.yaml says");
  job->require_subcommand(1);
  using Verb = Task<int> (*)(Context&, Arguments);
  const auto add = [&](const char* name, const char* help, Verb verb) {
    auto a = std::make_shared<Arguments>();
    auto* command = job->add_subcommand(name, help);
    command->callback(
        [&context, a, verb] { context.action = [&context, a, verb] { return verb(context, *a); }; });
    return std::pair{command, a};
  };
  constexpr const char* kNameHelp = "JOB, COMPONENT.JOB or COMPONENT.ENVIRONMENT.JOB";
  {
    const auto [command, a] = add("ls", "List them: when each is due, and how its last run went", list_jobs);
    command->add_option("COMPONENT", a->name, "Only of this component, or COMPONENT.ENVIRONMENT");
  }
  {
    const auto [command, a] = add("run", "Run one now, and show what it writes", run_now);
    command->add_option("NAME", a->name, kNameHelp)->required();
    command->add_flag("--no-wait", a->no_wait, "Return at once, without showing how it goes");
  }
  {
    const auto [command, a] = add("history", "Its runs, newest first", history);
    command->add_option("NAME", a->name, kNameHelp)->required();
  }
  {
    const auto [command, a] = add("logs", "What its last run wrote, or the one that is named", logs);
    command->add_option("NAME", a->name, "JOB as above, or a run's name in `tow job history`")->required();
    command->add_flag("-f,--follow", a->input.follow, "Go on with what comes");
    command->add_option("--since", a->since, "Only what is younger: 30s, 10m, 2h");
    command->add_option("-n,--tail", a->input.tail, "Only the last lines")
        ->check(whole_number(0, 1'000'000'000));
    command->add_option("--grep", a->input.grep, "Only lines that match this regular expression");
  }
  {
    const auto [command, a] = add("suspend", "Begin it no more, until it is resumed", suspend);
    command->add_option("NAME", a->name, kNameHelp)->required();
  }
  {
    const auto [command, a] =
        add("resume", "Begin it again when it is due; what it missed is not made up for", resume);
    command->add_option("NAME", a->name, kNameHelp)->required();
  }
}

}  // namespace tow::cli
