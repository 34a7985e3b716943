// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the engine remembers. Durable records (groups, jobs, environments) outlive a reboot; a run record lies
// on tmpfs beside its container and says that the container was wholly made. None holds a secret's value.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/node.hpp"
#include "engine/engine.hpp"

namespace tow::engine::local {

struct InstanceRecord {
  InstanceId id;
  int ordinal = 0;
  std::string address;
};

struct GroupRecord {
  GroupSpec spec;
  std::vector<InstanceRecord> instances;
  std::optional<TimePoint> retiring;  // since when
  Duration grace{0};
};

struct JobRecord {
  JobSpec spec;
  std::string address;
  std::optional<TimePoint> deadline;
  bool begun = false;  // its process may have run: it is not started again
  bool finished = false;
  bool succeeded = false;
  std::optional<int> exit_code;
  std::string reason;
};

struct ServiceRecord {
  std::string address;
  Service service;
};

struct EnvironmentRecord {
  EnvironmentId id;
  int number = 0;  // of its network, and in its bridge's name
  bool outbound = true;
  std::string last_instance;  // addresses given out last
  std::string last_service;
  std::map<std::string, ServiceRecord> services;
};

/// Of one container. On tmpfs, written as the last step of a start.
struct RunRecord {
  std::string id;       // see container_key
  std::string link;     // the host's end of its veth pair; empty: its sandbox has it
  std::string runtime;  // as chosen: name or path
  std::string image;
  TimePoint started{};
  std::optional<TimePoint> ready;  // first time
  int restarts = 0;
  std::optional<LastEnd> last_end;
};

/// Of an instance with several containers. On tmpfs; it says that the sandbox was wholly made.
struct SandboxRecord {
  InstanceId id;
  std::string link;
  std::map<std::string, LastEnd> complete;  // containers that need not run again
};

Node to_node(const GroupRecord& record);
Node to_node(const JobRecord& record);
Node to_node(const EnvironmentRecord& record);
Node to_node(const RunRecord& record);
Node to_node(const SandboxRecord& record);
template <class T>
T from_node(const Node& node);  // for the same five; throws Error{Invalid}

/// Replaces a file at once: whoever reads it sees the old or the new text. With Durable it is on disk on
/// return.
enum class Safety { Durable, Volatile };
void write_file(const std::filesystem::path& path, const std::string& text, int mode, Safety safety);
std::optional<std::string> read_text(const std::filesystem::path& path);

/// Records of one kind, a file each. Blocking; calls for one name must not run at once.
class Folder {
 public:
  explicit Folder(std::filesystem::path directory);
  void save(const std::string& name, const Node& record);
  void remove(const std::string& name);
  /// By name. A file that cannot be read is logged and left alone: it is a person's to look at.
  std::map<std::string, Node> load() const;

 private:
  std::filesystem::path directory_;
};

}  // namespace tow::engine::local
