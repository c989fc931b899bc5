#include "explain.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cache/kv_cache.h"
#include "context.h"
#include "kernels/codec.h"
#include "methods/combinations.h"
#include "report.h"

namespace kvasir::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr ModelInfo kToyModel = {.n_layers = 4, .n_q_heads = 4, .n_kv_heads = 2, .head_dim = 32};
constexpr int64_t kGenerated = 256;  // tokens after the prompt that an explanation looks at

// A number in (0, 1) from a place: the same every time.
float Noise(uint64_t a, uint64_t b) {
  uint64_t z = (a << 32) + b + 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return static_cast<float>((z ^ (z >> 31)) >> 40) * 0x1p-24f;
}

// Attention as a model might have it: random, but the same every time.
class ToyOps final : public Ops {
 public:
  std::vector<std::vector<float>> AttentionMass(const LayerView& at,
                                                const ScoreRequest& request) override {
    std::vector<std::vector<float>> mass = RandomMass(at.layer, at.heads);
    if (request.over_group != GroupBy::kNone) return mass;
    std::vector<std::vector<float>> by_query_head;
    for (int h = 0; h < kToyModel.n_q_heads; ++h) {
      by_query_head.push_back(mass[h / kToyModel.group()]);
    }
    return by_query_head;
  }
  std::vector<float> OutputNorms(const LayerView& at, int kv_head) override {
    return RandomMass(at.layer + kToyModel.n_layers, at.heads)[kv_head];
  }
  std::vector<float> QueryEnergy(const LayerView& at, int kv_head, int64_t) override {
    std::vector<float> energy(kToyModel.head_dim);
    for (size_t c = 0; c < energy.size(); ++c) energy[c] = Noise(at.layer * 8 + kv_head, c);
    return energy;
  }
  std::vector<float> OutputEnergy(const LayerView& at, int kv_head, int64_t n) override {
    return QueryEnergy(at, kv_head + kToyModel.n_kv_heads, n);
  }
  QueryMoments FutureQueries(const LayerView& at, int64_t) override {
    const int64_t dim = kToyModel.head_dim;
    QueryMoments moments;
    moments.mean.resize(kToyModel.n_q_heads * dim);
    moments.covariance.resize(kToyModel.n_q_heads * dim * dim);
    for (int64_t i = 0; i < kToyModel.n_q_heads * dim; ++i) {
      moments.mean[i] = Noise(at.layer, i);
      moments.covariance[i * dim + i % dim] = 1;
    }
    return moments;
  }

  static std::vector<std::vector<float>> RandomMass(int stream, std::span<const HeadCache> heads) {
    std::vector<std::vector<float>> mass(heads.size());
    for (size_t h = 0; h < heads.size(); ++h) {
      mass[h].reserve(static_cast<size_t>(heads[h].size()));
      for (int64_t i = 0; i < heads[h].size(); ++i) {
        mass[h].push_back(Noise(static_cast<uint64_t>(stream) * 8 + h, i));
      }
    }
    return mass;
  }
};

class ToyRotator final : public KeyRotator {
 public:
  void Rotate(float*, int32_t, int32_t) const override {}
};

// Entries with random keys and values.
Status AppendEntries(KvCache& cache, int64_t n, int64_t first_order, Isa isa) {
  const int dim = kToyModel.head_dim;
  std::vector<float> x(static_cast<size_t>(n * dim));
  for (size_t i = 0; i < x.size(); ++i) x[i] = Noise(first_order + 1, i) - 0.5f;
  std::vector<SlotRange> slots;
  for (int l = 0; l < cache.n_layers(); ++l) {
    for (HeadCache& head : cache.layer(l)) {
      slots.clear();
      KV_RETURN_IF_ERROR(head.Append(n, static_cast<int32_t>(first_order), slots));
      for (const SlotRange& range : slots) {
        const float* rows = x.data() + int64_t{range.row} * dim;
        EncodeEntries(isa, head.format().k(), PlaneKind::kKeys, rows, dim, range.slot, range.n,
                      range.k);
        EncodeEntries(isa, head.format().v(), PlaneKind::kValues, rows, dim, range.slot, range.n,
                      range.v);
      }
    }
  }
  return {};
}

Status Act(const Program& program, Moment moment, int64_t n_prompt, int64_t n_generated,
           KvCache& cache) {
  ToyOps ops;
  std::vector<std::vector<int32_t>> notes(cache.n_layers());
  const int64_t n_last = std::min<int64_t>(program.needs(kToyModel).last_queries, n_prompt);
  for (int l = 0; l < cache.n_layers(); ++l) {
    const std::span<const HeadCache> heads = std::as_const(cache).layer(l);
    const std::vector<std::vector<float>> mass = ToyOps::RandomMass(l, heads);
    const LayerView view{.model = kToyModel,
                         .layer = l,
                         .moment = moment,
                         .n_prompt = n_prompt,
                         .n_generated = n_generated,
                         .heads = heads,
                         .n_last_queries = n_last,
                         .query_max = {},
                         .mass = mass,
                         .gates = mass,
                         .notes = notes};
    LayerPlan plan(cache.layer(l));
    if (moment == Moment::kPromptEnd || program.needs(kToyModel).at_decode) {
      program.Compress(view, ops, plan);
    }
    KV_RETURN_IF_ERROR(plan.Execute(ToyRotator()));
    if (!program.Stores(moment)) continue;
    LayerPlan stores(cache.layer(l));
    program.Store(view, ops, stores);
    KV_RETURN_IF_ERROR(stores.Execute(ToyRotator()));
  }
  return {};
}

