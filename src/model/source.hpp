// SPDX-License-Identifier: Apache-2.0
#pragma once
// Repository, Component, Build, PipelineRun: from code to images.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/entity.hpp"

namespace tow {

struct Commit {
  std::string id;
  std::string author;
  std::string subject;
  std::optional<TimePoint> time;
};
constexpr auto fields(Of<Commit>) {
  return std::tuple{
      field("id", &Commit::id, "SHA-1 or SHA-256 of the commit."),
      field("author", &Commit::author, "Name and address, as git has them."),
      field("subject", &Commit::subject, "First line of its message."),
      field("time", &Commit::time, "When it was made."),
  };
}

struct Branch {
  Commit commit;
  std::string pushed_by;
  std::optional<TimePoint> pushed;
};
constexpr auto fields(Of<Branch>) {
  return std::tuple{
      field("commit", &Branch::commit, "Its newest commit."),
      field("pushedBy", &Branch::pushed_by, "Who pushed it."),
      field("pushed", &Branch::pushed, "When it was seen."),
  };
}

/// Code, at /git/PROJECT/REPOSITORY.git. Owned by source.
struct Repository {
  static constexpr std::string_view kind = "Repository";
  struct Spec {
    std::string default_branch = "main";
  };
  struct Status {
    std::map<std::string, Branch> branches;
  };
};
constexpr auto fields(Of<Repository::Spec>) {
  return std::tuple{
      field("defaultBranch", &Repository::Spec::default_branch,
            "The branch that is deployed to development where towpath.yaml says nothing."),
  };
}
constexpr auto fields(Of<Repository::Status>) {
  return std::tuple{
      field("branches", &Repository::Status::branches, "What was last seen of each branch."),
  };
}

/// One deployable part of a project. Written by pipeline at each push.
struct Component {
  static constexpr std::string_view kind = "Component";
  struct Spec {
    std::string repository;
    std::string path;
    std::vector<std::string> watch;
    bool inferred = false;
    std::vector<std::string> depends_on;
  };
  struct Status {
    std::string release;
  };
};
constexpr auto fields(Of<Component::Spec>) {
  using S = Component::Spec;
  return std::tuple{
      field("repository", &S::repository, "Where its code lives; empty: it is deployed by image."),
      field("path", &S::path, "Its folder in the repository; empty: the whole."),
      field("watch", &S::watch, "Paths whose change rebuilds it; empty: its own folder."),
      field("inferred", &S::inferred, "It has no Score document of its own."),
      field("dependsOn", &S::depends_on, "Components that are live before it is deployed, where both are."),
  };
}
constexpr auto fields(Of<Component::Status>) {
  return std::tuple{field("release", &Component::Status::release, "Its newest release.")};
}

enum class WorkPhase { Queued, Running, Succeeded, Failed, Cancelled };
constexpr auto names(Of<WorkPhase>) {
  return std::array{
      Name<WorkPhase>{WorkPhase::Queued, "Queued"},       Name<WorkPhase>{WorkPhase::Running, "Running"},
      Name<WorkPhase>{WorkPhase::Succeeded, "Succeeded"}, Name<WorkPhase>{WorkPhase::Failed, "Failed"},
      Name<WorkPhase>{WorkPhase::Cancelled, "Cancelled"},
  };
}
constexpr bool ended(WorkPhase phase) { return phase >= WorkPhase::Succeeded; }

/// One making of an image from a commit. Made by pipeline, which also carries it out.
struct Build {
  static constexpr std::string_view kind = "Build";
  struct Spec {
    std::string repository;
    std::string commit;
    std::string component;
    std::string path;
    std::string containerfile;
    std::map<std::string, std::string> arguments;
    std::string inputs;
    bool cancelled = false;
  };
  struct Status {
    WorkPhase phase = WorkPhase::Queued;
    std::string message;
    int attempts = 0;
    std::string image;
    std::string digest;
    std::string pack;
    bool cached = false;
    std::optional<TimePoint> started;
    std::optional<TimePoint> ended;
  };
};
constexpr auto fields(Of<Build::Spec>) {
  using S = Build::Spec;
  return std::tuple{
      field("repository", &S::repository, "Repository of the project.", required),
      field("commit", &S::commit, "What is built.", required),
      field("component", &S::component, "For which component.", required),
      field("path", &S::path, "The component's folder in the repository."),
      field("containerfile", &S::containerfile,
            "Containerfile, relative to the repository; empty: found or detected."),
      field("arguments", &S::arguments, "Build arguments."),
      field("inputs", &S::inputs,
            "Digest of all that the image is made of: equal inputs are not built twice."),
      field("cancelled", &S::cancelled, "Somebody wants it to end."),
  };
}
constexpr auto fields(Of<Build::Status>) {
  using S = Build::Status;
  return std::tuple{
      field("phase", &S::phase, "How far it is.", required),
      field("message", &S::message, "Why it failed."),
      field("attempts", &S::attempts, "How often it was begun; again after the platform was killed."),
      field("image", &S::image, "Id of the image that it made."),
      field("digest", &S::digest, "Digest of that image's manifest."),
      field("pack", &S::pack, "What was detected where there is no Containerfile."),
      field("cached", &S::cached, "Nothing had to be made."),
      field("started", &S::started, "When it began."),
      field("ended", &S::ended, "When it ended."),
  };
}

/// What one push does to one component.
struct ComponentRun {
  std::string component;
  std::string build;
  std::string release;
  std::string deployment;
  std::int64_t generation = 0;
  int revision = 0;
  WorkPhase phase = WorkPhase::Queued;
  std::string message;
};
constexpr auto fields(Of<ComponentRun>) {
  using S = ComponentRun;
  return std::tuple{
      field("component", &S::component, "Which one."),
      field("build", &S::build, "The build; empty where nothing changed."),
      field("release", &S::release, "The release that came of it."),
      field("deployment", &S::deployment, "Where it was deployed to."),
      field("generation", &S::generation, "The generation of that deployment's spec which asks for it."),
      field("revision", &S::revision, "The revision of that deployment."),
      field("phase", &S::phase, "How far it is.", required),
      field("message", &S::message, "Why it failed, or what was left as it was."),
  };
}

/// The built-in workflow at work on one commit of one branch. Owned by pipeline.
struct PipelineRun {
  static constexpr std::string_view kind = "PipelineRun";
  struct Spec {
    std::string repository;
    std::string branch;
    Commit commit;
    std::string before;
    std::string by;
    std::string rebuild;
  };
  struct Status {
    WorkPhase phase = WorkPhase::Queued;
    std::string message;
    std::string environment;
    std::vector<std::string> notes;
    std::vector<ComponentRun> components;
    std::optional<TimePoint> started;
    std::optional<TimePoint> ended;
  };
};
constexpr auto fields(Of<PipelineRun::Spec>) {
  using S = PipelineRun::Spec;
  return std::tuple{
      field("repository", &S::repository, "Repository of the project.", required),
      field("branch", &S::branch, "The branch that was pushed.", required),
      field("commit", &S::commit, "Its new commit.", required),
      field("before", &S::before, "Its commit before; empty for a new branch."),
      field("by", &S::by, "Who pushed."),
      field("rebuild", &S::rebuild, "The component that is built though nothing changed; empty: none."),
  };
}
constexpr auto fields(Of<PipelineRun::Status>) {
  using S = PipelineRun::Status;
  return std::tuple{
      field("phase", &S::phase, "How far it is.", required),
      field("message", &S::message, "Why it failed."),
      field("environment", &S::environment, "Where it is deployed to; empty: nowhere."),
      field("notes", &S::notes, "What was inferred, and what a person may want to know."),
      field("components", &S::components, "What it does to each component."),
      field("started", &S::started, "When it began."),
      field("ended", &S::ended, "When it ended."),
  };
}

}  // namespace tow
