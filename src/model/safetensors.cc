#include "model/safetensors.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <string_view>
#include <utility>

#include "model/json_file.h"
#include "model/source_builder.h"

namespace kvasir {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's own limit
constexpr size_t kMaxRank = 8;

struct Dtype {
  std::string_view name;
  uint64_t bytes;
  std::optional<TensorType> type;
};

constexpr Dtype kDtypes[] = {
    {"F32", 4, TensorType::kF32},
    {"F16", 2, TensorType::kF16},
    {"BF16", 2, TensorType::kBF16},
    {"F64", 8, TensorType::kF64},
    {"I8", 1, TensorType::kI8},
    {"I16", 2, TensorType::kI16},
    {"I32", 4, TensorType::kI32},
    {"I64", 8, TensorType::kI64},
    {"BOOL", 1, {}},
    {"U8", 1, {}},
    {"U16", 2, {}},
    {"U32", 4, {}},
    {"U64", 8, {}},
    {"F8_E4M3", 1, {}},
    {"F8_E5M2", 1, {}},
    {"F8_E8M0", 1, {}},
};

struct RawEntry {
  std::string name;
  std::string dtype;
  std::vector<uint64_t> shape, offsets;
};

// Reads {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...} event by event,
// so that memory is bounded by what a valid header needs.
class HeaderHandler final : public JsonHandler {
 public:
  std::vector<RawEntry> entries;
  std::map<std::string, std::string> metadata;

  bool null() override { return Unexpected("null"); }
  bool boolean(bool) override { return Unexpected("a boolean"); }
  bool number_integer(int64_t) override { return Unexpected("a negative number"); }
  bool number_float(double, const std::string&) override { return Unexpected("a fraction"); }
  bool binary(Json::binary_t&) override { return Unexpected("binary data"); }
  bool number_unsigned(uint64_t value) override {
    if (list_ == nullptr) return Unexpected("a number");
    if (list_->size() == kMaxRank) return Stop(Where() + ": more than 8 numbers");
    list_->push_back(value);
    return true;
  }
  bool string(std::string& text) override {
    if (place_ == Place::kMetadata) {
      return metadata.emplace(field_, text).second ||
             Stop("metadata " + Quoted(field_) + " is there twice");
    }
    if (place_ != Place::kTensor || field_ != "dtype") return Unexpected("a string");
    entries.back().dtype = text;
    return true;
  }
  bool start_object(size_t) override {
    if (place_ == Place::kOutside) {
      place_ = Place::kRoot;
    } else if (place_ == Place::kRoot && field_ == "__metadata__") {
      place_ = Place::kMetadata;
    } else if (place_ == Place::kRoot) {
      place_ = Place::kTensor;
      entries.push_back({field_, "", {}, {}});
      fields_.clear();
    } else {
      return Unexpected("an object");
    }
    return true;
  }
  bool end_object() override {
    if (place_ == Place::kTensor && fields_.size() != 3) {
      return Stop("tensor " + Quoted(entries.back().name) +
                  " lacks one of dtype, shape, data_offsets");
    }
    place_ = place_ == Place::kRoot ? Place::kOutside : Place::kRoot;
    return true;
  }
  bool start_array(size_t) override {
    const bool is_shape = field_ == "shape";
    if (place_ != Place::kTensor || list_ != nullptr || (!is_shape && field_ != "data_offsets")) {
      return Unexpected("an array");
    }
    list_ = is_shape ? &entries.back().shape : &entries.back().offsets;
    return true;
  }
  bool end_array() override {
    list_ = nullptr;
    return true;
  }
  bool key(std::string& key) override {
    field_ = key;
    switch (place_) {
      case Place::kRoot:
        if (key.empty()) return Stop("a tensor has an empty name");
        return names_.insert(key).second || Stop("tensor " + Quoted(key) + " is there twice");
      case Place::kTensor:
        if (key != "dtype" && key != "shape" && key != "data_offsets") {
          return Stop(Where() + ": dtype, shape and data_offsets are known");
        }
        return fields_.insert(key).second || Stop(Where() + " is there twice");
      default:
        return true;
    }
  }

 private:
  enum class Place { kOutside, kRoot, kTensor, kMetadata };

  std::string Where() const {
    if (place_ != Place::kTensor) return "key " + Quoted(field_);
    return "tensor " + Quoted(entries.back().name) + ", key " + Quoted(field_);
  }
  bool Unexpected(std::string_view what) {
    if (place_ == Place::kOutside) return Stop("the header must be a JSON object");
    return Stop(fmt::format("{}: {} has no place here", Where(), what));
  }

