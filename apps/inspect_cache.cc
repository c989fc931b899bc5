// What a cache holds of a prompt: positions, codecs, tiers and bytes of every layer and KV head.
#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <numeric>

#include "engine/kept_channels.h"
#include "engine/session.h"
#include "inspect.h"
#include "report.h"

namespace kvasir::cli {
namespace {

using Json = nlohmann::ordered_json;

// Entries of a head in the order of the text.
struct HeadPositions {
  std::vector<int32_t> source, rope;
};

HeadPositions PositionsOf(const HeadCache& head) {
  const std::vector<int32_t> orders = head.Orders(), positions = head.Positions();
  std::vector<size_t> by_order(orders.size());
  std::iota(by_order.begin(), by_order.end(), 0);
  std::sort(by_order.begin(), by_order.end(),
            [&](size_t a, size_t b) { return orders[a] < orders[b]; });
  HeadPositions sorted;
  for (const size_t i : by_order) {
    sorted.source.push_back(orders[i]);
    sorted.rope.push_back(positions[i]);
  }
  return sorted;
}

// The codec of all entries; where there are several, how many entries each has.
Json CodecJson(const HeadCache& head, PlaneKind kind) {
  Json codecs = Json::array();
  for (const RunRef& run : head.runs()) {
    int64_t n = 0;
    for (int32_t p = 0; p < run.n_pages; ++p) n += std::popcount(run.pages[p].live);
    if (n == 0) continue;
    const std::string name = FormatName(kind == PlaneKind::kKeys ? run.k : run.v);
    const auto known = std::find_if(codecs.begin(), codecs.end(),
                                    [&](const Json& each) { return each["codec"] == name; });
    if (known != codecs.end()) {
      (*known)["entries"] = (*known)["entries"].get<int64_t>() + n;
    } else {
      codecs.push_back({{"codec", name}, {"entries", n}});
    }
  }
  if (codecs.empty())
    return FormatName(kind == PlaneKind::kKeys ? head.format().k() : head.format().v());
  return codecs.size() == 1 ? codecs[0]["codec"] : codecs;
}

Json HeadJson(const HeadCache& head, const RopeTable& rope) {
  const HeadPositions positions = PositionsOf(head);
  Json json = {{"positions", positions.source}};
  if (positions.rope != positions.source) json["rope_positions"] = positions.rope;
  const std::vector<int32_t> channels = KeptChannels(head.key_map(), rope);
  if (!channels.empty()) json["channels"] = channels;
  if (head.value_map()) json["value_channels"] = head.value_map()->channels();
  json["k_codec"] = CodecJson(head, PlaneKind::kKeys);
  json["v_codec"] = CodecJson(head, PlaneKind::kValues);
  json["tier"] = "host";
  json["bytes"] = head.bytes().total();
  return json;
}

Json CacheJson(const SessionImpl& session) {
  const KvCache& cache = session.cache();
  Json layers = Json::array();
  for (int l = 0; l < cache.n_layers(); ++l) {
    Json heads = Json::array();
    for (const HeadCache& head : cache.layer(l)) heads.push_back(HeadJson(head, session.rope(l)));
    layers.push_back({{"heads", std::move(heads)}});
  }
  return {{"ids", session.tokens()}, {"kv", KvJson(session.kv())}, {"layers", std::move(layers)}};
}

// "0-3 57 90-99 …": runs of neighbours, cut where a line ends.
std::string RangesText(const std::vector<int32_t>& positions) {
  constexpr size_t kLineWidth = 72;
  std::string text;
  for (size_t i = 0; i < positions.size();) {
    size_t end = i + 1;
    while (end < positions.size() && positions[end] == positions[end - 1] + 1) ++end;
    const std::string range = end - i == 1 ? fmt::format("{}", positions[i])
                                           : fmt::format("{}-{}", positions[i], positions[end - 1]);
    if (text.size() + range.size() + 4 > kLineWidth) return text + " …";
    text += (text.empty() ? "" : " ") + range;
    i = end;
  }
  return text;
}

std::string CacheText(const SessionImpl& session) {
  const KvCache& cache = session.cache();
  std::string text =
      fmt::format("{} tokens, {}  [{}]\n\nlayer head entries  bytes      positions\n",
                  session.tokens().size(), KvLine(session.kv()), SpecText(session.kv()));
  for (int l = 0; l < cache.n_layers(); ++l) {
    for (int h = 0; h < cache.n_kv_heads(); ++h) {
      const HeadCache& head = cache.layer(l)[h];
      text += fmt::format("{:>5} {:>4} {:>7}  {:<9}  {}\n", l, h, head.size(),
                          BytesText(head.bytes().total()), RangesText(PositionsOf(head).source));
    }
  }
  return text;
}

}  // namespace

CacheMap MapOf(const KvCache& cache, int64_t n_tokens, std::string spec) {
  CacheMap map;
  map.spec = std::move(spec);
  map.n_tokens = n_tokens;
  map.n_layers = cache.n_layers();
  map.n_kv_heads = cache.n_kv_heads();
  for (int l = 0; l < cache.n_layers(); ++l) {
    for (const HeadCache& head : cache.layer(l)) map.positions.push_back(PositionsOf(head).source);
  }
  return map;
}

Result<int> InspectCache(Context& context) {
  KV_ASSIGN_OR_RETURN(const std::shared_ptr<Model> model, LoadModel(context));
  WarnAboutContext(context, model->facts());
  KV_ASSIGN_OR_RETURN(const std::vector<int32_t> prompt, PromptTokens(context.args, *model));
  KV_ASSIGN_OR_RETURN(const std::unique_ptr<SessionImpl> session,
                      SessionImpl::Open(std::static_pointer_cast<LoadedModel>(model),
                                        SessionOptionsOf(context.args, context.args.Text("kv"),
                                                         std::ssize(prompt))));
  KV_RETURN_IF_ERROR(FeedPrompt(context, *session, prompt));
  if (context.args.Given("map")) {
    CacheMap map = MapOf(session->cache(), static_cast<int64_t>(prompt.size()), session->kv().spec);
    map.title = model->facts().name;
    KV_RETURN_IF_ERROR(DrawMap(map, context.args.Text("map")));
    context.console.Info(fmt::format("drawn: {}", context.args.Text("map")));
  }
  if (context.console.json()) {
    context.console.WriteJson(CacheJson(*session));
  } else {
    context.console.Write(CacheText(*session));
  }
  return kExitDone;
}

}  // namespace kvasir::cli
