// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where instances run: what the deploy capability asks of one machine or of a cluster.
//
// Every call is idempotent and may be repeated after a crash, with the same arguments and the same end. No
// call waits for an image pull, a readiness or a drain: it starts, and observe() tells. Names (group and job
// ids, environment ids) are uids that the caller has recorded in the store before the first call.
// Thread-safe. An engine outlives its scope's tasks; what it runs outlives the engine.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/process.hpp"
#include "base/task.hpp"
#include "base/units.hpp"

namespace tow::engine {

using GroupId = std::string;        // uid of the revision
using JobId = std::string;          // uid of the job
using InstanceId = std::string;     // made by the engine: "GROUP-N"
using EnvironmentId = std::string;  // uid of the environment

enum class Protocol { Tcp, Udp };

struct Port {
  std::string name;
  std::uint16_t port = 0;  // inside the instance (Score's targetPort)
  Protocol protocol = Protocol::Tcp;
};

struct Probe {
  enum class Kind { Http, Exec, Tcp } kind = Kind::Tcp;
  std::uint16_t port = 0;
  std::string path = "/";
  std::string scheme = "http";
  std::string host;
  std::map<std::string, std::string> headers;
  std::vector<std::string> command;
  Duration period = std::chrono::seconds{10};  // once ready; before that, at once and then with short gaps
  Duration timeout = std::chrono::seconds{1};
  int failures = 3;  // in a row, until "not ready" (readiness) or a restart (liveness)
};

struct Limits {
  std::optional<Bytes> memory;            // with swap off
  std::optional<int> cpu_millis;          // 1000 is one core
  std::optional<int> cpu_request_millis;  // weight among neighbours
  int processes = 512;
  int files = 65536;
};

/// A directory that outlives instances; made at first use, removed by remove_volume alone.
struct VolumeMount {
  std::string volume;  // uid of the volume
  std::string target;  // absolute path inside
  std::string sub_path;
  bool read_only = false;
};

/// What stays secret until an instance starts: the engine asks its opener (see SecretOpener) by reference.
struct SecretReference {
  std::string reference;  // opaque to the engine
};

/// A value made of text and secrets, joined in order: "postgres://u:" + secret + "@db".
struct Value {
  struct Part {
    std::string text;
    std::string secret;  // a reference for the opener; then text is empty
  };
  std::vector<Part> parts;
  static Value plain(std::string text) { return {{{std::move(text), {}}}}; }
};
struct File {
  std::string target;
  std::string content;
  std::vector<Value::Part> parts;  // instead of content, where a secret is in it
  int mode = 0644;
};

/// Opens one reference at the moment of use. Throws Error{NotFound, Denied}.
using SecretOpener = std::function<Task<std::string>(std::string reference)>;

/// How far a container must have come before another one starts.
enum class Milestone {
  Started,   // its process runs
  Ready,     // its readiness probe passes
  Complete,  // it has ended with 0
};

/// One program of an instance.
struct ContainerSpec {
  std::string name = "main";         // unique among those of the workload
  std::string image;                 // id or digest of an image that is in the image store
  std::vector<std::string> command;  // replaces the image's entrypoint when not empty
  std::vector<std::string> args;     // replaces the image's command when not empty
  std::map<std::string, Value> variables;
  std::vector<File> files;
  std::vector<VolumeMount> volumes;
  /// Without: of the first container, that the workload's first TCP port accepts; else that it has run for
  /// one second.
  std::optional<Probe> readiness;
  std::optional<Probe> liveness;
  Limits limits;
  bool read_only_root = false;
  /// It starts when these others have come so far. One that must be complete is run until it ends with 0, and
  /// not again while the instance is there; it counts neither as ready nor as unready.
  std::map<std::string, Milestone> after;
};

/// What one instance is made of: containers that share their network (one address, one loopback) and their
/// shared memory, and start, stop and fail each for itself. The same workload gives the same instances.
struct Workload {
  std::string project;  // names, for labels and messages only
  std::string environment_name;
  std::string component;
  EnvironmentId environment;
  std::uint32_t user_base = 0;            // first host uid/gid of the project's range of 65,536
  std::vector<ContainerSpec> containers;  // at least one; the first is the main one
  std::vector<Port> ports;
  Duration start_limit = std::chrono::seconds{60};  // of each, until ready; then it is a failed start
  bool outbound = true;
  std::string runtime;  // OCI runtime by name; empty: the machine's default

