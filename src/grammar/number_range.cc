#include "grammar/number_range.h"

#include <algorithm>
#include <charconv>

namespace kvasir::grammar {
namespace {

constexpr uint64_t kMaxWhole = (uint64_t{1} << 63) - 1;

std::string Stripped(std::string fraction) {
  fraction.erase(fraction.find_last_not_of('0') + 1);
  return fraction;
}

class RangeMaker {
 public:
  explicit RangeMaker(JsonRules& rules) : rules_(rules), b_(rules.builder()) {}

  // Whole numbers from low to high, without leading zeros.
  ExprId Naturals(uint64_t low, uint64_t high) {
    std::vector<ExprId> choices;
    const std::string first = std::to_string(low), last = std::to_string(high);
    for (size_t n = first.size(); low <= high && n <= last.size(); ++n) {
      const std::string from = n == first.size() ? first : "1" + std::string(n - 1, '0');
      const std::string to = n == last.size() ? last : std::string(n, '9');
      choices.push_back(SameLength(from, to));
    }
    return b_.Choice(std::move(choices));
  }

  // Numbers of no sign from low to high (nullopt: no limit); empty where low is above high.
  ExprId Unsigned(const Bound& low, const std::optional<Bound>& high) {
    const uint64_t first = low.value.whole;
    const std::string& from = low.value.fraction;
    const auto whole = [&](uint64_t n, ExprId fraction) {
      return b_.Sequence({b_.Bytes(std::to_string(n)), fraction});
    };
    std::vector<ExprId> choices;
    if (high && high->value.whole < first) return b_.Choice({});
    if (high && high->value.whole == first) {
      return whole(first,
                   FractionBetween(from, low.exclusive, high->value.fraction, high->exclusive));
    }
    choices.push_back(whole(first, FractionAtLeast(from, low.exclusive)));
    const uint64_t last = high ? high->value.whole - 1 : LongestFrom(first);
    if (first < last) choices.push_back(b_.Sequence({Naturals(first + 1, last), AnyFraction()}));
    if (high) {
      choices.push_back(
          whole(high->value.whole, FractionAtMost(high->value.fraction, high->exclusive)));
    }
    return b_.Choice(std::move(choices));
  }

  // The largest number that is offered where there is no limit.
  static uint64_t LongestFrom(uint64_t low) {
    uint64_t n = 9;
    for (int digits = 1; digits < kMaxDigits || (n <= low && n < kMaxWhole / 10); ++digits)
      n = n * 10 + 9;
    return std::max(n, std::min(low, kMaxWhole - 1) + 1);
  }

 private:
  ExprId SameLength(std::string_view from, std::string_view to) {
    const auto n = static_cast<int32_t>(from.size());
    const auto all = [](std::string_view s, char c) {
      return s.find_first_not_of(c) == std::string_view::npos;
    };
    if (all(from, '0') && all(to, '9')) return rules_.Digits(n, n);
    if (from[0] == to[0]) {
      return b_.Sequence(
          {rules_.Digit(from[0], from[0]), SameLength(from.substr(1), to.substr(1))});
    }
    const std::string zeros(n - 1, '0'), nines(n - 1, '9');
    char first = from[0], last = to[0];
    std::vector<ExprId> choices;
    if (!all(from.substr(1), '0')) {
      choices.push_back(
          b_.Sequence({rules_.Digit(first, first), SameLength(from.substr(1), nines)}));
      ++first;
    }
    if (!all(to.substr(1), '9')) {
      choices.push_back(b_.Sequence({rules_.Digit(last, last), SameLength(zeros, to.substr(1))}));
      --last;
    }
    if (first <= last)
      choices.push_back(b_.Sequence({rules_.Digit(first, last), rules_.Digits(n - 1, n - 1)}));
    return b_.Choice(std::move(choices));
  }

  ExprId Zeros(int32_t min) { return b_.Repeat(b_.Bytes("0"), min, kMaxDigits); }
  ExprId AnyDigits() { return rules_.Digits(0, kMaxDigits - 1); }
  ExprId NotAllZeros() {
    return b_.Sequence(
        {b_.Repeat(b_.Bytes("0"), 0, kMaxDigits - 1), rules_.Digit('1', '9'), AnyDigits()});
  }
  ExprId Point(ExprId digits) { return b_.Sequence({b_.Bytes("."), digits}); }
  ExprId AnyFraction() { return b_.Optional(Point(rules_.Digits(1, kMaxDigits))); }

