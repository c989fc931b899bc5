#include "cache/plan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace kvasir {

void LayerPlan::Score(int head, std::vector<float> scores) {
  KV_CHECK(static_cast<int64_t>(scores.size()) == heads_[head].size());
  for (float& score : scores) {
    if (std::isnan(score)) score = -std::numeric_limits<float>::infinity();
  }
  wishes_[head].scores = std::move(scores);
}

void LayerPlan::Budget(int head, int64_t n_entries) {
  wishes_[head].budget = std::max<int64_t>(1, n_entries);
  wishes_[head].exact_budget.reset();
}

void LayerPlan::Protect(int head, int64_t first, int64_t n) {
  KV_CHECK(first >= 0 && n >= 0 && first + n <= heads_[head].size());
  wishes_[head].protect.push_back({first, n});
}

void LayerPlan::ProtectFirst(int head, int64_t n) {
  Protect(head, 0, std::min(n, heads_[head].size()));
}

void LayerPlan::ProtectLast(int head, int64_t n) {
  const int64_t size = heads_[head].size(), last = std::min(n, size);
  Protect(head, size - last, last);
}

void LayerPlan::Keep(int head, std::vector<int32_t> entries) {
  wishes_[head].keep = std::move(entries);
}

void LayerPlan::Drop(int head, int64_t first, int64_t n) { wishes_[head].drop = Span{first, n}; }

void LayerPlan::Merge(int head, MergeSets sets) {
  if (sets.n_sets() > 0) wishes_[head].merge = std::move(sets);
}

void LayerPlan::Fold(int head, int64_t first, int64_t n, bool weighted) {
  wishes_[head].fold = Span{first, n};
  wishes_[head].fold_weighted = weighted;
}

const MergeSets* LayerPlan::merges(int head) const {
  return wishes_[head].merge ? &*wishes_[head].merge : nullptr;
}

bool LayerPlan::has_scores() const {
  return std::all_of(wishes_.begin(), wishes_.end(),
                     [](const Wishes& w) { return w.budget.has_value() && !w.scores.empty(); });
}

std::vector<bool> LayerPlan::Protected(int head) const {
  std::vector<bool> is_protected(heads_[head].size(), false);
  for (const Span& span : wishes_[head].protect) {
    std::fill_n(is_protected.begin() + span.first, span.n, true);
  }
  return is_protected;
}

std::vector<float> LayerPlan::Ranking(int head) const {
  float best = std::numeric_limits<float>::lowest();
  for (const Wishes& wishes : wishes_) {
    for (float score : wishes.scores) best = std::max(best, score);
  }
  std::vector<float> ranking = wishes_[head].scores;
  const std::vector<bool> is_protected = Protected(head);
  for (size_t i = 0; i < ranking.size(); ++i) {
    if (is_protected[i]) ranking[i] = best + 1;
  }
  return ranking;
}

std::optional<std::vector<int32_t>> LayerPlan::Resolve(int head) const {
  const Wishes& wishes = wishes_[head];
  if (wishes.keep) return wishes.keep;
  const int64_t size = heads_[head].size();
  std::optional<Span> gone = wishes.drop;
  if (wishes.fold && wishes.fold->n > 0) {
    gone = wishes.fold;
    if (heads_[head].n_folded() == 0) {  // the first becomes the compensation entry
      ++gone->first;
      --gone->n;
    }
  }
  if (gone) {
    std::vector<int32_t> kept(size - gone->n);
    std::iota(kept.begin(), kept.begin() + gone->first, 0);
    std::iota(kept.begin() + gone->first, kept.end(), static_cast<int32_t>(gone->first + gone->n));
    return kept;
  }
  if (!wishes.budget || *wishes.budget >= size) return std::nullopt;

  const std::vector<bool> is_protected = Protected(head);
  std::vector<int32_t> ranked(size);
  std::iota(ranked.begin(), ranked.end(), 0);
  const auto stays_longer = [&](int32_t a, int32_t b) {
    if (is_protected[a] != is_protected[b]) return static_cast<bool>(is_protected[a]);
    if (is_protected[a]) return a > b;
    const float score_a = wishes.scores.empty() ? 0 : wishes.scores[a];
    const float score_b = wishes.scores.empty() ? 0 : wishes.scores[b];
    return score_a != score_b ? score_a > score_b : a < b;
  };
  if (*wishes.budget == size - 1) {  // a generated token takes the place of another entry
    ranked.erase(std::max_element(ranked.begin(), ranked.end(), stays_longer));
    return ranked;
  }
  std::nth_element(ranked.begin(), ranked.begin() + *wishes.budget, ranked.end(), stays_longer);
  std::vector<bool> stays(size);
  for (int64_t i = 0; i < *wishes.budget; ++i) stays[ranked[i]] = true;
  ranked.clear();
  for (int32_t entry = 0; entry < size; ++entry) {
    if (stays[entry]) ranked.push_back(entry);
  }
  return ranked;
}

