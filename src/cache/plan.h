// LayerPlan: what the methods of a spec want done to one layer of one sequence. Methods write their
// wishes; the engine resolves them in a fixed order and executes them once:
//   1. per head, the entries that stay: those of Keep; else all but those of Drop; else, with a
//      budget, the protected ones (newest first) and then the best scored (ties: the earlier
//      entry);
//   2. Merge: the sets of entries become one each, before the others go;
//   3. what does not stay goes, or is folded;
//   4. Renumber;
//   5. MapKeys, MapValues; then Encode, in the order in which it was written, of what is left.
// Entries are indices 0 … size - 1 of a head's live entries in the order of the text.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cache/head_cache.h"

namespace kvasir {

class LayerPlan {
 public:
  explicit LayerPlan(std::span<HeadCache> heads) : heads_(heads), wishes_(heads.size()) {}

  int n_heads() const { return static_cast<int>(heads_.size()); }
  const HeadCache& head(int h) const { return heads_[h]; }

  // Higher is kept longer; one score an entry. NaN counts as the lowest.
  void Score(int head, std::vector<float> scores);
  void Budget(int head, int64_t n_entries);  // how many stay; at least 1
  // What the budget was before it was cut to whole entries, for wrappers that divide it; until the
  // next Budget.
  void ExactBudget(int head, double n_entries) { wishes_[head].exact_budget = n_entries; }
  void Protect(int head, int64_t first, int64_t n);  // stay before any score, within budget
  void ProtectFirst(int head, int64_t n);            // likewise; all, where there are fewer
  void ProtectLast(int head, int64_t n);
  void Keep(int head, std::vector<int32_t> entries);  // exactly these, ascending
  void Drop(int head, int64_t first, int64_t n);      // a span goes
  void Renumber() { renumber_ = true; }               // positions follow the entries that stay
  // Sets of entries become one each: HeadCache::Merge. Members other than `into` must be among
  // those that do not stay.
  void Merge(int head, MergeSets sets);
  // A span goes into the head's compensation entry: HeadCache::Fold. Overrides scores and Drop.
  void Fold(int head, int64_t first, int64_t n, bool weighted);
  // Stores entries (ascending) in other formats.
  void Encode(int head, std::vector<int32_t> entries, const Encoding& to);
  void Encode(int head, const StoredSpan& span, const Encoding& to);
  // What keys, and values, are mapped with when they are encoded, from now on.
  void MapKeys(int head, KeyMapPtr map) { wishes_[head].map = std::move(map); }
  void MapValues(int head, ValueMapPtr map) { wishes_[head].value_map = std::move(map); }

  void Unprotect(int head) { wishes_[head].protect.clear(); }

  // What has been wished so far, for wrappers.
  bool has_scores() const;  // every head has scores and a budget
  std::span<const float> scores(int head) const { return wishes_[head].scores; }
  std::optional<int64_t> budget(int head) const { return wishes_[head].budget; }
  std::optional<double> exact_budget(int head) const { return wishes_[head].exact_budget; }
  std::vector<bool> Protected(int head) const;  // [entries]
  const MergeSets* merges(int head) const;      // null: none
  // Scores in which protection is a score too: the layer's best and 1.
  std::vector<float> Ranking(int head) const;

  // The entries of a head that stay, ascending; nullopt: all.
  std::optional<std::vector<int32_t>> Resolve(int head) const;
  // Takes all wishes about what stays back: everything does.
  void KeepAll(int head);
  // Entries whose keys somebody wishes to have encoded, ascending; and what they are mapped with.
  std::vector<int32_t> KeysToEncode(int head) const;
  bool EncodesValues(int head) const;  // whether somebody wishes to have values encoded
  const KeyMapPtr& key_map(int head) const {
    return wishes_[head].map ? wishes_[head].map : heads_[head].key_map();
  }
  const ValueMapPtr& value_map(int head) const {
    return wishes_[head].value_map ? wishes_[head].value_map : heads_[head].value_map();
  }
  // True where an entry went or was stored anew. REQUIRES: the heads are as they were when the
  // wishes were written.
  Result<bool> Execute(const KeyRotator& rotator);

 private:
  struct Span {
    int64_t first = 0, n = 0;
  };
  struct EncodeWish {
    std::vector<int32_t> entries;
    std::optional<StoredSpan> span;  // instead of entries
    Encoding to;
  };
  struct Wishes {
    std::vector<float> scores;
    std::vector<Span> protect;
    std::optional<int64_t> budget;
    std::optional<double> exact_budget;
    std::optional<std::vector<int32_t>> keep;
    std::optional<Span> drop, fold;
    bool fold_weighted = true;
    std::optional<MergeSets> merge;
    std::vector<EncodeWish> encode;
    KeyMapPtr map;
    ValueMapPtr value_map;
  };
  struct Change {
    bool any = false;
    std::optional<std::vector<int32_t>> kept;  // by their old numbers; nullopt: all
  };
  Result<Change> ExecuteHead(int head);
  Status ExecuteEncode(int head, const std::optional<std::vector<int32_t>>& kept);
  std::span<HeadCache> heads_;
  std::vector<Wishes> wishes_;
  bool renumber_ = false;
};

}  // namespace kvasir
