// SPDX-License-Identifier: Apache-2.0
#pragma once
// The field tables of Score documents and plans, and the document form of ByTarget. For
// score*.cpp; others read and write by the functions of score.hpp and score_plan.hpp.

#include "model/score_plan.hpp"

namespace tow::score {

// -------------------------------------------------------------------------------------------

inline constexpr auto kName =
    matches("[a-z0-9][a-z0-9-]{0,61}[a-z0-9]",
            "2 to 63 lower-case letters, digits and hyphens, beginning and ending with a letter or digit");
inline constexpr auto kTypeName =
    matches("[A-Za-z0-9][A-Za-z0-9-]{0,61}[A-Za-z0-9]",
            "2 to 63 letters, digits and hyphens, beginning and ending with a letter or digit");
inline constexpr auto kAnnotation = matches(
    "(([a-z0-9][a-z0-9-]{0,61}[a-z0-9])(\\.[a-z0-9][a-z0-9-]{0,61}[a-z0-9])*/)?"
    "[A-Za-z0-9][A-Za-z0-9._-]{0,61}[A-Za-z0-9]",
    "an annotation's name, such as example.org/owner");

constexpr auto names(Of<Protocol>) {
  return std::array{Name<Protocol>{Protocol::Tcp, "TCP"}, Name<Protocol>{Protocol::Udp, "UDP"}};
}
constexpr auto names(Of<Scheme>) {
  return std::array{Name<Scheme>{Scheme::Http, "HTTP"}, Name<Scheme>{Scheme::Https, "HTTPS"}};
}
constexpr auto names(Of<Ready>) {
  return std::array{Name<Ready>{Ready::Started, "started"}, Name<Ready>{Ready::Healthy, "healthy"},
                    Name<Ready>{Ready::Complete, "complete"}};
}

constexpr auto fields(Of<Metadata>) {
  return std::tuple{
      field("name", &Metadata::name, "The component's name.", required, kName),
      field("annotations", &Metadata::annotations, "Notes for people and tools.", kAnnotation),
      rest(&Metadata::others),
  };
}
constexpr auto fields(Of<Port>) {
  return std::tuple{
      field("port", &Port::port, "The port that callers use.", required, between(1, 65535)),
      field("protocol", &Port::protocol, "Transport."),
      field("targetPort", &Port::target, "The port inside the container; the same when absent.",
            between(1, 65535)),
  };
}
constexpr auto fields(Of<Service>) {
  return std::tuple{field("ports", &Service::ports, "The ports that others may call, by name.", kName)};
}
constexpr auto fields(Of<File>) {
  return std::tuple{
      field("source", &File::source, "A file of the repository, relative to this document.", at_least(1)),
      field("content", &File::content, "The text itself."),
      field("binaryContent", &File::binary_content, "The bytes in base64; placeholders are not expanded."),
      field("mode", &File::mode, "Access mode in octal; 0644 when absent.",
            matches("0?[0-7]{3}", "an octal mode such as \"0644\"")),
      field("noExpand", &File::no_expand, "Placeholders in the content stay as they are."),
  };
}
constexpr auto fields(Of<VolumeMount>) {
  return std::tuple{
      field("source", &VolumeMount::source, "The volume: ${resources.NAME}.", required),
      field("path", &VolumeMount::path, "A folder inside the volume."),
      field("readOnly", &VolumeMount::read_only, "It cannot be written to here."),
  };
}
constexpr auto fields(Of<Amounts>) {
  return std::tuple{
      field("cpu", &Amounts::cpu, "Cores: \"0.5\" or \"500m\".",
            matches("\\d+(?:m|\\.\\d+)?", "cores, such as \"2\", \"0.5\" or \"500m\"")),
      field("memory", &Amounts::memory, "Bytes: \"512M\" or \"512Mi\"."),
  };
}
constexpr auto fields(Of<Compute>) {
  return std::tuple{
      field("limits", &Compute::limits, "The most that it gets."),
      field("requests", &Compute::requests, "What it needs at least."),
  };
}
constexpr auto fields(Of<Header>) {
  return std::tuple{
      field("name", &Header::name, "Name of the header.", required,
            matches("[A-Za-z0-9_-]+", "a header name")),
      field("value", &Header::value, "Its value.", required, at_least(1)),
  };
}
constexpr auto fields(Of<HttpGet>) {
  return std::tuple{
      field("path", &HttpGet::path, "Answers 2xx or 3xx when all is well.", required),
      field("port", &HttpGet::port, "Port inside the container.", required, between(1, 65535)),
      field("host", &HttpGet::host, "The Host header to send.", at_least(1)),
      field("scheme", &HttpGet::scheme, "HTTP, or HTTPS."),
      field("httpHeaders", &HttpGet::headers, "More headers to send."),
  };
}
constexpr auto fields(Of<Exec>) {
  return std::tuple{
      field("command", &Exec::command, "Ends with 0 when all is well.", required, at_least(1)),
  };
}
constexpr auto fields(Of<Probe>) {
  return std::tuple{
      field("httpGet", &Probe::http_get, "A request."),
      field("exec", &Probe::exec, "A command inside the container; used when both are there."),
  };
}
constexpr auto fields(Of<Before>) {
  return std::tuple{
      field("ready", &Before::ready, "How far this container must be before that one starts.", required)};
}
constexpr auto fields(Of<Container>) {
  return std::tuple{
      field("image", &Container::image, "Image reference; \".\" is the image built from the repository.",
            required, at_least(1)),
      field("command", &Container::command, "Replaces the image's entrypoint."),
      field("args", &Container::args, "Replaces the image's arguments."),
      field("variables", &Container::variables, "Environment variables.",
            matches("[^=]+", "a variable's name, without =")),
      field("files", &Container::files, "Files to put into the container, by path."),
      field("volumes", &Container::volumes, "Volumes to mount, by path."),
      field("before", &Container::before, "Containers that start after this one.", kName),
      field("resources", &Container::resources, "CPU and memory."),
      field("livenessProbe", &Container::liveness, "Failing, it is restarted."),
      field("readinessProbe", &Container::readiness, "Failing, it gets no traffic."),
  };
}
constexpr auto fields(Of<ResourceMetadata>) {
  return std::tuple{
      field("annotations", &ResourceMetadata::annotations, "Notes for people and tools.", kAnnotation),
      rest(&ResourceMetadata::others),
  };
}
constexpr auto fields(Of<Resource>) {
  return std::tuple{
      field("type", &Resource::type, "What it is: environment, route, dns, service-port, volume.", required,
            kTypeName),
      field("class", &Resource::class_name, "A special sort of it; \"default\" when absent.",
            matches("|[A-Za-z0-9][A-Za-z0-9-]{0,61}[A-Za-z0-9]", kTypeName.help)),
      field("id", &Resource::id, "Makes it one resource for all who name it so.",
            matches("[a-z0-9]+(?:-+[a-z0-9]+)*(?:\\.[a-z0-9]+(?:-+[a-z0-9]+)*)*",
                    "labels of lower-case letters, digits and hyphens, with dots between them")),
      field("metadata", &Resource::metadata, "Notes for people and tools."),
      field("params", &Resource::params, "What it is made with."),
  };
}
constexpr auto fields(Of<Document>) {
  return std::tuple{
      field("apiVersion", &Document::api_version, "Always score.dev/v1b1.", required,
            matches("score\\.dev/v1b1", "score.dev/v1b1")),
      field("metadata", &Document::metadata, "Who it is.", required),
      field("service", &Document::service, "What others may call."),
      field("containers", &Document::containers, "What runs, by name.", required, at_least(1), kName),
      field("resources", &Document::resources, "What it needs, by name.", kName),
  };
}

// --- document forms of Located and ByTarget
// -----------------------------------------------------------------

/// An entry of the list form.
template <class T>
struct Listed : T {
  std::string target;
};
template <class T>
constexpr auto fields(Of<Listed<T>>) {
  return std::tuple_cat(
      std::tuple{field("target", &Listed<T>::target, "Its path in the container.", required, at_least(1))},
      fields(Of<T>{}));
}

template <class T>
void read_custom(const Node& node, ByTarget<T>& out, Reading& reading) {
  if (!node.list()) return tow::read(node, out.entries, reading);
  for (std::size_t i = 0; i < node.list()->size(); ++i) {
    const Node& entry = (*node.list())[i];
    auto step = reading.into(i);
    Listed<T> listed;
    const auto before = reading.faults().size();
    tow::read(entry, listed, reading);
    if (reading.faults().size() != before) out.unread.insert(listed.target);
    if (listed.target.empty()) continue;  // said already
    const Node& target = *entry.find("target");
    if (!out.entries.try_emplace(listed.target, Located<T>{listed, entry.at, target.at}).second) {
      auto at = reading.into("target");
      reading.fault(target, fmt::format("\"{}\" is the target of two entries", listed.target));
    }
  }
}
template <class T>
Node write_custom(const ByTarget<T>& value) {
  return tow::write(value.entries);
}
template <class T>
Node schema_custom(Of<ByTarget<T>>) {
  return Node::Map{
      {"oneOf", Node::List{tow::schema<std::map<std::string, T>>(), tow::schema<std::vector<Listed<T>>>()}}};
}

constexpr auto names(Of<PlannedProbe::Kind>) {
  using K = PlannedProbe::Kind;
  return std::array{Name<K>{K::Http, "http"}, Name<K>{K::Exec, "exec"}};
}
constexpr auto fields(Of<ServicePort>) {
  using S = ServicePort;
  return std::tuple{
      field("name", &S::name, "Its name.", required),
      field("port", &S::port, "What callers use.", required),
      field("target", &S::target, "Inside the instances.", required),
      field("protocol", &S::protocol, "Transport."),
      field("http", &S::http, "It speaks HTTP."),
  };
}
constexpr auto fields(Of<PlannedFile>) {
  using S = PlannedFile;
  return std::tuple{
      field("target", &S::target, "Its path in the container.", required),
      field("content", &S::content, "Its text."),
      field("base64", &S::base64, "Its bytes, where they are no text."),
      field("mode", &S::mode, "Access mode."),
  };
}
constexpr auto fields(Of<PlannedVolume>) {
  using S = PlannedVolume;
  return std::tuple{
      field("volume", &S::volume, "Identity of the resource.", required),
      field("target", &S::target, "Its path in the container.", required),
      field("path", &S::path, "Folder inside the volume."),
      field("readOnly", &S::read_only, "It cannot be written to here."),
  };
}
constexpr auto fields(Of<PlannedProbe>) {
  using S = PlannedProbe;
  return std::tuple{
      field("kind", &S::kind, "How it asks.", required), field("port", &S::port, "Port inside the instance."),
      field("path", &S::path, "Path of the request."),   field("host", &S::host, "Host header."),
      field("headers", &S::headers, "More headers."),    field("command", &S::command, "What runs."),
  };
}
constexpr auto fields(Of<PlannedLimits>) {
  using S = PlannedLimits;
  return std::tuple{
      field("memory", &S::memory, "At most."),
      field("cpuMillis", &S::cpu_millis, "At most, in thousandths of a core."),
      field("memoryRequest", &S::memory_request, "At least."),
      field("cpuRequestMillis", &S::cpu_request_millis, "At least, in thousandths of a core."),
  };
}
constexpr auto fields(Of<PlannedRoute>) {
  using S = PlannedRoute;
  return std::tuple{
      field("resource", &S::resource, "Its name in the Score document.", required),
      field("host", &S::host, "Host name.", required),
      field("path", &S::path, "Path prefix.", required),
      field("port", &S::port, "Port of the service.", required),
      field("target", &S::target, "Port of the instances.", required),
  };
}
constexpr auto fields(Of<PlannedResource>) {
  using S = PlannedResource;
  return std::tuple{
      field("name", &S::name, "Its name in the Score document.", required),
      field("type", &S::type, "What it is.", required),
      field("identity", &S::identity, "The same for all who share it.", required),
      field("shared", &S::shared, "It has an id."),
      field("outputs", &S::outputs, "What it gives."),
  };
}
constexpr auto fields(Of<PlannedContainer>) {
  using S = PlannedContainer;
  return std::tuple{
      field("name", &S::name, "Its name.", required),
      field("image", &S::image, "\".\" is the one that is built.", required),
      field("command", &S::command, "Replaces the image's entrypoint."),
      field("args", &S::args, "Replaces the image's arguments."),
      field("variables", &S::variables, "Environment variables."),
      field("files", &S::files, "Files to put into it."),
      field("volumes", &S::volumes, "Volumes to mount."),
      field("liveness", &S::liveness, "Failing, it is restarted."),
      field("readiness", &S::readiness, "Failing, it gets no traffic."),
      field("limits", &S::limits, "CPU and memory."),
      field("after", &S::after, "Containers that come before it, and how far they must be."),
  };
}
constexpr auto fields(Of<Plan>) {
  return std::tuple{
      field("component", &Plan::component, "Which component.", required),
      field("containers", &Plan::containers, "What runs, the main one first.", required),
      field("ports", &Plan::ports, "What others may call."),
      field("routes", &Plan::routes, "What leads to it from outside."),
      field("resources", &Plan::resources, "What it needs."),
  };
}

}  // namespace tow::score
