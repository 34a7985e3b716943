// SPDX-License-Identifier: Apache-2.0
#pragma once
// Beast's parser, filling our own structures without a container between, and stricter about framing. Private
// to this folder, and only for .cpp files.

#include <boost/beast/http/basic_parser.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/http.hpp"

namespace tow::http {

/// Parses one request. A parser is made for each message and fed with put().
class RequestParser final : public boost::beast::http::basic_parser<true> {
 public:
  explicit RequestParser(Request& request) : request_{request} {
    body_limit(boost::none);
    header_limit(UINT32_MAX);  // the connection counts over the whole head
  }

  /// What was wrong, once put() has set an error: the status to answer with, and why.
  struct Refusal {
    int status = 400;
    std::string why;
  };
  Refusal refusal(const boost::system::error_code& error) const;

  bool start_line_done() const { return version_ != 0; }
  bool http11() const { return version_ == 11; }
  bool expects_continue() const { return expects_continue_; }
  /// Body bytes collected since the last call.
  std::string take_body() { return std::exchange(body_, {}); }
  std::size_t body_size() const { return body_.size(); }

 private:
  using Ec = boost::system::error_code&;
  using Text = boost::beast::string_view;
  void on_request_impl(boost::beast::http::verb, Text method, Text target, int version, Ec ec) override;
  void on_response_impl(int, Text, int, Ec) override {}
  void on_field_impl(boost::beast::http::field name, Text name_text, Text value, Ec ec) override;
  void on_header_impl(Ec ec) override;
  void on_body_init_impl(const boost::optional<std::uint64_t>&, Ec) override {}
  std::size_t on_body_impl(Text bytes, Ec) override {
    return body_.append(bytes.data(), bytes.size()), bytes.size();
  }
  void on_chunk_header_impl(std::uint64_t, Text, Ec) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, Text bytes, Ec ec) override {
    return on_body_impl(bytes, ec);
  }
  void on_finish_impl(Ec) override {}

  void refuse(Ec ec, int status, std::string why);

  Request& request_;
  std::string body_;
  std::string authority_;  // of an absolute target
  int version_ = 0;
  bool header_done_ = false;
  bool has_length_ = false, has_host_ = false, has_coding_ = false;
  bool expects_continue_ = false;
  std::optional<Refusal> refusal_;
};

/// Parses one reply. A head of 1xx is a message of its own.
class ReplyParser final : public boost::beast::http::basic_parser<false> {
 public:
  explicit ReplyParser(Headers& headers) : headers_{headers} {
    body_limit(boost::none);
    header_limit(UINT32_MAX);
  }
  int status() const { return status_; }
  bool http11() const { return version_ == 11; }
  std::string take_body() { return std::exchange(body_, {}); }
  std::size_t body_size() const { return body_.size(); }

 private:
  using Ec = boost::system::error_code&;
  using Text = boost::beast::string_view;
  void on_request_impl(boost::beast::http::verb, Text, Text, int, Ec) override {}
  void on_response_impl(int status, Text, int version, Ec) override { status_ = status, version_ = version; }
  void on_field_impl(boost::beast::http::field, Text name, Text value, Ec) override {
    if (!header_done_) headers_.append({name.data(), name.size()}, {value.data(), value.size()});
  }
  void on_header_impl(Ec) override { header_done_ = true; }
  void on_body_init_impl(const boost::optional<std::uint64_t>&, Ec) override {}
  std::size_t on_body_impl(Text bytes, Ec) override {
    return body_.append(bytes.data(), bytes.size()), bytes.size();
  }
  void on_chunk_header_impl(std::uint64_t, Text, Ec) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, Text bytes, Ec ec) override {
    return on_body_impl(bytes, ec);
  }
  void on_finish_impl(Ec) override {}

  Headers& headers_;
  std::string body_;
  int status_ = 0;
  int version_ = 0;
  bool header_done_ = false;
};

}  // namespace tow::http
