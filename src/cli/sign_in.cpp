// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "base/process.hpp"
#include "cli/commands.hpp"
#include "cli/credentials.hpp"
#include "cli/exit.hpp"

namespace tow::cli {
namespace {

std::string ask(const std::string& question) {
  std::cerr << question << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer;
}

// git asks the server's tokens of us from now on.
Task<> teach_git(std::string url) {
  Command command;
  command.argv = {"git", "config", "--global", "credential." + url + ".helper",
                  "!'" + std::filesystem::read_symlink("/proc/self/exe").string() + "' git-credential"};
  if (const char* home = std::getenv("HOME")) command.env["HOME"] = home;
  const auto outcome = co_await tow::run(std::move(command));
  if (!outcome.ok())
    throw fail(Code::FailedPrecondition, "git could not be told of the token: {}", outcome.err);
}

Task<int> sign_in(Context& context, std::string invitation) {
  const auto url = context.url();
  if (!url.starts_with("http")) throw fail(Code::Invalid, "name the server: tow login http://127.0.0.1:8690");
  if (invitation.empty()) invitation = ask("Invitation (from `tow admin invite` on the server): ");
  if (invitation.empty())
    throw fail(Code::Invalid,
               "no invitation was given: `tow admin invite` prints one on the server's machine");
  const auto executor = co_await boost::asio::this_coro::executor;
  client::Client anonymous{executor, {.url = url, .token = {}}};
  const ExchangeInput input{.invitation = invitation};
  const auto token = co_await anonymous.call<TokenOutput>("tokens.exchange", {}, {}, input);
  auto credentials = Credentials::load();
  credentials.keep(url, token.token);
  co_await teach_git(url);
  context.output.line(
      fmt::format("Signed in at {} as {}. git pushes with this token, too.", url, token.subject));
  co_return kOk;
}

// git's credential protocol: attributes in, attributes out (gitcredentials(7)).
Task<int> answer_git(std::string operation) {
  std::map<std::string, std::string> asked;
  std::string line;
  while (std::getline(std::cin, line) && !line.empty())
    if (const auto equals = line.find('='); equals != std::string::npos)
      asked[line.substr(0, equals)] = line.substr(equals + 1);
  if (operation != "get") co_return kOk;
  if (const auto token = Credentials::load().token(asked["protocol"] + "://" + asked["host"]))
    std::cout << "username=tow\npassword=" << *token << "\n";
  co_return kOk;
}

}  // namespace

void add_sign_in(CLI::App& app, Context& context) {
  auto* login = app.add_subcommand(
      "login", "Sign in with the one-time invitation that `tow admin invite` prints on the server");
  auto invitation = std::make_shared<std::string>();
  login->add_option("URL", context.url_option, "Address of the server");
  login->add_option("--invitation", *invitation, "The invitation; else it is asked for");
  login->callback([&context, invitation] {
    context.action = [&context, invitation] { return sign_in(context, *invitation); };
  });

  auto* credential = app.add_subcommand("git-credential", "Answer git's question for a token")->group("");
  auto operation = std::make_shared<std::string>();
  credential->add_option("OPERATION", *operation)->required();
  credential->callback(
      [&context, operation] { context.action = [operation] { return answer_git(*operation); }; });
}

}  // namespace tow::cli
