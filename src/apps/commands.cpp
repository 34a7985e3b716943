// SPDX-License-Identifier: Apache-2.0
#include "apps/commands.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "apps/doctor.hpp"
#include "cli/exit.hpp"
#include "cli/output.hpp"
#include "client/client.hpp"
#include "image/packs/packs.hpp"
#include "model/operations.hpp"
#include "source/source.hpp"

namespace tow::apps {
namespace {

void add_settings(CLI::App* command, const std::shared_ptr<ServerSettings>& s) {
  command->add_option("--data", s->data, "Directory of everything that lasts")->capture_default_str();
  command->add_option("--runtime", s->runtime, "Directory of what a reboot may take")->capture_default_str();
  command->add_option("--listen", s->listen, "Address of API, portal and git")->capture_default_str();
  command->add_option("--http", s->http, "Address on which applications are served")->capture_default_str();
  command->add_option("--domain", s->domain, "Applications are served one label below it; else localhost");
  command->add_option("--name", s->name, "Name of the firewall table and the control group")
      ->capture_default_str();
  command->add_option("--links", s->links, "What the names of network links begin with")
      ->capture_default_str();
  command->add_option("--network", s->network, "Addresses of all environments")->capture_default_str();
  command
      ->add_option("--internal-port", s->internal_port,
                   "Port on which the proxy takes what services are asked")
      ->capture_default_str();
  command->add_option("--images", s->images,
                      "Image store and build caches, of one server at a time; else in the data directory");
  command->add_option("--oci-runtime", s->oci_runtime,
                      "OCI runtime by name; else crun, where it accepts the machine, or runc");
  command->add_flag("--trust-host-certificates", s->trust_host_certificates,
                    "At the first start: builds see the machine's own certificate authorities");
}

// Over the local socket: whoever may open it is root here.
Task<int> invite(std::string socket, std::string subject) {
  client::Client client{co_await boost::asio::this_coro::executor, {.url = "unix://" + socket, .token = {}}};
  const TokenInput input{.subject = subject, .description = "invitation"};
  TokenOutput output;
  try {
    output = co_await client.call<TokenOutput>("tokens.invite", {}, {}, input);
  } catch (const Error& error) {
    if (error.code() != Code::Unavailable) throw;
    throw fail(
        Code::Unavailable,
        "{}; is `tow server` running on this machine? --socket names another's: RUNTIME/tow.sock, where "
        "RUNTIME is its --runtime",
        error.message());
  }
  std::printf("%s\n", output.token.c_str());
  std::fprintf(stderr, "This invitation is good once, within a day: tow login URL, then paste it.\n");
  co_return 0;
}

Task<int> clean(std::string socket, bool dry_run) {
  client::Client client{co_await boost::asio::this_coro::executor, {.url = "unix://" + socket, .token = {}}};
  const CleanInput input{.dry_run = dry_run};
  const auto output = co_await client.call<CleanOutput>("platforms.clean", {}, "platform", input);
  for (const auto& name : output.names) std::printf("%s\n", name.c_str());
  fmt::print(stderr, "{} runs, {} builds, {} releases and {} events {}, and states from before {}.\n",
             output.runs, output.builds, output.releases, output.events, dry_run ? "would go" : "went",
             to_string(output.history));
  if (dry_run)
    fmt::print(stderr,
               "Of the images {} are in use; the others would go, but base images and what is fresh.\n",
               output.images_kept);
  else
    fmt::print(stderr, "Images that nothing uses gave back {} MiB.\n", output.images.count >> 20);
  for (const auto& note : output.notes) fmt::print(stderr, "tow: {}\n", note);
  co_return output.notes.empty() ? 0 : 1;
}

int report(const std::function<int()>& work) {
  try {
    return work();
  } catch (const Error& error) {
    std::fprintf(stderr, "tow: %s\n", error.what());
    return cli::exit_code(error.code());
  }
}

}  // namespace

void add_commands(CLI::App& app, int& code, const cli::Output& output) {
  const auto settings = std::make_shared<ServerSettings>();
  auto* server = app.add_subcommand("server", "Run the platform, in the foreground");
  add_settings(server, settings);
  server->callback([settings, &code] { code = serve(*settings); });

  auto* admin = app.add_subcommand("admin", "On the server's machine");
  admin->require_subcommand(1);
  auto* inviting = admin->add_subcommand("invite", "Print an invitation: `tow login` takes it, once");
  const auto socket = std::make_shared<std::string>(settings->socket());
  const auto subject = std::make_shared<std::string>("admin");
  inviting->add_option("NAME", *subject, "Who it is for")->capture_default_str();
  inviting->add_option("--socket", *socket, "The server's local socket")
      ->envname("TOWPATH_SOCKET")
      ->capture_default_str();
  inviting->callback(
      [socket, subject, &code] { code = report([&] { return run_blocking(invite(*socket, *subject)); }); });

  auto* gc = admin->add_subcommand("gc", "Remove old runs, builds, releases and images that nothing uses");
  const auto gc_socket = std::make_shared<std::string>(settings->socket());
  const auto dry_run = std::make_shared<bool>(false);
  gc->add_flag("--dry-run", *dry_run, "Only say what would go");
  gc->add_option("--socket", *gc_socket, "The server's local socket")
      ->envname("TOWPATH_SOCKET")
      ->capture_default_str();
  gc->callback([gc_socket, dry_run, &code] {
    code = report([&] { return run_blocking(clean(*gc_socket, *dry_run)); });
  });

  const auto gone = std::make_shared<ServerSettings>();
  const auto with_data = std::make_shared<bool>(false);
  auto* down = admin->add_subcommand(
      "takedown", "End what a stopped server left running: instances, proxy, networks, rules");
  add_settings(down, gone);
  down->add_flag("--data-too", *with_data, "Remove its data directory as well");
  down->callback([gone, with_data, &code] { code = report([&] { return take_down(*gone, *with_data); }); });

  const auto examined = std::make_shared<ServerSettings>();
  auto* doctor = app.add_subcommand("doctor", "What this machine has, lacks, and how to mend it");
  add_settings(doctor, examined);
  doctor->callback([examined, &code, &output] {
    code = report([&] {
      const auto findings = examine(*examined);
      if (output.format == cli::Format::Table)
        std::fputs(table(findings).c_str(), stdout);
      else
        output.document(document(findings));
      return exit_code(findings);
    });
  });

  const auto name = std::make_shared<std::string>();
  auto* hook = app.add_subcommand("hook", "Run by git in the server's repositories")->group("");
  hook->add_option("NAME", *name)->required();
  hook->callback([name, &code] { code = source::run_hook(*name); });
}

cli::Detected detect(const std::filesystem::path& root, const std::string& folder) {
  const auto found = image::packs::detect(root, folder);
  return {.pack = found.pack,
          .containerfile = found.containerfile,
          .port = found.port,
          .explanation = found.explanation,
          .watch = found.watch};
}

std::vector<std::string> find_components(const std::filesystem::path& root) {
  return image::packs::find_components(root);
}

}  // namespace tow::apps
