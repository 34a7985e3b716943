// SPDX-License-Identifier: Apache-2.0
#include "http/router.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.hpp"
#include "http/problem.hpp"
#include "http/text.hpp"

namespace tow::http {
namespace {

struct Route {
  std::string method;
  std::string pattern;
  std::vector<std::string> names;  // of the parameters, in their order
  Handler handler;
};

struct Segment {
  enum class Kind { Literal, Parameter, Rest } kind;
  std::string text;  // literal, or name
};

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> segments;
  for (path.remove_prefix(1);;) {
    const auto end = path.find('/');
    segments.push_back(path.substr(0, end));
    if (end == std::string_view::npos) return segments;
    path.remove_prefix(end + 1);
  }
}

std::vector<Segment> parse(std::string_view pattern) {
  const auto malformed = [&](std::string_view why) {
    return fail(Code::Invalid, "the route \"{}\" is malformed: {}", pattern, why);
  };
  if (!pattern.starts_with('/')) throw malformed("it must begin with \"/\"");
  std::vector<Segment> segments;
  std::set<std::string> names;
  for (auto text : split(pattern)) {
    if (!segments.empty() && segments.back().kind == Segment::Kind::Rest)
      throw malformed("the rest must come last");
    if (!text.starts_with('{')) {
      if (text.find_first_of("{}%") != std::string_view::npos)
        throw malformed("a literal segment is written decoded and without braces");
      segments.push_back({Segment::Kind::Literal, std::string{text}});
      continue;
    }
    if (!text.ends_with('}')) throw malformed("a parameter is a whole segment");
    text = text.substr(1, text.size() - 2);
    const bool rest = text.ends_with("...");
    if (rest) text.remove_suffix(3);
    if (text.empty() || text.find_first_of("{}") != std::string_view::npos)
      throw malformed("a parameter has a name");
    if (!names.emplace(text).second) throw malformed("a parameter's name appears twice");
    segments.push_back({rest ? Segment::Kind::Rest : Segment::Kind::Parameter, std::string{text}});
  }
  return segments;
}

Task<> answer(Responder& responder, Response response) {
  responder.send(std::move(response));
  co_return;
}

}  // namespace

struct Router::Node {
  std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
  std::unique_ptr<Node> parameter;
  std::vector<Route> here;
  std::vector<Route> rest;
};

namespace {

template <class Node>
Node& child(std::unique_ptr<Node>& slot) {
  if (!slot) slot = std::make_unique<Node>();
  return *slot;
}

// Walks the tree along the segments of one path; literals first, so that what it finds first is what goes
// first.
struct Search {
  std::string_view method;
  std::vector<std::string> decoded;
  std::vector<std::size_t> captured = {};  // indices of the segments that stood for parameters
  std::size_t rest_from = 0;
  const Route* found = nullptr;
  bool found_rest = false;
  std::set<std::string, std::less<>> allowed = {};

  bool take(const std::vector<Route>& routes, bool is_rest, std::size_t from) {
    const Route* match = nullptr;
    for (const auto& route : routes) {
      if (route.method == method) match = &route;
      if (!match && (route.method == "*" || (method == "HEAD" && route.method == "GET"))) match = &route;
      allowed.insert(route.method);
    }
    if (!match) return false;
    found = match;
    found_rest = is_rest;
    rest_from = from;
    return true;
  }

  template <class Node>
  bool walk(const Node& node, std::size_t index) {
    if (index == decoded.size()) return take(node.here, false, index) || take(node.rest, true, index);
    if (const auto next = node.literals.find(decoded[index]); next != node.literals.end())
      if (walk(*next->second, index + 1)) return true;
    if (node.parameter && !decoded[index].empty()) {
      captured.push_back(index);
      if (walk(*node.parameter, index + 1)) return true;
      captured.pop_back();
    }
    return take(node.rest, true, index);
  }

