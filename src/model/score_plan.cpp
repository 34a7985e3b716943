// SPDX-License-Identifier: Apache-2.0
#include "model/score_plan.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <charconv>

#include "base/ids.hpp"
#include "model/score_fields.hpp"
#include "model/score_planner.hpp"

namespace tow::score {
namespace {

constexpr std::size_t kLargestFile = 1u << 20;

bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

bool http_by_name(std::string_view name) {
  return name == "http" || name == "web" || name == "www" || name.starts_with("http-");
}

}  // namespace

Planner::Planner(const Document& document, const Context* context, Reading& reading)
    : document_{document}, context_{context}, reading_{reading}, metadata_{tow::write(*document.metadata)} {
  for (const Fault& fault : reading.faults())
    for (std::size_t end = 0; end != std::string::npos;) {
      end = fault.path.find_first_of(".[", end + 1);
      broken_.insert(fault.path.substr(0, end));
    }
}

Plan Planner::run() {
  if (!within_bounds()) return {};
  if (context_) {
    directory_ = context_->directory;
    read_file_ = context_->read_file;
    if (!context_->component.empty() && context_->component != document_.name()) {
      auto step = reading_.into("metadata.name");
      fault(document_.metadata.at, fmt::format("\"{}\" must be \"{}\", as towpath.yaml calls this component",
                                               document_.name(), context_->component));
    }
  }
  plan_.component = document_.name();
  names();
  ports();
  before();
  resources();
  {
    auto step = reading_.into("containers");
    for (const auto& [name, one] : document_.containers) {
      auto inner = reading_.into(name);
      container(name, *one);
    }
  }
  order_containers();
  mark_http();
  for (auto& [name, resource] : resolved_)
    if (!resource.type.empty()) plan_.resources.push_back(resource);
  return plan_;
}

void Planner::mark_http() {
  for (auto& port : plan_.ports) {
    bool probed = false;
    for (const auto& [name, one] : document_.containers)
      if (one->readiness && (*one->readiness)->http_get)
        probed |= (*one->readiness)->http_get->value.port == port.target;
    port.http =
        port.protocol == Protocol::Tcp && (probed || routed_.contains(port.name) || http_by_name(port.name));
  }
}

// The main one first, the others by name (a stored document has no other order); and the conditions, which a
// document writes with the one that comes before, with the one that waits.
void Planner::order_containers() {
  const auto main = main_container(document_);
  std::ranges::stable_partition(plan_.containers, [&](const auto& each) { return each.name == main; });
  for (const auto& [name, one] : document_.containers)
    for (const auto& [other, condition] : one->before)
      for (auto& each : plan_.containers)
        if (each.name == other) each.after[name] = condition->ready;
}

void Planner::container(const std::string& name, const Container& container) {
  static const re2::RE2 reference{"[A-Za-z0-9]([A-Za-z0-9._/:@+-]*[A-Za-z0-9])?"};
  targets_.clear();
  made_ = {.name = name, .image = container.image.value};
  if (!made_.image.empty() && made_.image != "." &&
      (!re2::RE2::FullMatch(made_.image, reference) || made_.image.size() > 512)) {
    auto step = reading_.into("image");
    fault(container.image.at,
          fmt::format("\"{}\" is not an image reference; write \".\" for the image built from the repository",
                      made_.image.substr(0, 80)));
  }
  const auto words = [&](std::string_view key, const std::vector<std::string>& all) {
    auto step = reading_.into(key);
    for (std::size_t i = 0; i < all.size(); ++i) {
      auto inner = reading_.into(i);
      if (has_nul(all[i])) fault(container.image.at, "must not have a zero byte");
    }
    return all;
  };
  made_.command = words("command", container.command);
  made_.args = words("args", container.args);
  {
    auto step = reading_.into("variables");
    for (const auto& [variable, text] : container.variables) {
      auto inner = reading_.into(variable);
      if (has_control(variable) || has_nul(*text))
        fault(text.at, "must have neither control characters in its name nor a zero byte in its value");
      made_.variables[variable] = expand_text(*text, text.at);
    }
  }
  files(container);
  volumes(container);
  nesting(container);
  made_.limits = limits(container.resources);
  made_.liveness = probe(container.liveness, "livenessProbe");
  made_.readiness = probe(container.readiness, "readinessProbe");
  plan_.containers.push_back(std::move(made_));
}

void Planner::files(const Container& container) {
  auto step = reading_.into("files");
  for (const auto& [at_target, it] : container.files.entries) {
    auto inner = reading_.into(at_target);
    file(at_target, it, !broken(reading_.path()) && !container.files.unread.contains(at_target));
  }
}

void Planner::file(const std::string& at_target, const Located<File>& file, bool sound) {
  const File& it = *file;
  PlannedFile made;
  if (const auto path = target(at_target, file.key_at, true)) made.target = *path;
  if (sound) std::from_chars(it.mode.data(), it.mode.data() + it.mode.size(), made.mode, 8);
  const int given = it.source.has_value() + it.content.has_value() + it.binary_content.has_value();
  if (given != 1 && sound)
    fault(file.at, given == 0 ? "needs one of source, content and binaryContent"
                              : "takes only one of source, content and binaryContent");
  if (it.content) {
    auto step = reading_.into("content");
    made.content = it.no_expand ? Expanded{**it.content} : expand_text(**it.content, it.content->at, true);
  }
  if (it.source && !(*it.source)->empty()) {
    auto step = reading_.into("source");
    source(*it.source, !it.no_expand, made);
  }
  if (it.binary_content) {
    auto step = reading_.into("binaryContent");
    made.base64 = **it.binary_content;
    std::erase_if(made.base64, [](char c) { return c == '\n' || c == '\r' || c == ' '; });
    try {
      base64_decode(made.base64);
    } catch (const Error&) {
      fault(it.binary_content->at, "is not base64");
    }
  }
  made_.files.push_back(std::move(made));
}

void Planner::source(const Text& source, bool expand, PlannedFile& made) {
  const auto before = reading_.faults().size();
  for (const auto& piece : parse_text(*source).pieces)
    if (piece.reference && piece.reference->keys[0] == "resources") {
      unsupported(source.at, fmt::format("{}: a source that depends on a resource is not supported yet",
                                         piece.reference->spelling));
      return;
    }
  const auto text = expand_text(*source, source.at).plain();
  if (!text || reading_.faults().size() != before) return;
  // Without a reader the folder is unknown; ".." may be fine.
  if (text->starts_with('/') || has_control(*text)) {
    fault(source.at, fmt::format("\"{}\" must be a path relative to the Score document", *text));
    return;
  }
  if (!read_file_) return;
  const auto path = repository_path(directory_, *text);
  if (!path || path->empty()) {
    fault(source.at, fmt::format("\"{}\" leaves the repository", *text));
    return;
  }
  std::optional<std::string> content;
  try {
    content = read_file_(*path);
  } catch (const Error& error) {
    fault(source.at, fmt::format("\"{}\" cannot be read: {}", *path, error.message()));
    return;
  }
  if (!content)
    fault(source.at, fmt::format("there is no file \"{}\" in the repository", *path));
  else if (content->size() > kLargestFile)
    fault(source.at,
          fmt::format("\"{}\" has {} bytes; 1Mi is the most that can be mounted", *path, content->size()));
  else if (!fits(content->size(), source.at))
    return;
  else if (!is_utf8(*content) || has_nul(*content))
    made.base64 = base64(*content);
  else
    made.content = expand ? expand_text(*content, source.at, true) : Expanded{*content};
}

void Planner::volumes(const Container& container) {
  auto step = reading_.into("volumes");
  for (const auto& [at_target, mount] : container.volumes.entries) {
    auto inner = reading_.into(at_target);
    if (broken(reading_.path()) || container.volumes.unread.contains(at_target)) continue;
    PlannedVolume made{.target = target(at_target, mount.key_at, false).value_or(""),
                       .read_only = mount->read_only};
    {
      auto key = reading_.into("path");
      const auto start = std::min(mount->path.find_first_not_of('/'), mount->path.size());
      const auto path = repository_path("", mount->path.substr(start));
      if (!path || has_control(mount->path))
        fault(mount.at, fmt::format("\"{}\" leaves the volume", mount->path));
      made.path = path.value_or("");
    }
    auto key = reading_.into("source");
    const auto& source = mount->source;
    const auto before = reading_.faults().size();
    const auto text = known(expand_text(*source, source.at), source.at, "the volume");
    if (reading_.faults().size() == before) {
      for (const auto& [name, resource] : document_.resources)
        if (text && resource->type.value == "volume" && (*text == name || *text == identity(document_, name)))
          made.volume = identity(document_, name);
      bool refused = false;  // said already
      for (const auto& piece : parse_text(*source).pieces)
        refused |= piece.reference && piece.reference->keys.size() > 1 &&
                   refused_.contains(piece.reference->keys[1]);
      if (made.volume.empty() && !refused)
        fault(source.at,
              fmt::format("\"{}\" is not a resource of type volume; write ${{resources.NAME}}", *source));
    }
    made_.volumes.push_back(std::move(made));
  }
}

// "/etc/app" cannot be a file and the folder of another.
void Planner::nesting(const Container& container) {
  for (const auto& [path, made] : targets_)
    for (const auto& [inside, other] : targets_) {
      if (!made.second || !inside.starts_with(path + "/")) continue;
      auto step = reading_.into(other.second ? "files" : "volumes");
      auto inner = reading_.into(other.first);
      fault(other.second ? container.files.entries.at(other.first).key_at
                         : container.volumes.entries.at(other.first).key_at,
            fmt::format("is inside \"{}\", which is a file", made.first));
    }
}

Plan plan(const Document& document, const Context& context) {
  Reading reading;
  Plan made = Planner{document, &context, reading}.run();
  reading.finish(fmt::format("{} in {}", document.name(), context.environment));
  return made;
}

Node write(const Plan& plan) { return tow::write(plan); }

std::vector<RequiredName> required_configuration(
    const Document& document, const std::string& directory,
    const std::function<std::optional<std::string>(const std::string& path)>& read_file) {
  Reading reading;
  Planner planner{document, nullptr, reading};
  planner.read_sources(directory, read_file);
  planner.run();
  return planner.required();
}

std::vector<std::string> source_files(const Document& document, const std::string& directory) {
  Reading reading;
  std::vector<std::string> paths;
  Planner planner{document, nullptr, reading};
  planner.read_sources(directory, [&](const std::string& path) {
    paths.push_back(path);
    return std::string{};
  });
  planner.run();
  Reading about_sources;
  for (const Fault& fault : reading.faults())
    if (fault.path.ends_with(".source") && fault.path.find(".files.") != std::string::npos) {
      auto step = about_sources.into(fault.path);
      about_sources.fault_at(fault.at, fault.message);
    }
  about_sources.finish("the Score document");
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  return paths;
}

std::string main_container(const Document& document) {
  std::string first;
  for (const auto& [name, one] : document.containers) {
    if (std::ranges::any_of(one->before,
                            [](const auto& each) { return each.second->ready == Ready::Complete; }))
      continue;
    if (one->image.value == ".") return name;
    if (first.empty()) first = name;
  }
  return first;
}

std::string own_image(const Document& document) {
  for (const auto& [name, one] : document.containers)
    if (one->image.value == ".") return ".";
  const auto main = document.containers.find(main_container(document));
  return main == document.containers.end() ? std::string{} : main->second->image.value;
}

std::set<std::string> further_images(const Document& document) {
  std::set<std::string> all;
  for (const auto& [name, one] : document.containers) all.insert(one->image.value);
  all.erase(own_image(document));
  return all;
}

std::vector<ServicePort> service_ports(const Document& document) {
  Reading reading;
  return Planner{document, nullptr, reading}.run().ports;
}

}  // namespace tow::score