  // Digits after the point that make at least 0.from.
  ExprId DigitsAtLeast(std::string_view from, bool exclusive) {
    if (from.empty()) return exclusive ? NotAllZeros() : AnyDigits();
    std::vector<ExprId> choices = {
        b_.Sequence({rules_.Digit(from[0], from[0]), DigitsAtLeast(from.substr(1), exclusive)})};
    if (from[0] < '9') {
      choices.push_back(b_.Sequence({rules_.Digit(static_cast<char>(from[0] + 1)), AnyDigits()}));
    }
    return b_.Choice(std::move(choices));
  }

  // Digits, at least one, that make at most 0.to. REQUIRES: to is not empty.
  ExprId DigitsAtMost(std::string_view to, bool exclusive) {
    const std::string_view rest = to.substr(1);
    std::vector<ExprId> choices;
    if (to[0] > '0') {
      choices.push_back(
          b_.Sequence({rules_.Digit('0', static_cast<char>(to[0] - 1)), AnyDigits()}));
    }
    ExprId after = rest.empty() ? (exclusive ? b_.Choice({}) : Zeros(0))
                                : b_.Optional(DigitsAtMost(rest, exclusive));
    choices.push_back(b_.Sequence({rules_.Digit(to[0], to[0]), after}));
    return b_.Choice(std::move(choices));
  }

  ExprId FractionAtLeast(const std::string& from, bool exclusive) {
    if (from.empty() && !exclusive) return AnyFraction();
    return Point(DigitsAtLeast(from, exclusive));
  }

  ExprId FractionAtMost(const std::string& to, bool exclusive) {
    if (!to.empty()) return b_.Optional(Point(DigitsAtMost(to, exclusive)));
    return exclusive ? b_.Choice({}) : b_.Optional(Point(Zeros(1)));
  }

  ExprId FractionBetween(const std::string& from, bool from_exclusive, const std::string& to,
                         bool to_exclusive) {
    if (from > to) return b_.Choice({});  // without zeros at the end, texts compare as numbers
    std::vector<ExprId> choices;
    if (from.empty() && !from_exclusive && !(to.empty() && to_exclusive))
      choices.push_back(b_.Bytes(""));
    choices.push_back(Point(DigitsBetween(from, from_exclusive, to, to_exclusive)));
    return b_.Choice(std::move(choices));
  }

  // Digits, at least one, that make from 0.from to 0.to. REQUIRES: from <= to.
  ExprId DigitsBetween(const std::string& from, bool from_exclusive, const std::string& to,
                       bool to_exclusive) {
    if (from == to) {
      if (from_exclusive || to_exclusive) return b_.Choice({});
      return from.empty() ? Zeros(1) : b_.Sequence({b_.Bytes(from), Zeros(0)});
    }
    const char low = from.empty() ? '0' : from[0], high = to[0];
    const std::string low_rest = from.empty() ? "" : Stripped(from.substr(1));
    const std::string high_rest = Stripped(to.substr(1));
    if (low == high) {
      // The digits may end here where that is within the bounds.
      const ExprId more = DigitsBetween(low_rest, from_exclusive, high_rest, to_exclusive);
      const bool may_end = low_rest.empty() && !from_exclusive;
      return b_.Sequence({rules_.Digit(low, low), may_end ? b_.Optional(more) : more});
    }
    std::vector<ExprId> choices = {
        b_.Sequence({rules_.Digit(low, low), DigitsAtLeast(low_rest, from_exclusive)})};
    if (low + 1 < high) {
      choices.push_back(b_.Sequence(
          {rules_.Digit(static_cast<char>(low + 1), static_cast<char>(high - 1)), AnyDigits()}));
    }
    if (!high_rest.empty()) {
      choices.push_back(b_.Sequence(
          {rules_.Digit(high, high), b_.Optional(DigitsAtMost(high_rest, to_exclusive))}));
    } else if (!to_exclusive) {
      choices.push_back(b_.Sequence({rules_.Digit(high, high), Zeros(0)}));
    }
    return b_.Choice(std::move(choices));
  }