  // The rest as it stands in Request::path: a slash within a segment stays encoded.
  std::string rest() const {
    std::string text;
    for (auto i = rest_from; i < decoded.size(); ++i) {
      if (i > rest_from) text += '/';
      for (const char c : decoded[i]) c == '/' ? text += "%2F" : text += c;
    }
    return text;
  }
};

std::string allow(const std::set<std::string, std::less<>>& methods) {
  std::set<std::string, std::less<>> all{methods};
  if (all.contains("GET")) all.insert("HEAD");
  all.insert("OPTIONS");
  std::string text;
  for (const auto& method : all) text.append(text.empty() ? "" : ", ").append(method);
  return text;
}

Task<> run_all(const std::vector<Handler>& before, const Handler& handler, Request& request,
               Responder& responder) {
  for (const auto& step : before) {
    co_await step(request, responder);
    if (responder.begun()) co_return;
  }
  co_await handler(request, responder);
}

}  // namespace

Router::Router() : root_{std::make_unique<Node>()} {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;

void Router::add(std::string_view method, std::string_view pattern, Handler handler) {
  if (method != "*" && !is_token(method))
    throw fail(Code::Invalid, "\"{}\" is not a method", printable(method));
  Route route{std::string{method}, std::string{pattern}, {}, std::move(handler)};
  Node* node = root_.get();
  bool rest = false;
  for (auto& segment : parse(pattern)) {
    if (segment.kind != Segment::Kind::Literal) route.names.push_back(segment.text);
    if (segment.kind == Segment::Kind::Literal) node = &child(node->literals[segment.text]);
    if (segment.kind == Segment::Kind::Parameter) node = &child(node->parameter);
    if (segment.kind == Segment::Kind::Rest) rest = true;
  }
  auto& routes = rest ? node->rest : node->here;
  for (const auto& other : routes)
    if (other.method == method)
      throw fail(Code::AlreadyExists, "the route {} {} is there already, as {}", method, pattern,
                 other.pattern);
  routes.push_back(std::move(route));
}

void Router::before(Handler handler) { before_.push_back(std::move(handler)); }
void Router::fallback(Handler handler) { fallback_ = std::move(handler); }

Task<> Router::dispatch(Request& request, Responder& responder) const {
  Search search{.method = request.method, .decoded = {}};
  if (const auto target = split_target(request.target); target && target->path.starts_with('/')) {
    for (const auto raw : split(target->path)) {
      auto segment = decode_segment(raw);
      if (!segment) return answer(responder, problem(400, "the path is not valid"));
      search.decoded.push_back(std::move(*segment));
    }
    search.walk(*root_, 0);
  }
  if (!search.found) {
    if (!search.allowed.empty()) {
      Response response;
      if (request.method == "OPTIONS")
        response.status = 204;
      else
        response = problem(405, fmt::format("{} is not possible here", request.method));
      response.headers.set("Allow", allow(search.allowed));
      return answer(responder, std::move(response));
    }
    if (fallback_) return fallback_(request, responder);
    return answer(responder, problem(404, fmt::format("there is nothing at {}", request.path)));
  }
  const auto& route = *search.found;
  request.route = route.pattern;
  request.params.clear();
  for (std::size_t i = 0; i < search.captured.size(); ++i)
    request.params.emplace_back(route.names[i], std::move(search.decoded[search.captured[i]]));
  if (search.found_rest) request.params.emplace_back(route.names.back(), search.rest());
  if (before_.empty()) return route.handler(request, responder);
  return run_all(before_, route.handler, request, responder);
}

Handler Router::handler() const {
  return [this](Request& request, Responder& responder) { return dispatch(request, responder); };
}

std::vector<std::string> Router::routes() const {
  std::vector<std::string> all;
  const auto walk = [&](this const auto& self, const Node& node) -> void {
    for (const auto* routes : {&node.here, &node.rest})
      for (const auto& route : *routes) all.push_back(route.method + " " + route.pattern);
    for (const auto& [text, next] : node.literals) self(*next);
    if (node.parameter) self(*node.parameter);
  };
  walk(*root_);
  std::ranges::sort(all);
  return all;
}

}  // namespace tow::http
