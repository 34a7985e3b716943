// SPDX-License-Identifier: Apache-2.0
#include "engine/local/records.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <sstream>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/log.hpp"
#include "base/reading.hpp"
#include "base/writing.hpp"
#include "engine/local/descriptor.hpp"
#include "engine/local/disk.hpp"

namespace tow::engine {

// The tables have no help: these documents are the engine's own.
constexpr auto names(Of<Protocol>) {
  return std::array{Name{Protocol::Tcp, "TCP"}, Name{Protocol::Udp, "UDP"}};
}
constexpr auto names(Of<Probe::Kind>) {
  return std::array{Name{Probe::Kind::Http, "http"}, Name{Probe::Kind::Exec, "exec"},
                    Name{Probe::Kind::Tcp, "tcp"}};
}
constexpr auto fields(Of<Port>) {
  return std::tuple{field("name", &Port::name, ""), field("port", &Port::port, ""),
                    field("protocol", &Port::protocol, "")};
}
constexpr auto fields(Of<Probe>) {
  return std::tuple{field("kind", &Probe::kind, ""),       field("port", &Probe::port, ""),
                    field("path", &Probe::path, ""),       field("scheme", &Probe::scheme, ""),
                    field("host", &Probe::host, ""),       field("headers", &Probe::headers, ""),
                    field("command", &Probe::command, ""), field("period", &Probe::period, ""),
                    field("timeout", &Probe::timeout, ""), field("failures", &Probe::failures, "")};
}
constexpr auto fields(Of<Limits>) {
  return std::tuple{field("memory", &Limits::memory, ""), field("cpu", &Limits::cpu_millis, ""),
                    field("cpuRequest", &Limits::cpu_request_millis, ""),
                    field("processes", &Limits::processes, ""), field("files", &Limits::files, "")};
}
constexpr auto fields(Of<VolumeMount>) {
  return std::tuple{field("volume", &VolumeMount::volume, ""), field("target", &VolumeMount::target, ""),
                    field("subPath", &VolumeMount::sub_path, ""),
                    field("readOnly", &VolumeMount::read_only, "")};
}
constexpr auto fields(Of<Value::Part>) {
  return std::tuple{field("text", &Value::Part::text, ""), field("secret", &Value::Part::secret, "")};
}
/// A file's content may be any bytes; JSON's strings may not.
Node write_custom(const File& file) {
  Node made = Node::Map{{"target", file.target}, {"mode", file.mode}, {"content", base64(file.content)}};
  if (!file.parts.empty()) made.set("parts", write(file.parts));
  return made;
}
void read_custom(const Node& node, File& file, Reading& reading) {
  const auto text = [&](const char* key, std::string& out) {
    if (const Node* value = node.find(key)) read(*value, out, reading);
  };
  text("target", file.target);
  text("content", file.content);
  if (const Node* mode = node.find("mode")) read(*mode, file.mode, reading);
  if (const Node* parts = node.find("parts")) read(*parts, file.parts, reading);
  file.content = base64_decode(file.content);
}
Node schema_custom(Of<File>) { return {}; }
constexpr auto fields(Of<Value>) { return std::tuple{field("parts", &Value::parts, "")}; }
constexpr auto names(Of<Milestone>) {
  return std::array{Name{Milestone::Started, "started"}, Name{Milestone::Ready, "ready"},
                    Name{Milestone::Complete, "complete"}};
}
constexpr auto fields(Of<ContainerSpec>) {
  using C = ContainerSpec;
  return std::tuple{field("name", &C::name, ""),           field("image", &C::image, ""),
                    field("command", &C::command, ""),     field("args", &C::args, ""),
                    field("variables", &C::variables, ""), field("files", &C::files, ""),
                    field("volumes", &C::volumes, ""),     field("readiness", &C::readiness, ""),
                    field("liveness", &C::liveness, ""),   field("limits", &C::limits, ""),
                    field("after", &C::after, ""),         field("readOnlyRoot", &C::read_only_root, "")};
}
constexpr auto fields(Of<Workload>) {
  return std::tuple{
      field("project", &Workload::project, ""),     field("environmentName", &Workload::environment_name, ""),
      field("component", &Workload::component, ""), field("environment", &Workload::environment, ""),
      field("userBase", &Workload::user_base, ""),  field("containers", &Workload::containers, ""),
      field("ports", &Workload::ports, ""),         field("startLimit", &Workload::start_limit, ""),
      field("outbound", &Workload::outbound, ""),   field("runtime", &Workload::runtime, "")};
}
constexpr auto fields(Of<LastEnd>) {
  return std::tuple{field("time", &LastEnd::time, ""), field("exitCode", &LastEnd::exit_code, ""),
                    field("outOfMemory", &LastEnd::out_of_memory, ""), field("reason", &LastEnd::reason, "")};
}
constexpr auto fields(Of<GroupSpec>) {
  return std::tuple{field("id", &GroupSpec::id, ""), field("workload", &GroupSpec::workload, ""),
                    field("count", &GroupSpec::count, "")};
}
constexpr auto fields(Of<JobSpec>) {
  return std::tuple{field("id", &JobSpec::id, ""), field("workload", &JobSpec::workload, ""),
                    field("command", &JobSpec::command, ""), field("deadline", &JobSpec::deadline, ""),
                    field("terminal", &JobSpec::terminal, "")};
}
constexpr auto fields(Of<Service::Entry>) {
  return std::tuple{field("port", &Service::Entry::port, ""), field("target", &Service::Entry::target, ""),
                    field("protocol", &Service::Entry::protocol, ""),
                    field("http", &Service::Entry::http, "")};
}
constexpr auto fields(Of<Service>) {
  return std::tuple{field("environment", &Service::environment, ""), field("name", &Service::name, ""),
                    field("ports", &Service::ports, ""), field("endpoints", &Service::endpoints, "")};
}

namespace local {

constexpr auto fields(Of<InstanceRecord>) {
  return std::tuple{field("id", &InstanceRecord::id, ""), field("ordinal", &InstanceRecord::ordinal, ""),
                    field("address", &InstanceRecord::address, "")};
}
constexpr auto fields(Of<GroupRecord>) {
  return std::tuple{field("spec", &GroupRecord::spec, ""), field("instances", &GroupRecord::instances, ""),
                    field("retiring", &GroupRecord::retiring, ""), field("grace", &GroupRecord::grace, "")};
}
constexpr auto fields(Of<JobRecord>) {
  return std::tuple{
      field("spec", &JobRecord::spec, ""),          field("address", &JobRecord::address, ""),
      field("deadline", &JobRecord::deadline, ""),  field("begun", &JobRecord::begun, ""),
      field("finished", &JobRecord::finished, ""),  field("succeeded", &JobRecord::succeeded, ""),
      field("exitCode", &JobRecord::exit_code, ""), field("reason", &JobRecord::reason, "")};
}
constexpr auto fields(Of<ServiceRecord>) {
  return std::tuple{field("address", &ServiceRecord::address, ""),
                    field("service", &ServiceRecord::service, "")};
}
constexpr auto fields(Of<EnvironmentRecord>) {
  return std::tuple{field("id", &EnvironmentRecord::id, ""),
                    field("number", &EnvironmentRecord::number, ""),
                    field("outbound", &EnvironmentRecord::outbound, ""),
                    field("lastInstance", &EnvironmentRecord::last_instance, ""),
                    field("lastService", &EnvironmentRecord::last_service, ""),
                    field("services", &EnvironmentRecord::services, "")};
}
constexpr auto fields(Of<RunRecord>) {
  return std::tuple{field("id", &RunRecord::id, ""),
                    field("link", &RunRecord::link, ""),
                    field("runtime", &RunRecord::runtime, ""),
                    field("image", &RunRecord::image, ""),
                    field("started", &RunRecord::started, ""),
                    field("ready", &RunRecord::ready, ""),
                    field("restarts", &RunRecord::restarts, ""),
                    field("lastEnd", &RunRecord::last_end, "")};
}
constexpr auto fields(Of<SandboxRecord>) {
  return std::tuple{field("id", &SandboxRecord::id, ""), field("link", &SandboxRecord::link, ""),
                    field("complete", &SandboxRecord::complete, "")};
}

Node to_node(const GroupRecord& record) { return write(record); }
Node to_node(const JobRecord& record) { return write(record); }
Node to_node(const EnvironmentRecord& record) { return write(record); }
Node to_node(const RunRecord& record) { return write(record); }
Node to_node(const SandboxRecord& record) { return write(record); }

namespace {

/// Before there could be several containers, the one's fields were the workload's own.
Node with_containers(const Node& record) {
  const Node* spec = record.find("spec");
  const Node* workload = spec ? spec->find("workload") : nullptr;
  if (!workload || workload->find("containers")) return record;
  Node several = *workload;
  several.set("containers", Node::List{*workload});
  Node own = *spec;
  own.set("workload", std::move(several));
  Node made = record;
  made.set("spec", std::move(own));
  return made;
}

}  // namespace

template <class T>
T from_node(const Node& node) {
  T record;
  Reading reading{Strictness::Stored};
  read(with_containers(node), record, reading);
  reading.finish("a record of the engine");
  return record;
}
template GroupRecord from_node(const Node&);
template JobRecord from_node(const Node&);
template EnvironmentRecord from_node(const Node&);
template RunRecord from_node(const Node&);
template SandboxRecord from_node(const Node&);

namespace fs = std::filesystem;

namespace {

void fill(const fs::path& path, const std::string& text, int mode, Safety safety) {
  const Descriptor file{::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)};
  if (!file) throw disk_error("writing", path, errno);
  ::fchmod(file.get(), static_cast<mode_t>(mode));  // whatever the umask
  for (std::string_view rest = text; !rest.empty();) {
    const auto written = ::write(file.get(), rest.data(), rest.size());
    if (written < 0) throw disk_error("writing", path, errno);
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  if (safety == Safety::Durable && ::fdatasync(file.get()) != 0) throw disk_error("writing", path, errno);
}

}  // namespace

void write_file(const fs::path& path, const std::string& text, int mode, Safety safety) {
  const fs::path fresh = path.string() + ".new";
  try {
    fill(fresh, text, mode, safety);
    if (::rename(fresh.c_str(), path.c_str()) != 0) throw disk_error("replacing", path, errno);
  } catch (...) {
    ::unlink(fresh.c_str());  // the half of it would fill a full disk further
    throw;
  }
  if (safety == Safety::Volatile) return;
  const Descriptor directory{::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!directory || ::fsync(directory.get()) != 0) throw disk_error("replacing", path, errno);
}

std::optional<std::string> read_text(const fs::path& path) {
  std::ifstream in{path};
  if (!in) return std::nullopt;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

Folder::Folder(fs::path directory) : directory_{std::move(directory)} {}

void Folder::save(const std::string& name, const Node& record) {
  fs::create_directories(directory_);
  write_file(directory_ / (name + ".json"), to_json(record), 0600, Safety::Durable);
}

void Folder::remove(const std::string& name) { fs::remove(directory_ / (name + ".json")); }

std::map<std::string, Node> Folder::load() const {
  std::map<std::string, Node> all;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator{directory_, ignored}) {
    if (entry.path().extension() != ".json") continue;
    try {
      all[entry.path().stem()] = parse_json(read_text(entry.path()).value_or(""));
    } catch (const Error& error) {
      log::error("engine", "the record {} cannot be read and is left alone: {}", entry.path().string(),
                 error.message());
    }
  }
  return all;
}

}  // namespace local
}  // namespace tow::engine
