// SPDX-License-Identifier: Apache-2.0
#include "apps/platform.hpp"

#include <optional>
#include <random>

#include "api/api.hpp"
#include "base/log.hpp"
#include "control/control.hpp"
#include "deploy/deploy.hpp"
#include "engine/local/local.hpp"
#include "http/router.hpp"
#include "http/server.hpp"
#include "identity/identity.hpp"
#include "image/buildah/buildah.hpp"
#include "model/project.hpp"
#include "observe/observe.hpp"
#include "pipeline/pipeline.hpp"
#include "retention/retention.hpp"
#include "route/haproxy/daemon.hpp"
#include "route/haproxy/haproxy.hpp"
#include "secret/secret.hpp"
#include "source/source.hpp"
#include "store/sqlite/lock.hpp"
#include "store/sqlite/sqlite.hpp"

namespace tow::apps {
namespace {

constexpr std::string_view kPlatform = "platform";  // the one Platform entity

std::filesystem::path own_directory(const std::filesystem::path& path) {
  std::filesystem::create_directories(path);
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  return path;
}

// A container's root is a user of its own, who must be able to come by on the way to what is its.
std::filesystem::path passable_directory(const std::filesystem::path& path) {
  using std::filesystem::perms;
  for (auto above = std::filesystem::absolute(path).parent_path(); above != above.root_path();
       above = above.parent_path())
    if (std::filesystem::exists(above) &&
        (std::filesystem::status(above).permissions() & perms::others_exec) == perms::none)
      throw fail(
          Code::FailedPrecondition,
          "{} lies below {}, which only its owner may enter, and containers run as other users: choose "
          "another place, or chmod o+x {}",
          path.string(), above.string(), above.string());
  own_directory(path);
  std::filesystem::permissions(path, perms::owner_all | perms::group_exec | perms::others_exec);
  return path;
}

http::Address address_of(const std::string& text) { return http::Address::parse(text); }

}  // namespace

// The drivers that this machine uses; another choice is another line here.
std::unique_ptr<store::Store> open_store(const ServerSettings& settings, const Clock& clock) {
  return store::sqlite::open(
      {.directory = passable_directory(settings.data), .is_cold = &is_cold, .clock = &clock});
}

void take_platform(image::buildah::Settings& settings, const tow::Platform::Spec& platform) {
  settings.trust_host_certificates = platform.trust_host_certificates;
  settings.python_index = platform.python_index;
  settings.npm_registry = platform.npm_registry;
}

image::buildah::Settings image_settings(const ServerSettings& settings) {
  image::buildah::Settings made;
  made.directory = settings.images.empty() ? settings.data / "images" : settings.images;
  made.run_directory = settings.runtime / "images";
  made.closed_networks = {settings.network};
  return made;
}

route::haproxy::Settings route_settings(const ServerSettings& settings) {
  const auto address = address_of(settings.http);
  route::haproxy::Settings made;
  made.runtime_directory = settings.runtime / "proxy";
  made.public_address = address.host;
  made.public_port = address.port;
  made.internal_port = static_cast<std::uint16_t>(settings.internal_port);
  return made;
}

engine::local::Settings engine_settings(const ServerSettings& settings) {
  engine::local::Settings made;
  made.state_directory = passable_directory(settings.data / "engine");
  made.runtime_directory = settings.runtime / "engine";
  made.log_directory = settings.data / "logs";
  made.volume_directory = passable_directory(settings.data / "volumes");
  made.image_storage = image::buildah::storage_root(image_settings(settings));
  made.name = settings.name;
  made.link_prefix = settings.links;
  made.network = settings.network;
  made.runtime = settings.oci_runtime;
  return made;
}

struct Platform::Parts {
  Parts(Executor e, ServerSettings s)
      : executor{std::move(e)},
        settings{std::move(s)},
        store{open_store(settings, *clock)},
        sealer{secret::open_key_file(settings.data / "key")},
        images{image::buildah::make(following_platform(image_settings(settings)))},
        router{route::haproxy::make(executor, route_settings(settings))},
        engine{engine::local::make(with_functions(engine_settings(settings)))} {}

