// SPDX-License-Identifier: Apache-2.0
#pragma once
// HAProxy as a program of the machine: how it is started, its files, and who has its ports.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/process.hpp"
#include "route/haproxy/render.hpp"

namespace tow::route::haproxy {

inline constexpr std::string_view kMasterSocket = "master.sock";
inline constexpr std::string_view kPidFile = "haproxy.pid";

/// Starts a master and its worker in a session of their own, and returns once it listens.
Command start_command(const Settings& settings);
/// What HAProxy says is wrong, without its notices and warnings.
std::string alerts(std::string_view said);
/// Reads the configuration and says what is wrong in it.
Command check_command(const Settings& settings);

/// The settings as they come out on this machine: ports that were 0, the limit of open files, whom to be.
/// `configuration` is what HAProxy was last started from, or empty.
Frame resolve(Settings settings, std::string_view configuration);

/// The process that listens there: 0 when nobody does, -1 when it cannot be found.
int port_holder(const std::string& address, std::uint16_t port);

/// Throws Error{FailedPrecondition} naming address, port and, where it can be found, the process that has it.
void check_port(const std::string& address, std::uint16_t port);

/// The inodes of the sockets that listen on `port`, out of the text of /proc/net/tcp or tcp6. Pure.
std::vector<std::uint64_t> listening_inodes(std::string_view table, std::uint16_t port);

/// What the file holds, empty when there is none. Throws on other failures.
std::string read_file(const std::filesystem::path& path);
/// By a new file and a rename, so that a reader sees the old or the new one whole.
void write_file(const std::filesystem::path& path, std::string_view contents);

}  // namespace tow::route::haproxy
