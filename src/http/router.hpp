// SPDX-License-Identifier: Apache-2.0
#pragma once
// Picks the handler of a request by method and path. Filled at start, then only read: dispatching is
// thread-safe once no route is added any more. A Router is a Handler (server.hpp takes it by handler()).

#include <memory>
#include <string_view>

#include "http/http.hpp"

namespace tow::http {

/// Patterns are made of segments: literal ("api"), one parameter ("{project}"), or, as the last one, the rest
/// ("{rest...}", none or more segments joined by "/"). A literal goes before a parameter, and a parameter
/// before the rest, segment by segment, whatever the order of adding.
///
///   router.add("GET", "/shelves/{shelf}/books/{book}", handler);
///   router.add("*", "/files/{shelf}/{rest...}", handler);     // any method
///
/// Unknown path: 404. Known path, other method: 405 with Allow. HEAD goes to GET's handler, and OPTIONS is
/// answered with Allow, unless they were added.
class Router {
 public:
  Router();
  ~Router();
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;

  /// Throws Error{Invalid} for a malformed pattern, Error{AlreadyExists} for a route that is there, or that
  /// differs from one that is there only in a parameter's name.
  void add(std::string_view method, std::string_view pattern, Handler handler);
  /// Runs on every request that found a route, before its handler (the gate). Handlers run in the order
  /// added; one that answers or throws ends it.
  void before(Handler handler);
  /// What answers when no route matches, instead of 404 (a portal's pages).
  void fallback(Handler handler);

  /// Finds the route, fills request.params and request.route, and runs its handler.
  Task<> dispatch(Request& request, Responder& responder) const;
  /// The router as a handler; it must outlive the server.
  Handler handler() const;
  /// Every route as "METHOD pattern", sorted.
  std::vector<std::string> routes() const;

 private:
  struct Node;
  std::unique_ptr<Node> root_;
  std::vector<Handler> before_;
  Handler fallback_;
};

}  // namespace tow::http
