// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which system calls an instance may make: one list, compiled once for crun (which else spends 20 ms of every
// start on it), written as JSON for the other runtimes.
//
// Stricter than podman's: no namespaces of its own (a user namespace opens most of the kernel's attack
// surface), no mounts, keys, tracing of the kernel or io_uring. What is refused says EPERM; what is unknown
// says ENOSYS, so that a newer C library falls back to older calls.

#include <string>

#include "base/node.hpp"

namespace tow::engine::local {

/// The program in the kernel's form, base64: for crun's annotation "run.oci.seccomp_bpf_data".
/// Made at the first call (some ms). Thread-safe.
const std::string& seccomp_program();

/// The same as config.json's linux.seccomp.
Node seccomp_document();

}  // namespace tow::engine::local
