#include "server/generation_request.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <random>

#include "methods/registry.h"

namespace kvasir::server {
namespace {

constexpr int64_t kMostTokens = INT32_MAX;
constexpr size_t kMostStops = 64;  // OpenAI: 4; clients of others send more
constexpr size_t kMostBiases = 1024;
constexpr int64_t kMostBins = 1024;

// {"id": bias, …}
void ReadLogitBias(Fields& fields, int64_t n_vocab, BatchRequest& request) {
  const Json* bias = fields.Object("logit_bias");
  if (bias == nullptr) return;
  if (bias->size() > kMostBiases) {
    return fields.Fail("logit_bias", fmt::format("at most {} tokens", kMostBiases));
  }
  for (const auto& [key, value] : bias->items()) {
    int32_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0 || id >= n_vocab) {
      return fields.Fail("logit_bias",
                         fmt::format("'{}' is not a token id (0..{})", key, n_vocab - 1));
    }
    const double number = value.is_number() ? value.get<double>() : -1000;
    if (!(number >= -100 && number <= 100)) {
      return fields.Fail("logit_bias", "a bias is a number from -100 to 100");
    }
    request.sampling.logit_bias.emplace_back(id, static_cast<float>(number));
  }
}

void ReadSampling(Fields& fields, const ServedLimits& limits, BatchRequest& request) {
  SamplingOptions& sampling = request.sampling;
  const auto number = [&](std::string_view name, double low, double high, double otherwise) {
    return static_cast<float>(fields.Number(name, low, high).value_or(otherwise));
  };
  sampling.temperature = number("temperature", 0, 100, 1);
  sampling.top_p = number("top_p", 0, 1, 1);
  sampling.min_p = number("min_p", 0, 1, 0);
  sampling.top_k =
      static_cast<int>(std::max<int64_t>(0, fields.Integer("top_k", -1, 1 << 30).value_or(0)));
  sampling.presence_penalty = number("presence_penalty", -2, 2, 0);
  sampling.frequency_penalty = number("frequency_penalty", -2, 2, 0);
  sampling.repeat_penalty = number("repeat_penalty", 0.01, 100, 1);
  if (fields.Get("repetition_penalty") != nullptr) {
    sampling.repeat_penalty = number("repetition_penalty", 0.01, 100, 1);
  }
  const auto seed = ReadSeed(fields);
  sampling.seed = seed ? *seed : RandomSeed();
  ReadLogitBias(fields, limits.n_vocab, request);
}

void ReadPins(Fields& kv, BatchRequest& request) {
  const Json* pins = kv.Array("pin");
  if (pins == nullptr) return;
  for (const Json& pin : *pins) {
    const bool good = pin.is_array() && pin.size() == 2 && pin[0].is_number_unsigned() &&
                      pin[1].is_number_unsigned() && pin[0].get<uint64_t>() <= INT32_MAX &&
                      pin[1].get<uint64_t>() <= INT32_MAX && pin[0] < pin[1];
    if (!good || pins->size() > 64) {
      return kv.Fail("pin", "expected at most 64 pairs [first, end) of prompt tokens");
    }
    request.pins.emplace_back(pin[0].get<int32_t>(), pin[1].get<int32_t>());
  }
}

// The files that a spec names, as "method:parameter=path". REQUIRES: it was built.
Result<std::vector<std::string>> FilesOf(const std::string& spec) {
  KV_ASSIGN_OR_RETURN(const std::vector<SpecItem> items, ParseSpec(spec));
  std::vector<std::string> files;
  for (const SpecItem& item : items) {
    for (const ParamInfo& param : FindMethod(item.name)->params) {
      if (param.kind != ParamKind::kText) continue;
      for (const auto& [name, value] : item.params) {
        if (name != param.name || value == param.fallback) continue;
        files.push_back(fmt::format("{}:{}={}", item.name, name, value));
      }
    }
  }
  return files;
}

// A request names no file but those of the server's own spec: an answer about any other would tell
// what is on this machine.
Status CheckFiles(const std::string& spec, const std::string& own) {
  KV_ASSIGN_OR_RETURN(const std::vector<std::string> files, FilesOf(spec));
  KV_ASSIGN_OR_RETURN(const std::vector<std::string> known, FilesOf(own));
  for (const std::string& file : files) {
    if (std::find(known.begin(), known.end(), file) != known.end()) continue;
    return Fail(
        "'{}': a request cannot name a file of the server; leave it out, or start the "
        "server with it in --kv",
        file);
  }
  return {};
}

}  // namespace

uint64_t RandomSeed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

std::optional<uint64_t> ReadSeed(Fields& fields) {
  const auto seed = fields.Integer("seed", INT64_MIN, INT64_MAX);
  if (!seed || *seed == -1) return std::nullopt;
  return static_cast<uint64_t>(*seed);
}

