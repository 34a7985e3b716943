// SPDX-License-Identifier: Apache-2.0
#include "base/process.hpp"

#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <csignal>

#include "base/error.hpp"
#include "base/spawn.hpp"
#include "base/waiter.hpp"

namespace tow {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using PipeEnd = asio::posix::stream_descriptor;

constexpr std::size_t kLongestLine = 64 * 1024;
constexpr Duration kLongest = std::chrono::hours{24 * 365};  // a later deadline is none

// Collects one stream, as run() promises it.
class Collector {
 public:
  Collector(Stream stream, std::size_t limit, const LineSink& sink)
      : stream_{stream}, limit_{limit}, sink_{sink} {}

  void take(std::string_view bytes) {
    if (!sink_) {
      const auto room = limit_ - std::min(limit_, text.size());
      truncated = truncated || bytes.size() > room;
      text += bytes.substr(0, room);
      return;
    }
    text += bytes;
    if (text.size() > 2 * limit_) cut();
    lines(bytes);
  }

  void finish() {
    cut();
    if (sink_ && !line_.empty()) sink_(stream_, line_);
    line_.clear();
  }

  std::string text;
  bool truncated = false;

 private:
  void cut() {
    if (text.size() <= limit_) return;
    truncated = true;
    text.erase(0, text.size() - limit_);
  }

  void lines(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto end = bytes.find('\n');
      const auto part = bytes.substr(0, std::min(end, kLongestLine - line_.size()));
      line_ += part;
      bytes.remove_prefix(part.size());
      const bool whole = !bytes.empty() && bytes.front() == '\n';
      if (whole) bytes.remove_prefix(1);
      if (whole || line_.size() == kLongestLine) emit();
    }
  }
  void emit() {
    std::string line;
    line.swap(line_);
    sink_(stream_, line);
  }

  Stream stream_;
  std::size_t limit_;
  const LineSink& sink_;
  std::string line_;
};

// One run: the process, its streams and its timers, all on one strand. It keeps itself alive by what it waits
// for; when the event loop is torn down, that is destroyed, and the process with it.
class Run : public std::enable_shared_from_this<Run> {
 public:
  using Strand = asio::strand<Executor>;

  Run(const Executor& executor, Command command, LineSink sink)
      : strand{asio::make_strand(executor)},
        ended{executor},
        command_{std::move(command)},
        sink_{std::move(sink)},
        process_{command_, command_.input.empty() ? Process::Input::Nothing : Process::Input::Pipe},
        handle_{strand, process_.handle().copy().release()},
        in_{strand},
        out_{strand, Stream::Out, command_.output_limit, sink_},
        err_{strand, Stream::Err, command_.output_limit, sink_},
        timer_{strand} {
    if (process_.in) in_.assign(process_.in.release());
    if (process_.out) out_.pipe.assign(process_.out.release());
    if (process_.err) err_.pipe.assign(process_.err.release());
  }

  void start() {
    feed();
    read(out_);
    read(err_);
    if (command_.deadline < kLongest)
      after(command_.deadline, [this] {
        timed_out_ = !code_;
        end();
      });
    watch();
  }

  void end() {
    if (code_ || ending_) return;
    ending_ = true;
    process_.signal(SIGTERM);
    after(command_.grace, [this] { process_.signal(SIGKILL); });
  }

  // For the task that waits, after `ended`.
  Outcome outcome() {
    if (failure_) std::rethrow_exception(failure_);
    return {.exit_code = *code_,
            .out = std::move(out_.collector.text),
            .err = std::move(err_.collector.text),
            .timed_out = timed_out_,
            .truncated = out_.collector.truncated || err_.collector.truncated};
  }

  Strand strand;
  Waiter ended;

 private:
  struct Output {
    Output(const Strand& strand, Stream stream, std::size_t limit, const LineSink& sink)
        : pipe{strand}, collector{stream, limit, sink} {}
    PipeEnd pipe;
    Collector collector;
    std::array<char, 32 * 1024> buffer;
  };

  template <class F>
  void after(Duration duration, F then) {
    timer_.expires_after(duration);
    timer_.async_wait([self = shared_from_this(), then](error_code error) {
      if (!error) then();
    });
  }

  // The sink is the caller's code: what it throws ends the child and comes out of run().
  template <class F>
  void guarded(F action) {
    if (failure_) return;
    try {
      action();
    } catch (...) {
      failure_ = std::current_exception();
      end();
    }
  }

  void feed() {
    if (!in_.is_open()) return;
    asio::async_write(in_, asio::buffer(command_.input),
                      [self = shared_from_this()](error_code, std::size_t) { self->in_.close(); });
  }

  void read(Output& output) {
    if (!output.pipe.is_open()) return;
    if (cut_off_) return drain(output);
    output.pipe.async_read_some(asio::buffer(output.buffer), [self = shared_from_this(), &output](
                                                                 error_code error, std::size_t size) {
      if (!error) self->guarded([&] { output.collector.take({output.buffer.data(), size}); });
      if (!error || self->cut_off_) return self->read(output);
      self->close(output);
    });
  }

  void close(Output& output) {
    guarded([&] { output.collector.finish(); });
    output.pipe.close();
    settle();
  }

  // What lies in the pipe, but no more than a pipe can hold: somebody may go on writing.
  void drain(Output& output) {
    constexpr std::size_t kPipeSize = 1 << 20;
    for (std::size_t total = 0; total < kPipeSize;) {
      const auto size = ::read(output.pipe.native_handle(), output.buffer.data(), output.buffer.size());
      if (size <= 0) break;  // Asio has set it to not block
      guarded([&] { output.collector.take({output.buffer.data(), static_cast<std::size_t>(size)}); });
      total += static_cast<std::size_t>(size);
    }
    close(output);
  }

