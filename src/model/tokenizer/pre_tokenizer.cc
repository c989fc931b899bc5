#include "model/tokenizer/pre_tokenizer.h"

#include <utility>

#include "model/tokenizer/utf8.h"

namespace kvasir {
namespace {

constexpr char kSubstitute = '\x1a';  // stands for a byte that is no UTF-8, in what patterns see

// The same text, byte for byte, with kSubstitute for each byte that is no UTF-8.
std::string Sanitized(std::string_view text) {
  std::string out(text);
  for (size_t at = 0; at < out.size();) {
    const Utf8Char c = DecodeUtf8(std::string_view(out).substr(at));
    if (c.length <= 0) out[at] = kSubstitute;
    at += c.length <= 0 ? 1 : static_cast<size_t>(c.length);
  }
  return out;
}

// Collects pieces; `removed` ones are cut out of the text.
class PieceSink {
 public:
  explicit PieceSink(std::string_view from) : from_(from) { out_.text.reserve(from.size()); }
  void Add(size_t begin, size_t end) {
    if (begin == end) return;
    out_.text.append(from_.substr(begin, end - begin));
    out_.ends.push_back(out_.text.size());
  }
  SplitText Take() { return std::move(out_); }

 private:
  std::string_view from_;
  SplitText out_;
};

struct Span {
  size_t begin, end;
  bool is_match;
};

// The piece as an unbroken row of matches and what lies between them.
bool FindSpans(RegexMatcher& matcher, std::string_view piece, bool invert,
               std::vector<Span>& spans) {
  spans.clear();
  size_t at = 0;
  const bool complete = matcher.ForEach(piece, [&](size_t begin, size_t end) {
    if (begin > at) spans.push_back({at, begin, invert});
    // An empty match is a cut: it stays as an empty span until the pieces are made.
    spans.push_back({begin, end, !invert});
    at = end;
  });
  if (at < piece.size()) spans.push_back({at, piece.size(), invert});
  return complete;
}

void AddPieces(const std::vector<Span>& spans, SplitBehavior behavior, size_t base,
               PieceSink& sink) {
  switch (behavior) {
    case SplitBehavior::kIsolated:
      for (const Span& s : spans) sink.Add(base + s.begin, base + s.end);
      return;
    case SplitBehavior::kRemoved:
      for (const Span& s : spans) {
        if (!s.is_match) sink.Add(base + s.begin, base + s.end);
      }
      return;
    case SplitBehavior::kContiguous:
      for (size_t i = 0; i < spans.size();) {
        size_t j = i + 1;
        while (j < spans.size() && spans[j].is_match == spans[i].is_match) ++j;
        sink.Add(base + spans[i].begin, base + spans[j - 1].end);
        i = j;
      }
      return;
    case SplitBehavior::kMergedWithPrevious:
      for (size_t i = 0; i < spans.size(); ++i) {
        const size_t begin = spans[i].begin;
        if (!spans[i].is_match && i + 1 < spans.size() && spans[i + 1].is_match) ++i;
        sink.Add(base + begin, base + spans[i].end);
      }
      return;
    case SplitBehavior::kMergedWithNext:
      for (size_t i = 0; i < spans.size(); ++i) {
        const size_t begin = spans[i].begin;
        if (spans[i].is_match && i + 1 < spans.size() && !spans[i + 1].is_match) ++i;
        sink.Add(base + begin, base + spans[i].end);
      }
      return;
  }
}

bool SplitAt(const Regex& regex, const PreTokenizerStep& step, SplitText& split) {
  std::string clean;
  std::string_view seen = split.text;
  if (!IsValidUtf8(seen)) seen = clean = Sanitized(seen);
  const bool cuts_only = step.behavior != SplitBehavior::kRemoved;
  bool complete = true;
  RegexMatcher matcher(regex, seen.size());
  std::vector<Span> spans;
  PieceSink sink(split.text);
  size_t begin = 0;
  for (const size_t end : split.ends) {
    // Nothing to cut; or a pattern that gave up once, which would again, each time at length.
    if ((end - begin == 1 && step.behavior == SplitBehavior::kIsolated) || !complete) {
      sink.Add(begin, end);
      begin = end;
      continue;
    }
    complete = FindSpans(matcher, seen.substr(begin, end - begin), step.invert, spans);
    if (begin == 0 && !cuts_only && !spans.empty() && spans[0].is_match && spans[0].end > 0) {
      split.start_is_gone = true;
    }
    AddPieces(spans, step.behavior, begin, sink);
    begin = end;
  }
  SplitText out = sink.Take();
  split.ends = std::move(out.ends);
  if (!cuts_only) split.text = std::move(out.text);
  return complete;
}

void Prefix(const PreTokenizerStep& step, bool first, SplitText& split) {
  SplitText out;
  out.start_is_gone = split.start_is_gone;
  size_t begin = 0;
  for (const size_t end : split.ends) {
    const std::string_view piece = std::string_view(split.text).substr(begin, end - begin);
    const bool is_start = first && begin == 0 && !split.start_is_gone;
    const bool wanted = step.op == PreTokenizerStep::Op::kPrefix || is_start;
    if (wanted && !piece.starts_with(step.pattern)) out.text += step.pattern;
    out.text += piece;
    out.ends.push_back(out.text.size());
    begin = end;
  }
  split = std::move(out);
}

void ReplaceSpaces(std::string_view by, SplitText& split) {
  SplitText out;
  out.start_is_gone = split.start_is_gone;
  size_t begin = 0;
  for (const size_t end : split.ends) {
    for (size_t i = begin; i < end; ++i) {
      if (split.text[i] == ' ') {
        out.text += by;
      } else {
        out.text.push_back(split.text[i]);
      }
    }
    out.ends.push_back(out.text.size());
    begin = end;
  }
  split = std::move(out);
}

}  // namespace

Result<PreTokenizer> PreTokenizer::Make(const std::vector<PreTokenizerStep>& steps) {
  constexpr size_t kMaxSteps = 32;
  if (steps.size() > kMaxSteps) {
    return Fail("pre-tokenizer: {} steps, expected at most {}", steps.size(), kMaxSteps);
  }
  PreTokenizer made;
  for (const PreTokenizerStep& step : steps) {
    Regex regex;
    if (step.op == PreTokenizerStep::Op::kSplit) {
      KV_ASSIGN_OR_RETURN(regex, Regex::Compile(step.pattern));
    }
    made.steps_.push_back({step, std::move(regex)});
  }
  return made;
}

bool PreTokenizer::Split(SplitText& split, bool first) const {
  bool complete = true;
  for (const Step& s : steps_) {
    switch (s.step.op) {
      case PreTokenizerStep::Op::kSplit:
        complete &= SplitAt(s.regex, s.step, split);
        break;
      case PreTokenizerStep::Op::kPrefix:
      case PreTokenizerStep::Op::kPrefixFirst:
        Prefix(s.step, first, split);
        break;
      case PreTokenizerStep::Op::kReplace:
        ReplaceSpaces(s.step.pattern, split);
        break;
    }
  }
  return complete;
}

}  // namespace kvasir