void LayerPlan::Encode(int head, std::vector<int32_t> entries, const Encoding& to) {
  if (entries.empty()) return;
  wishes_[head].encode.push_back({.entries = std::move(entries), .span = {}, .to = to});
}

void LayerPlan::Encode(int head, const StoredSpan& span, const Encoding& to) {
  if (span.n <= 0) return;
  wishes_[head].encode.push_back({.entries = {}, .span = span, .to = to});
}

void LayerPlan::KeepAll(int head) {
  Wishes& wishes = wishes_[head];
  wishes.scores.clear();
  wishes.protect.clear();
  wishes.budget.reset();
  wishes.keep.reset();
  wishes.drop.reset();
  wishes.fold.reset();
  wishes.merge.reset();
}

std::vector<int32_t> LayerPlan::KeysToEncode(int head) const {
  std::vector<int32_t> all;
  int64_t n_before = 0;  // spans of staged entries are taken one after another
  for (const EncodeWish& wish : wishes_[head].encode) {
    if (!wish.to.k || (wish.span && wish.span->format != heads_[head].format().k())) continue;
    std::vector<int32_t> some = wish.entries;
    if (wish.span) {
      StoredSpan span = *wish.span;
      span.first += n_before;
      n_before += span.n;
      some = heads_[head].Entries(span);
    }
    all.insert(all.end(), some.begin(), some.end());
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

bool LayerPlan::EncodesValues(int head) const {
  const std::vector<EncodeWish>& wishes = wishes_[head].encode;
  return std::any_of(wishes.begin(), wishes.end(),
                     [](const EncodeWish& wish) { return wish.to.v.has_value(); });
}

// kept: entries that stayed, by their old numbers; nullopt: all did.
Status LayerPlan::ExecuteEncode(int head, const std::optional<std::vector<int32_t>>& kept) {
  Wishes& wishes = wishes_[head];
  if (wishes.map) heads_[head].SetKeyMap(wishes.map);
  if (wishes.value_map) heads_[head].SetValueMap(wishes.value_map);
  for (EncodeWish& wish : wishes.encode) {
    if (wish.span) {
      KV_CHECK(!kept);  // a span means entries as they are now
      KV_RETURN_IF_ERROR(heads_[head].Encode(*wish.span, wish.to));
      continue;
    }
    if (kept) {
      std::vector<int32_t> left;
      size_t at = 0;
      for (int32_t entry : wish.entries) {
        while (at < kept->size() && (*kept)[at] < entry) ++at;
        if (at < kept->size() && (*kept)[at] == entry) left.push_back(static_cast<int32_t>(at));
      }
      wish.entries = std::move(left);
    }
    KV_RETURN_IF_ERROR(heads_[head].Encode(wish.entries, wish.to));
  }
  return {};
}

// Merge, Keep, Drop and Fold of one head.
Result<LayerPlan::Change> LayerPlan::ExecuteHead(int h) {
  const Wishes& wishes = wishes_[h];
  HeadCache& head = heads_[h];
  Change change;
  if (wishes.fold && !wishes.keep) {
    KV_CHECK(wishes.encode.empty());
    KV_RETURN_IF_ERROR(head.Fold(wishes.fold->first, wishes.fold->n, wishes.fold_weighted));
    change.any = wishes.fold->n > 0;
    return change;
  }
  if (wishes.merge) {
    // Of the members of a set one stays, and it is the one that is written.
    const std::optional<std::vector<int32_t>> kept = Resolve(h);
    const auto stays = [&](int32_t entry) {
      return kept && std::binary_search(kept->begin(), kept->end(), entry);
    };
    const std::vector<int32_t>&into = wishes.merge->into, &members = wishes.merge->members;
    KV_CHECK(std::all_of(into.begin(), into.end(), stays));
    KV_CHECK(std::count_if(members.begin(), members.end(), stays) == wishes.merge->n_sets());
    KV_RETURN_IF_ERROR(head.Merge(*wishes.merge));
  }
  if (wishes.drop && !wishes.keep && wishes.encode.empty()) {
    head.Drop(wishes.drop->first, wishes.drop->n);
    change.any = true;
    return change;
  }
  change.kept = Resolve(h);
  if (change.kept) head.Keep(*change.kept);
  change.any = change.kept.has_value();
  return change;
}

Result<bool> LayerPlan::Execute(const KeyRotator& rotator) {
  bool changed = false;
  std::vector<Change> changes(n_heads());
  for (int h = 0; h < n_heads(); ++h) {
    KV_ASSIGN_OR_RETURN(changes[h], ExecuteHead(h));
    changed = changed || changes[h].any;
  }
  if (renumber_ && changed) {
    for (HeadCache& head : heads_) KV_RETURN_IF_ERROR(head.Renumber(rotator));
  }
  for (int h = 0; h < n_heads(); ++h) {
    changed = changed || !wishes_[h].encode.empty();
    KV_RETURN_IF_ERROR(ExecuteEncode(h, changes[h].kept));
  }
  return changed;
}

}  // namespace kvasir
