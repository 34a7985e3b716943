// SPDX-License-Identifier: Apache-2.0
#pragma once
// Release, Deployment, Revision, Instance, Route, Volume, Job: from images to running copies.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/jobs.hpp"
#include "model/source.hpp"
#include "model/strategy.hpp"

namespace tow {

/// What towpath.yaml says of a component in one environment. Absent: nothing.
struct EnvironmentSetting {
  std::optional<int> scale;
  std::optional<Strategy> strategy;
  Hooks hooks;
  std::map<std::string, JobDefinition> jobs;
  Node overrides;
};
constexpr auto fields(Of<EnvironmentSetting>) {
  using S = EnvironmentSetting;
  return std::tuple{
      field("scale", &S::scale, "How many instances."),
      field("strategy", &S::strategy, "How a new revision replaces the old one."),
      field("hooks", &S::hooks, "Commands around a deployment."),
      field("jobs", &S::jobs, "Commands on a schedule, by name."),
      field("overrides", &S::overrides, "Merged over the Score document."),
  };
}

/// What a container beside the component's own runs.
struct FurtherImage {
  std::string reference;
  std::string image;
  std::string digest;
};
constexpr auto fields(Of<FurtherImage>) {
  using S = FurtherImage;
  return std::tuple{
      field("reference", &S::reference, "What the Score document calls it.", required),
      field("image", &S::image, "Id in the image store.", required),
      field("digest", &S::digest, "Digest of the image's manifest."),
  };
}

/// An immutable record of what can be deployed. Made by pipeline, or by deploy for an image.
struct Release {
  static constexpr std::string_view kind = "Release";
  struct Spec {
    std::string component;
    std::string repository;
    std::optional<Commit> commit;
    std::string build;
    std::string image;
    std::string digest;
    std::string reference;
    std::vector<FurtherImage> images;
    Node score;
    std::string root;
    std::map<std::string, std::string> files;
    std::optional<std::map<std::string, EnvironmentSetting>> settings;
    std::vector<std::string> depends_on;
    std::string by;
  };
  using Status = Nothing;
};
constexpr auto fields(Of<Release::Spec>) {
  using S = Release::Spec;
  return std::tuple{
      field("component", &S::component, "Of which component.", required),
      field("repository", &S::repository, "Where its code lives; empty: it came as an image."),
      field("commit", &S::commit, "What it was built from."),
      field("build", &S::build, "The build that made the image."),
      field("image", &S::image, "Id of its image in the image store.", required),
      field("digest", &S::digest, "Digest of the image's manifest."),
      field("reference", &S::reference, "What the image was asked for as."),
      field("images", &S::images, "Those of containers that run another image than its own."),
      field("score", &S::score, "Its Score document, as it was in that commit.", required),
      field("root", &S::root, "Folder of the Score document in the repository."),
      field("files", &S::files,
            "Content, in base64, of the repository's files that the Score document mounts."),
      field("settings", &S::settings,
            "What towpath.yaml says of its component, by environment, in the newest commit of this content; "
            "absent: it came without one."),
      field("dependsOn", &S::depends_on, "Components that are live before this is deployed, where both are."),
      field("by", &S::by, "Who made it."),
  };
}

/// Who set a value; the later in this list wins, and does not lose it to an earlier one.
enum class SetBy { Default, Manifest, Person };
constexpr auto names(Of<SetBy>) {
  return std::array{Name<SetBy>{SetBy::Default, "default"}, Name<SetBy>{SetBy::Manifest, "towpath.yaml"},
                    Name<SetBy>{SetBy::Person, "command"}};
}

/// The exact value of one configuration name in one revision: text, or a version of a secret.
struct ConfigurationValue {
  std::optional<std::string> value;
  std::string secret;
  int version = 0;
  std::string from;
};
constexpr auto fields(Of<ConfigurationValue>) {
  using S = ConfigurationValue;
  return std::tuple{
      field("value", &S::value, "The text; absent for a secret."),
      field("secret", &S::secret, "Name of the Secret entity."),
      field("version", &S::version, "Which version of that secret."),
      field("from", &S::from, "Where it is set: \"project\", an environment, or COMPONENT.ENVIRONMENT."),
  };
}

/// The configuration that a rollback brought back: it holds for every name that nobody set afterwards.
struct Restored {
  int revision = 0;
  TimePoint since{};
};
constexpr auto fields(Of<Restored>) {
  return std::tuple{
      field("revision", &Restored::revision, "The revision whose configuration it is.", required),
      field("since", &Restored::since, "When; what was set later counts.", required),
  };
}

/// What a person said of the rollout of one revision; it says nothing about any other.
struct RolloutOrder {
  int revision = 0;
  bool paused = false;
  int continued = 0;
  bool aborted = false;
  std::string by;
};
constexpr auto fields(Of<RolloutOrder>) {
  using S = RolloutOrder;
  return std::tuple{
      field("revision", &S::revision, "Which revision.", required),
      field("paused", &S::paused, "It stays as it is until it is continued."),
      field("continued", &S::continued, "Steps up to this one last no longer."),
      field("aborted", &S::aborted, "It is taken back."),
      field("by", &S::by, "Who said so last."),
  };
}

/// Nothing is deployed while it is there.
struct Lock {
  std::string by;
  std::string why;
  TimePoint since{};
};
constexpr auto fields(Of<Lock>) {
  return std::tuple{
      field("by", &Lock::by, "Who locked it.", required),
      field("why", &Lock::why, "For what reason."),
      field("since", &Lock::since, "Since when.", required),
  };
}

/// A component, and the release of it that is to be live first.
struct Awaited {
  std::string component;
  std::string release;
};
constexpr auto fields(Of<Awaited>) {
  return std::tuple{
      field("component", &Awaited::component, "Which component, in the same environment.", required),
      field("release", &Awaited::release, "Which release of it.", required),
  };
}

/// What is deployed when others have finished theirs. Until then all else of the spec holds, and it is what
/// runs.
struct NextDeployment {
  std::string release;
  Node input;
  std::string by;
  std::vector<Awaited> after;
  std::string refused;
};
constexpr auto fields(Of<NextDeployment>) {
  using S = NextDeployment;
  return std::tuple{
      field("release", &S::release, "What is deployed then.", required),
      field("input", &S::input, "As it was asked for: input of deployments.deploy.", required),
      field("by", &S::by, "Who asked for it."),
      field("after", &S::after, "What is live before.", required),
      field("refused", &S::refused, "Why it is not deployed any more; empty: it waits."),
  };
}

/// How far a rollout in steps is. Recorded, so that it goes on in the middle of a step after a restart.
struct RolloutStatus {
  int revision = 0;
  int step = 0;
  int steps = 0;
  int weight = 0;
  std::optional<TimePoint> since;
  std::optional<TimePoint> until;
  bool waiting = false;
  std::uint64_t answers = 0;
  std::uint64_t errors = 0;
  std::uint64_t serving_answers = 0;
  std::uint64_t serving_errors = 0;
  std::vector<std::string> previews;
};
constexpr auto fields(Of<RolloutStatus>) {
  using S = RolloutStatus;
  return std::tuple{
      field("revision", &S::revision, "The revision that comes up.", required),
      field("step", &S::step, "In which step it is, from 1; 0: it is not ready yet, or has no steps."),
      field("steps", &S::steps, "How many there are."),
      field("weight", &S::weight, "Its share of the traffic, in percent."),
      field("since", &S::since, "When the step began."),
      field("until", &S::until, "When the step ends by itself."),
      field("waiting", &S::waiting, "It goes on when somebody continues it."),
      field("answers", &S::answers, "What it has answered in this step."),
      field("errors", &S::errors, "How many of these had a status of 500 and above."),
      field("servingAnswers", &S::serving_answers, "What the revision that serves answered meanwhile."),
      field("servingErrors", &S::serving_errors, "How many of these were such errors."),
      field("previews", &S::previews, "Where it can be looked at before it gets the traffic."),
  };
}

/// A component in an environment. Its spec is written by operations of deploy alone.
struct Deployment {
  static constexpr std::string_view kind = "Deployment";
  struct Spec {
    std::string component;
    std::string environment;
    std::string release;
    int scale = 1;
    SetBy scale_by = SetBy::Default;
    Strategy strategy;
    Hooks hooks;
    std::map<std::string, JobDefinition> jobs;
    Node overrides;
    std::optional<Restored> restored;
    std::optional<TimePoint> restarted;
    bool hold = false;
    std::optional<Lock> lock;
    std::optional<RolloutOrder> rollout;
    std::optional<NextDeployment> next;
    std::string cause;
    std::string by;
  };
  enum class Phase { Pending, Progressing, Healthy, Degraded, Failed };
  struct Status {
    std::int64_t observed_generation = 0;
    Phase phase = Phase::Pending;
    std::string message;
    int latest = 0;
    int serving = 0;
    int failed = 0;
    int ready = 0;
    std::vector<std::string> urls;
    std::string address;
    std::optional<RolloutStatus> rollout;
    std::vector<std::string> waits_for;
    bool waits_for_person = false;
  };
};
constexpr auto names(Of<Deployment::Phase>) {
  using P = Deployment::Phase;
  return std::array{Name<P>{P::Pending, "Pending"}, Name<P>{P::Progressing, "Progressing"},
                    Name<P>{P::Healthy, "Healthy"}, Name<P>{P::Degraded, "Degraded"},
                    Name<P>{P::Failed, "Failed"}};
}
constexpr auto fields(Of<Deployment::Spec>) {
  using S = Deployment::Spec;
  return std::tuple{
      field("component", &S::component, "Which component.", required),
      field("environment", &S::environment, "In which environment.", required),
      field("release", &S::release, "The release that is wanted."),
      field("scale", &S::scale, "How many instances.", between(0, 100)),
      field("scaleBy", &S::scale_by, "Who set the scale."),
      field("strategy", &S::strategy, "How a new revision replaces the old one."),
      field("hooks", &S::hooks, "Commands around each new revision."),
      field("jobs", &S::jobs, "Commands on a schedule, by name; they count when this release serves."),
      field("overrides", &S::overrides, "Merged over the release's Score document."),
      field("restored", &S::restored, "The configuration that a rollback brought back."),
      field("restarted", &S::restarted, "When a restart was last asked for."),
      field("hold", &S::hold, "Pushes are refused."),
      field("lock", &S::lock, "Nothing is deployed while it is there."),
      field("rollout", &S::rollout, "What a person said of a rollout."),
      field("next", &S::next, "What is deployed when others have finished theirs."),
      field("cause", &S::cause, "Why it was last changed: \"push\", \"rollback\", …"),
      field("by", &S::by, "Who changed it last."),
  };
}
constexpr auto fields(Of<Deployment::Status>) {
  using S = Deployment::Status;
  return std::tuple{
      field("observedGeneration", &S::observed_generation, "The generation of the spec that this speaks of."),
      field("phase", &S::phase, "How it is.", required),
      field("message", &S::message, "What is going on, or wrong, in a sentence."),
      field("latest", &S::latest, "Number of the newest revision."),
      field("serving", &S::serving, "Number of the revision that has the traffic; 0: none."),
      field("failed", &S::failed,
            "Number of the newest revision that failed; 0: none since the one that serves."),
      field("ready", &S::ready, "Instances that are ready, of the serving revision."),
      field("urls", &S::urls, "Where it can be reached from outside."),
      field("address", &S::address, "Its stable address inside the environment."),
      field("rollout", &S::rollout, "The rollout that is under way; absent: none is."),
      field("waitsFor", &S::waits_for, "Components that have to be live before what is next is deployed."),
      field("waitsForPerson", &S::waits_for_person, "… and one of them goes on when somebody continues it."),
  };
}

/// A port of a component's service, as one revision has it.
struct RevisionPort {
  std::string name;
  std::uint16_t port = 0;
  std::uint16_t target = 0;
  bool udp = false;
  bool http = false;
};
constexpr auto fields(Of<RevisionPort>) {
  using S = RevisionPort;
  return std::tuple{
      field("name", &S::name, "Its name in the Score document."),
      field("port", &S::port, "What callers use.", required),
      field("target", &S::target, "Inside the instances.", required),
      field("udp", &S::udp, "UDP, not TCP."),
      field("http", &S::http, "It speaks HTTP."),
  };
}

/// What leads to one revision from outside.
struct RevisionRoute {
  std::string host;
  std::string path = "/";
  std::uint16_t port = 0;
};
constexpr auto fields(Of<RevisionRoute>) {
  using S = RevisionRoute;
  return std::tuple{
      field("host", &S::host, "Host name.", required),
      field("path", &S::path, "Path prefix."),
      field("port", &S::port, "Port of the service.", required),
  };
}

/// Release and configuration: one exact setting of a deployment, named COMPONENT.ENVIRONMENT.NUMBER. Its uid
/// names the engine's group. Owned by deploy.
struct Revision {
  static constexpr std::string_view kind = "Revision";
  struct Spec {
    std::string deployment;
    int number = 0;
    std::string release;
    Node overrides;
    std::map<std::string, ConfigurationValue> configuration;
    std::optional<TimePoint> restarted;
    int restores = 0;
    std::vector<RevisionPort> ports;
    std::vector<RevisionRoute> routes;
    std::vector<std::string> volumes;
    bool exclusive = false;
    std::string domain;
    Hooks hooks;
    std::string cause;
    std::string by;
  };
  enum class Phase { Pending, Starting, Serving, Draining, Retired, Failed };
  struct Status {
    Phase phase = Phase::Pending;
    std::string message;
    int weight = 0;
    int hooks_before = 0;
    int hooks_after = 0;
    std::string hook_failure;
    std::optional<TimePoint> started;
    std::optional<TimePoint> progressed;
    std::optional<TimePoint> serving_since;
    std::optional<TimePoint> draining_since;
    std::optional<TimePoint> ended;
  };
};
constexpr auto names(Of<Revision::Phase>) {
  using P = Revision::Phase;
  return std::array{Name<P>{P::Pending, "Pending"}, Name<P>{P::Starting, "Starting"},
                    Name<P>{P::Serving, "Serving"}, Name<P>{P::Draining, "Draining"},
                    Name<P>{P::Retired, "Retired"}, Name<P>{P::Failed, "Failed"}};
}
constexpr auto fields(Of<Revision::Spec>) {
  using S = Revision::Spec;
  return std::tuple{
      field("deployment", &S::deployment, "COMPONENT.ENVIRONMENT.", required),
      field("number", &S::number, "Counts from 1 in its deployment.", required),
      field("release", &S::release, "What runs.", required),
      field("overrides", &S::overrides, "Merged over the release's Score document."),
      field("configuration", &S::configuration,
            "Every configuration name with its exact value or secret version."),
      field("restarted", &S::restarted, "The restart that made it, if one did."),
      field("restores", &S::restores, "The revision that a rollback returned to; 0: none."),
      field("ports", &S::ports, "The ports of its service, as planned when it was made."),
      field("routes", &S::routes, "What leads to it from outside."),
      field("volumes", &S::volumes, "The Volume entities that it mounts."),
      field("exclusive", &S::exclusive, "It writes to a volume: it never runs beside another revision."),
      field("domain", &S::domain,
            "The platform's domain that its host names were made of; empty: it has none."),
      field("hooks", &S::hooks, "Commands that run once before it starts, and once when it serves."),
      field("cause", &S::cause, "Why it was made."),
      field("by", &S::by, "Who made it."),
  };
}
constexpr auto fields(Of<Revision::Status>) {
  using S = Revision::Status;
  return std::tuple{
      field("phase", &S::phase, "How far it is.", required),
      field("message", &S::message, "Why it failed, or waits."),
      field("weight", &S::weight, "Its share of the traffic, in percent."),
      field("hooksBefore", &S::hooks_before, "How many of the commands before its start have run."),
      field("hooksAfter", &S::hooks_after, "How many of those after it."),
      field("hookFailure", &S::hook_failure, "Why a command after it failed."),
      field("progressed", &S::progressed, "When its rollout last got further."),
      field("started", &S::started, "When its first instance was asked for."),
      field("servingSince", &S::serving_since, "When it got the traffic."),
      field("drainingSince", &S::draining_since, "When it lost the traffic."),
      field("ended", &S::ended, "When its last instance was gone."),
  };
}

/// How a container's last run ended.
struct EndStatus {
  std::optional<TimePoint> time;
  std::optional<int> exit_code;
  std::string reason;
};
constexpr auto fields(Of<EndStatus>) {
  using S = EndStatus;
  return std::tuple{
      field("time", &S::time, "When."),
      field("exitCode", &S::exit_code, "128 and the signal's number where one ended it; absent: not known."),
      field("reason", &S::reason, "Why, unless it was told to or is complete."),
  };
}

/// One container of an instance.
struct ContainerStatus {
  std::string name;
  std::string phase;
  int restarts = 0;
  std::string reason;
  std::optional<TimePoint> started;
  std::optional<EndStatus> last_end;
};
constexpr auto fields(Of<ContainerStatus>) {
  using S = ContainerStatus;
  return std::tuple{
      field("name", &S::name, "As the Score document calls it.", required),
      field("phase", &S::phase,
            "Starting, Ready, Unready, Backoff, Stopping or Ended; Complete: it has done what others waited "
            "for."),
      field("restarts", &S::restarts, "How often it was started again."),
      field("reason", &S::reason, "Why it is not ready."),
      field("started", &S::started, "When it was last started."),
      field("lastEnd", &S::last_end, "How its last run ended; it stays when it runs again."),
  };
}

/// One running copy, as the engine sees it. Owned by deploy.
struct Instance {
  static constexpr std::string_view kind = "Instance";
  struct Spec {
    std::string revision;
    std::string deployment;
  };
  struct Status {
    std::string phase;
    std::string address;
    int restarts = 0;
    std::optional<int> exit_code;
    std::string reason;
    std::optional<TimePoint> started;
    std::optional<TimePoint> ready;
    std::vector<ContainerStatus> containers;
  };
};
constexpr auto fields(Of<Instance::Spec>) {
  return std::tuple{
      field("revision", &Instance::Spec::revision, "Of which revision.", required),
      field("deployment", &Instance::Spec::deployment, "Of which deployment.", required),
  };
}
constexpr auto fields(Of<Instance::Status>) {
  using S = Instance::Status;
  return std::tuple{
      field("phase", &S::phase, "Starting, Ready, Unready, Backoff, Stopping or Ended."),
      field("address", &S::address, "Inside its environment's network."),
      field("restarts", &S::restarts, "How often a container of it was started again."),
      field("exitCode", &S::exit_code, "Of the last end of one."),
      field("reason", &S::reason, "Why it is not ready."),
      field("started", &S::started, "When one was last started."),
      field("ready", &S::ready, "When it last became ready."),
      field("containers", &S::containers, "What it consists of."),
  };
}

/// Host and path that lead to a deployment. Owned by deploy.
struct Route {
  static constexpr std::string_view kind = "Route";
  struct Spec {
    std::string deployment;
    std::string host;
    std::string path = "/";
    std::uint16_t port = 0;
  };
  using Status = Nothing;
};
constexpr auto fields(Of<Route::Spec>) {
  using S = Route::Spec;
  return std::tuple{
      field("deployment", &S::deployment, "COMPONENT.ENVIRONMENT.", required),
      field("host", &S::host, "Host name.", required),
      field("path", &S::path, "Path prefix."),
      field("port", &S::port, "Port of the instances.", required),
  };
}

/// Data that outlives instances. Its uid names it in the engine. Owned by deploy.
struct Volume {
  static constexpr std::string_view kind = "Volume";
  struct Spec {
    std::string component;
    std::string environment;
    std::string resource;
  };
  struct Status {
    std::optional<Bytes> size;
  };
};
constexpr auto fields(Of<Volume::Spec>) {
  using S = Volume::Spec;
  return std::tuple{
      field("component", &S::component, "Who uses it; empty when it is shared.", required),
      field("environment", &S::environment, "In which environment.", required),
      field("resource", &S::resource, "The resource's identity in the Score document.", required),
  };
}
constexpr auto fields(Of<Volume::Status>) {
  return std::tuple{field("size", &Volume::Status::size, "What it holds, when last measured.")};
}

/// A command of a component that runs to its end in its environment. Owned by deploy.
struct Job {
  static constexpr std::string_view kind = "Job";
  struct Spec {
    std::string deployment;
    std::string revision;
    std::vector<std::string> command;
    Duration deadline = std::chrono::hours{1};
    std::string by;
    std::string scheduled_job;
    std::optional<TimePoint> scheduled_for;
    std::string run;
    int attempt = 1;
    std::string cancelled;
  };
  struct Status {
    WorkPhase phase = WorkPhase::Queued;
    std::optional<int> exit_code;
    std::string message;
    std::optional<TimePoint> started;
    std::optional<TimePoint> ended;
  };
};
constexpr auto fields(Of<Job::Spec>) {
  using S = Job::Spec;
  return std::tuple{
      field("deployment", &S::deployment, "Beside which deployment.", required),
      field("revision", &S::revision, "With whose image and configuration.", required),
      field("command", &S::command, "What runs.", required, at_least(1)),
      field("deadline", &S::deadline, "It is ended after this."),
      field("by", &S::by, "Who asked for it."),
      field("scheduledJob", &S::scheduled_job, "The ScheduledJob that it is a run of; empty: of none."),
      field("scheduledFor", &S::scheduled_for, "The moment that it is for; absent: somebody ran it."),
      field("run", &S::run, "Name of the first attempt."),
      field("attempt", &S::attempt, "Which attempt it is, from 1."),
      field("cancelled", &S::cancelled, "Why it is to end; empty: it is not."),
  };
}
constexpr auto fields(Of<Job::Status>) {
  using S = Job::Status;
  return std::tuple{
      field("phase", &S::phase, "How far it is.", required),
      field("exitCode", &S::exit_code, "How it ended."),
      field("message", &S::message, "Why it failed."),
      field("started", &S::started, "When it began."),
      field("ended", &S::ended, "When it ended."),
  };
}

/// A command of a component that runs on a schedule in its environment, named COMPONENT.ENVIRONMENT.JOB; its
/// runs are Jobs. Owned by deploy.
struct ScheduledJob {
  static constexpr std::string_view kind = "ScheduledJob";
  struct Spec {
    std::string deployment;
    std::string job;
    JobDefinition definition;
    bool suspended = false;
    std::string suspended_by;
  };
  struct Status {
    std::optional<TimePoint> decided;
    std::optional<TimePoint> next;
    std::optional<TimePoint> last_scheduled;
    std::string last_run;
    std::optional<TimePoint> last_started;
    std::optional<WorkPhase> last_phase;
    std::optional<TimePoint> skipped;
    std::optional<TimePoint> missed;
    std::string message;
  };
};
constexpr auto fields(Of<ScheduledJob::Spec>) {
  using S = ScheduledJob::Spec;
  return std::tuple{
      field("deployment", &S::deployment, "Beside which deployment.", required),
      field("job", &S::job, "Its name in towpath.yaml.", required),
      field("definition", &S::definition, "What towpath.yaml says, of the release that serves.", required),
      field("suspended", &S::suspended, "It is not begun until somebody resumes it."),
      field("suspendedBy", &S::suspended_by, "Who wanted that."),
  };
}
constexpr auto fields(Of<ScheduledJob::Status>) {
  using S = ScheduledJob::Status;
  return std::tuple{
      field("decided", &S::decided, "What was due up to then has been begun, skipped or missed."),
      field("next", &S::next, "When it is due next; absent while it is suspended."),
      field("lastScheduled", &S::last_scheduled, "The last moment that was begun."),
      field("lastRun", &S::last_run, "The Job that ran last."),
      field("lastStarted", &S::last_started, "When that began."),
      field("lastPhase", &S::last_phase, "What became of it."),
      field("skipped", &S::skipped, "The last moment that was passed over because another run went on."),
      field("missed", &S::missed,
            "The last moment, or the first of several, that was missed: nothing served, or the platform was "
            "down "
            "for longer than startingDeadline."),
      field("message", &S::message, "Why it cannot be begun."),
  };
}

}  // namespace tow
