// SPDX-License-Identifier: Apache-2.0
#include "route/haproxy/pages.hpp"

#include <fmt/format.h>

namespace tow::route::haproxy {
namespace {

// Of the request only what the configuration found harmless (txn.shown), of the site only its title.
constexpr std::string_view kHost = "%[var(txn.shown)]";

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '%':
        out += "%%";
        break;
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string percent_doubled(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '%' ? "%%" : std::string(1, c);
  return out;
}

std::string html(std::string_view heading, std::string_view body) {
  return fmt::format(R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{0}</title>
<style>
body {{ font: 1rem/1.6 system-ui, sans-serif; color: #1d2b36; background: #f6f8f9; margin: 0 }}
main {{ max-width: 36rem; margin: 15vh auto; padding: 0 1.5rem }}
h1 {{ font-size: 1.4rem }}
@media (prefers-color-scheme: dark) {{ body {{ color: #dbe4ea; background: #141b21 }} }}
</style>
</head>
<body>
<main>
<h1>{0}</h1>
{1}
</main>
</body>
</html>
)",
                     heading, body);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> pages(std::string_view hint, std::string_view title,
                                                       std::string_view held) {
  return {
      {"unknown.html",
       html(
           "No application at this address",
           fmt::format("<p>The host <b>{}</b> is not known here, or has nothing at this path.</p>\n<p>{}</p>",
                       kHost, escape(hint)))},
      {"unknown.txt", fmt::format("The host {} is not known here, or has nothing at this path.\n{}\n", kHost,
                                  percent_doubled(hint))},
      {"unready.html",
       html("Nothing is ready here yet",
            fmt::format("<p><b>{}</b> has no instance that takes requests at the moment.</p>\n"
                        "<p>It may be starting, or have failed to: <code>tow status</code> says which.</p>",
                        title))},
      {"unready.txt", fmt::format("{} has no instance that takes requests at the moment.\n"
                                  "It may be starting, or have failed to: tow status says which.\n",
                                  title)},
      {"502.txt", fmt::format("{} gave no valid answer: an instance ended or broke off.\n"
                              "tow logs shows what it said.\n",
                              title)},
      {"503.txt", fmt::format("{} does not take connections: its instances are starting or have ended.\n"
                              "tow status says which.\n",
                              title)},
      {"late.txt", fmt::format("{} sleeps, and was not ready in the time that a request may wait for it.\n"
                               "tow status says why.\n",
                               held)},
      {"crowded.txt", fmt::format("{} is being woken, and as many requests as may wait for it do already.\n"
                                  "Try again in a moment.\n",
                                  held)},
      {"504.txt", fmt::format("{} took too long to answer.\ntow logs shows what it said.\n", title)},
  };
}

}  // namespace tow::route::haproxy