  tow::Platform::Spec read_platform() const {
    const auto record = store->snapshot()->get(key<tow::Platform>({}, std::string{kPlatform}));
    return record ? decode<tow::Platform>(record).spec : first_platform();
  }
  /// What the settings are before anybody has changed them.
  tow::Platform::Spec first_platform() const {
    tow::Platform::Spec spec;
    spec.trust_host_certificates = settings.trust_host_certificates;
    return spec;
  }
  /// Builds follow what the entity says, from one to the next.
  image::buildah::Settings following_platform(image::buildah::Settings made) {
    made.renew = [this](image::buildah::Settings& current) { take_platform(current, read_platform()); };
    made.renew(made);
    return made;
  }
  engine::local::Settings with_functions(engine::local::Settings made) {
    made.internal_proxy_port = [this] { return router->internal_port(); };
    made.open_secret = deploy::secret_opener(*store, *sealer);
    made.executor = executor;
    made.clock = clock;
    return made;
  }

  Executor executor;
  ServerSettings settings;
  std::shared_ptr<Clock> clock = std::make_shared<SystemClock>();
  std::unique_ptr<store::Store> store;
  std::unique_ptr<secret::Sealer> sealer;
  std::unique_ptr<image::Images> images;
  std::unique_ptr<route::Router> router;
  std::unique_ptr<engine::local::LocalEngine> engine;

  identity::Identity identity{{.store = *store, .clock = *clock}};
  api::Api api{{.store = *store, .gate = identity, .clock = *clock, .version = TOWPATH_VERSION}};
  control::Runtime runtime{
      {.store = *store, .clock = *clock, .executor = executor, .seed = std::random_device{}()}};

  // The capabilities. None knows another: what one needs of another is a function here.
  source::Source source{{.store = *store,
                         .clock = *clock,
                         .gate = identity,
                         .directory = own_directory(settings.data / "repositories"),
                         .hook_command = {std::filesystem::read_symlink("/proc/self/exe"), "hook"},
                         .socket = settings.socket(),
                         .push_limit = [this] { return read_platform().push_limit; }}};
  deploy::Deployments deployments{{.store = *store,
                                   .engine = *engine,
                                   .router = *router,
                                   .images = *images,
                                   .sealer = *sealer,
                                   .clock = *clock,
                                   .domain = [this] { return domain(); }}};
  pipeline::Pipeline pipeline{
      {.store = *store,
       .images = *images,
       .clock = *clock,
       .executor = executor,
       .work_directory = own_directory(settings.data / "builds"),
       .log_directory = own_directory(settings.data / "logs") / "builds",
       .sources = sources(),
       .deploy = [this](api::Call call,
                        DeployInput input) { return deployments.deploy(std::move(call), std::move(input)); },
       .missing_configuration =
           [this](const auto&... arguments) { return deployments.missing_configuration(arguments...); }}};

  retention::Retention retention{{.store = *store,
                                  .images = *images,
                                  .clock = *clock,
                                  .executor = executor,
                                  .pack_repositories = [this] { return source.pack(); }}};
  observe::Observe observe{{.store = *store,
                            .engine = *engine,
                            .router = *router,
                            .gate = identity,
                            .clock = *clock,
                            .executor = executor,
                            .directory = own_directory(settings.data / "samples"),
                            .version = TOWPATH_VERSION,
                            .http = [this] { return server ? server->counts() : http::Server::Counts{}; }}};

  http::Router routes;
  std::unique_ptr<http::Server> server;

