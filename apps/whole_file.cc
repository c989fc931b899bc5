#include "whole_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/replaceable.h"

namespace kvasir::cli {

Status WriteWhole(const std::string& path, std::string_view bytes) {
  KV_RETURN_IF_ERROR(CheckReplaceable(path));
  const std::string beside = fmt::format("{}.{}.part", path, getpid());
  std::FILE* file = std::fopen(beside.c_str(), "wb");
  if (file == nullptr) return Fail("{}: {}", path, std::strerror(errno));
  errno = 0;
  bool good = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  good = std::fflush(file) == 0 && good;
  const int reason = errno;
  good = std::fclose(file) == 0 && good;
  if (good && std::rename(beside.c_str(), path.c_str()) == 0) return {};
  const int error = reason != 0 ? reason : errno;
  std::remove(beside.c_str());
  return Fail("{}: {}; nothing was changed", path, std::strerror(error));
}

}  // namespace kvasir::cli
