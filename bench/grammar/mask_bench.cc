// How long a token mask takes: mask_bench MODEL [SCHEMA]. Random texts of the schema's grammar are
// written token by token with the model's vocabulary; each step's time is that of Allowed and
// Accept.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>

#include "engine/loaded_model.h"
#include "grammar/json_schema.h"
#include "grammar/token_mask.h"

namespace {

using namespace kvasir;
using Clock = std::chrono::steady_clock;

constexpr const char* kSchema = R"({"type": "object", "properties": {
  "title": {"type": "string", "maxLength": 200}, "published": {"type": "string", "format": "date"},
  "pages": {"type": "integer", "minimum": 1, "maximum": 5000}, "price": {"type": "number"},
  "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 8},
  "author": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {
    "name": {"type": "string"}, "born": {"type": "integer"}}, "required": ["name"]}]},
  "extra": {"type": "object"}},
  "required": ["title", "published", "pages", "price", "tags", "author", "extra"]})";

double MicrosecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

// The times of a random text's steps; half of its steps may end a string, a list or an object.
std::vector<double> OneText(const std::shared_ptr<const grammar::Grammar>& grammar,
                            const std::shared_ptr<const grammar::TokenTrie>& trie,
                            std::mt19937& random) {
  grammar::TokenMasker masker(grammar, trie);
  std::vector<double> times;
  while (!masker.finished() && times.size() < 400) {
    const Clock::time_point start = Clock::now();
    const auto mask = masker.Allowed();
    double time = MicrosecondsSince(start);
    if (!mask) break;
    std::vector<int32_t> allowed, closing;
    for (size_t id = 0; id < (*mask)->n_tokens(); ++id) {
      const auto token = static_cast<int32_t>(id);
      if (!(*mask)->Has(token)) continue;
      allowed.push_back(token);
      if (trie->IsEnd(token) || trie->bytes(token).find_first_of("\"]}") == 0)
        closing.push_back(token);
    }
    const std::vector<int32_t>& from =
        !closing.empty() && (random() % 8 == 0 || times.size() > 200) ? closing : allowed;
    const int32_t token = from[random() % from.size()];
    const Clock::time_point accept = Clock::now();
    if (!masker.Accept(token)) break;
    time += MicrosecondsSince(accept);
    times.push_back(time);
  }
  return times;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: mask_bench MODEL [SCHEMA]\n");
    return 2;
  }
  auto model = LoadedModel::Load({.path = argv[1], .threads = 1});
  std::string schema = kSchema;
  if (argc > 2) {
    std::ifstream file(argv[2]);
    schema.assign(std::istreambuf_iterator<char>(file), {});
  }
  Clock::time_point start = Clock::now();
  const auto grammar = grammar::CompileJsonSchemaText(schema);
  const double compile = MicrosecondsSince(start);
  if (!model || !grammar) {
    std::fprintf(stderr, "%s\n",
                 (!model ? model.error().message : grammar.error().message).c_str());
    return 1;
  }
  start = Clock::now();
  const auto trie = (*model)->token_trie();
  std::printf("vocabulary %zu tokens: tree %.1f ms; grammar %zu nodes: %.2f ms\n", trie->n_tokens(),
              MicrosecondsSince(start) / 1000, (*grammar)->nodes().size(), compile / 1000);
  std::mt19937 random(1);
  std::vector<double> times;
  for (int i = 0; i < 20; ++i) {
    const std::vector<double> text = OneText(*grammar, trie, random);
    times.insert(times.end(), text.begin(), text.end());
  }
  std::ranges::sort(times);
  double sum = 0;
  for (const double time : times) sum += time;
  const auto quantile = [&](double q) {
    return times[static_cast<size_t>(q * (times.size() - 1))];
  };
  std::printf("%zu steps: mean %.0f us, median %.0f, p90 %.0f, p99 %.0f, most %.0f\n", times.size(),
              sum / static_cast<double>(times.size()), quantile(0.5), quantile(0.9), quantile(0.99),
              times.back());
  return 0;
}
