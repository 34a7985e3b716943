// SPDX-License-Identifier: Apache-2.0
#pragma once
// Project, Environment, EnvironmentType, Platform: where work happens, and what must hold there.

#include <cstdint>
#include <string>

#include "model/entity.hpp"

namespace tow {

struct Project {
  static constexpr std::string_view kind = "Project";
  struct Spec {
    std::string title;
    std::string description;
  };
  struct Status {
    std::uint32_t user_base = 0;
  };
};
constexpr auto fields(Of<Project::Spec>) {
  return std::tuple{
      field("title", &Project::Spec::title, "What people call it."),
      field("description", &Project::Spec::description, "What it is for, in a sentence."),
  };
}
constexpr auto fields(Of<Project::Status>) {
  return std::tuple{
      field("userBase", &Project::Status::user_base,
            "First of the 65,536 user ids of the host that its containers run as."),
  };
}

struct Environment {
  static constexpr std::string_view kind = "Environment";
  struct Spec {
    std::string type;
    std::string branch;
  };
  using Status = Nothing;
};
constexpr auto fields(Of<Environment::Spec>) {
  return std::tuple{
      field("type", &Environment::Spec::type, "The EnvironmentType whose policy holds here.", required),
      field("branch", &Environment::Spec::branch,
            "A push to this branch deploys here; empty: only releases are deployed here."),
  };
}

struct EnvironmentType {
  static constexpr std::string_view kind = "EnvironmentType";
  struct Spec {
    std::string description;
    Bytes memory_limit{512u << 20};
    double cpu_limit = 1;
    int process_limit = 512;
    bool outbound = true;
    bool read_only_root = false;
    std::string runtime;
    int history = 10;
  };
  using Status = Nothing;
};
constexpr auto fields(Of<EnvironmentType::Spec>) {
  using S = EnvironmentType::Spec;
  return std::tuple{
      field("description", &S::description, "What such environments are for."),
      field("memoryLimit", &S::memory_limit,
            "Memory of an instance whose component asks for no limit; the most it may ask for."),
      field("cpuLimit", &S::cpu_limit,
            "Cores of an instance whose component asks for no limit; the most it may ask for.",
            between(0.01, 1024)),
      field("processLimit", &S::process_limit, "Processes and threads of an instance.", between(8, 1 << 20)),
      field("outbound", &S::outbound, "Whether instances reach addresses outside of the machine."),
      field("readOnlyRoot", &S::read_only_root,
            "Instances write to their volumes and /tmp alone; /tmp is in memory."),
      field("runtime", &S::runtime, "OCI runtime by name; empty: the machine's default.",
            matches("[a-z0-9._-]*", "the name of a program")),
      field("history", &S::history, "Retired revisions that are kept for a rollback.", between(1, 1000)),
  };
}

struct Platform {
  static constexpr std::string_view kind = "Platform";
  struct Spec {
    std::string domain = "localhost";
    std::string debian = "bookworm";
    bool trust_host_certificates = false;
    std::string npm_registry;
    std::string python_index;
    Bytes push_limit{512u << 20};
    Duration history{std::chrono::hours{24 * 30}};
    int keep_runs = 50;
    int keep_builds = 20;
    int keep_releases = 20;
    Duration keep_age{std::chrono::hours{24 * 7}};
    Duration keep_events{std::chrono::hours{24 * 365}};
  };
  using Status = Nothing;
};
constexpr auto fields(Of<Platform::Spec>) {
  using S = Platform::Spec;
  return std::tuple{
      field("domain", &S::domain, "Applications are served one label below it."),
      field("debian", &S::debian, "Release of Debian from which base images are made."),
      field("trustHostCertificates", &S::trust_host_certificates,
            "Builds see the machine's own certificate authorities and proxy settings."),
      field("npmRegistry", &S::npm_registry, "Where builds get npm packages; empty: npm's default."),
      field("pythonIndex", &S::python_index, "Where builds get Python packages; empty: pip's default."),
      field("pushLimit", &S::push_limit, "Largest push that is taken."),
      field("history", &S::history, "How long earlier states can be read."),
      field("keepRuns", &S::keep_runs, "Ended runs that are kept of each repository.", between(1, 1e6)),
      field("keepBuilds", &S::keep_builds, "Ended builds that are kept of each component, with their logs.",
            between(1, 1e6)),
      field("keepReleases", &S::keep_releases,
            "Releases that are kept of each component, beside those that a revision has.", between(1, 1e6)),
      field("keepAge", &S::keep_age, "Runs, builds and releases younger than this are kept, however many."),
      field("keepEvents", &S::keep_events, "How long the audit trail is kept."),
  };
}

}  // namespace tow