  Place place_ = Place::kOutside;
  std::string field_;                      // the last key
  std::vector<uint64_t>* list_ = nullptr;  // the array being read
  std::set<std::string> names_, fields_;
};

// Checks one entry against the bytes after the header.
Result<SafetensorsEntry> Resolve(RawEntry raw, std::span<const std::byte> data) {
  const std::string what = "tensor " + Quoted(raw.name);
  const auto dtype =
      std::ranges::find_if(kDtypes, [&](const Dtype& d) { return d.name == raw.dtype; });
  if (dtype == std::end(kDtypes)) {
    return Fail("{} is of unknown dtype {}", what, Quoted(raw.dtype));
  }
  if (raw.offsets.size() != 2 || raw.offsets[0] > raw.offsets[1]) {
    return Fail("{}: data_offsets must be [begin, end]", what);
  }
  const uint64_t begin = raw.offsets[0], end = raw.offsets[1];
  if (end > data.size()) {
    return Fail("{} ends at byte {} of the data, which has {} bytes (truncated?)", what, end,
                data.size());
  }
  uint64_t n_bytes = dtype->bytes;
  for (const uint64_t dim : raw.shape) {
    if (dim == 0) return Fail("{} has an empty dimension", what);
    // Any product that does not fit the data is wrong, so overflow cannot happen unseen.
    if (dim > data.size() / n_bytes) {
      return Fail("{} has a shape larger than the data of {} bytes", what, data.size());
    }
    n_bytes *= dim;
  }
  if (n_bytes != end - begin) {
    return Fail("{} needs {} bytes for its shape and dtype {}, but has {} (data_offsets)", what,
                n_bytes, raw.dtype, end - begin);
  }
  SafetensorsEntry entry;
  entry.name = std::move(raw.name);
  entry.dtype = std::move(raw.dtype);
  entry.type = dtype->type;
  entry.shape = std::move(raw.shape);
  entry.data = data.subspan(begin, n_bytes);
  return entry;
}

// Reads the header; what follows it is the data.
Result<std::span<const std::byte>> ReadHeader(std::span<const std::byte> bytes,
                                              const std::string& name, HeaderHandler& handler) {
  uint64_t header_bytes = 0;
  if (bytes.size() < sizeof header_bytes) {
    return Fail("{}: {} bytes are no safetensors file (truncated?)", name, bytes.size());
  }
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  const std::span<const std::byte> rest = bytes.subspan(sizeof header_bytes);
  if (header_bytes > kMaxHeaderBytes) {
    return Fail("{}: a header of {} bytes; at most {} are possible (not a safetensors file?)", name,
                header_bytes, kMaxHeaderBytes);
  }
  if (header_bytes > rest.size()) {
    return Fail(
        "{}: a header of {} bytes, but the file ends {} bytes after its length (truncated?)", name,
        header_bytes, rest.size());
  }
  const char* text = reinterpret_cast<const char*>(rest.data());
  if (!Json::sax_parse(text, text + header_bytes, &handler)) {
    return Fail("{}: header: {}", name, handler.error);
  }
  return rest.subspan(header_bytes);
}

}  // namespace

Result<std::vector<SafetensorsEntry>> ParseSafetensors(std::span<const std::byte> bytes,
                                                       const std::string& name) {
  HeaderHandler handler;
  KV_ASSIGN_OR_RETURN(const std::span<const std::byte> data, ReadHeader(bytes, name, handler));
  std::vector<SafetensorsEntry> entries;
  entries.reserve(handler.entries.size());
  for (RawEntry& raw : handler.entries) {
    Result<SafetensorsEntry> entry = Resolve(std::move(raw), data);
    if (!entry) return Fail("{}: {}", name, entry.error().message);
    entries.push_back(std::move(*entry));
  }
  std::ranges::sort(entries, {}, [](const SafetensorsEntry& entry) { return entry.data.data(); });
  for (size_t i = 1; i < entries.size(); ++i) {
    const SafetensorsEntry &before = entries[i - 1], &entry = entries[i];
    if (before.data.data() + before.data.size() > entry.data.data()) {
      return Fail("{}: the data of tensors {} and {} overlap", name, Quoted(before.name),
                  Quoted(entry.name));
    }
  }
  return entries;
}

Result<std::map<std::string, std::string>> SafetensorsMetadata(std::span<const std::byte> bytes,
                                                               const std::string& name) {
  HeaderHandler handler;
  KV_RETURN_IF_ERROR(ReadHeader(bytes, name, handler));
  return std::move(handler.metadata);
}

}  // namespace kvasir