  // Each is a coroutine of its own, so that the repository it speaks of lives as long as the call.
  pipeline::Sources sources() {
    return {.read = [this](std::string project, std::string repository, std::string commit,
                           std::string path) -> Task<std::optional<std::string>> {
              const auto git = source.git(project, repository);
              co_return co_await git.read(std::move(commit), std::move(path));
            },
            .tree_id = [this](std::string project, std::string repository, std::string commit,
                              std::string path) -> Task<std::optional<std::string>> {
              const auto git = source.git(project, repository);
              co_return co_await git.tree_id(std::move(commit), std::move(path));
            },
            .checkout = [this](std::string project, std::string repository, std::string commit,
                               std::filesystem::path directory) -> Task<> {
              const auto git = source.git(project, repository);
              co_await git.checkout(std::move(commit), std::move(directory));
            }};
  }
  /// Below which applications are served, with the proxy's port where it is not the usual one.
  std::string domain() const { return settings.domain.empty() ? read_platform().domain : settings.domain; }
  Task<> ensure_platform();
  void add_controllers();
  void open_api();
};

Task<> Platform::Parts::ensure_platform() {
  if (!store->snapshot()->get(key<tow::Platform>({}, std::string{kPlatform}))) {
    store::Transaction transaction;
    transaction.create(draft<tow::Platform>({}, std::string{kPlatform}, first_platform()));
    co_await store->commit(std::move(transaction));
  }
}

void Platform::Parts::add_controllers() {
  for (auto& controller : source.controllers()) runtime.add(std::move(controller));
  for (auto& controller : deployments.controllers()) runtime.add(std::move(controller));
  for (auto& controller : pipeline.controllers()) runtime.add(std::move(controller));
  deployments.connect(runtime);
}

void Platform::Parts::open_api() {
  identity.add_operations(api);
  source.add_operations(api);
  deployments.add_operations(api);
  pipeline.add_operations(api);
  retention.add_operations(api);
  observe.add_operations(api);
  api.mount(routes);
  source.mount(routes);
  observe.mount(routes);
  routes.add("GET", "/healthz", [](http::Request&, http::Responder& responder) -> Task<> {
    responder.send(http::Response::text("ok\n"));
    co_return;
  });
  server = std::make_unique<http::Server>(http::ServerSettings{}, routes.handler());
  server->listen(address_of(settings.listen));
  http::Address local;
  local.socket = settings.socket();
  server->listen(local);
}

Platform::Platform(Executor executor, ServerSettings settings)
    : parts_{std::make_unique<Parts>(std::move(executor), std::move(settings))} {}
Platform::~Platform() = default;

// What others stand on comes first.
Task<> Platform::start() {
  auto& p = *parts_;
  // Before anything is started that would have to be ended again.
  const auto api = address_of(p.settings.listen);
  if (api.socket.empty() && api.port != 0) route::haproxy::check_port(api.host, api.port);
  passable_directory(p.settings.runtime);
  co_await p.ensure_platform();
  co_await p.images->start();
  co_await p.router->start();
  co_await p.engine->start();
  co_await p.deployments.start();
  p.add_controllers();
  p.open_api();
  p.runtime.start();
  p.observe.start();
  p.retention.start();
}

// The reverse. What was not started ends at once.
Task<> Platform::stop() {
  auto& p = *parts_;
  if (p.server) co_await p.server->stop(std::chrono::seconds{5});
  co_await p.retention.stop();
  co_await p.observe.stop();
  co_await p.runtime.stop();
  co_await p.pipeline.stop();
  co_await p.engine->stop();
  co_await p.router->stop();
  co_await p.store->close();
}

int take_down(const ServerSettings& settings, bool data) {
  // Not from under a server that runs.
  std::optional<store::sqlite::DirectoryLock> lock;
  if (std::filesystem::exists(settings.data)) lock.emplace(settings.data);
  const auto work = [&]() -> Task<> {
    auto engine = engine_settings(settings);
    engine.executor = co_await boost::asio::this_coro::executor;
    engine.clock = std::make_shared<SystemClock>();
    co_await engine::local::tear_down(std::move(engine));
    co_await route::haproxy::take_down(route_settings(settings));
  };
  run_blocking(work());
  std::filesystem::remove_all(settings.runtime);
  if (data) std::filesystem::remove_all(settings.data);
  return 0;
}

std::string Platform::url() const { return "http://" + address_of(parts_->settings.listen).text(); }

}  // namespace tow::apps
