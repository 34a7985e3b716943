// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/collection.hpp"

#include <algorithm>
#include <set>

namespace tow::image::buildah {

std::vector<std::string> choose_garbage(const std::vector<StoredImage>& images,
                                        const std::map<std::string, StoredLayer>& layers,
                                        const std::vector<std::string>& used, TimePoint since) {
  const auto depth = [&](const std::string& top) {
    std::size_t count = 0;
    for (auto at = layers.find(top); at != layers.end() && count < 1000; at = layers.find(at->second.parent))
      ++count;
    return count;
  };
  const auto is_kept = [&](const StoredImage& image) {
    if (image.created >= since) return true;
    if (std::ranges::any_of(image.names,
                            [](const auto& name) { return name.starts_with("localhost/towpath/"); }))
      return true;
    return std::ranges::any_of(used, [&](const auto& id) {
      return id == image.id || id == image.digest || id == "sha256:" + image.id ||
             std::ranges::find(image.names, id) != image.names.end();
    });
  };
  std::set<std::string> kept_layers;
  std::vector<const StoredImage*> others;
  for (const auto& image : images) {
    if (!is_kept(image)) {
      others.push_back(&image);
      continue;
    }
    for (auto at = layers.find(image.layer); at != layers.end(); at = layers.find(at->second.parent))
      if (!kept_layers.insert(at->first).second) break;
  }
  // Named images were asked for by name, not made as a step of the cache.
  std::erase_if(others, [&](const StoredImage* image) {
    return image->names.empty() && (image->layer.empty() || kept_layers.contains(image->layer));
  });
  std::ranges::stable_sort(others, [&](const StoredImage* a, const StoredImage* b) {
    const auto depth_a = depth(a->layer);
    const auto depth_b = depth(b->layer);
    return depth_a != depth_b ? depth_a > depth_b : a->created > b->created;
  });
  std::vector<std::string> ids;
  for (const auto* image : others) ids.push_back(image->id);
  return ids;
}

}  // namespace tow::image::buildah
