// SPDX-License-Identifier: Apache-2.0
#include "base/ids.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "base/error.hpp"

namespace tow {
namespace {

using namespace std::string_literals;

TEST(Uid, IsTwentySixPlainLettersAndUnique) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const auto uid = new_uid();
    ASSERT_EQ(uid.size(), 26U);
    ASSERT_EQ(uid.find_first_not_of("0123456789abcdefghjkmnpqrstvwxyz"), uid.npos) << uid;
    ASSERT_TRUE(seen.insert(uid).second);
  }
}

TEST(Uid, BeginsWithTheTime) {
  // 48 bits of milliseconds are the first ten digits: later ones are never smaller.
  std::vector<std::string> times;
  for (int i = 0; i < 5000; ++i) times.push_back(new_uid().substr(0, 10));
  EXPECT_TRUE(std::ranges::is_sorted(times));
  EXPECT_GE(times.front(), "01kdv4000"s) << "before 2026, or the digits are in the wrong order";
  EXPECT_LT(times.front(), "0300000000"s);
}

TEST(Random, BytesAndTokensAreOfTheirSize) {
  EXPECT_EQ(random_bytes(0), "");
  EXPECT_EQ(random_bytes(33).size(), 33U);
  EXPECT_NE(random_bytes(16), random_bytes(16));
  for (int i = 0; i < 100; ++i) {
    const auto token = random_token();
    EXPECT_EQ(token.size(), 43U);
    EXPECT_EQ(token.find_first_of("+/="), token.npos) << token;
  }
}

TEST(Hash, MatchesKnownValues) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex("\x00\x7f\xff"s.substr(0, 3)), "007fff");
}

TEST(Base64, MatchesRfc4648) {
  const std::pair<std::string, std::string> cases[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"fooba", "Zm9vYmE="},
                                                       {"foobar", "Zm9vYmFy"},
                                                       {"\0\xff\xfe"s, "AP/+"}};
  for (const auto& [plain, encoded] : cases) {
    EXPECT_EQ(base64(plain), encoded);
    EXPECT_EQ(base64_decode(encoded), plain) << encoded;
  }
  const auto bytes = random_bytes(10'001);
  EXPECT_EQ(base64_decode(base64(bytes)), bytes);
}

TEST(Base64, RefusesWhatIsNot) {
  const struct {
    std::string_view reason, text;
  } cases[] = {
      {"a length that is no multiple of four", "Zg="},
      {"white space", "Zm9v\nZm9"},
      {"the URL alphabet", "AP_-"},
      {"padding in the middle", "Zg==Zg=="},
      {"nothing but padding", "===="},
      {"too much padding", "Z==="},
      {"a letter of another script", "Zm9\xc3"},
  };
  for (const auto& [reason, text] : cases) EXPECT_THROW(base64_decode(text), Error) << reason;
}

TEST(ConstantTime, ComparesAsUsual) {
  EXPECT_TRUE(equal_constant_time("", ""));
  EXPECT_TRUE(equal_constant_time("token", "token"));
  EXPECT_FALSE(equal_constant_time("token", "tokeN"));
  EXPECT_FALSE(equal_constant_time("token", "toke"));
}

TEST(Name, IsADnsLabelWithoutDoubleHyphen) {
  const struct {
    std::string_view reason;
    std::string text;
    bool good;
  } cases[] = {
      {"a plain name", "web", true},
      {"digits may lead", "7up", true},
      {"single hyphens", "a-b-c", true},
      {"one letter", "a", true},
      {"63 letters", std::string(63, 'a'), true},
      {"64 letters", std::string(64, 'a'), false},
      {"nothing", "", false},
      {"upper case", "Web", false},
      {"leading hyphen", "-a", false},
      {"trailing hyphen", "a-", false},
      {"double hyphen", "a--b", false},
      {"a dot", "a.b", false},
      {"a slash", "a/b", false},
      {"a zero byte", "a\0b"s, false},
      {"not ASCII", "b\xc3\xbc", false},
  };
  for (const auto& [reason, text, good] : cases) EXPECT_EQ(is_name(text), good) << reason;
}

TEST(Nearest, FindsWhatWasMeant) {
  const std::vector<std::string> keys = {"port", "path", "scheme", "image", "readinessProbe", "containers"};
  const struct {
    std::string_view reason, text, meant;
  } cases[] = {
      {"swapped letters", "prot", "port"},
      {"a letter too few", "prt", "port"},
      {"a letter too many", "imagge", "image"},
      {"another case", "READINESSPROBE", "readinessProbe"},
      {"two faults in a long word", "contianes", "containers"},
      {"too far from all", "replicas", ""},
      {"nothing", "", ""},
      {"a short word is not just anything", "xy", ""},
  };
  for (const auto& [reason, text, meant] : cases) EXPECT_EQ(nearest(text, keys), meant) << reason;
  EXPECT_EQ(nearest("port", {}), "");
}

}  // namespace
}  // namespace tow
