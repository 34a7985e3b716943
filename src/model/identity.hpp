// SPDX-License-Identifier: Apache-2.0
#pragma once
// Configuration, Secret, Token, Event: values, keys, and who did what.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/entity.hpp"

namespace tow {

/// One configuration name: its text, who set it and when. Unset names stay, without a value, so that a
/// rollback knows that they were unset later.
struct Setting {
  std::optional<std::string> value;
  TimePoint changed{};
  std::string by;
};
constexpr auto fields(Of<Setting>) {
  return std::tuple{
      field("value", &Setting::value, "The text; absent when it was unset."),
      field("changed", &Setting::changed, "When it was set or unset.", required),
      field("by", &Setting::by, "By whom."),
  };
}

/// Values for a project ("project"), an environment, or a component in one ("web.development"): the
/// entity's name is the scope. The nearest wins.
struct Configuration {
  static constexpr std::string_view kind = "Configuration";
  struct Spec {
    std::map<std::string, Setting> values;
  };
  using Status = Nothing;
};
constexpr auto fields(Of<Configuration::Spec>) {
  return std::tuple{
      field("values", &Configuration::Spec::values, "By name.",
            matches("[A-Za-z_][A-Za-z0-9_]{0,127}", "a name of letters, digits and underscores"))};
}

struct SealedVersion {
  int version = 0;
  std::string sealed;
  TimePoint changed{};
  std::string by;
};
constexpr auto fields(Of<SealedVersion>) {
  return std::tuple{
      field("version", &SealedVersion::version, "Counts from 1.", required),
      field("sealed", &SealedVersion::sealed, "Encrypted under the platform's key.", hidden),
      field("changed", &SealedVersion::changed, "When it was set.", required),
      field("by", &SealedVersion::by, "By whom."),
  };
}

/// A value that nobody can read back. Named by the uid-like hash of scope and name; scope as in
/// Configuration.
struct Secret {
  static constexpr std::string_view kind = "Secret";
  struct Spec {
    std::string scope;
    std::string name;
    std::vector<SealedVersion> versions;
    std::optional<TimePoint> removed;
  };
  using Status = Nothing;
};
constexpr auto fields(Of<Secret::Spec>) {
  using S = Secret::Spec;
  return std::tuple{
      field("scope", &S::scope, "\"project\", an environment, or COMPONENT.ENVIRONMENT.", required),
      field("name", &S::name, "The name that components read it by.", required),
      field("versions", &S::versions, "Newest last; revisions name the one that they use."),
      field("removed", &S::removed, "When it was taken away; revisions that used it can still be restored."),
  };
}

/// Who may call: only the hash of it is kept.
struct Token {
  static constexpr std::string_view kind = "Token";
  struct Spec {
    std::string subject;
    std::string hash;
    std::string description;
    std::optional<TimePoint> expires;
    bool once = false;
  };
  struct Status {
    std::optional<TimePoint> last_used;
  };
};
constexpr auto fields(Of<Token::Spec>) {
  using S = Token::Spec;
  return std::tuple{
      field("subject", &S::subject, "Whose calls it makes.", required),
      field("hash", &S::hash, "SHA-256 of the token.", required, hidden),
      field("description", &S::description, "Where it is used."),
      field("expires", &S::expires, "When it ends; absent: never."),
      field("once", &S::once, "An invitation: it is exchanged for a token, once."),
  };
}
constexpr auto fields(Of<Token::Status>) {
  return std::tuple{field("lastUsed", &Token::Status::last_used, "When it was last used, to the minute.")};
}

/// Something that happened, by whom, to what. Never changed.
struct Event {
  static constexpr std::string_view kind = "Event";
  struct Spec {
    std::string subject;
    std::string action;
    std::string target;
    std::string message;
    TimePoint time{};
  };
  using Status = Nothing;
};
constexpr auto fields(Of<Event::Spec>) {
  using S = Event::Spec;
  return std::tuple{
      field("subject", &S::subject, "Who did it.", required),
      field("action", &S::action, "The operation: \"deployments.rollback\".", required),
      field("target", &S::target, "To what: \"deployment:shop/web.production\".", required),
      field("message", &S::message, "What it changed."),
      field("time", &S::time, "When.", required),
  };
}

}  // namespace tow