  /// Precondition: there is one.
  ContainerSpec& main() { return containers.front(); }
  const ContainerSpec& main() const { return containers.front(); }
};
/// Whether others wait for its end.
bool completes(const Workload& workload, const std::string& container);
/// Whether one of its containers has the volume.
bool mounts(const Workload& workload, const std::string& volume);

struct GroupSpec {
  GroupId id;
  Workload workload;
  int count = 1;
};

enum class Phase {
  Starting,  // being made, or running and not ready yet
  Ready,
  Unready,   // was ready, its probe fails now
  Backoff,   // ended by itself; will be started again after a wait
  Stopping,  // had SIGTERM
  Ended,     // gone, and stays so
};
std::string_view name(Phase phase);

/// How a container's last run ended, for as long as the instance is there.
struct LastEnd {
  TimePoint time{};
  std::optional<int> exit_code;  // 128 and the signal's number; nothing when it never ran, or nobody knows
  bool out_of_memory = false;
  std::string reason;  // as below
};

struct ContainerView {
  std::string name;
  Phase phase = Phase::Starting;  // Ended: it is complete, or the instance goes
  int restarts = 0;
  bool complete = false;  // it has ended with 0, and need not run again
  std::string reason;     // why it is not ready, as below
  std::optional<LastEnd> last_end;
  std::optional<TimePoint> started;
  std::optional<TimePoint> ready;
};

/// Phase, reason and exit code are those of its containers taken together: the worst phase, and the first
/// reason, which names the container when there are several.
struct InstanceView {
  InstanceId id;
  GroupId group;
  int ordinal = 0;
  Phase phase = Phase::Starting;
  std::string address;  // IP inside its environment's network; empty until it has one
  int restarts = 0;
  std::optional<int> exit_code;  // of the last end
  bool out_of_memory = false;
  std::string reason;  // one line for people: "killed for memory: the limit is 64Mi", "listens on 3000, not
                       // on the declared 8080", "exited with 1 after 0.2s"
  std::optional<TimePoint> started;  // the last start of any
  std::optional<TimePoint> ready;    // since when all are
  std::vector<ContainerView> containers;
};

struct GroupView {
  GroupId id;
  int wanted = 0;
  bool retiring = false;
  std::vector<InstanceView> instances;
};

/// A stable name and address inside an environment: `http://NAME:PORT`.
struct Service {
  EnvironmentId environment;
  std::string name;
  struct Entry {
    std::uint16_t port = 0;    // what callers use
    std::uint16_t target = 0;  // inside the instances
    Protocol protocol = Protocol::Tcp;
    bool http = false;  // goes by way of the proxy, which balances, retries and measures
  };
  std::vector<Entry> ports;
  std::vector<std::string> endpoints;  // addresses of ready instances
};

struct JobSpec {
  JobId id;
  Workload workload;  // of one container
  std::vector<std::string> command;
  Duration deadline = std::chrono::hours{1};
  bool terminal = false;
};

struct JobView {
  enum class Phase { Running, Succeeded, Failed } phase = Phase::Running;
  std::optional<int> exit_code;
  std::string reason;
};

struct LogLine {
  TimePoint time;
  InstanceId instance;    // or job
  std::string container;  // of several; else empty
  Stream stream = Stream::Out;
  std::string text;
};

struct LogQuery {
  std::string source;     // instance, job, or group id (then every instance it ever had)
  std::string container;  // of several; empty: all
  std::optional<TimePoint> since;
  std::size_t tail = 0;  // last lines; 0: all
  bool follow = false;   // until the source is gone for good, or the task is cancelled
};
using LogSink = std::function<Task<>(const LogLine&)>;

struct Usage {
  double cpu_seconds = 0;  // since its start
  Bytes memory;
  Bytes memory_limit;  // zero: none
  int processes = 0;
};

/// A process with a terminal (or plain pipes) inside an instance.
class Terminal {
 public:
  virtual ~Terminal() = default;
  virtual Task<std::string> read() = 0;  // empty at the end
  virtual Task<> write(std::string_view bytes) = 0;
  virtual void close_input() = 0;
  virtual void resize(int columns, int rows) = 0;
  virtual Task<int> wait() = 0;  // exit code
};

class Engine {
 public:
  virtual ~Engine() = default;

  /// Adopts what runs from before, takes back what is half made. Called once, before all else.
  virtual Task<> start() = 0;
  /// Stops the engine's own tasks; instances go on.
  virtual Task<> stop() = 0;

  /// Makes it so that the group has `count` instances; more are started, surplus ones stopped with the grace.
  /// Throws Error{FailedPrecondition} when the group has other containers: those of a group never change.
  virtual Task<> ensure(GroupSpec group) = 0;
  /// SIGTERM to every instance, SIGKILL after the grace, then everything of it is removed; logs stay.
  virtual Task<> retire(GroupId group, Duration grace) = 0;
  /// All groups the engine knows, also those whose retirement is under way.
  virtual std::vector<GroupView> groups() const = 0;
  virtual std::optional<GroupView> group(const GroupId& id) const = 0;
  /// Told after each change of a group or job, by id, from the engine's executor; must return at once.
  virtual void observe(std::function<void(const std::string& id)> listener) = 0;

  virtual Task<> run_job(JobSpec job) = 0;
  virtual std::optional<JobView> job(const JobId& id) const = 0;
  /// Ends it if it runs, and forgets it; logs stay.
  virtual Task<> remove_job(JobId id) = 0;

  /// Returns the service's stable address. With no endpoint, connections are refused at once.
  virtual Task<std::string> ensure_service(Service service) = 0;
  virtual Task<> remove_service(EnvironmentId environment, std::string name) = 0;
  /// Removes network and addresses; its groups must be gone.
  virtual Task<> remove_environment(EnvironmentId environment) = 0;

  virtual Task<Bytes> volume_size(std::string volume) = 0;
  virtual Task<> remove_volume(std::string volume) = 0;

  virtual Task<> logs(LogQuery query, LogSink sink) = 0;
  /// Forgets the logs of a group or job.
  virtual Task<> remove_logs(std::string source) = 0;
  /// Of all its containers together.
  virtual std::optional<Usage> usage(const InstanceId& instance) = 0;
  /// In that container of it; with an empty name in the main one.
  virtual Task<std::unique_ptr<Terminal>> exec(InstanceId instance, std::vector<std::string> command,
                                               bool terminal, std::string container = {}) = 0;
};

}  // namespace tow::engine
