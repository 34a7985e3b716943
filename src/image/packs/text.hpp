// SPDX-License-Identifier: Apache-2.0
#pragma once
// The words that generated Containerfiles are made of. Pure.

#include <concepts>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tow::image::packs {

inline constexpr int kPort = 8080;

/// ["node", "server.js"]
std::string exec_form(std::span<const std::string> words);

/// "COPY --chown=app web/package.json ./"; paths with unusual characters are quoted as COPY wants it.
std::string copy(std::vector<std::string> sources, std::string_view target, std::string_view flags = {});

/// What CMD gets for a command line of a package.json or a Procfile: its words when it is a plain command,
/// else a shell which replaces itself by the last command, so that signals reach the program.
std::vector<std::string> start_command(std::string_view line);

/// What is said about the running program: its environment, its port, its command. All of it stands before
/// what changes with the source, because every instruction after a change costs a step of the build.
/// `port` is 0 for a program that listens on none.
std::string program_settings(std::string_view environment, int port, std::span<const std::string> command);

/// For dependencies that are fetched from git.
inline constexpr std::string_view kInstallGit =
    "RUN apt-get update -q && apt-get install -q -y --no-install-recommends git && rm -rf "
    "/var/lib/apt/lists/*";

/// "RUN apt-get … PACKAGES", or empty for none.
std::string install_packages(const std::vector<std::string>& packages);

/// One process of a Procfile: "web: gunicorn app:app".
struct Process {
  std::string name;
  std::string command;
  bool listens() const { return name == "web"; }
};
/// The process to start: "web" if there is one, else the only one. Throws Error{Invalid} for a file without
/// processes, or several of which none is "web".
Process choose_process(std::string_view procfile, std::string_view where);

std::vector<std::string> lines(std::string_view text);
/// A part of the text, which has to outlive it.
std::string_view trim(std::string_view text);
template <class T>
  requires std::same_as<T, std::string>
std::string_view trim(T&& passing) = delete;

}  // namespace tow::image::packs
