#include "base/replaceable.h"

#include <filesystem>

namespace kvasir {

Status CheckReplaceable(const std::string& path) {
  using std::filesystem::file_type;
  std::error_code error;
  const file_type type = std::filesystem::status(path, error).type();
  // None: what is there cannot be told, and opening will say why.
  const bool fine =
      type == file_type::regular || type == file_type::not_found || type == file_type::none;
  if (fine) return {};
  return Fail("{}: not a plain file, so it is not written over; name another", path);
}

}  // namespace kvasir
