// Slots to bytes and back: what a slot holds outlives the process. The bytes name whose cache it is
// and under which spec, so that it comes back for the same tenant and salt only, whoever restores
// it (trap 3.4).
#include "engine/scheduler.h"

namespace kvasir {
namespace {

constexpr char kSlotMagic[] = "kvasir-slot-3";
constexpr uint64_t kMostText = 1 << 16;  // bytes of a spec, a salt, a name
constexpr uint64_t kMostPins = 1024;

tl::unexpected<BatchError> Refuse(Refusal refusal, std::string message) {
  return tl::unexpected<BatchError>({refusal, std::move(message)});
}

}  // namespace

tl::expected<void, BatchError> Scheduler::CheckMayTouch(const Slot& slot, const Caller& caller) {
  if (slot.job != nullptr) return Refuse(Refusal::kBusy, "the slot is busy");
  const bool empty = !slot.sequence || slot.sequence->size() == 0;
  if (!empty && !caller.MayUse(slot.key.tenant)) {
    return Refuse(Refusal::kBadRequest, "the slot holds the cache of another API key");
  }
  return {};
}

Scheduler::SlotResult Scheduler::EraseSlot(int index, const Caller& caller) {
  Slot& slot = slots_[index];
  if (const auto may = CheckMayTouch(slot, caller); !may) return tl::unexpected(may.error());
  const int64_t n = slot.sequence ? slot.sequence->size() : 0;
  slot.sequence.reset();
  return n;
}

Scheduler::SlotResult Scheduler::SaveSlot(int index, const Caller& caller, ByteWriter& file) const {
  const Slot& slot = slots_[index];
  if (const auto may = CheckMayTouch(slot, caller); !may) return tl::unexpected(may.error());
  if (!slot.sequence || slot.sequence->size() == 0) {
    return Refuse(Refusal::kBadRequest, "the slot is empty");
  }
  file.Bytes(kSlotMagic, sizeof(kSlotMagic));
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

Scheduler::SlotResult Scheduler::RestoreSlot(int index, const Caller& caller, ByteReader& file) {
  Slot& slot = slots_[index];
  if (const auto may = CheckMayTouch(slot, caller); !may) return tl::unexpected(may.error());
  char magic[sizeof(kSlotMagic)] = {};
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
  if (!file.ok() || !std::equal(magic, magic + sizeof(magic), kSlotMagic)) {
    return Refuse(Refusal::kBadRequest, "not a saved slot");
  }
  if (!caller.MayUse(key.tenant)) {
    return Refuse(Refusal::kBadRequest, "it was saved with another API key");
  }
  auto spec =
      SequenceSpec::Make(*model_, {.kv = key.spec, .kv_type = key.type, .ctx = options_.ctx});
  if (!spec) return Refuse(Refusal::kBadRequest, spec.error().message);
  while (Available() < static_cast<int64_t>(file.n_left()) && ReclaimIdle()) {
  }
  auto sequence = std::make_unique<Sequence>(model_, *spec, pool_);
  Status read = sequence->Read(file);
  if (read && file.n_left() > 0) read = kvasir::Fail("bytes follow the end");
  if (!read) return Refuse(Refusal::kBadRequest, read.error().message);
  sequence->Pin(std::move(pins));
  slot.sequence = std::move(sequence);
  slot.key = std::move(key);
  slot.session = std::move(session);
  slot.affinity.clear();
  slot.restored = true;
  slot.last_used = Clock::now();
  slot.expires = Clock::time_point::max();
  return slot.sequence->size();
}

}  // namespace kvasir
