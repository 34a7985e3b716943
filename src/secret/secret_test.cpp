// SPDX-License-Identifier: Apache-2.0
#include "secret/secret.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <set>
#include <thread>

#include "base/error.hpp"
#include "base/ids.hpp"

namespace tow::secret {
namespace {

class Secret : public testing::Test {
 protected:
  Secret() { std::filesystem::create_directories(directory_); }
  ~Secret() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path directory_ = std::filesystem::temp_directory_path() / ("towpath-secret-" + new_uid());
  std::filesystem::path path_ = directory_ / "key";
};

template <class F>
std::pair<Code, std::string> error_of(F f) {
  try {
    f();
  } catch (const Error& error) {
    return {error.code(), error.message()};
  }
  return {Code::Internal, "nothing was thrown"};
}

TEST_F(Secret, OpensWhatItSealed) {
  const auto sealer = open_key_file(path_);
  for (const std::string& value :
       {std::string{}, std::string{"hunter2"}, std::string(1 << 20, 'x'), std::string{"\0\xff\n\"", 4}}) {
    EXPECT_EQ(sealer->open(sealer->seal(value, "shop/TOKEN@3"), "shop/TOKEN@3"), value);
  }
}

TEST_F(Secret, NeverGivesTheSameResultTwice) {
  const auto sealer = open_key_file(path_);
  std::set<std::string> sealed;
  for (int i = 0; i < 100; ++i) sealed.insert(sealer->seal("value", "context"));
  EXPECT_EQ(sealed.size(), 100U);
}

TEST_F(Secret, SealedTextIsSafeForJsonAndHidesTheValue) {
  const auto sealed = open_key_file(path_)->seal("hunter2hunter2", "c");
  EXPECT_EQ(sealed.find_first_of("\"\\\n\t"), std::string::npos);
  EXPECT_EQ(sealed.find("hunter2"), std::string::npos);
}

TEST_F(Secret, RefusesAnotherContext) {
  const auto sealer = open_key_file(path_);
  const auto sealed = sealer->seal("value", "shop/TOKEN@3");
  for (const char* context : {"shop/TOKEN@4", "blog/TOKEN@3", "", "shop/TOKEN@3 "})
    EXPECT_EQ(error_of([&] { sealer->open(sealed, context); }).first, Code::Invalid) << context;
}

TEST_F(Secret, RefusesEveryChangedByte) {
  const auto sealer = open_key_file(path_);
  const auto sealed = sealer->seal("value", "context");
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    auto changed = sealed;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    const auto [code, message] = error_of([&] { sealer->open(changed, "context"); });
    EXPECT_EQ(code, Code::Invalid) << "byte " << i << ": " << message;
  }
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    const auto [code, message] = error_of([&] { sealer->open(sealed.substr(0, size), "context"); });
    EXPECT_EQ(code, Code::Invalid) << "cut to " << size << ": " << message;
  }
}

TEST_F(Secret, SaysThatAValueBelongsToAnotherKey) {
  const auto sealed = open_key_file(path_)->seal("value", "context");
  const auto other = open_key_file(directory_ / "other");
  const auto [code, message] = error_of([&] { other->open(sealed, "context"); });
  EXPECT_EQ(code, Code::Invalid);
  EXPECT_NE(message.find("another key"), std::string::npos) << message;
}

TEST_F(Secret, KeepsTheKeyForTheNextStart) {
  const auto sealed = open_key_file(path_)->seal("value", "context");
  EXPECT_EQ(open_key_file(path_)->open(sealed, "context"), "value");
}

TEST_F(Secret, MakesTheKeyForItsOwnerAlone) {
  ::umask(0);
  open_key_file(path_);
  ::umask(022);
  struct stat status{};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator{directory_}) ++files;
  EXPECT_EQ(files, 1U) << "a temporary file was left behind";
}

TEST_F(Secret, RefusesAKeyThatOthersCanReach) {
  open_key_file(path_);
  for (const mode_t mode : {0640, 0604, 0660, 0601}) {
    ::chmod(path_.c_str(), mode);
    const auto [code, message] = error_of([&] { open_key_file(path_); });
    EXPECT_EQ(code, Code::FailedPrecondition);
    EXPECT_NE(message.find("chmod 600"), std::string::npos) << message;
  }
}

TEST_F(Secret, RefusesAFileThatIsNoKeyAndLeavesItAlone) {
  const struct {
    const char* reason;
    std::string content;
  } cases[] = {
      {"an empty file, as a full disk leaves it", ""},
      {"another file", "hello\n"},
      {"a key that was cut", "towpath-key-1:AAAA\n"},
      {"a key without its end", "towpath-key-1:" + base64(std::string(32, 'k'))},
      {"no base64", "towpath-key-1:" + std::string(44, '!') + "\n"},
  };
  for (const auto& [reason, content] : cases) {
    std::ofstream{path_} << content;
    ::chmod(path_.c_str(), 0600);
    EXPECT_EQ(error_of([&] { open_key_file(path_); }).first, Code::FailedPrecondition) << reason;
    std::ifstream file{path_};
    EXPECT_EQ((std::string{std::istreambuf_iterator<char>{file}, {}}), content) << reason;
  }
}

TEST_F(Secret, TwoWhoStartAtOnceEndWithOneKey) {
  std::unique_ptr<Sealer> sealers[8];
  {
    std::vector<std::jthread> threads;
    for (auto& sealer : sealers) threads.emplace_back([&] { sealer = open_key_file(path_); });
  }
  const auto sealed = sealers[0]->seal("value", "context");
  for (const auto& sealer : sealers) EXPECT_EQ(sealer->open(sealed, "context"), "value");
}

TEST_F(Secret, SaysWhereTheKeyCannotBeMade) {
  const auto [code, message] = error_of([&] { open_key_file(directory_ / "missing" / "key"); });
  EXPECT_EQ(code, Code::NotFound);
  EXPECT_NE(message.find("missing/key"), std::string::npos) << message;
}

}  // namespace
}  // namespace tow::secret