  void watch() {
    handle_.async_wait(PipeEnd::wait_read, [self = shared_from_this()](error_code) { self->exited(); });
  }

  void exited() {
    code_ = process_.reap();
    if (!code_) return watch();
    in_.close();
    timer_.cancel();
    if (out_.pipe.is_open() || err_.pipe.is_open()) after(command_.linger, [this] { cut_off(); });
    settle();
  }

  // Somebody whom the child left behind holds its output open. The reads that are cancelled here drain.
  void cut_off() {
    cut_off_ = true;
    for (Output* output : {&out_, &err_})
      if (output->pipe.is_open()) output->pipe.cancel();
  }

  void settle() {
    if (!code_ || out_.pipe.is_open() || err_.pipe.is_open()) return;
    timer_.cancel();
    handle_.close();
    ended.wake();
  }

  Command command_;
  LineSink sink_;
  Process process_;
  PipeEnd handle_, in_;
  Output out_, err_;
  asio::steady_timer timer_;
  std::optional<int> code_;
  bool timed_out_ = false, ending_ = false, cut_off_ = false;
  std::exception_ptr failure_;
};

std::string shell_word(std::string_view argument) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  if (!argument.empty() && argument.find_first_not_of(plain) == argument.npos) return std::string{argument};
  std::string text = "'";
  for (const char c : argument) {
    if (c == '\'')
      text += "'\\''";
    else
      text += c;
  }
  return text + "'";
}

// The last lines of what a program said, for a message.
std::string_view tail(std::string_view text) {
  constexpr std::size_t kEnough = 2000;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ' || text.back() == '\r'))
    text.remove_suffix(1);
  if (text.size() <= kEnough) return text;
  text.remove_prefix(text.size() - kEnough);
  const auto line = text.find('\n');
  return line == text.npos ? text : text.substr(line + 1);
}

std::string shortened(std::string text) {
  constexpr std::size_t kEnough = 300;
  if (text.size() > kEnough) text.replace(kEnough, text.npos, "…");
  return text;
}

}  // namespace

std::string describe(const Command& command) {
  std::string text;
  for (const auto& argument : command.argv) text += (text.empty() ? "" : " ") + shell_word(argument);
  return text;
}

Task<Outcome> run(Command command, LineSink sink) {
  const auto executor = co_await asio::this_coro::executor;
  const auto running = std::make_shared<Run>(executor, std::move(command), std::move(sink));
  asio::dispatch(running->strand, [running] { running->start(); });
  const bool cancelled = co_await running->ended.wait_to_end(
      [&running] { asio::post(running->strand, [running] { running->end(); }); });
  if (cancelled) throw Error{Code::Cancelled, "cancelled while a program ran, which was ended"};
  co_return running->outcome();
}

Task<Outcome> run_checked(Command command) {
  const auto what = shortened(describe(command));
  const auto deadline = command.deadline;
  auto outcome = co_await run(std::move(command));
  if (outcome.ok()) co_return outcome;
  const auto said = tail(outcome.err.empty() ? outcome.out : outcome.err);
  const auto detail = said.empty() ? std::string{} : fmt::format(": {}", said);
  if (outcome.timed_out)
    throw fail(Code::Timeout, "`{}` did not end within {}{}", what, to_string(deadline), detail);
  throw fail(Code::Internal, "`{}` ended with exit code {}{}", what, outcome.exit_code, detail);
}

// ---- Child

struct Child::State {
  State(const Executor& executor, const Command& command)
      : process{command, Process::Input::Pipe}, handle{executor}, in{executor}, out{executor}, err{executor} {
    handle.assign(process.handle().copy().release());
    if (process.in) in.assign(process.in.release());
    if (process.out) out.assign(process.out.release());
    if (process.err) err.assign(process.err.release());
  }
  Process process;
  PipeEnd handle, in, out, err;
};

namespace {

void check(error_code error, std::string_view what) {
  if (!error) return;
  if (error == asio::error::operation_aborted) throw fail(Code::Cancelled, "cancelled: {}", what);
  throw system_error(what, error.value());
}

}  // namespace

Child::Child(std::unique_ptr<State> state) : state_{std::move(state)} {}
Child::~Child() = default;

Task<std::unique_ptr<Child>> Child::start(Command command) {
  const auto executor = co_await asio::this_coro::executor;
  auto state = std::make_unique<State>(executor, command);
  co_return std::unique_ptr<Child>{new Child{std::move(state)}};
}

int Child::pid() const { return state_->process.pid(); }

Task<std::string> Child::read(Stream stream) {
  auto& pipe = stream == Stream::Out ? state_->out : state_->err;
  if (!pipe.is_open()) co_return std::string{};
  std::string bytes(32 * 1024, '\0');
  error_code error;
  const auto size =
      co_await pipe.async_read_some(asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, error));
  if (error == asio::error::eof) co_return std::string{};
  check(error, "reading from a program");
  bytes.resize(size);
  co_return bytes;
}

Task<> Child::write(std::string_view bytes) {
  error_code error;
  if (!state_->in.is_open()) throw Error{Code::Unavailable, "the program's input is closed"};
  co_await asio::async_write(state_->in, asio::buffer(bytes),
                             asio::redirect_error(asio::use_awaitable, error));
  check(error, "writing to a program");
}

void Child::close_input() { state_->in.close(); }
void Child::signal(int number) { state_->process.signal(number); }

Task<int> Child::wait() {
  error_code error;
  while (!state_->process.reap()) {
    co_await state_->handle.async_wait(PipeEnd::wait_read, asio::redirect_error(asio::use_awaitable, error));
    check(error, "waiting for a program");
  }
  co_return *state_->process.reap();
}

}  // namespace tow
