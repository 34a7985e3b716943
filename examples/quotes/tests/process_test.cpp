// SPDX-License-Identifier: Apache-2.0
// The whole program, as the platform runs it: process_test PROGRAM SAYINGS
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>

#include "check.hpp"
#include "client.hpp"

namespace {

struct Process {
  pid_t pid = -1;
  int output = -1;

  std::string read_line() const {
    std::string text;
    for (char c = 0; read(output, &c, 1) == 1 && c != '\n';) text += c;
    return text;
  }
  std::string read_to_the_end() const {
    std::string text;
    for (char c = 0; read(output, &c, 1) == 1;) text += c;
    return text;
  }
  int wait_for_exit() const {
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
};

// Standard output and error of the child come through one pipe.
Process start(const char* program, const char* sayings, const char* port) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) std::abort();
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    setenv("PORT", port, 1);
    execl(program, program, sayings, nullptr);
    _exit(127);
  }
  close(ends[1]);
  return {pid, ends[0]};
}

void test_serves_and_ends_on_sigterm(const char* program, const char* sayings) {
  const auto process = start(program, sayings, "0");
  const auto line = process.read_line();
  const auto port = std::stoi(line.substr(line.rfind(' ') + 1));
  Client client{static_cast<std::uint16_t>(port)};
  client.send("GET /quotes/1 HTTP/1.1\r\n\r\n");
  check(client.read_until("}").find("200 OK") != std::string::npos, "it answers");
  kill(process.pid, SIGTERM);
  check_equal(client.read_to_the_end(), "", "the idle connection is closed");
  check_equal(process.wait_for_exit(), 0, "SIGTERM is a good end");
  check_equal(process.read_to_the_end(), "quotes: done, 0 connections cut\n", "and it says so");
}

void test_refuses(const char* program, const char* sayings) {
  const auto no_file = start(program, "/nowhere.txt", "0");
  check_equal(no_file.read_to_the_end(), "quotes: /nowhere.txt: cannot be read\n", "a missing file");
  check_equal(no_file.wait_for_exit(), 2, "a missing file");
  const auto no_port = start(program, sayings, "http");
  check_equal(no_port.read_to_the_end(), "quotes: PORT is \"http\"; it must be a port's number\n",
              "a port that is none");
  check_equal(no_port.wait_for_exit(), 2, "a port that is none");
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return 2;
  test_serves_and_ends_on_sigterm(arguments[1], arguments[2]);
  test_refuses(arguments[1], arguments[2]);
  return finish();
}
