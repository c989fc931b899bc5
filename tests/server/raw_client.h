// A client on a raw socket, so that tests can send what no library would, and go when they like.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir::testing_ {

using Json = nlohmann::ordered_json;

struct RawReply {
  int status = 0;
  std::string head, body;  // the body without the marks of its chunks
  bool complete = false;
  Json json() const { return Json::parse(body, nullptr, false); }
  bool Has(std::string_view line) const { return head.find(line) != std::string::npos; }
};

class RawClient {
 public:
  explicit RawClient(int port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval limit{.tv_sec = 30, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~RawClient() { Close(); }
  RawClient(const RawClient&) = delete;

  bool connected() const { return connected_; }
  void Send(std::string_view bytes) {
    [[maybe_unused]] const ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  // Says that no more will come, and still listens.
  void EndSending() { shutdown(fd_, SHUT_WR); }
  // Whether bytes of a reply are there that were not received.
  bool HasReply() const {
    char byte;
    return recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
  }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  // With a reset instead of the polite end.
  void Reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    Close();
  }
  // More bytes of the reply; false: the end, or nothing for 30 s.
  bool Receive() {
    char buffer[1 << 16];
    const ssize_t n = recv(fd_, buffer, sizeof(buffer), 0);
    if (n > 0) received_.append(buffer, static_cast<size_t>(n));
    return n > 0;
  }
  const std::string& received() const { return received_; }

  // The next whole reply, after any that are for the time being (1xx); that to HEAD has no body.
  RawReply Read(bool to_head = false) {
    RawReply reply = ReadOne(to_head);
    while (reply.status >= 100 && reply.status < 200) reply = ReadOne(to_head);
    return reply;
  }

 private:
  RawReply ReadOne(bool to_head) {
    RawReply reply;
    size_t end;
    while ((end = received_.find("\r\n\r\n")) == std::string::npos) {
      if (!Receive()) return reply;
    }
    reply.head = received_.substr(0, end + 2);
    received_.erase(0, end + 4);
    if (reply.head.size() > 12) reply.status = std::atoi(reply.head.c_str() + 9);
    const size_t length_at = reply.head.find("Content-Length: ");
    if (to_head || reply.status < 200 || reply.status == 204) {  // they have no body
      reply.complete = true;
    } else if (length_at != std::string::npos) {
      const size_t length = std::stoul(reply.head.substr(length_at + 16));
      while (received_.size() < length && Receive()) {
      }
      reply.complete = received_.size() >= length;
      reply.body = received_.substr(0, length);
      received_.erase(0, reply.body.size());
    } else if (reply.Has("chunked")) {
      reply.complete = ReadChunks(reply.body);
    } else {
      while (Receive()) {
      }
      reply.body = std::exchange(received_, {});
      reply.complete = true;
    }
    return reply;
  }

  bool ReadChunks(std::string& body) {
    while (true) {
      size_t line;
      while ((line = received_.find("\r\n")) == std::string::npos) {
        if (!Receive()) return false;
      }
      const size_t size = std::stoul(received_.substr(0, line), nullptr, 16);
      while (received_.size() < line + 2 + size + 2) {
        if (!Receive()) return false;
      }
      body += received_.substr(line + 2, size);
      received_.erase(0, line + 2 + size + 2);
      if (size == 0) return true;
    }
  }

  int fd_;
  bool connected_ = false;
  std::string received_;
};

inline std::string PostText(std::string_view path, std::string_view body,
                            std::string_view headers = "") {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: test\r\nContent-Type: application/json" +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + std::string(headers) +
         "\r\n" + std::string(body);
}

inline RawReply Exchange(int port, std::string_view bytes) {
  RawClient client(port);
  client.Send(bytes);
  return client.Read(bytes.starts_with("HEAD "));
}
inline RawReply Post(int port, std::string_view path, const Json& body,
                     std::string_view headers = "") {
  return Exchange(port, PostText(path, body.dump(), headers));
}
inline RawReply Get(int port, std::string_view path, std::string_view headers = "") {
  return Exchange(port, "GET " + std::string(path) + " HTTP/1.1\r\nHost: test\r\n" +
                            std::string(headers) + "\r\n");
}

// The `data:` events of a stream, in order; comments left out.
inline std::vector<std::string> Events(std::string_view body) {
  std::vector<std::string> events;
  while (!body.empty()) {
    const size_t end = body.find("\n\n");
    EXPECT_NE(end, std::string_view::npos) << "an event without an end: " << body;
    if (end == std::string_view::npos) break;
    std::string_view event = body.substr(0, end);
    body.remove_prefix(end + 2);
    const size_t data = event.find("data: ");
    if (data != std::string_view::npos) events.emplace_back(event.substr(data + 6));
  }
  return events;
}

}  // namespace kvasir::testing_
