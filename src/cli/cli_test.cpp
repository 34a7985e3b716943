// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include "base/error.hpp"
#include "cli/bench_test.hpp"
#include "cli/context.hpp"
#include "cli/credentials.hpp"
#include "cli/exit.hpp"
#include "cli/output.hpp"
#include "cli/workspace.hpp"

namespace tow::cli {
namespace {

class Commands : public CommandTest {};

TEST(Exit, EveryCodeHasOne) {
  const std::vector<std::pair<Code, int>> rows{
      {Code::Invalid, 2},     {Code::Unsupported, 3},   {Code::NotFound, 4},  {Code::Unauthenticated, 5},
      {Code::Denied, 5},      {Code::AlreadyExists, 6}, {Code::Conflict, 6},  {Code::FailedPrecondition, 6},
      {Code::Unavailable, 7}, {Code::Timeout, 7},       {Code::Exhausted, 1}, {Code::Cancelled, 1},
      {Code::Internal, 1}};
  for (const auto& [code, exit] : rows) EXPECT_EQ(exit_code(code), exit) << name(code);
}

TEST_F(Commands, WrongWordsAreToldWithTheNearestRightOne) {
  const struct {
    const char* reason;
    std::vector<std::string> words;
    int code;
    const char* said;
  } rows[] = {
      {"nothing at all", {}, kInvalid, "--help"},
      {"a misspelt command", {"rolback"}, kInvalid, "did you mean \"rollback\"?"},
      {"a command like no other", {"xyzzyx"}, kInvalid, "`tow --help` lists them"},
      {"a misspelt command of a group", {"project", "craete"}, kInvalid, "did you mean \"create\"?"},
      {"a hidden command is not proposed", {"referense"}, kInvalid, "`tow --help` lists them"},
      {"a group alone", {"project"}, kInvalid, "`tow project` needs a command: create, ls"},
      {"an option's value is no command", {"-o", "json", "lss"}, kInvalid, "did you mean \"ls\"?"},
      {"an unknown option", {"ls", "--colour"}, kInvalid, "\"--colour\" is no option of `tow ls`"},
      {"a misspelt option", {"ls", "--projct", "x"}, kInvalid, "did you mean \"--project\"?"},
      {"a short one", {"project", "ls", "-z"}, kInvalid, "\"-z\" is no option of `tow project ls`"},
      {"a missing argument", {"scale", "web"}, kInvalid, "COUNT"},
      {"a count in words", {"scale", "web", "three"}, kInvalid, "\"three\" is no whole number"},
      {"a count out of range", {"scale", "web", "101"}, kInvalid, "COUNT"},
      {"an unknown format", {"ls", "-o", "xml"}, kInvalid, "none of table, json, yaml"},
      {"two that exclude each other", {"rollback", "web", "--hold", "--unhold"}, kInvalid, "--hold"},
      {"an unknown kind to destroy", {"destroy", "planet", "mars"}, kInvalid, "KIND"},
      {"no project", {"ls"}, kInvalid, "tow init"},
      {"no component",
       {"status", "-p", "shop", "-e", "test", "web.production"},
       kInvalid,
       "name two environments"},
      {"run without a command", {"run", "web", "-p", "shop"}, kInvalid, "CMD"},
      {"nobody answers", {"ls", "-p", "shop", "--url", "http://127.0.0.1:1"}, kUnavailable, "--url"},
      {"an address that is none", {"ls", "-p", "shop", "--url", "gopher://x"}, kInvalid, "gopher"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    const auto result = tow(row.words);
    EXPECT_EQ(result.code, row.code) << result.err;
    EXPECT_NE(result.err.find(row.said), std::string::npos) << result.err;
    EXPECT_EQ(result.out, "");
  }
}

TEST_F(Commands, HelpAndVersionAreNoFailures) {
  EXPECT_EQ(tow({"--version"}).out, "tow 1.2.3\n");
  EXPECT_EQ(tow({"--help"}).code, kOk);
  EXPECT_NE(tow({"rollback", "--help"}).out.find("REVISION"), std::string::npos);
}

constexpr const char* kGood = R"(apiVersion: score.dev/v1b1
metadata:
  name: web
containers:
  main:
    image: .
service:
  ports:
    http:
      port: 8080
)";

TEST_F(Commands, CheckTellsInvalidFromUnsupported) {
  write("good.yaml", kGood);
  write("bad.yaml", "apiVersion: score.dev/v1b1\nmetadata:\n  nmae: web\ncontainers: {}\n");
  write("broken.yaml", "a: [1\nb: }\n");
  write("unsupported.yaml", std::string{kGood} + "resources:\n  db:\n    type: postgres\n");
  write("towpath.yaml", "apiVersion: towpath.dev/v1\ncomponents: 7\n");
  const struct {
    const char* reason;
    std::vector<std::string> files;
    int code;
    const char* said;
  } rows[] = {
      {"a good one", {"good.yaml"}, kOk, "good.yaml: fine"},
      {"a misspelt key has its place", {"bad.yaml"}, kInvalid, "bad.yaml:3:3"},
      {"no YAML has its place", {"broken.yaml"}, kInvalid, "broken.yaml:2:"},
      {"what is not supported yet", {"unsupported.yaml"}, kUnsupported, "postgres"},
      {"the other file", {"towpath.yaml"}, kInvalid, "components"},
      {"invalid outweighs unsupported", {"bad.yaml", "unsupported.yaml"}, kInvalid, "postgres"},
      {"in either order", {"unsupported.yaml", "bad.yaml"}, kInvalid, "postgres"},
      {"a good one beside does not hide it", {"unsupported.yaml", "good.yaml"}, kUnsupported, "fine"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    auto words = row.files;
    words.insert(words.begin(), "check");
    const auto result = tow(words);
    EXPECT_EQ(result.code, row.code) << result.out << result.err;
    EXPECT_NE(result.out.find(row.said), std::string::npos) << result.out << result.err;
  }
  EXPECT_EQ(tow({"check", "none.yaml"}).code, kNotFound);
  std::filesystem::remove(root / "towpath.yaml");
  EXPECT_EQ(tow({"check"}).code, kNotFound) << "there is nothing to check here";
  write("score.yaml", kGood);
  EXPECT_EQ(tow({"check"}).out, "score.yaml: fine\n") << "that of the folder";
}

TEST_F(Commands, ExplainNeedsNoServer) {
  const auto whole = tow({"explain", "deployment"});
  EXPECT_EQ(whole.code, kOk) << whole.err;
  EXPECT_NE(whole.out.find("spec (object)\n      What is wanted.\n"), std::string::npos) << whole.out;
  EXPECT_EQ(whole.out.find("\n\n"), std::string::npos) << "no empty lines";
  for (std::size_t at = 0, end; (end = whole.out.find('\n', at)) != std::string::npos; at = end + 1)
    EXPECT_NE(whole.out.substr(at, end - at).find_first_not_of(' '), std::string::npos) << whole.out;
  EXPECT_NE(tow({"explain", "deployments.spec.scale"}).out.find("deployments.spec.scale"), std::string::npos);
  EXPECT_NE(tow({"explain", "configuration.spec.values"}).out.find("changed"), std::string::npos)
      << "what is in a map";
  EXPECT_EQ(tow({"explain", "deployments.spec.sclae"}).code, kNotFound);
  EXPECT_EQ(tow({"explain", "deploymnets"}).code, kInvalid);
  EXPECT_NE(tow({"explain", "deploymnets"}).err.find("\"deployments\""), std::string::npos);
  EXPECT_EQ(tow({"explain", "project", "-o", "json"}).out.front(), '{');
}

TEST_F(Commands, ComponentAndEnvironmentHaveDefaults) {
  const struct {
    const char* reason;
    const char* given;
    const char* option;
    const char* wanted;  // empty: refused
  } rows[] = {
      {"both said", "web.production", "", "web.production"},
      {"the environment has a default", "web", "", "web.development"},
      {"by the option", "web", "staging", "web.staging"},
      {"both, and they agree", "web.staging", "staging", "web.staging"},
      {"both, and they do not", "web.production", "staging", ""},
      {"the component of the folder", "", "production", "api.production"},
      {"an environment alone", ".production", "", "api.production"},
  };
  write("score.yaml", "metadata: {name: api}\n");
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    Context context{extras};
    context.environment_option = row.option;
    try {
      EXPECT_EQ(context.deployment(row.given).text(), row.wanted);
    } catch (const Error& error) {
      EXPECT_EQ(std::string{row.wanted}, "") << error.message();
      EXPECT_EQ(error.code(), Code::Invalid);
    }
  }
}

TEST_F(Commands, ProjectAndServerComeFromOptionRemoteAndVariable) {
  const auto git = [](const std::string& words) {
    return std::system(("git " + words + " >/dev/null 2>&1").c_str());
  };
  ASSERT_EQ(git("init -b main ."), 0);
  ASSERT_EQ(git("remote add tow https://secret@tow.example.org/git/shop/web.git"), 0);
  const auto look = [&](const char* project, const char* url) {
    Context context{extras};
    context.project_option = project;
    context.url_option = url;
    return context.project() + " " + context.url();
  };
  EXPECT_EQ(look("", ""), "shop https://tow.example.org") << "the remote, without its token";
  EXPECT_EQ(look("toys", "http://other/"), "toys http://other") << "options go before";
  setenv("TOWPATH_PROJECT", "books", 1);
  setenv("TOWPATH_URL", "http://variable", 1);
  EXPECT_EQ(look("", ""), "shop http://variable");
  std::filesystem::remove_all(root / ".git");
  EXPECT_EQ(look("", ""), "books http://variable");
  unsetenv("TOWPATH_PROJECT");
  unsetenv("TOWPATH_URL");
  EXPECT_THROW(look("", ""), Error);
}

TEST(Workspace, ParsesRemotes) {
  const struct {
    const char* reason;
    const char* address;
    const char* parts;
  } rows[] = {
      {"plain", "http://127.0.0.1:8690/git/shop/web.git", "http://127.0.0.1:8690 shop web"},
      {"https", "https://tow.example.org/git/shop/web.git", "https://tow.example.org shop web"},
      {"without .git", "http://h/git/shop/web", "http://h shop web"},
      {"a token in it", "https://tow:secret@h/git/shop/web.git", "https://h shop web"},
      {"another protocol", "ssh://h/git/shop/web.git", ""},
      {"another host's path", "https://github.com/shop/web.git", ""},
      {"a project alone", "http://h/git/shop", ""},
      {"nothing", "", ""},
      {"a name of the file system", "/git/shop/web.git", ""},
  };
  for (const auto& row : rows) {
    const auto found = parse_remote(row.address);
    EXPECT_EQ(found ? found->url + " " + found->project + " " + found->repository : "", row.parts)
        << row.reason;
  }
}

TEST_F(Commands, CredentialsAreForTheirOwnerAlone) {
  auto credentials = Credentials::load();
  EXPECT_EQ(credentials.last(), "");
  credentials.keep("http://a", "one");
  credentials.keep("http://b", "two");
  struct stat about{};
  ASSERT_EQ(stat(Credentials::file().c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  const auto again = Credentials::load();
  EXPECT_EQ(again.last(), "http://b");
  EXPECT_EQ(again.token("http://a"), "one");
  EXPECT_FALSE(again.token("http://c"));
  std::filesystem::permissions(Credentials::file(), std::filesystem::perms{0640});
  EXPECT_THROW(Credentials::load(), Error) << "others could read it";
}

TEST(Output, TablesAreAlignedByWhatIsSeen) {
  testing::internal::CaptureStdout();
  Output{}.table({{"NAME", "PHASE", "NOTE"}, {"web", "Healthy", "ok"}, {"bücher", "\x1b[31mX\x1b[0m", ""}});
  EXPECT_EQ(testing::internal::GetCapturedStdout(),
            "NAME    PHASE    NOTE\n"
            "web     Healthy  ok\n"
            "bücher  \x1b[31mX\x1b[0m\n");
}

TEST(Output, AgesAndSizesAreShort) {
  using namespace std::chrono_literals;
  const TimePoint now{1000h};
  const std::vector<std::pair<Duration, const char*>> ages{{-5s, "0s"},  {0s, "0s"},       {119s, "119s"},
                                                           {120s, "2m"}, {119min, "119m"}, {2h, "2h"},
                                                           {47h, "47h"}, {48h, "2d"}};
  for (const auto& [since, text] : ages) EXPECT_EQ(age(now - since, now), text);
  const std::vector<std::pair<std::uint64_t, const char*>> sizes{
      {0, "0 B"},           {1023, "1023 B"},       {1024, "1.0 KiB"},       {1536, "1.5 KiB"},
      {20 << 10, "20 KiB"}, {512 << 20, "512 MiB"}, {1ull << 40, "1.0 TiB"}, {5000ull << 40, "5000 TiB"}};
  for (const auto& [count, text] : sizes) EXPECT_EQ(size_text(Bytes{count}), text);
}

}  // namespace
}  // namespace tow::cli
