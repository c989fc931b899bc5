// /slots: what the engine's slots hold; saving it to files, restoring and erasing it.
#include <algorithm>
#include <chrono>
#include <filesystem>

#include "base/byte_stream.h"
#include "server/endpoints.h"

namespace kvasir::server {

namespace {

Json SlotJson(const SlotFacts& slot) {
  return {{"id_task", slot.busy ? Json(slot.request) : Json(-1)},
          {"params", {{"kv", slot.spec}}},
          {"n_tokens", slot.n_tokens},
          {"kv_bytes", slot.kv_bytes},
          {"next_token",
           {{"has_next_token", slot.busy},
            {"has_new_line", false},
            {"n_remain", slot.n_remain},
            {"n_decoded", slot.n_generated}}}};
}

}  // namespace

void Slots(const Services& services, Call& call) {
  Json list = Json::array();
  bool any_free = false;
  for (const SlotFacts& slot : services.engine.slots()) {
    any_free = any_free || !slot.busy;
    Json& json = list.emplace_back(Json{{"id", slot.id},
                                        {"n_ctx", services.engine.ctx()},
                                        {"speculative", false},
                                        {"is_processing", slot.busy}});
    // What other API keys do with their slots is their affair, and the admin's.
    if (slot.tenant.empty() || call.caller.MayUse(slot.tenant)) json.update(SlotJson(slot));
    if (call.caller.admin && !slot.tenant.empty()) json["key"] = slot.tenant;
  }
  if (call.http.query.contains("fail_on_no_slot") && !any_free) {
    return call.Fail({.status = 503, .message = "no slot is free", .retry_after_s = 2});
  }
  call.Reply(list);
}

namespace {

using Clock = std::chrono::steady_clock;

double MsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Each API key has a folder of its own in that for saved slots, so that no key's names are another
// one's. No file's name begins with a dot, and names of keys are written so that they stay there.
std::string FolderOf(const Services& services, const std::string& tenant) {
  if (tenant.empty()) return services.slot_folder;
  std::string folder = services.slot_folder + "/.";
  for (const char c : tenant) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '_';
    folder += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<uint8_t>(c));
  }
  return folder;
}

// The path of {"filename"} in the folder of the caller's key, or of {"key"}, which an admin may
// name: a name, and no way out of the folder.
ApiResult<std::pair<std::string, std::string>> ReadFilename(const Services& services,
                                                            const Call& call) {
  if (services.slot_folder.empty()) {
    return Refuse({.status = 501,
                   .message = "slots are saved where the server is started with --slot-save-path"});
  }
  const auto body = ParseBody(call.http.body);
  if (!body) return Refuse(body.error());
  Fields fields(*body);
  const std::string name = fields.Text("filename").value_or("");
  const std::string tenant = fields.Text("key").value_or(call.caller.tenant);
  if (!call.caller.MayUse(tenant)) fields.Fail("key", "only an admin may name another API key");
  if (fields.error()) return Refuse(*fields.error());
  const bool good = !name.empty() && name.size() <= 200 && name[0] != '.' &&
                    std::all_of(name.begin(), name.end(), [](char c) {
                      return static_cast<uint8_t>(c) > 0x20 && c != 0x7F && c != '/' && c != '\\';
                    });
  if (!good) {
    return Refuse({.message = "'filename': expected the name of a file, of 200 bytes at most, "
                              "without separators, blanks or a dot in front",
                   .param = "filename"});
  }
  return std::pair(name, FolderOf(services, tenant) + "/" + name);
}

void Save(const Services& services, Call& call, int slot) {
  const auto file = ReadFilename(services, call);
  if (!file) return call.Fail(file.error());
  const Clock::time_point start = Clock::now();
  // A copy between two steps; answers do not wait for the disk.
  MemoryWriter bytes;
  Scheduler::SlotResult n_saved;
  services.engine.Between(
      [&](Scheduler& scheduler) { n_saved = scheduler.SaveSlot(slot, call.caller, bytes); });
  if (!n_saved) return call.Fail(FromBatch(n_saved.error()));
  const std::vector<std::byte> held = bytes.Take();
  std::error_code ignored;  // without its folder no file is created
  std::filesystem::create_directory(std::filesystem::path(file->second).parent_path(), ignored);
  auto writer = FileWriter::Create(file->second);
  Status written = writer ? Status() : Status(tl::unexpect, writer.error());
  if (writer) {
    writer->Bytes(held.data(), held.size());
    written = writer->Commit();
  }
  if (!written) return call.Fail({.status = 500, .message = written.error().message});
  call.Reply({{"id_slot", slot},
              {"filename", file->first},
              {"n_saved", *n_saved},
              {"n_written", held.size()},
              {"timings", {{"save_ms", MsSince(start)}}}});
}

void Restore(const Services& services, Call& call, int slot) {
  const auto file = ReadFilename(services, call);
  if (!file) return call.Fail(file.error());
  const Clock::time_point start = Clock::now();
  const auto bytes = ReadChecked(file->second);
  if (!bytes) {
    return call.Fail({.message = fmt::format("'{}' cannot be restored: it is not there, or not a "
                                             "saved slot, or damaged",
                                             file->first),
                      .param = "filename"});
  }
  Scheduler::SlotResult n_restored;
  services.engine.Between([&](Scheduler& scheduler) {
    ByteReader reader(*bytes);
    n_restored = scheduler.RestoreSlot(slot, call.caller, reader);
  });
  if (!n_restored) return call.Fail(FromBatch(n_restored.error()));
  call.Reply({{"id_slot", slot},
              {"filename", file->first},
              {"n_restored", *n_restored},
              {"n_read", bytes->size()},
              {"timings", {{"restore_ms", MsSince(start)}}}});
}

}  // namespace

void SlotAction(const Services& services, Call& call) {
  int slot = -1;
  const std::string& id = call.operand;
  if (!id.empty() && id.size() < 6 && id.find_first_not_of("0123456789") == std::string::npos) {
    slot = std::stoi(id);
  }
  if (slot < 0 || slot >= services.engine.options().n_slots) {
    return call.Fail({.status = 404, .message = fmt::format("there is no slot '{}'", id)});
  }
  const auto found = call.http.query.find("action");
  const std::string action = found == call.http.query.end() ? "" : found->second;
  if (action == "save") return Save(services, call, slot);
  if (action == "restore") return Restore(services, call, slot);
  if (action != "erase") {
    return call.Fail({.message = "'action': expected save, restore or erase", .param = "action"});
  }
  Scheduler::SlotResult n_erased;
  services.engine.Between(
      [&](Scheduler& scheduler) { n_erased = scheduler.EraseSlot(slot, call.caller); });
  if (!n_erased) return call.Fail(FromBatch(n_erased.error()));
  call.Reply({{"id_slot", slot}, {"n_erased", *n_erased}});
}

}  // namespace kvasir::server
