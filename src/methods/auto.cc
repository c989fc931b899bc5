// Not a method but a name for a combination of others: the one whose answers were best on the board
// at a share of the bytes that `full` takes. docs/results.md has the figures and the command.
//
// Bits are given up before entries, and those of values before those of keys. Below a third of the
// bytes entries go too. Every rung leaves some bytes to the newest entries, which stay in f16, and
// to pages that are not full: about two of f16 a head, which a prompt of 8,000 tokens has room for
// at 5 %, one of 4,000 at 20 %.
#include <algorithm>

#include "methods/registry.h"

namespace kvasir {
namespace {

constexpr ParamInfo kParams[] = {
    {"budget", ParamKind::kBudget, "20%", "", "share of the bytes that `full` takes"},
    {"of", ParamKind::kWord, "bytes", "bytes|entries",
     "entries: the budget is a share of the prompt's entries, and those stay in full precision"},
};

// What a share of the bytes has room for; the first that it reaches counts.
struct Rung {
  double least;
  double entries;  // kept, as a multiple of the share; 0: all
  std::string_view before, codec;
};
constexpr Rung kRungs[] = {
    {0.60, 0, "", "kivi:bits=8,residual=32"},
    {0.47, 0, "", "kivi:k_bits=8,v_bits=4,residual=32"},
    {0.35, 0, "", "kivi:bits=4,residual=32"},
    {0.15, 1.85, "", "kivi:k_bits=8,v_bits=4,residual=32"},
    {0.075, 2.4, "", "kivi:bits=4,residual=32"},
    {0, 2, "adakv + ", "kivi:bits=4,residual=32"},
};

std::string Evict(double share) {
  return fmt::format("snapkv:window=32,kernel=21,budget={:.6g}%", 100 * share);
}

Result<std::string> Choose(const Params& params) {
  const Budget budget = params.GetBudget("budget");
  if (budget.count > 0) {
    return Fail(
        "--kv \"auto:budget={}\": the choice holds for prompts of any length, so budget is a share "
        "(20%)",
        budget.count);
  }
  if (budget.share >= 1) return "full";
  if (params.GetWord("of") == "entries") return Evict(budget.share);
  const Rung& rung = *std::find_if(std::begin(kRungs), std::end(kRungs),
                                   [&](const Rung& each) { return budget.share >= each.least; });
  if (rung.entries == 0) return std::string(rung.codec);
  return fmt::format("{}{} + {}", rung.before, Evict(rung.entries * budget.share), rung.codec);
}

}  // namespace

extern constinit const MethodInfo kAuto = {
    .name = "auto",
    .role = Role::kBase,
    .family = "choice",
    .summary = "the combination of methods that answered best at a share of the bytes",
    .paper = "",
    .about =
        "Stands for another spec, which --explain, --json and the lines of figures show as what it "
        "reads as. Bits are given up before entries, those of values before those of keys. What it "
        "stands for, and its answers on the board on seeds that nobody tuned on (prose of about "
        "1,300 "
        "tokens / four keys in about 575; full answers 0.89 / 0.85):\n"
        "   100%  full\n"
        "    50%  kivi:k_bits=8,v_bits=4,residual=32                                0.89 / 0.85\n"
        "    20%  snapkv:window=32,kernel=21,budget=37%\n"
        "         + kivi:k_bits=8,v_bits=4,residual=32                              0.89 / 0.78\n"
        "    10%  snapkv:window=32,kernel=21,budget=24% + kivi:bits=4,residual=32   0.89 / 0.82\n"
        "     5%  adakv + snapkv:window=32,kernel=21,budget=10%\n"
        "         + kivi:bits=4,residual=32                                         0.89 / 0.15\n"
        "The best other method there has 0.89 / 0.33 at 20% and 0.89 / 0.15 at 10%; "
        "docs/results.md has more tasks, distances to full and intervals. From 60% on keys and "
        "values are in 8 bits, from 35% in 4; between the marks the entries follow the share. With "
        "of=entries it is snapkv alone, and the budget a share of the entries. The share of bytes "
        "holds for prompts of 8,000 tokens and more, at 20% of 4,000: the newest entries stay in "
        "f16. What goes is what the last 32 queries do not ask for: for questions that come after "
        "the text was compressed take 50%, where every entry stays.",
    .example = "auto:budget=20%",
    .params = kParams,
    .make = nullptr,
    .scored = true,
    .stands_for = &Choose,
};

}  // namespace kvasir
