#include "explain.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "cache/kv_cache.h"
#include "context.h"
#include "report.h"

namespace kvasir::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr ModelInfo kToyModel = {.n_layers = 1, .n_q_heads = 4, .n_kv_heads = 2, .head_dim = 16};
constexpr int64_t kGenerated = 256;  // tokens after the prompt that an explanation looks at

// A number in (0, 1) from a place: the same every time.
float Noise(uint64_t a, uint64_t b) {
  uint64_t z = (a << 32) + b + 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return static_cast<float>((z ^ (z >> 31)) >> 40) * 0x1p-24f;
}

class ToyOps final : public Ops {
 public:
  std::vector<std::vector<float>> AttentionMass(const LayerView& at, const ScoreRequest&) override {
    std::vector<std::vector<float>> mass(at.heads.size());
    for (size_t h = 0; h < mass.size(); ++h) {
      for (int64_t i = 0; i < at.heads[h].size(); ++i) mass[h].push_back(Noise(h + 1, i));
    }
    return mass;
  }
};

class ToyRotator final : public KeyRotator {
 public:
  void Rotate(float*, int32_t, int32_t) const override {}
};

Status AppendEntries(KvCache& cache, int64_t n, int64_t first_order) {
  for (HeadCache& head : cache.layer(0)) {
    std::vector<SlotRange> slots;
    KV_RETURN_IF_ERROR(head.Append(n, static_cast<int32_t>(first_order), slots));
    for (const SlotRange& range : slots) {
      if (range.slot != 0) continue;  // a fresh page: its bytes are read when heads are packed
      std::memset(range.k, 0, static_cast<size_t>(head.format().k_bytes()));
      std::memset(range.v, 0, static_cast<size_t>(head.format().v_bytes()));
    }
  }
  return {};
}

Status Act(const Program& program, Moment moment, int64_t n_prompt, KvCache& cache) {
  const LayerView view{
      .model = kToyModel,
      .moment = moment,
      .n_prompt = n_prompt,
      .heads = std::as_const(cache).layer(0),
      .n_last_queries = std::min<int64_t>(program.needs(kToyModel).last_queries, n_prompt)};
  ToyOps ops;
  LayerPlan plan(cache.layer(0));
  program.Compress(view, ops, plan);
  KV_RETURN_IF_ERROR(plan.Execute(ToyRotator()));
  return {};
}

double MeanEntries(const KvCache& cache) {
  double sum = 0;
  for (const HeadCache& head : cache.layer(0)) sum += static_cast<double>(head.size());
  return sum / kToyModel.n_kv_heads;
}

// The item of a method within its own example: what it takes to use it.
SpecItem ExampleItem(const MethodInfo& method) {
  const auto items = ParseSpec(method.example);
  if (items) {
    for (const SpecItem& item : *items) {
      if (item.name == method.name) return item;
    }
  }
  return {std::string(method.name), {}};
}

std::string ItemText(const SpecItem& item) {
  std::string text = item.name;
  char separator = ':';
  for (const auto& [name, value] : item.params) {
    text += fmt::format("{}{}={}", separator, name, value);
    separator = ',';
  }
  return text;
}

// The method as in its example; what a wrapper does by itself shows on a base that does nothing.
std::string SpecAlone(const MethodInfo& method) {
  return ItemText(ExampleItem(method)) + (method.role == Role::kWrapper ? " + full" : "");
}

Json ItemJson(const SpecItem& item) {
  const MethodInfo& method = *FindMethod(item.name);
  Json params = Json::array();
  for (const ParamInfo& info : method.params) {
    const auto given = std::find_if(item.params.begin(), item.params.end(),
                                    [&](const auto& each) { return each.first == info.name; });
    const bool is_given = given != item.params.end();
    params.push_back({{"name", info.name},
                      {"value", is_given ? given->second : std::string(info.fallback)},
                      {"given", is_given}});
  }
  return {{"name", item.name},
          {"role", method.role == Role::kWrapper ? "wrapper" : "base"},
          {"params", std::move(params)}};
}

// The items as chains: wrappers and the base that they change.
Json ChainsJson(std::span<const SpecItem> items) {
  Json chains = Json::array(), chain = Json::array();
  for (const SpecItem& item : items) {
    chain.push_back(ItemJson(item));
    if (FindMethod(item.name)->role == Role::kWrapper) continue;
    chains.push_back(std::move(chain));
    chain = Json::array();
  }
  return chains;
}

std::string ChainsText(const Json& chains) {
  std::string text;
  for (const Json& chain : chains) {
    size_t indent = 2;
    for (const Json& item : chain) {
      const bool wrapper = item["role"] == "wrapper";
      text += fmt::format("{:{}}{}{}\n", "", indent, item["name"].get<std::string>(),
                          wrapper ? " changes" : "");
      for (const Json& param : item["params"]) {
        text += fmt::format("{:{}}{} = {}{}\n", "", indent + 4, param["name"].get<std::string>(),
                            param["value"].get<std::string>(),
                            param["given"].get<bool>() ? "" : "   (default)");
      }
      indent += 2;
    }
  }
  return text;
}

}  // namespace

