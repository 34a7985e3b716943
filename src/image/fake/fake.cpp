// SPDX-License-Identifier: Apache-2.0
#include "image/fake/fake.hpp"

#include <algorithm>
#include <fstream>

#include "base/ids.hpp"
#include "image/packs/packs.hpp"

namespace tow::image::fake {
namespace {

/// The same files, Containerfile and arguments give the same text.
std::string content_of(const BuildRequest& request, const std::string& containerfile) {
  std::vector<std::string> parts;
  std::error_code error;
  std::filesystem::recursive_directory_iterator at{request.context, error};
  for (; !error && at != std::filesystem::recursive_directory_iterator{}; at.increment(error)) {
    if (!at->is_regular_file(error)) continue;
    std::ifstream file{at->path()};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    parts.push_back(at->path().lexically_relative(request.context).string() + " " + sha256_hex(text) + "\n");
  }
  std::ranges::sort(parts);
  std::string all = containerfile + "\n" + request.component_path.string() + "\n";
  for (const auto& part : parts) all += part;
  for (const auto& [name, value] : request.arguments) all += name + "=" + value + "\n";
  return all;
}

Image made_of(std::string_view content) {
  Image image;
  image.id = sha256_hex(content);
  image.digest = "sha256:" + sha256_hex("manifest " + image.id);
  image.command = {"/program"};
  image.working_directory = "/app";
  image.user = "app";
  image.size = Bytes{1'000'000};
  return image;
}

}  // namespace

void FakeImages::take(Duration duration) {
  const std::lock_guard lock{mutex_};
  duration_ = duration;
}

void FakeImages::fail_builds(std::optional<Error> error) {
  const std::lock_guard lock{mutex_};
  build_error_ = std::move(error);
}

void FakeImages::fail_fetch(const std::string& reference, Error error) {
  const std::lock_guard lock{mutex_};
  fetch_errors_.insert_or_assign(reference, std::move(error));
}

Image FakeImages::add(const std::string& reference, bool present) {
  const auto image = made_of("registry " + reference);
  const std::lock_guard lock{mutex_};
  registry_[reference] = image;
  if (present) {
    present_[image.id] = image;
    names_[reference] = image.id;
  }
  return image;
}

void FakeImages::shape(std::function<void(const BuildRequest&, Image&)> shape) {
  const std::lock_guard lock{mutex_};
  shape_ = std::move(shape);
}

std::vector<BuildRequest> FakeImages::builds() const {
  const std::lock_guard lock{mutex_};
  return builds_;
}
std::size_t FakeImages::running() const {
  const std::lock_guard lock{mutex_};
  return running_;
}
std::size_t FakeImages::most_running() const {
  const std::lock_guard lock{mutex_};
  return most_running_;
}
std::set<std::string> FakeImages::present() const {
  const std::lock_guard lock{mutex_};
  std::set<std::string> ids;
  for (const auto& [id, image] : present_) ids.insert(id);
  return ids;
}

Task<> FakeImages::start() { co_return; }

Detection FakeImages::detect(const std::filesystem::path& source,
                             const std::filesystem::path& component) const {
  return packs::detect(source, component);
}

Task<BuildResult> FakeImages::build(BuildRequest request, ProgressSink progress) {
  BuildResult result;
  if (request.containerfile.empty()) {
    const auto found = packs::detect(request.context, request.component_path);
    if (found.containerfile.empty()) throw fail(Code::Invalid, "nothing to build: {}", found.explanation);
    result.containerfile = found.containerfile;
    result.pack = found.pack;
  } else {
    std::ifstream file{request.context / request.containerfile};
    if (!file) throw fail(Code::Invalid, "the repository has no file \"{}\"", request.containerfile);
    result.containerfile = {std::istreambuf_iterator<char>{file}, {}};
  }
  result.image = made_of(content_of(request, result.containerfile));
  Duration duration{};
  {
    const std::lock_guard lock{mutex_};
    builds_.push_back(request);
    duration = duration_;
    most_running_ = std::max(most_running_, ++running_);
  }
  struct Leave {
    FakeImages& images;
    ~Leave() {
      const std::lock_guard lock{images.mutex_};
      --images.running_;
    }
  };
  const Leave leave{*this};
  if (progress) progress("STEP 1/1: a build that is not one");
  if (duration > Duration::zero()) co_await clock_.sleep(std::min(duration, request.deadline));
  if (duration > request.deadline)
    throw fail(Code::Timeout, "the build did not end within {}, and was stopped",
               to_string(request.deadline));
  const std::lock_guard lock{mutex_};
  if (build_error_) throw Error{*build_error_};
  if (shape_) shape_(request, result.image);
  result.cached = present_.contains(result.image.id);
  present_[result.image.id] = result.image;
  co_return result;
}

Task<Image> FakeImages::ensure(std::string reference, ProgressSink progress) {
  if (auto image = co_await find(reference)) co_return std::move(*image);
  Duration duration{};
  {
    const std::lock_guard lock{mutex_};
    if (const auto error = fetch_errors_.extract(reference)) throw Error{error.mapped()};
    duration = duration_;
  }
  if (progress) progress("fetching " + reference);
  if (duration > Duration::zero()) co_await clock_.sleep(duration);
  const std::lock_guard lock{mutex_};
  const auto found = registry_.find(reference);
  if (found == registry_.end()) throw fail(Code::NotFound, "the registry does not give {}", reference);
  present_[found->second.id] = found->second;
  names_[reference] = found->second.id;
  co_return found->second;
}

Task<std::optional<Image>> FakeImages::find(std::string reference) {
  const std::lock_guard lock{mutex_};
  const auto name = names_.find(reference);
  for (const auto& [id, image] : present_)
    if (reference == id || reference == "sha256:" + id || reference == image.digest ||
        (name != names_.end() && name->second == id))
      co_return image;
  co_return std::nullopt;
}

Task<> FakeImages::ensure_base(std::string name, ProgressSink) {
  add("towpath/" + name + ":12", true);
  co_return;
}

Task<Bytes> FakeImages::collect(std::vector<std::string> used) {
  Bytes freed;
  const std::lock_guard lock{mutex_};
  std::erase_if(present_, [&](const auto& entry) {
    const auto& [id, image] = entry;
    const bool base = std::ranges::any_of(
        names_, [&](const auto& name) { return name.second == id && name.first.starts_with("towpath/"); });
    const bool kept = base || std::ranges::find(used, id) != used.end() ||
                      std::ranges::find(used, image.digest) != used.end();
    if (!kept) freed.count += image.size.count;
    return !kept;
  });
  std::erase_if(names_, [&](const auto& name) { return !present_.contains(name.second); });
  co_return freed;
}

}  // namespace tow::image::fake
