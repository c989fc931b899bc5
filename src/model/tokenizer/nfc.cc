#include "model/tokenizer/nfc.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <unordered_map>
#include <vector>

#include "model/tokenizer/nfc_table.h"
#include "model/tokenizer/utf8.h"

namespace kvasir {
namespace {

// Below these every character is a starter, its own form, and joins nothing before it.
char32_t FirstToMind(NormalForm form) {
  if (form == NormalForm::kNfc) return 0x300;
  return form == NormalForm::kNfd ? 0xc0 : 0xa0;
}
bool Composes(NormalForm form) { return form == NormalForm::kNfc || form == NormalForm::kNfkc; }
bool IsCompatible(NormalForm form) {
  return form == NormalForm::kNfkc || form == NormalForm::kNfkd;
}

constexpr char32_t kByte = 0x110000;  // + b: a byte that is no UTF-8

// Hangul syllables are computed: 19 leading consonants, 21 vowels, 27 trailing ones or none.
constexpr char32_t kL = 0x1100, kV = 0x1161, kT = 0x11a7, kS = 0xac00;
constexpr char32_t kNL = 19, kNV = 21, kNT = 28;

struct Mark {
  char32_t code;
  uint32_t combining_class;
};

uint32_t ClassOf(char32_t code) {
  const std::span classes(kCombiningClasses, kCombiningClassesSize);
  const auto it = std::ranges::lower_bound(classes, code, {}, &CombiningClass::end);
  return it != classes.end() && it->begin <= code ? it->value : 0;
}

// False where there is no such decomposition.
bool DecomposeCompatibly(char32_t code, std::vector<Mark>& out) {
  const std::span table(kCompatibilities, kCompatibilitiesSize - 1);
  const auto it = std::ranges::lower_bound(table, code, {}, &Compatibility::code);
  if (it == table.end() || it->code != code) return false;
  const std::span parts(kCompatibilityPool + it->begin, kCompatibilityPool + it[1].begin);
  for (const char32_t part : parts) {
    out.push_back({part, ClassOf(part)});
  }
  return true;
}

void Decompose(char32_t code, std::vector<Mark>& out) {
  if (code >= kS && code < kS + kNL * kNV * kNT) {
    const char32_t s = code - kS;
    out.push_back({kL + s / (kNV * kNT), 0});
    out.push_back({kV + s / kNT % kNV, 0});
    if (s % kNT != 0) out.push_back({kT + s % kNT, 0});
    return;
  }
  const std::span table(kDecompositions, kDecompositionsSize);
  const auto it = std::ranges::lower_bound(table, code, {}, &Decomposition::code);
  if (it == table.end() || it->code != code) {
    out.push_back({code, code < kByte ? ClassOf(code) : 0});
    return;
  }
  Decompose(it->first, out);
  if (it->second != 0) Decompose(it->second, out);
}

// 0: the two do not join.
char32_t Compose(char32_t first, char32_t second) {
  if (first >= kL && first < kL + kNL && second >= kV && second < kV + kNV) {
    return kS + ((first - kL) * kNV + (second - kV)) * kNT;
  }
  if (first >= kS && first < kS + kNL * kNV * kNT && (first - kS) % kNT == 0 && second > kT &&
      second < kT + kNT) {
    return first + (second - kT);
  }
  static const auto kTable = [] {
    std::unordered_map<uint64_t, char32_t> table;
    for (const Decomposition& d : std::span(kDecompositions, kDecompositionsSize)) {
      if (d.composes != 0) table[uint64_t{d.first} << 32 | d.second] = d.code;
    }
    return table;
  }();
  const auto it = kTable.find(uint64_t{first} << 32 | second);
  return it == kTable.end() ? 0 : it->second;
}

void SortMarks(std::vector<Mark>& marks) {
  for (auto begin = marks.begin(); begin != marks.end();) {
    const auto is_starter = [](const Mark& m) { return m.combining_class == 0; };
    begin = std::find_if_not(begin, marks.end(), is_starter);
    const auto end = std::find_if(begin, marks.end(), is_starter);
    std::ranges::stable_sort(begin, end, {}, &Mark::combining_class);
    begin = end;
  }
}

// Joins, in place, each character to the last starter where nothing blocks the way.
void ComposeMarks(std::vector<Mark>& marks) {
  size_t kept = 0;
  size_t starter = marks.size();  // none yet
  for (const Mark mark : marks) {
    if (starter < kept) {
      const bool blocked =
          kept - 1 > starter && marks[kept - 1].combining_class >= mark.combining_class;
      const char32_t joined = blocked ? 0 : Compose(marks[starter].code, mark.code);
      if (joined != 0) {
        marks[starter].code = joined;
        continue;
      }
    }
    if (mark.combining_class == 0) starter = kept;
    marks[kept++] = mark;
  }
  marks.resize(kept);
}

}  // namespace

std::string Normalized(std::string_view text, NormalForm form) {
  std::vector<Mark> marks;
  bool plain = true;
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = DecodeUtf8(text.substr(at));
    if (c.length <= 0) {
      marks.push_back({kByte + static_cast<uint8_t>(text[at]), 0});
    } else if (c.code < FirstToMind(form)) {
      marks.push_back({c.code, 0});
    } else {
      plain = false;
      marks.push_back({c.code, 0});
    }
    at += c.length <= 0 ? 1 : static_cast<size_t>(c.length);
  }
  if (plain) return std::string(text);
  std::vector<Mark> decomposed;
  for (const Mark& mark : marks) {
    const bool done = IsCompatible(form) && DecomposeCompatibly(mark.code, decomposed);
    if (!done) Decompose(mark.code, decomposed);
  }
  SortMarks(decomposed);
  if (Composes(form)) ComposeMarks(decomposed);
  std::string out;
  for (const Mark& mark : decomposed) {
    if (mark.code >= kByte) {
      out.push_back(static_cast<char>(mark.code - kByte));
    } else {
      AppendUtf8(mark.code, out);
    }
  }
  return out;
}

}  // namespace kvasir
