// SPDX-License-Identifier: Apache-2.0
// The compiled part of Asio's TLS, once for the program.
#include <boost/asio/ssl/impl/src.hpp>
