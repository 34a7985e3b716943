// SPDX-License-Identifier: Apache-2.0
#pragma once
// A child that shares our memory. Under its usual name the thread sanitizer takes the call for a fork, and
// breaks when the memory is one; the C library's other name for it is left alone.

extern "C" int __clone(int (*function)(void*), void* stack, int flags, void* argument, ...);