Result<std::string> WithBudget(const std::string& spec, const std::string& budget) {
  KV_ASSIGN_OR_RETURN(std::vector<SpecItem> items, ParseSpec(spec));
  std::string text;
  bool found = false;
  for (SpecItem& item : items) {
    const MethodInfo* info = FindMethod(item.name);
    const bool has_budget =
        info != nullptr && std::any_of(info->params.begin(), info->params.end(),
                                       [](const ParamInfo& p) { return p.name == "budget"; });
    if (has_budget) {
      std::erase_if(item.params, [](const auto& param) { return param.first == "budget"; });
      item.params.emplace_back("budget", budget);
    }
    found = found || has_budget;
    text += (text.empty() ? "" : " + ") + ItemText(item);
  }
  if (!found) return Fail("'{}' has no budget", spec);
  return text;
}

void ReadKv(Fields& fields, const ServedLimits& limits, BatchRequest& request) {
  const Json* object = fields.Object("kv");
  if (object == nullptr) return;
  static constexpr std::array<std::string_view, 8> kNames = {"spec", "type",  "budget", "session",
                                                             "pin",  "ttl_s", "salt",   "map"};
  Fields kv(*object, "kv.");
  for (const auto& [key, value] : object->items()) {
    if (std::find(kNames.begin(), kNames.end(), key) != kNames.end()) continue;
    const auto near = Nearest(key, kNames);
    kv.Fail(key, near ? fmt::format("there is no such field; did you mean '{}'?", *near)
                      : "there is no such field");
  }
  request.kv = kv.Text("spec").value_or("");
  request.kv_type = kv.Text("type").value_or("");
  request.session = kv.Text("session").value_or("");
  request.salt = kv.Text("salt").value_or(request.salt);
  request.ttl_s = kv.Number("ttl_s", 0, 1e8).value_or(-1);
  request.kept_bins = kv.Integer("map", 0, kMostBins).value_or(0);
  ReadPins(kv, request);
  if (const Json* budget = kv.Get("budget"); budget != nullptr) {
    const std::string text = budget->is_string()            ? budget->get<std::string>()
                             : budget->is_number_unsigned() ? budget->dump()
                                                            : "";
    const auto spec = WithBudget(request.kv.empty() ? limits.kv : request.kv, text);
    if (text.empty()) {
      kv.Fail("budget", "expected a number of entries or a share as \"20%\"");
    } else if (!spec) {
      kv.Fail("budget", spec.error().message);
    } else {
      request.kv = *spec;
    }
  }
  if (!kv.error()) {
    // Program::Build names the nearest legal method or parameter.
    const std::string& spec = request.kv.empty() ? limits.kv : request.kv;
    const auto program = Program::Build(spec);
    const Status files = program ? CheckFiles(spec, limits.kv) : Status();
    if (!program) kv.Fail("spec", program.error().message);
    if (!files) kv.Fail("spec", files.error().message);
  }
  if (kv.error()) fields.Fail(*kv.error());
}

void ReadGeneration(Fields& fields, const ServedLimits& limits, int64_t n_default,
                    BatchRequest& request, ReplyOptions& reply) {
  ReadSampling(fields, limits, request);
  request.n_tokens = n_default;
  for (const char* name : {"n_predict", "max_tokens", "max_completion_tokens"}) {
    if (const auto n = fields.Integer(name, -1, kMostTokens)) {
      request.n_tokens = *n < 0 ? limits.ctx : *n;
    }
  }
  request.n_tokens = std::min(request.n_tokens, limits.ctx);
  request.n_answers = static_cast<int>(fields.Integer("n", 1, 128).value_or(1));
  request.stop = fields.Texts("stop", kMostStops);
  request.ignore_eos = fields.Flag("ignore_eos").value_or(false);
  request.cache_prompt = fields.Flag("cache_prompt").value_or(true);
  request.slot = static_cast<int>(fields.Integer("id_slot", -1, limits.n_slots - 1).value_or(-1));
  request.priority = static_cast<int>(fields.Integer("priority", -1000, 1000).value_or(0));
  request.salt = fields.Text("cache_salt").value_or("");
  if (fields.Integer("n_cache_reuse", 0, kMostTokens).value_or(0) > 0) {
    request.warnings.emplace_back(
        "'n_cache_reuse': pieces from the middle of a text are not reused, only its beginning");
  }
  reply.stream = fields.Flag("stream").value_or(false);
  request.affinity = fields.Text("prompt_cache_key").value_or("");
  reply.timings_per_token = fields.Flag("timings_per_token").value_or(false) && reply.stream;
  reply.return_tokens = fields.Flag("return_tokens").value_or(false);
  request.figures = reply.timings_per_token;
  request.token_ids = reply.return_tokens;
  request.progress = fields.Flag("return_progress").value_or(false) && reply.stream;
  reply.model = fields.Text("model").value_or("");
  if (const Json* options = fields.Object("stream_options")) {
    Fields stream(*options, "stream_options.");
    reply.include_usage = stream.Flag("include_usage").value_or(false);
    if (stream.error()) fields.Fail(*stream.error());
  }
  ReadKv(fields, limits, request);
}

}  // namespace kvasir::server