  JsonRules& rules_;
  GrammarBuilder& b_;
};

Bound Magnitude(const Bound& bound) {
  Bound out = bound;
  out.value.negative = false;
  return out;
}

}  // namespace

std::optional<Decimal> DecimalOf(const Json& number) {
  if (!number.is_number()) return std::nullopt;
  std::string text = number.dump();
  Decimal out;
  if (text[0] == '-') {
    out.negative = true;
    text.erase(0, 1);
  }
  int exponent = 0;
  if (const size_t e = text.find_first_of("eE"); e != std::string::npos) {
    const size_t digits = e + 1 + (text[e + 1] == '+');
    if (std::from_chars(text.data() + digits, text.data() + text.size(), exponent).ec !=
        std::errc())
      return std::nullopt;
    text.erase(e);
  }
  const size_t point = std::min(text.find('.'), text.size());
  std::string digits = text.substr(0, point) + text.substr(std::min(point + 1, text.size()));
  auto whole_digits = static_cast<int64_t>(point) + exponent;
  if (exponent < -40 || exponent > 40 || digits.find_first_not_of("0123456789") != digits.npos)
    return std::nullopt;
  if (whole_digits < 1) {
    digits.insert(0, static_cast<size_t>(1 - whole_digits), '0');
    whole_digits = 1;
  }
  if (static_cast<size_t>(whole_digits) > digits.size())
    digits.append(static_cast<size_t>(whole_digits) - digits.size(), '0');
  const char* end = digits.data() + whole_digits;
  if (std::from_chars(digits.data(), end, out.whole).ec != std::errc() || out.whole > kMaxWhole)
    return std::nullopt;
  out.fraction = Stripped(digits.substr(static_cast<size_t>(whole_digits)));
  if (out.zero()) out.negative = false;
  return out;
}

int Compare(const Decimal& a, const Decimal& b) {
  if (a.negative != b.negative) return a.negative ? -1 : 1;
  int sign = a.whole != b.whole ? (a.whole < b.whole ? -1 : 1) : a.fraction.compare(b.fraction);
  sign = sign < 0 ? -1 : sign > 0 ? 1 : 0;
  return a.negative ? -sign : sign;
}

ExprId NumberBetween(const NumberBounds& bounds, JsonRules& rules) {
  if (!bounds.least && !bounds.most) return rules.Number();
  GrammarBuilder& b = rules.builder();
  RangeMaker range(rules);
  const Bound zero;
  const auto& [least, most] = bounds;
  if (least && most && Compare(least->value, most->value) > 0) return b.Choice({});
  std::vector<ExprId> choices;
  if (!most || !most->value.negative)
    choices.push_back(range.Unsigned(least && !least->value.negative ? *least : zero, most));
  if (!least || least->value.negative) {
    // From the other end; zero is in it only where it is allowed.
    const bool below = most && (most->value.negative || most->value.zero());
    const std::optional<Bound> far = least ? std::optional(Magnitude(*least)) : std::nullopt;
    choices.push_back(
        b.Sequence({b.Bytes("-"), range.Unsigned(below ? Magnitude(*most) : zero, far)}));
  }
  return b.Choice(std::move(choices));
}

ExprId IntegerBetween(const NumberBounds& bounds, JsonRules& rules) {
  if (!bounds.least && !bounds.most) return rules.Integer();
  GrammarBuilder& b = rules.builder();
  RangeMaker range(rules);
  // To whole numbers, towards the inside. |whole| < 2^63, so one more or less fits.
  const auto signed_whole = [](const Decimal& d) {
    const auto whole = static_cast<int64_t>(d.whole);
    return d.negative ? -whole : whole;
  };
  int64_t low = 0, high = 0;
  if (bounds.least) {
    const Decimal& d = bounds.least->value;
    low = signed_whole(d);
    const bool next = d.fraction.empty() ? bounds.least->exclusive : !d.negative;
    if (next && low == INT64_MAX) return b.Choice({});
    low += next;
  }
  if (bounds.most) {
    const Decimal& d = bounds.most->value;
    high = signed_whole(d);
    high -= d.fraction.empty() ? bounds.most->exclusive : d.negative;
  }
  const auto magnitude = [](int64_t n) {
    return n < 0 ? ~static_cast<uint64_t>(n) + 1 : static_cast<uint64_t>(n);
  };
  std::vector<ExprId> choices;
  if (!bounds.most || high >= 0) {
    const uint64_t from = bounds.least && low > 0 ? static_cast<uint64_t>(low) : 0;
    const uint64_t to = bounds.most ? static_cast<uint64_t>(high) : RangeMaker::LongestFrom(from);
    choices.push_back(range.Naturals(from, to));
  }
  if (!bounds.least || low < 0) {
    const uint64_t from = bounds.most && high < 0 ? magnitude(high) : 1;
    const uint64_t to = bounds.least ? magnitude(low) : RangeMaker::LongestFrom(from);
    choices.push_back(b.Sequence({b.Bytes("-"), range.Naturals(from, to)}));
  }
  return b.Choice(std::move(choices));
}

}  // namespace kvasir::grammar
