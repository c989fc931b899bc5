// Saved sessions: the whole state, bound to its model and spec.
#include <algorithm>
#include <functional>

#include "base/byte_stream.h"
#include "cache/cache_file.h"
#include "engine/session.h"

namespace kvasir {
namespace {

constexpr char kSessionMagic[] = "kvasir-session-9";

// Keys of short texts may be rotated otherwise than those of long ones.
std::string BoundTo(const Sequence& sequence) {
  const LoadedModel& model = sequence.model();
  const bool is_short = model.IsShort(sequence.spec().length);
  return model.facts().fingerprint + (is_short ? " for short texts" : "");
}

}  // namespace

Status SessionImpl::Save(const std::string& path) const {
  KV_ASSIGN_OR_RETURN(FileWriter file, FileWriter::Create(path));
  sequence_->Write(file);
  return file.Commit();
}

Status SessionImpl::Load(const std::string& path) {
  KV_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, ReadChecked(path));
  ByteReader file(bytes);
  Status status = Restore(file);
  if (status && file.n_left() > 0) status = Fail("bytes follow the end");
  if (!status) return Fail("{}: {}", path, status.error().message);
  return {};
}

Status SessionImpl::Restore(ByteReader& file) { return sequence_->Read(file); }

void Sequence::Write(ByteWriter& file) const {
  file.Bytes(kSessionMagic, sizeof(kSessionMagic));
  file.Text(BoundTo(*this));
  file.Text(spec_->program->spec());
  file.Values(std::span<const int32_t>(tokens_));
  file.Values(std::span<const int32_t>(turns_));
  file.Values(std::span<const float>(logits_));
  file.Value(n_prompt_);
  file.Value(compressed_at_);
  file.Value(chosen_at_);
  file.Value(static_cast<uint8_t>(first_prompt_));
  CacheFile::Write(cache_, file);
  state_.Write(file);
}

Status Sequence::Read(ByteReader& file) {
  char magic[sizeof(kSessionMagic)] = {};
  file.Bytes(magic, sizeof(magic));
  if (!std::equal(magic, magic + sizeof(magic), kSessionMagic)) return Fail("not a saved session");
  const std::string fingerprint = file.Text(256), spec = file.Text(1 << 16);
  if (fingerprint != BoundTo(*this)) {
    return Fail("saved with another model (fingerprint {}, this one is {})", fingerprint,
                BoundTo(*this));
  }
  if (spec != spec_->program->spec()) {
    return Fail("saved with --kv \"{}\", this session has \"{}\"", spec, spec_->program->spec());
  }
  const std::vector<int32_t> tokens = file.Values<int32_t>(INT32_MAX);
  const std::vector<int32_t> turns = file.Values<int32_t>(tokens.size());
  const std::vector<float> logits = file.Values<float>(model_->config().n_vocab);
  const auto n = static_cast<int64_t>(tokens.size());
  const auto n_prompt = file.Value<int64_t>(), compressed_at = file.Value<int64_t>(),
             chosen_at = file.Value<int64_t>();
  const bool first_prompt = file.Value<uint8_t>() != 0;
  const bool good_turns =
      turns.empty() ||
      (turns[0] > 0 && turns.back() <= n &&
       std::adjacent_find(turns.begin(), turns.end(), std::greater_equal<>()) == turns.end());
  if (!file.ok() || !good_turns || n_prompt < 0 || n_prompt > n || chosen_at < 0 ||
      chosen_at > compressed_at || compressed_at > n) {
    return Fail("its table is damaged");
  }
  if (n > spec_->ctx) {
    return Fail("it holds {} tokens, the context {}; raise --ctx", n, spec_->ctx);
  }
  for (int32_t id : tokens) {
    if (id < 0 || id >= model_->config().n_vocab) return Fail("token id {} is not one", id);
  }
  KvCache before = std::move(cache_);  // comes back if the file is bad
  cache_ = before.Empty(*pool_);
  Status status = CacheFile::Read(file, n, cache_);
  if (status) status = state_.Read(file, cache_, n);
  if (!status) {
    cache_ = std::move(before);
    return status;
  }
  tokens_ = tokens;
  turns_ = turns;
  logits_ = logits;
  n_prompt_ = n_prompt;
  compressed_at_ = compressed_at;
  chosen_at_ = chosen_at;
  first_prompt_ = first_prompt;
  return {};
}

}  // namespace kvasir