Result<HeldEntries> Simulate(std::string_view spec, int64_t n_prompt, int64_t n_generated) {
  KV_ASSIGN_OR_RETURN(const std::shared_ptr<const Program> program, Program::Build(spec));
  PagePool pool;
  const HeadFormat format{.head_dim = kToyModel.head_dim};
  KvCache cache(pool, std::span(&format, 1), kToyModel.n_kv_heads);
  KV_RETURN_IF_ERROR(AppendEntries(cache, n_prompt, 0));
  KV_RETURN_IF_ERROR(Act(*program, Moment::kPromptEnd, n_prompt, cache));
  HeldEntries held;
  held.after_prompt = MeanEntries(cache);
  for (int64_t i = 0; i < n_generated; ++i) {
    KV_RETURN_IF_ERROR(AppendEntries(cache, 1, n_prompt + i));
    if (program->needs(kToyModel).at_decode) {
      KV_RETURN_IF_ERROR(Act(*program, Moment::kDecode, n_prompt, cache));
    }
  }
  held.after_generated = MeanEntries(cache);
  held.last_position = cache.layer(0)[0].Positions().back();
  return held;
}

std::string MethodNeeds(const MethodInfo& method) {
  const auto program = Program::Build(SpecAlone(method));
  if (!program) return "";
  const Needs needs = (*program)->needs(kToyModel);
  std::string text;
  if (needs.last_queries > 0) text = fmt::format("the last {} queries", needs.last_queries);
  if (needs.at_decode) text += text.empty() ? "every token" : ", every token";
  return text.empty() ? "nothing" : text;
}

std::string MethodSaves(const MethodInfo& method) {
  constexpr int64_t kPrompt = 4096;
  const auto held = Simulate(SpecAlone(method), kPrompt, 0);
  if (!held) return "";
  return held->after_prompt < kPrompt
             ? fmt::format("holds {:.0f} of {} entries", held->after_prompt, kPrompt)
             : "nothing";
}

std::vector<Combination> AllCombinations() {
  std::vector<Combination> all;
  for (const MethodInfo* first : AllMethods()) {
    for (const MethodInfo* second : AllMethods()) {
      Combination each{first->name, second->name, false, ""};
      std::string spec = ItemText(ExampleItem(*first)) + " + " + ItemText(ExampleItem(*second));
      // Two wrappers need something to wrap.
      if (second->role == Role::kWrapper) spec += " + full";
      const auto program = Program::Build(spec);
      each.works = first != second && program.has_value();
      if (!each.works)
        each.why = program ? "a method twice does nothing more" : program.error().message;
      all.push_back(std::move(each));
    }
  }
  return all;
}

Result<int> ExplainSpec(Context& context) {
  const std::string spec = context.args.Text("explain");
  const int64_t n_prompt = context.args.Int("prompt");
  const auto program = Program::Build(spec);
  if (!program) {
    PrintError(program.error().message);
    return kExitUsage;
  }
  KV_ASSIGN_OR_RETURN(const std::vector<SpecItem> items, ParseSpec(spec));
  const Json chains = ChainsJson(items);
  KV_ASSIGN_OR_RETURN(const HeldEntries held, Simulate(spec, n_prompt, kGenerated));
  const Needs needs = (*program)->needs(kToyModel);
  const int64_t n_all = n_prompt + kGenerated;
  if (context.console.json()) {
    context.console.WriteJson(
        {{"spec", spec},
         {"chains", chains},
         {"needs", {{"last_queries", needs.last_queries}, {"at_decode", needs.at_decode}}},
         {"prompt_tokens", n_prompt},
         {"entries_per_head", held.after_prompt},
         {"entries_per_head_full", n_prompt},
         {"read_per_step", held.after_prompt},
         {"generated_tokens", kGenerated},
         {"entries_per_head_later", held.after_generated},
         {"next_position", held.last_position + 1}});
    return kExitDone;
  }
  context.console.Write(fmt::format(
      "{}\n\nread as\n{}\n"
      "after a prompt of {} tokens   {:.0f} entries a KV head ({:.1f} %), all read at each step\n"
      "after {} more tokens         {:.0f} entries of {} ({:.1f} %)\n"
      "the next token's position    {}{}\n",
      spec, ChainsText(chains), n_prompt, held.after_prompt,
      100 * held.after_prompt / static_cast<double>(n_prompt), kGenerated, held.after_generated,
      n_all, 100 * held.after_generated / static_cast<double>(n_all), held.last_position + 1,
      held.last_position + 1 == n_all ? " (true)" : " (renumbered)"));
  return kExitDone;
}

}  // namespace kvasir::cli
