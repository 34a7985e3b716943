// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/commands.hpp"

#include "image/buildah/storage.hpp"

namespace tow::image::buildah {
namespace {

Command command(const Settings& settings, const Layout& layout) {
  Command result;
  const auto file = [&](const char* name) { return (layout.configuration / name).string(); };
  result.env = settings.proxy;
  result.env["HOME"] = layout.configuration.string();  // no credentials or settings of the user's own
  result.env["TMPDIR"] = layout.temporary.string();
  result.env["CONTAINERS_CONF"] = file("containers.conf");
  result.env["CONTAINERS_STORAGE_CONF"] = file("storage.conf");
  result.env["CONTAINERS_REGISTRIES_CONF"] = file("registries.conf");
  result.own_session = true;
  return result;
}

/// A process and a mount namespace: what is started inside ends with it, and what is mounted inside, too.
std::vector<std::string> isolated() {
  return {"unshare",      "--mount",       "--pid",   "--fork", "--kill-child",
          "--mount-proc", "--propagation", "private", "--"};
}

std::vector<std::string> buildah(const Layout& layout) {
  return {"buildah",
          "--root",
          layout.storage.string(),
          "--runroot",
          layout.storage_run.string(),
          "--storage-driver",
          "overlay",
          "--registries-conf",
          (layout.configuration / "registries.conf").string(),
          "--registries-conf-dir",
          (layout.configuration / "empty").string()};
}

/// "mirror.example:8080" of "http://mirror.example:8080/simple/"
std::string host_of(const std::string& address) {
  const auto begin = address.find("//");
  const auto rest = begin == std::string::npos ? address : address.substr(begin + 2);
  const auto authority = rest.substr(0, rest.find('/'));
  return authority.substr(authority.find('@') + 1);
}

void append(std::vector<std::string>& to, std::vector<std::string> what) {
  for (auto& word : what) to.push_back(std::move(word));
}

std::string seconds(TimePoint time) {
  return std::to_string(std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count());
}

std::vector<std::string> skopeo(const Layout& layout) {
  return {"skopeo",
          "--registries-conf",
          (layout.configuration / "registries.conf").string(),
          "--policy",
          (layout.configuration / "policy.json").string(),
          "--registries.d",
          (layout.configuration / "empty").string()};
}

std::string storage_reference(const Layout& layout, const std::string& reference) {
  return "containers-storage:[overlay@" + layout.storage.string() + "+" + layout.storage_run.string() + "]" +
         reference;
}

}  // namespace

Layout layout(const Settings& settings) {
  const auto& directory = settings.directory;
  const auto& run = settings.run_directory;
  return {.storage = storage_root(settings),
          .storage_run = run / "storage",
          .configuration = directory / "configuration",
          .caches = directory / "caches",
          .temporary = directory / "temporary",
          .builds = run / "builds"};
}

std::filesystem::path storage_root(const Settings& settings) { return settings.directory / "storage"; }

std::map<std::string, std::string> configuration_files(const Settings& settings, const Layout& layout) {
  std::map<std::string, std::string> files;
  files["containers.conf"] = "[network]\nnetwork_config_dir = \"" +
                             (layout.configuration / "empty").string() +
                             "\"\n[containers]\nnetns = \"host\"\n";
  files["storage.conf"] = "[storage]\ndriver = \"overlay\"\ngraphroot = \"" + layout.storage.string() +
                          "\"\nrunroot = \"" + layout.storage_run.string() + "\"\n";
  files["registries.conf"] =
      "unqualified-search-registries = [\"docker.io\"]\nshort-name-mode = \"disabled\"\n";
  for (const auto& registry : settings.plain_registries)
    files["registries.conf"] += "[[registry]]\nlocation = \"" + registry + "\"\ninsecure = true\n";
  files["policy.json"] = "{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}\n";
  return files;
}

std::map<std::string, std::string> step_files(const Settings& settings) {
  std::map<std::string, std::string> files;
  if (settings.trust_host_certificates || !settings.npm_registry.empty()) {
    files["npmrc"] = "";
    if (!settings.npm_registry.empty()) files["npmrc"] += "registry=" + settings.npm_registry + "\n";
    if (settings.trust_host_certificates) files["npmrc"] += "cafile=/etc/ssl/certs/ca-certificates.crt\n";
  }
  if (settings.trust_host_certificates || !settings.python_index.empty()) {
    files["pip.conf"] = "[global]\n";
    if (!settings.python_index.empty()) files["pip.conf"] += "index-url = " + settings.python_index + "\n";
    if (settings.python_index.starts_with("http://"))
      files["pip.conf"] += "trusted-host = " + host_of(settings.python_index) + "\n";
    if (settings.trust_host_certificates) files["pip.conf"] += "cert = /etc/ssl/certs/ca-certificates.crt\n";
  }
  return files;
}

std::string build_cgroup(const std::string& id) { return "/towpath-build/" + id; }
std::string steps_cgroup(const std::string& id) { return build_cgroup(id) + "/steps"; }

Command build_command(const Settings& settings, const Layout& layout, const std::string& runtime,
                      const BuildCommand& build) {
  Command result = command(settings, layout);
  result.env["TMPDIR"] = (layout.temporary / build.id).string();
  result.deadline = build.deadline;
  result.argv = buildah(layout);
  append(result.argv, {"bud", "--isolation", "oci", "--runtime", runtime, "--runtime-flag",
                       "root=" + (layout.builds / build.id / "runtime").string(), "--network", "host",
                       "--cgroup-parent", steps_cgroup(build.id), "--signature-policy",
                       (layout.configuration / "policy.json").string(), "--pull=false", "--force-rm",
                       "--iidfile", build.id_file.string(), "--file", build.containerfile.string()});
  result.argv.push_back(build.layers ? "--layers" : "--layers=false");
  if (build.timestamp) append(result.argv, {"--timestamp", seconds(*build.timestamp)});
  if (!build.ignore_file.empty()) append(result.argv, {"--ignorefile", build.ignore_file.string()});
  if (build.network)
    for (const auto& resolver : build.network->resolvers) append(result.argv, {"--dns", resolver});
  for (const auto& [key, value] : build.arguments) append(result.argv, {"--build-arg", key + "=" + value});
  for (const auto& [key, value] : build.labels) append(result.argv, {"--label", key + "=" + value});
  for (const auto& [key, path] : build.secrets)
    append(result.argv, {"--secret", "id=" + key + ",src=" + path.string()});
  for (const auto& tag : build.tags) append(result.argv, {"--tag", tag});
  const auto files = step_files(settings);
  const auto own = layout.builds / build.id;
  const auto mount = [&](const std::filesystem::path& from, const char* to) {
    append(result.argv, {"--volume", from.string() + ":" + to + ":ro"});
  };
  if (settings.trust_host_certificates)
    mount(settings.host_certificates, "/etc/ssl/certs/ca-certificates.crt");
  if (files.contains("npmrc")) mount(own / "npmrc", "/root/.npmrc");
  if (files.contains("pip.conf")) mount(own / "pip.conf", "/etc/pip.conf");
  result.argv.push_back(build.context.string());
  if (build.network)
    result.argv = in_network(*build.network, layout.builds / build.id, std::move(result.argv));
  auto argv = isolated();
  append(argv, std::move(result.argv));
  result.argv = std::move(argv);
  return result;
}

Command look_up_command(const Settings& settings, const Layout& layout, const std::string& reference) {
  Command result = command(settings, layout);
  result.deadline = settings.registry_deadline;
  result.argv = isolated();
  append(result.argv, skopeo(layout));
  append(result.argv, {"inspect", "--raw", "docker://" + reference});
  return result;
}

Command fetch_command(const Settings& settings, const Layout& layout, const std::string& reference) {
  Command result = command(settings, layout);
  result.deadline = settings.fetch_deadline;
  result.argv = isolated();
  append(result.argv, skopeo(layout));
  append(result.argv, {"copy", "--quiet", "docker://" + reference, storage_reference(layout, reference)});
  return result;
}

Command remove_containers_command(const Settings& settings, const Layout& layout,
                                  std::vector<std::string> ids) {
  Command result = command(settings, layout);
  result.argv = isolated();
  append(result.argv, buildah(layout));
  result.argv.emplace_back("rm");
  append(result.argv, std::move(ids));
  return result;
}

Command remove_images_command(const Settings& settings, const Layout& layout, std::vector<std::string> ids) {
  Command result = command(settings, layout);
  result.deadline = std::chrono::minutes{10};
  result.argv = isolated();
  append(result.argv, buildah(layout));
  append(result.argv, {"rmi", "--force"});
  append(result.argv, std::move(ids));
  return result;
}

Command bootstrap_command(const Settings& settings, const Layout& layout,
                          const std::filesystem::path& sources, const std::filesystem::path& archive) {
  Command result = command(settings, layout);
  result.deadline = std::chrono::minutes{20};
  result.env["SOURCE_DATE_EPOCH"] = seconds(kSourceDate);
  result.env["TMPDIR"] = archive.parent_path().string();
  result.argv = isolated();
  append(result.argv, {"mmdebstrap", "--mode=root", "--variant=minbase", "--format=tar",
                       "--include=ca-certificates,netbase,tzdata"});
  // What nobody reads in a container. Licences stay.
  for (const char* option :
       {"path-exclude=/usr/share/man/*", "path-exclude=/usr/share/info/*", "path-exclude=/usr/share/locale/*",
        "path-include=/usr/share/locale/locale.alias", "path-exclude=/usr/share/doc/*",
        "path-include=/usr/share/doc/*/copyright", "force-unsafe-io"})
    append(result.argv, {std::string{"--dpkgopt="} + option});
  for (const char* option : {"Acquire::Languages \"none\"", "Acquire::Retries \"3\"",
                             "Acquire::GzipIndexes \"true\"", "APT::AutoRemove::SuggestsImportant \"false\""})
    append(result.argv, {std::string{"--aptopt="} + option});
  constexpr const char* kUser =
      "--customize-hook=chroot \"$1\" useradd --uid 1000 --user-group --home-dir /app --no-create-home "
      "--shell /bin/bash app";
  constexpr const char* kHome = "--customize-hook=install -d -o 1000 -g 1000 \"$1/app\"";
  constexpr const char* kTraces =
      "--customize-hook=rm -f \"$1/etc/hostname\" \"$1/etc/resolv.conf\" \"$1\"/var/log/*.log "
      "\"$1\"/var/log/apt/*";
  append(result.argv,
         {kUser, kHome, kTraces, "--skip=output/dev", "bookworm", archive.string(), sources.string()});
  return result;
}

}  // namespace tow::image::buildah