double MeanEntries(const KvCache& cache) {
  return static_cast<double>(cache.Account().entries) / (kToyModel.n_layers * kToyModel.n_kv_heads);
}

// Bytes of the planes against those of `full`.
double PlaneShare(const KvCache& cache, int64_t n_tokens) {
  const HeadFormat& format = cache.layer(0)[0].format();
  int64_t bytes = 0;
  for (int l = 0; l < cache.n_layers(); ++l) {
    for (const HeadCache& head : cache.layer(l)) bytes += head.bytes().keys + head.bytes().values;
  }
  const int64_t n_pages = (n_tokens + kPageEntries - 1) / kPageEntries;
  return static_cast<double>(bytes) /
         static_cast<double>(n_pages * (format.k_bytes() + format.v_bytes()) * kToyModel.n_layers *
                             kToyModel.n_kv_heads);
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
  return {{"name", item.name}, {"role", RoleName(method.role)}, {"params", std::move(params)}};
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
  KV_ASSIGN_OR_RETURN(const Isa isa, BestIsa());
  PagePool pool;
  const std::vector<HeadFormat> formats(
      kToyModel.n_layers, {.head_dim = kToyModel.head_dim, .k_plane = {}, .v_plane = {}});
  KvCache cache(pool, formats, kToyModel.n_kv_heads);
  KV_RETURN_IF_ERROR(AppendEntries(cache, n_prompt, 0, isa));
  KV_RETURN_IF_ERROR(Act(*program, Moment::kPromptEnd, n_prompt, 0, cache));
  HeldEntries held;
  held.after_prompt = MeanEntries(cache);
  held.bytes_share = PlaneShare(cache, n_prompt);
  for (int64_t i = 0; i < n_generated; ++i) {
    KV_RETURN_IF_ERROR(AppendEntries(cache, 1, n_prompt + i, isa));
    if (program->needs(kToyModel).at_decode || program->Stores(Moment::kDecode)) {
      KV_RETURN_IF_ERROR(Act(*program, Moment::kDecode, n_prompt, i + 1, cache));
    }
  }
  held.after_generated = MeanEntries(cache);
  held.next_position = cache.layer(0)[0].PositionOf(static_cast<int32_t>(n_prompt + n_generated));
  return held;
}

namespace {

Result<Needs> ExampleNeeds(const MethodInfo& method) {
  if (method.stands_for != nullptr) {
    KV_ASSIGN_OR_RETURN(const auto program, Program::Build(method.example));
    return program->needs(kToyModel);
  }
  KV_ASSIGN_OR_RETURN(const Params params, Params::Check(ExampleItem(method), method.params));
  KV_ASSIGN_OR_RETURN(const std::unique_ptr<Method> made, method.make(params));
  return made->needs(kToyModel);
}

}  // namespace

std::string MethodNeeds(const MethodInfo& method) {
  const Result<Needs> example = ExampleNeeds(method);
  if (!example) return "";
  const Needs& needs = *example;
  std::string text;
  const auto add = [&](std::string_view need) {
    text += fmt::format("{}{}", text.empty() ? "" : ", ", need);
  };
  if (needs.last_queries > 1) add(fmt::format("the last {} queries", needs.last_queries));
  if (needs.last_queries == 1) add("the last query");
  if (needs.mass) add(needs.mass_rule.own() ? "regularised mass" : "attention mass");
  if (needs.query_max) add("largest queries");
  if (needs.gates != nullptr) add("trained gates");
  if (needs.query_stats_from >= 0) add("query statistics");
  // A pruner by itself is done with the prompt: only a codec after it prunes what comes later.
  if (needs.at_decode && method.role != Role::kPruner) add("every token");
  return text.empty() ? "nothing" : text;
}

std::string MethodSaves(const MethodInfo& method) {
  const bool in_bytes = method.stores() || method.encodes;
  if (method.of_codec) return "as its codec";
  if (method.role == Role::kWrapper && !in_bytes) return "as its base";
  constexpr int64_t kPrompt = 4096;
  // What a wrapper stores is up to its base: that of the example.
  const auto held = Simulate(
      method.encodes ? std::string(method.example) : ItemText(ExampleItem(method)), kPrompt, 0);
  if (!held) return "";
  if (in_bytes) return fmt::format("holds {:.0f} % of the bytes", 100 * held->bytes_share);
  return held->after_prompt < kPrompt
             ? fmt::format("holds {:.0f} of {} entries", held->after_prompt, kPrompt)
             : "nothing";
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
         {"next_position", held.next_position}});
    return kExitDone;
  }
  context.console.Write(fmt::format(
      "{}\n\nread as\n{}\n"
      "after a prompt of {} tokens   {:.0f} entries a KV head ({:.1f} %), all read at each step\n"
      "after {} more tokens         {:.0f} entries of {} ({:.1f} %)\n"
      "the next token's position    {}{}\n",
      spec, ChainsText(chains), n_prompt, held.after_prompt,
      100 * held.after_prompt / static_cast<double>(n_prompt), kGenerated, held.after_generated,
      n_all, 100 * held.after_generated / static_cast<double>(n_all), held.next_position,
      held.next_position == n_all ? " (true)" : " (renumbered)"));
  return kExitDone;
}

}  // namespace kvasir::cli
