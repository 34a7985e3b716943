// SPDX-License-Identifier: Apache-2.0
#include "observe/following.hpp"

namespace tow::observe {

bool has_ended(const Revision::Status& status) {
  return status.phase == Revision::Phase::Retired || status.phase == Revision::Phase::Failed;
}

Task<> follow_source(engine::Engine& engine, FollowedSource source, TimePoint since,
                     std::shared_ptr<Signal> changed, LiveLines& lines) {
  while (true) {
    try {
      co_await engine.logs({.source = source.id, .since = since, .tail = 0, .follow = true},
                           [&](const engine::LogLine& line) {
                             // Should it end and come back, what was given is not given again.
                             since = std::max(since, line.time);
                             return lines.put(line);
                           });
      since += Duration{1};
    } catch (const Error& error) {
      if (error.code() != Code::NotFound) throw;
    }
    do {
      if (source.gone()) co_return;
      co_await changed->wait();
    } while (!source.exists());
  }
}

void Following::add(const Record& revision) {
  auto& changed = followed_[revision.uid];
  if (changed) return;
  changed = core_.listen(revision.uid);
  ++open_;
  scope_.spawn(follow(revision.uid, changed));
}

void Following::only(const Record& revision) {
  complete_ = true;
  add(revision);
}

void Following::watch() { scope_.spawn(watch_revisions()); }

Task<> Following::follow(std::string uid, std::shared_ptr<Signal> changed) {
  FollowedSource source{.id = uid,
                        .exists = [this, uid] { return core_.settings.engine.group(uid).has_value(); },
                        .gone =
                            [this, uid] {
                              if (core_.settings.engine.group(uid)) return false;
                              const auto record = core_.settings.store.snapshot()->get_by_uid(uid);
                              return !record || deployment_gone_ ||
                                     has_ended(decode<Revision>(record).status);
                            }};
  try {
    co_await follow_source(core_.settings.engine, std::move(source), since_, std::move(changed), lines_);
  } catch (...) {
    if (is_cancellation(std::current_exception())) throw;
    lines_.close(std::current_exception());
  }
  --open_;
  end_if_last();
}

Task<> Following::watch_revisions() {
  while (!complete_) {
    const auto watch = core_.settings.store.watch(
        look(), {.kind = {}, .project = deployment_.key.project, .owner = {}, .labels = {}});
    try {
      while (!complete_) {
        bool concerned = false;
        const auto changes = co_await watch->next();
        for (const auto& change : changes)
          concerned =
              concerned || change.record->uid == deployment_.uid || change.record->owner == deployment_.uid;
        if (concerned) look();
      }
    } catch (const store::WatchLost& lost) {
      log::debug("observe", "a watch was lost ({}); looking again", lost.message());
    } catch (...) {
      if (is_cancellation(std::current_exception())) throw;
      lines_.close(std::current_exception());
      co_return;
    }
  }
}

StoreRevision Following::look() {
  const auto snapshot = core_.settings.store.snapshot();
  const auto present = snapshot->get(deployment_.key);
  if (!present || present->uid != deployment_.uid) {
    complete_ = deployment_gone_ = true;
    for (const auto& [uid, changed] : followed_) changed->notify();
    end_if_last();
    return snapshot->revision();
  }
  for (const auto& [uid, changed] : followed_) changed->notify();
  // What has ended is in the past; what has not, or comes later, joins.
  for (const auto& revision : core_.revisions(*snapshot, deployment_))
    if (!followed_.contains(revision->uid) &&
        (core_.settings.engine.group(revision->uid) || !has_ended(decode<Revision>(revision).status)))
      add(*revision);
  return snapshot->revision();
}

void Following::end_if_last() {
  if (complete_ && open_ == 0) lines_.close();
}

}  // namespace tow::observe
