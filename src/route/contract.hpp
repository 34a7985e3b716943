// SPDX-License-Identifier: Apache-2.0
#pragma once
// What every router must do, tested through its face and through requests: contract_test.cpp. An
// implementation joins by a Subject and one INSTANTIATE_TEST_SUITE_P. For tests only.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "route/route.hpp"

namespace tow::route::contract {

/// A router with servers behind it and a client before it.
class Subject {
 public:
  virtual ~Subject() = default;

  virtual void run(Task<> task) = 0;
  virtual Router& router() = 0;
  /// The control plane ends and another takes its place; the data plane goes on. Not started yet.
  virtual void restart() = 0;

  /// An instance that answers requests with its id.
  virtual Server server(const std::string& id, int weight = 100) = 0;
  /// The id of the instance that answers, or the status of an answer by the router itself ("404").
  virtual std::string request(const std::string& host, const std::string& path) = 0;
  /// The same for one that may be held; "" as long as it is not answered.
  virtual std::function<std::string()> begin_request(const std::string& host) = 0;
  /// Tries until `done`, or until nobody would wait any longer; what it last was.
  virtual bool soon(const std::function<bool()>& done) = 0;
  /// An internal address, and what a request to it meets. Only while the router is started.
  virtual Match internal(int number) = 0;
  virtual std::string request_internal(const Match& to) = 0;
  /// Opens a stream to whatever serves this host; it lasts until close_streams().
  virtual void open_stream(const SiteId& site, const std::string& host, const std::string& server) = 0;
  virtual void close_streams() = 0;
};

using Factory = std::function<std::unique_ptr<Subject>()>;

class RouterContract : public testing::TestWithParam<Factory> {
 protected:
  void SetUp() override { subject_ = GetParam()(); }
  std::unique_ptr<Subject> subject_;
};

}  // namespace tow::route::contract
