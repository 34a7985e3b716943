// SPDX-License-Identifier: Apache-2.0
#include "route/haproxy/answers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"

namespace tow::route::haproxy {
namespace {

using testing::ElementsAre;
using testing::Pair;

TEST(Answers, AreWhatStandsBetweenPrompts) {
  struct Case {
    const char* reason;
    const char* said;
    std::vector<std::string> answers;
  };
  const Case cases[] = {
      {"nothing was said", "", {}},
      {"a greeting is no answer", "master> ", {}},
      {"an answer that ends with an empty line", "master> # name\nb0\n\nmaster> ", {"# name\nb0"}},
      {"an answer without an empty line", "1877> Server deleted.\n1877> ", {"Server deleted."}},
      {"a command that says nothing", "1877> \n1877> ", {""}},
      {"choosing a worker says nothing at all",
       "master> 1877> New server registered.\n\n1877> ",
       {"", "New server registered."}},
      {"several", "master> a\n\nmaster> \nmaster> b\nmaster> ", {"a", "", "b"}},
      {"the connection ended within an answer", "master> a\n\nmaster> Can't find the target", {"a"}},
      {"no greeting at all", "garbage\n", {}},
      {"a longer word is not a prompt", "master> somebody> x\nmaster> ", {"somebody> x"}},
  };
  for (const Case& it : cases) EXPECT_EQ(answers(it.said), it.answers) << it.reason;
}

constexpr const char* kProcesses =
    "#<PID>          <type>          <reloads>       <uptime>        <version>      \n"
    "28272           master          3 [failed: 1]   0d00h00m03s     2.6.12-1+deb12u4\n"
    "# workers\n"
    "28456           worker          0               0d00h00m01s     2.6.12-1+deb12u4\n"
    "# old workers\n"
    "28273           worker          1               0d00h00m02s     2.6.12-1+deb12u4\n"
    "28200           worker          2               0d00h00m03s     2.6.12-1+deb12u4\n"
    "# programs\n"
    "28001           prog            0               0d00h00m03s     -\n";

TEST(Processes, AreMasterWorkerAndOldOnes) {
  EXPECT_EQ(processes(kProcesses),
            (Processes{.master = 28272, .failed_reloads = 1, .worker = 28456, .old = {28273, 28200}}));
  EXPECT_THROW(processes("# workers\n"), Error);
  EXPECT_THROW(processes("-7 master 0\n"), Error);
}

TEST(Stats, FindColumnsByName) {
  const auto read = stats(
      "# pxname,svname,qcur,scur,bin,req_tot,hrsp_2xx,hrsp_other,ttime,\n"
      "b0,i-1,1,2,,,,,,\n"
      "b0,BACKEND,0,3,100,7,6,1,250,\n"
      "b1,BACKEND,0,3\n"
      "\n");
  ASSERT_EQ(read.size(), 2U);
  EXPECT_EQ(read[0].server, "i-1");
  EXPECT_EQ(read[0].queued, 1U);
  EXPECT_EQ(read[0].sessions, 2U);
  EXPECT_EQ(read[0].requests, 0U);
  EXPECT_EQ(read[1].requests, 7U);
  EXPECT_EQ(read[1].responses[2], 6U);
  EXPECT_EQ(read[1].responses[0], 1U);
  EXPECT_EQ(read[1].average_total_ms, 250U);
  EXPECT_TRUE(stats("No such proxy.").empty());
}

TEST(Servers, SayAddressWeightAndMaintenance) {
  const auto read = servers(
      "1\n"
      "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
      "srv_port\n"
      "4 b1 1 s1 127.0.0.1 2 0 10 10 19001\n"
      "4 b1 2 s2 fd00::1 0 1 20 10 80\n");
  ASSERT_EQ(read.size(), 2U);
  EXPECT_EQ(read[0].server, "s1");
  EXPECT_EQ(read[0].address, "127.0.0.1");
  EXPECT_EQ(read[0].port, 19001);
  EXPECT_EQ(read[0].weight, 10);
  EXPECT_FALSE(read[0].maintenance);
  EXPECT_TRUE(read[1].maintenance);
}

TEST(Entries, KeepSpacesInValues) {
  EXPECT_THAT(entries("0x562cd023b340 b0 60000|a|shop web\n0x7f8d840450e0 b1 x\nUnknown map\n0x1\n0x2 y\n"),
              ElementsAre(Pair("b0", "60000|a|shop web"), Pair("b1", "x")));
}

TEST(Backends, AreTheNames) { EXPECT_THAT(backends("# name\nb0\nb1\n"), ElementsAre("b0", "b1")); }

}  // namespace
}  // namespace tow::route::haproxy
