// Slots to bytes and back: what a slot holds outlives the process. The bytes name whose cache it is
// and under which spec, so that it comes back for the same tenant and salt only (trap 3.4).
#include "engine/scheduler.h"

namespace kvasir {
namespace {

constexpr char kMagic[] = "kvasir-slot-1";
constexpr uint64_t kMostText = 1 << 16;  // bytes of a spec, a salt, a name
constexpr uint64_t kMostPins = 1024;

}  // namespace

Scheduler::SlotResult Scheduler::SaveSlot(int index, const std::string& tenant,
                                          ByteWriter& file) const {
  const auto refuse = [](Refusal refusal, std::string message) {
    return tl::unexpected<BatchError>({refusal, std::move(message)});
  };
  const Slot& slot = slots_[index];
  if (slot.job != nullptr) return refuse(Refusal::kBusy, "the slot is busy");
  if (!slot.sequence || slot.sequence->size() == 0) {
    return refuse(Refusal::kBadRequest, "the slot is empty");
  }
  if (slot.key.tenant != tenant) {
    return refuse(Refusal::kBadRequest, "the slot holds the cache of another API key");
  }
  file.Bytes(kMagic, sizeof(kMagic));
  file.Text(slot.key.spec);
  file.Text(slot.key.type);
  file.Text(slot.key.tenant);
  file.Text(slot.key.salt);
  file.Text(slot.session);
  file.Value(static_cast<uint64_t>(slot.sequence->pins().size()));
  for (const auto& [first, end] : slot.sequence->pins()) {
    file.Value(first);
    file.Value(end);
  }
  slot.sequence->Write(file);
  return slot.sequence->size();
}

Scheduler::SlotResult Scheduler::RestoreSlot(int index, const std::string& tenant,
                                             ByteReader& file) {
  const auto refuse = [](Refusal refusal, std::string message) {
    return tl::unexpected<BatchError>({refusal, std::move(message)});
  };
  Slot& slot = slots_[index];
  if (slot.job != nullptr) return refuse(Refusal::kBusy, "the slot is busy");
  char magic[sizeof(kMagic)] = {};
  file.Bytes(magic, sizeof(magic));
  CacheKey key;
  key.spec = file.Text(kMostText);
  key.type = file.Text(kMostText);
  key.tenant = file.Text(kMostText);
  key.salt = file.Text(kMostText);
  std::string session = file.Text(kMostText);
  std::vector<std::pair<int32_t, int32_t>> pins(std::min(file.Value<uint64_t>(), kMostPins));
  for (auto& [first, end] : pins) {
    first = file.Value<int32_t>();
    end = file.Value<int32_t>();
  }
  if (!file.ok() || !std::equal(magic, magic + sizeof(magic), kMagic)) {
    return refuse(Refusal::kBadRequest, "not a saved slot");
  }
  if (key.tenant != tenant) {
    return refuse(Refusal::kBadRequest, "it was saved with another API key");
  }
  auto spec =
      SequenceSpec::Make(*model_, {.kv = key.spec, .kv_type = key.type, .ctx = options_.ctx});
  if (!spec) return refuse(Refusal::kBadRequest, spec.error().message);
  while (Available() < static_cast<int64_t>(file.n_left()) && ReclaimIdle()) {
  }
  auto sequence = std::make_unique<Sequence>(model_, *spec, pool_);
  Status read = sequence->Read(file);
  if (read && file.n_left() > 0) read = kvasir::Fail("bytes follow the end");
  if (!read) return refuse(Refusal::kBadRequest, read.error().message);
  sequence->Pin(std::move(pins));
  slot.sequence = std::move(sequence);
  slot.key = std::move(key);
  slot.session = std::move(session);
  slot.last_used = Clock::now();
  slot.expires = Clock::time_point::max();
  return slot.sequence->size();
}

}  // namespace kvasir
