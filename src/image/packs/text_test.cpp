// SPDX-License-Identifier: Apache-2.0
#include "image/packs/text.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace tow::image::packs {
namespace {

TEST(PackText, AProgramIsStartedSoThatSignalsReachIt) {
  const struct {
    const char* reason;
    const char* line;
    const char* command;
  } cases[] = {
      {"a plain command needs no shell", "node server.js --port=8080",
       R"(["node", "server.js", "--port=8080"])"},
      {"a variable needs one, and it makes way", "gunicorn -b 0.0.0.0:$PORT app:app",
       R"(["sh", "-c", "exec gunicorn -b 0.0.0.0:$PORT app:app"])"},
      {"assignments stay in front", "NODE_ENV=production node server.js",
       R"(["sh", "-c", "NODE_ENV=production exec node server.js"])"},
      {"the last of several makes way", "npm run migrate && node server.js",
       R"(["sh", "-c", "npm run migrate && exec node server.js"])"},
      {"quotes hide separators", "node -e 'a && b'", R"(["sh", "-c", "exec node -e 'a && b'"])"},
      {"a default value is no subshell", "serve -p ${PORT:-80}",
       R"(["sh", "-c", "exec serve -p ${PORT:-80}"])"},
      {"a pipe is left alone", "node server.js | pino-pretty",
       R"(["sh", "-c", "node server.js | pino-pretty"])"},
      {"a background job too", "worker & node server.js", R"(["sh", "-c", "worker & node server.js"])"},
      {"exec is not written twice", "exec node \"$MAIN\"", R"(["sh", "-c", "exec node \"$MAIN\""])"},
      {"a builtin cannot be replaced", "node a.js; exit $?", R"(["sh", "-c", "node a.js; exit $?"])"},
  };
  for (const auto& one : cases) EXPECT_EQ(exec_form(start_command(one.line)), one.command) << one.reason;
}

TEST(PackText, CopyQuotesUnusualPaths) {
  EXPECT_EQ(copy({"web/package.json"}, "./"), "COPY web/package.json ./");
  EXPECT_EQ(copy({"my app/"}, "./", "--chown=app"), R"(COPY --chown=app ["my app/", "./"])");
  EXPECT_EQ(copy({"$x/"}, "./"), R"(COPY ["\\$x/", "./"])");
}

TEST(PackText, AProcfileNamesTheProcess) {
  EXPECT_EQ(choose_process("worker: a\nweb: b $PORT\n", "Procfile").command, "b $PORT");
  EXPECT_TRUE(choose_process("web: b", "Procfile").listens());
  EXPECT_EQ(choose_process("# all of it\nrelease: migrate\nworker: a\n", "Procfile").command, "a");
  EXPECT_FALSE(choose_process("worker: a", "Procfile").listens());
}

TEST(PackText, AProcfileThatNamesNoneOrTooManyIsRefused) {
  const struct {
    const char* text;
    const char* says;
  } cases[] = {
      {"", "names no process"},
      {"a: 1\nb: 2\n", "a, b"},
      {"web\n", "\"web\" is no process"},
      {"web: \n", "is no process"},
  };
  for (const auto& one : cases) {
    try {
      choose_process(one.text, "web/Procfile");
      ADD_FAILURE() << one.text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::Invalid);
      EXPECT_NE(error.message().find(one.says), std::string::npos) << error.message();
      EXPECT_NE(error.message().find("web/Procfile"), std::string::npos) << error.message();
    }
  }
}

}  // namespace
}  // namespace tow::image::packs
