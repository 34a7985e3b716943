// SPDX-License-Identifier: Apache-2.0
#pragma once
// Listening sockets, by plain system calls. Private to this folder.

#include <string>

#include "http/http.hpp"
#include "http/server.hpp"

namespace tow::http {

/// A listening, non-blocking, close-on-exec socket. Throws as Server::listen.
int open_listener(const Address& address);

/// Sets what every connection inherits from its listening socket: no delay, keep-alive probes.
void prepare_listener(int descriptor);

/// What the socket is bound to.
Address bound_address(int descriptor);

/// Who is connected, and the key under which connections of one peer are counted (empty: not counted).
Peer peer_of(int descriptor, const void* address, std::string& key);

}  // namespace tow::http
