// SPDX-License-Identifier: Apache-2.0
#pragma once
// What operations take and give: the words between the command line, the portal and the capabilities. Each
// operation is declared once by its capability (api/api.hpp); its name stands here beside its types.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/deployment.hpp"

namespace tow {

/// deployments:deploy. Exactly one of release, image and `from` says what.
struct DeployInput {
  std::string component;
  std::string environment;
  std::string release;
  std::string image;         // a reference; a release is made of it
  Node score;                // with an image: its Score document; absent: the component's last, or inferred
  std::string from;          // the environment whose release is taken
  std::optional<int> scale;  // these as towpath.yaml has them; absent: what the release names for the
  std::optional<Strategy> strategy;  // environment, else as they are
  std::optional<Hooks> hooks;
  std::optional<std::map<std::string, JobDefinition>> jobs;
  Node overrides;
  std::vector<std::string> with;
  std::string cause = "deploy";
};
constexpr auto fields(Of<DeployInput>) {
  using S = DeployInput;
  return std::tuple{
      field("component", &S::component, "Which component.", required, at_least(1)),
      field("environment", &S::environment, "In which environment.", required, at_least(1)),
      field("release", &S::release, "The release to deploy."),
      field("image", &S::image, "An image's reference, of which a release is made."),
      field("score", &S::score, "Score document for the image."),
      field("from", &S::from, "The environment whose release is taken."),
      field("scale", &S::scale, "Instances, where nobody set them by command.", between(0, 100)),
      field("strategy", &S::strategy, "How the new revision replaces the old one."),
      field("hooks", &S::hooks, "Commands around the new revision."),
      field("jobs", &S::jobs, "Commands on a schedule, by name."),
      field("overrides", &S::overrides, "Merged over the Score document."),
      field(
          "with", &S::with,
          "Components that are deployed along with it, and were asked for before: it waits for those of them "
          "that its release depends on."),
      field("cause", &S::cause, "\"push\" or \"deploy\"."),
  };
}
struct DeployOutput {
  std::string deployment;
  std::int64_t generation = 0;  // status.observedGeneration reaches it when the deployment has taken it up
  std::string release;
  std::string message;
};
constexpr auto fields(Of<DeployOutput>) {
  using S = DeployOutput;
  return std::tuple{
      field("deployment", &S::deployment, "COMPONENT.ENVIRONMENT.", required),
      field("generation", &S::generation, "The generation of the deployment's spec that says so.", required),
      field("release", &S::release, "What was asked for."),
      field("message", &S::message, "What a person may want to know: what was inferred, what this undoes."),
  };
}

/// deployments/NAME:rollback
struct RollbackInput {
  int revision = 0;  // 0: the one that served before
  bool hold = false;
};
constexpr auto fields(Of<RollbackInput>) {
  return std::tuple{
      field("revision", &RollbackInput::revision,
            "The revision to return to; 0: the one that served before."),
      field("hold", &RollbackInput::hold, "Refuse pushes until a deploy lifts it."),
  };
}
struct RollbackOutput {
  int revision = 0;
  std::string release;
  std::int64_t generation = 0;
  std::string message;
};
constexpr auto fields(Of<RollbackOutput>) {
  using S = RollbackOutput;
  return std::tuple{
      field("revision", &S::revision, "The revision that is returned to.", required),
      field("release", &S::release, "Its release."),
      field("generation", &S::generation, "The generation of the deployment's spec that says so.", required),
      field("message", &S::message, "What stays as it is."),
  };
}

/// deployments/NAME:scale
struct ScaleInput {
  int count = 1;
};
constexpr auto fields(Of<ScaleInput>) {
  return std::tuple{field("count", &ScaleInput::count, "Instances.", required, between(0, 100))};
}

/// deployments/NAME:lock
struct LockInput {
  std::string why;
};
constexpr auto fields(Of<LockInput>) {
  return std::tuple{field("why", &LockInput::why, "Told to whoever is refused.", required, at_least(1))};
}

/// deployments/NAME:restart, :unhold, :pause, :continue, :abort, :unlock, configurations:set and others that
/// only start something.
struct Accepted {
  std::int64_t generation = 0;
  std::string message;
};
constexpr auto fields(Of<Accepted>) {
  return std::tuple{
      field("generation", &Accepted::generation, "Of the entity that was changed."),
      field("message", &Accepted::message, "What was done."),
  };
}

/// deployments/NAME:history
struct HistoryEntry {
  int revision = 0;
  Revision::Phase phase = Revision::Phase::Pending;
  std::string release;
  std::optional<Commit> commit;
  std::string cause;
  std::string by;
  std::optional<TimePoint> created;
  std::vector<std::string> changes;  // "image", "config GREETING", …: against the revision before
  int restores = 0;
  std::string message;
};
constexpr auto fields(Of<HistoryEntry>) {
  using S = HistoryEntry;
  return std::tuple{
      field("revision", &S::revision, "Its number.", required),
      field("phase", &S::phase, "How it is.", required),
      field("release", &S::release, "Its release."),
      field("commit", &S::commit, "What its release was built from."),
      field("cause", &S::cause, "Why it was made."),
      field("by", &S::by, "Who made it."),
      field("created", &S::created, "When."),
      field("changes", &S::changes, "What differs from the revision before it."),
      field("restores", &S::restores, "The revision that it brought back; 0: none."),
      field("message", &S::message, "Why it failed."),
  };
}
struct History {
  std::vector<HistoryEntry> revisions;
};
constexpr auto fields(Of<History>) {
  return std::tuple{field("revisions", &History::revisions, "Newest first.")};
}

/// configurations:set. Scope: "project", an environment, or COMPONENT.ENVIRONMENT.
struct ConfigureInput {
  std::string scope;
  std::map<std::string, std::string> set;
  std::vector<std::string> unset;
};
constexpr auto fields(Of<ConfigureInput>) {
  using S = ConfigureInput;
  return std::tuple{
      field("scope", &S::scope, "\"project\", an environment, or COMPONENT.ENVIRONMENT.", required,
            at_least(1)),
      field("set", &S::set, "Values by name.",
            matches("[A-Za-z_][A-Za-z0-9_]{0,127}", "a name of letters, digits and underscores")),
      field("unset", &S::unset, "Names to forget."),
  };
}

/// deployments/NAME:configuration: every value that a component sees, and where it comes from.
struct ConfigurationEntry {
  std::string name;
  std::optional<std::string> value;
  bool is_secret = false;
  std::string from;
  std::vector<std::string> overrides;  // the scopes whose value it hides
  bool missing = false;                // the Score document reads it, and nobody set it
};
constexpr auto fields(Of<ConfigurationEntry>) {
  using S = ConfigurationEntry;
  return std::tuple{
      field("name", &S::name, "How the Score document reads it.", required),
      field("value", &S::value, "The text; absent for a secret or a missing value."),
      field("secret", &S::is_secret, "It is a secret."),
      field("from", &S::from, "The scope that sets it, or \"revision N\" after a rollback."),
      field("overrides", &S::overrides, "Scopes whose value it hides."),
      field("missing", &S::missing, "It is read, and set nowhere."),
  };
}
struct ConfigurationView {
  std::vector<ConfigurationEntry> values;
};
constexpr auto fields(Of<ConfigurationView>) {
  return std::tuple{field("values", &ConfigurationView::values, "By name.")};
}

/// secrets:set
struct SecretInput {
  std::string scope;
  std::string name;
  std::string value;
  bool revoke = false;
};
constexpr auto fields(Of<SecretInput>) {
  using S = SecretInput;
  return std::tuple{
      field("scope", &S::scope, "\"project\", an environment, or COMPONENT.ENVIRONMENT.", required,
            at_least(1)),
      field("name", &S::name, "How the Score document reads it.", required,
            matches("[A-Za-z_][A-Za-z0-9_]{0,127}", "a name of letters, digits and underscores")),
      field("value", &S::value, "The value. It is sealed at once, and nobody can read it back.", required,
            hidden),
      field("revoke", &S::revoke,
            "Destroy the earlier values: a rollback to a revision that used them gets this one."),
  };
}
/// secrets:list
struct SecretView {
  std::string scope;
  std::string name;
  int version = 0;
  std::optional<TimePoint> changed;
  std::string by;
};
constexpr auto fields(Of<SecretView>) {
  using S = SecretView;
  return std::tuple{
      field("scope", &S::scope, "Where it is set.", required),
      field("name", &S::name, "How components read it.", required),
      field("version", &S::version, "Its newest version.", required),
      field("changed", &S::changed, "When that was set."),
      field("by", &S::by, "By whom."),
  };
}
struct SecretList {
  std::vector<SecretView> secrets;
};
constexpr auto fields(Of<SecretList>) {
  return std::tuple{field("secrets", &SecretList::secrets, "By scope and name.")};
}
/// secrets:remove
struct SecretName {
  std::string scope;
  std::string name;
};
constexpr auto fields(Of<SecretName>) {
  return std::tuple{field("scope", &SecretName::scope, "Its scope.", required, at_least(1)),
                    field("name", &SecretName::name, "Its name.", required, at_least(1))};
}

/// deployments/NAME:logs and jobs/NAME:logs (streams of LogEntry)
struct LogInput {
  std::optional<Duration> since;
  int tail = 0;
  std::string grep;
  bool follow = false;
  bool previous = false;
  std::string container;
};
constexpr auto fields(Of<LogInput>) {
  using S = LogInput;
  return std::tuple{
      field("since", &S::since, "Only lines younger than this."),
      field("tail", &S::tail, "Only the last lines; 0: all.", between(0, 1e6)),
      field("grep", &S::grep, "Only lines that match this regular expression (RE2)."),
      field("follow", &S::follow, "Go on with what comes."),
      field("previous", &S::previous, "Of the revision before the one that serves."),
      field("container", &S::container, "Only of this container; empty: of all."),
  };
}
struct LogEntry {
  TimePoint time{};
  std::string source;  // the instance's short name
  std::string container;
  std::string text;
  bool error = false;
};
constexpr auto fields(Of<LogEntry>) {
  using S = LogEntry;
  return std::tuple{
      field("time", &S::time, "When it was written.", required),
      field("source", &S::source, "The instance or step that wrote it."),
      field("container", &S::container, "Which container of the instance, where it has several."),
      field("text", &S::text, "The line.", required),
      field("error", &S::error, "It came on standard error."),
  };
}

/// pipelineruns/NAME:follow and deployments/NAME:follow (streams of Progress): ends when the work has ended.
struct FollowInput {
  std::int64_t generation = 0;  // for a deployment: until this generation of its spec has ended
};
constexpr auto fields(Of<FollowInput>) {
  return std::tuple{
      field("generation", &FollowInput::generation, "Until this generation has ended; 0: the newest.")};
}
struct Progress {
  std::string source;  // "web build", "web deploy"
  std::string text;
  std::optional<WorkPhase> phase;  // with the last line of a source
};
constexpr auto fields(Of<Progress>) {
  using S = Progress;
  return std::tuple{
      field("source", &S::source, "What speaks."),
      field("text", &S::text, "One line for people.", required),
      field("phase", &S::phase, "How it ended, with its last line."),
  };
}

/// builds/NAME:repeat
struct RepeatOutput {
  std::string run;
  std::string build;
};
constexpr auto fields(Of<RepeatOutput>) {
  return std::tuple{field("run", &RepeatOutput::run, "Name of the PipelineRun, to be followed.", required),
                    field("build", &RepeatOutput::build, "What its build will be called.", required)};
}

/// platforms/NAME:clean
struct CleanInput {
  bool dry_run = false;
};
constexpr auto fields(Of<CleanInput>) {
  return std::tuple{field("dryRun", &CleanInput::dry_run, "Only say what would go.")};
}
struct CleanOutput {
  int runs = 0;
  int builds = 0;
  int releases = 0;
  int events = 0;
  TimePoint history{};
  Bytes images;
  int images_kept = 0;
  std::vector<std::string> names;
  std::vector<std::string> notes;
};
constexpr auto fields(Of<CleanOutput>) {
  using S = CleanOutput;
  return std::tuple{
      field("runs", &S::runs, "Ended runs that go.", required),
      field("builds", &S::builds, "Ended builds that go, with their logs.", required),
      field("releases", &S::releases, "Releases that go.", required),
      field("events", &S::events, "Events that go.", required),
      field("history", &S::history, "Earlier states from before this are forgotten.", required),
      field("images", &S::images, "Freed by images that nothing names; 0 for a dry run."),
      field("imagesKept", &S::images_kept, "Images that something names.", required),
      field("names", &S::names, "Runs, builds and releases that go."),
      field("notes", &S::notes, "What could not be done, and why."),
  };
}

/// repositories/NAME:pushed. Told by the hook of a repository; answers with the runs that the push set in
/// motion.
struct PushedInput {
  std::string by;
};
constexpr auto fields(Of<PushedInput>) {
  return std::tuple{field("by", &PushedInput::by, "Who pushed; believed only from the machine itself.")};
}
/// repositories/NAME:maypush. Told by the hook before git takes a push: throws FailedPrecondition where a
/// deployment of that branch is held.
struct MayPushInput {
  std::vector<std::string> branches;
};
constexpr auto fields(Of<MayPushInput>) {
  return std::tuple{
      field("branches", &MayPushInput::branches, "Which branches are about to move.", required)};
}
struct PushedOutput {
  std::vector<std::string> runs;
  std::vector<std::string> notes;
};
constexpr auto fields(Of<PushedOutput>) {
  return std::tuple{field("runs", &PushedOutput::runs, "Names of the PipelineRuns."),
                    field("notes", &PushedOutput::notes, "What did not start a run, and why.")};
}

/// scheduledjobs/NAME:run
struct RunJobOutput {
  std::string job;
};
constexpr auto fields(Of<RunJobOutput>) {
  return std::tuple{field("job", &RunJobOutput::job, "Name of the Job that it is.", required)};
}

/// deployments/NAME:exec and :run (terminals)
struct ExecInput {
  std::vector<std::string> command;
  std::string instance;
  std::string container;
  bool terminal = false;
  int columns = 80;
  int rows = 24;
};
constexpr auto fields(Of<ExecInput>) {
  using S = ExecInput;
  return std::tuple{
      field("command", &S::command, "What runs; empty: a shell."),
      field("instance", &S::instance, "In which instance; empty: a ready one."),
      field("container", &S::container, "In which container of it; empty: the main one."),
      field("terminal", &S::terminal, "With a terminal."),
      field("columns", &S::columns, "Width of the terminal.", between(1, 1000)),
      field("rows", &S::rows, "Height of the terminal.", between(1, 1000)),
  };
}

/// deployments/NAME:status
struct InstanceStatus {
  std::string name;
  int revision = 0;
  std::string phase;
  int restarts = 0;
  std::string reason;
  std::optional<TimePoint> started;
  double cpu = 0;  // cores, over the last interval
  Bytes memory;
  Bytes memory_limit;
  std::vector<ContainerStatus> containers;
};
constexpr auto fields(Of<InstanceStatus>) {
  using S = InstanceStatus;
  return std::tuple{
      field("name", &S::name, "Short name.", required),
      field("revision", &S::revision, "Of which revision."),
      field("phase", &S::phase, "How it is."),
      field("restarts", &S::restarts, "How often it was started again."),
      field("reason", &S::reason, "Why it is not ready."),
      field("started", &S::started, "Since when."),
      field("cpu", &S::cpu, "Cores in use."),
      field("memory", &S::memory, "In use."),
      field("memoryLimit", &S::memory_limit, "At most."),
      field("containers", &S::containers, "What it consists of, the main one first."),
  };
}
struct GoldenSignals {
  double requests_per_second = 0;
  double error_ratio = 0;
  double response_ms = 0;
  int sessions = 0;
};
constexpr auto fields(Of<GoldenSignals>) {
  using S = GoldenSignals;
  return std::tuple{
      field("requestsPerSecond", &S::requests_per_second, "Over the last minute."),
      field("errorRatio", &S::error_ratio,
            "Share of answers with a status of 500 and above, over the last minute."),
      field("responseMs", &S::response_ms, "Average time to the first byte."),
      field("sessions", &S::sessions, "Open now."),
  };
}
struct DeploymentStatus {
  std::string deployment;
  Deployment::Phase phase = Deployment::Phase::Pending;
  std::string message;
  std::string release;
  std::optional<Commit> commit;
  int serving = 0;
  int latest = 0;
  int scale = 0;
  SetBy scale_by = SetBy::Default;
  bool hold = false;
  std::vector<std::string> urls;
  std::vector<InstanceStatus> instances;
  std::optional<GoldenSignals> signals;
};
constexpr auto fields(Of<DeploymentStatus>) {
  using S = DeploymentStatus;
  return std::tuple{
      field("deployment", &S::deployment, "COMPONENT.ENVIRONMENT.", required),
      field("phase", &S::phase, "How it is.", required),
      field("message", &S::message, "What is going on, or wrong."),
      field("release", &S::release, "What runs."),
      field("commit", &S::commit, "What it was built from."),
      field("serving", &S::serving, "The revision that has the traffic."),
      field("latest", &S::latest, "The newest revision."),
      field("scale", &S::scale, "Instances wanted."),
      field("scaleBy", &S::scale_by, "Who set that."),
      field("hold", &S::hold, "Pushes are refused."),
      field("urls", &S::urls, "Where it can be reached from outside."),
      field("instances", &S::instances, "Its running copies."),
      field("signals", &S::signals, "What the proxy sees; absent where nothing comes by way of it."),
  };
}

/// deployments/NAME:metrics: for charts. What is asked for is at most a day, as long as samples are kept.
struct MetricsInput {
  Duration since = std::chrono::hours{1};
  std::optional<Duration> step;
};
constexpr auto fields(Of<MetricsInput>) {
  return std::tuple{
      field("since", &MetricsInput::since, "From that long ago until now."),
      field("step", &MetricsInput::step, "Between two points; absent: about 120 points in all."),
  };
}
struct MetricPoint {
  TimePoint time{};
  double value = 0;
};
constexpr auto fields(Of<MetricPoint>) {
  return std::tuple{
      field("time", &MetricPoint::time, "The end of the step that it speaks of.", required),
      field("value", &MetricPoint::value, "In the series' unit.", required),
  };
}
/// "cpu", "memory" and "processes" of each instance; "requests", "errors", "clientErrors", "response",
/// "sessions", "received" and "sent" of the deployment.
struct MetricSeries {
  std::string name;
  std::string unit;
  std::string instance;
  std::vector<MetricPoint> points;
};
constexpr auto fields(Of<MetricSeries>) {
  using S = MetricSeries;
  return std::tuple{
      field("name", &S::name, "What is measured.", required),
      field("unit", &S::unit, "cores, bytes, processes, 1/s, bytes/s, ms or sessions.", required),
      field("instance", &S::instance, "Short name of the instance; empty: the whole deployment."),
      field("points", &S::points, "In order of time; where nothing was sampled, there is none.", required),
  };
}
struct Metrics {
  Duration step{};
  std::vector<MetricSeries> series;
};
constexpr auto fields(Of<Metrics>) {
  return std::tuple{
      field("step", &Metrics::step, "Between two points.", required),
      field("series", &Metrics::series, "What there is.", required),
  };
}

/// tokens:create, and tokens:invite for an invitation that is good once
struct TokenInput {
  std::string subject;
  std::string description;
  std::optional<Duration> lifetime;
};
constexpr auto fields(Of<TokenInput>) {
  using S = TokenInput;
  return std::tuple{
      field("subject", &S::subject, "Whose; empty: one's own."),
      field("description", &S::description, "Where it is used."),
      field("lifetime", &S::lifetime, "How long it holds; absent: for good."),
  };
}
/// tokens:exchange turns a one-time invitation into a token.
struct ExchangeInput {
  std::string invitation;
};
constexpr auto fields(Of<ExchangeInput>) {
  return std::tuple{
      field("invitation", &ExchangeInput::invitation, "What `tow admin invite` printed.", required, hidden)};
}
struct TokenOutput {
  std::string token;
  std::string name;
  std::string subject;
};
constexpr auto fields(Of<TokenOutput>) {
  using S = TokenOutput;
  return std::tuple{
      field("token", &S::token, "Shown once.", required),
      field("name", &S::name, "Of the Token entity."),
      field("subject", &S::subject, "Whose calls it makes."),
  };
}

}  // namespace tow
