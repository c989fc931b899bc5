#include "jinja/time_format.h"

#include <algorithm>
#include <array>
#include <optional>

namespace kvasir::jinja {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};

std::string_view DayName(const std::tm& t) {
  return kDays[static_cast<size_t>(std::clamp(t.tm_wday, 0, 6))];
}

std::string_view MonthName(const std::tm& t) {
  return kMonths[static_cast<size_t>(std::clamp(t.tm_mon, 0, 11))];
}

// A number padded to `width` with zeros or spaces; the flag after % overrides: '-' none, '_'
// spaces, '0' zeros.
std::string Padded(int64_t value, int width, char pad, char flag) {
  if (flag == '-') return fmt::format("{}", value);
  if (flag == '_') pad = ' ';
  if (flag == '0') pad = '0';
  return pad == '0' ? fmt::format("{:0{}}", value, width) : fmt::format("{:{}}", value, width);
}

// What a composed directive stands for; empty for the others.
std::string_view Composed(char directive) {
  switch (directive) {
    case 'c':
      return "%a %b %e %H:%M:%S %Y";
    case 'D':
    case 'x':
      return "%m/%d/%y";
    case 'F':
      return "%Y-%m-%d";
    case 'R':
      return "%H:%M";
    case 'r':
      return "%I:%M:%S %p";
    case 'T':
    case 'X':
      return "%H:%M:%S";
    default:
      return {};
  }
}

// A directive that is a number: its value, and how it is padded.
struct Number {
  int64_t value;
  int width;
  char pad = '0';
};

// The year and week of ISO 8601: weeks start on Monday, the first one has the year's first
// Thursday.
struct IsoWeek {
  int year, week;
};

bool IsLeap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

IsoWeek IsoWeekOf(const std::tm& t) {
  const int year = t.tm_year + 1900, weekday = (t.tm_wday + 6) % 7;  // 0: Monday
  // The number in the year of this week's Thursday, from 0.
  const int thursday = t.tm_yday - weekday + 3, n_days = 365 + IsLeap(year);
  if (thursday < 0) return {year - 1, (thursday + 365 + IsLeap(year - 1)) / 7 + 1};
  if (thursday >= n_days) return {year + 1, 1};
  return {year, thursday / 7 + 1};
}

std::optional<Number> NumberOf(const std::tm& t, char directive) {
  const int year = t.tm_year + 1900, hour_of_12 = (t.tm_hour + 11) % 12 + 1;
  switch (directive) {
    case 'C':
      return Number{year / 100, 2};
    case 'd':
      return Number{t.tm_mday, 2};
    case 'e':
      return Number{t.tm_mday, 2, ' '};
    case 'g':
      return Number{IsoWeekOf(t).year % 100, 2};
    case 'G':
      return Number{IsoWeekOf(t).year, 4};
    case 'H':
      return Number{t.tm_hour, 2};
    case 'I':
      return Number{hour_of_12, 2};
    case 'j':
      return Number{t.tm_yday + 1, 3};
    case 'k':
      return Number{t.tm_hour, 2, ' '};
    case 'l':
      return Number{hour_of_12, 2, ' '};
    case 'm':
      return Number{t.tm_mon + 1, 2};
    case 'M':
      return Number{t.tm_min, 2};
    case 'S':
      return Number{t.tm_sec, 2};
    case 'u':
      return Number{t.tm_wday == 0 ? 7 : t.tm_wday, 1};
    case 'U':
      return Number{(t.tm_yday + 7 - t.tm_wday) / 7, 2};
    case 'V':
      return Number{IsoWeekOf(t).week, 2};
    case 'w':
      return Number{t.tm_wday, 1};
    case 'W':
      return Number{(t.tm_yday + 7 - (t.tm_wday + 6) % 7) / 7, 2};
    case 'y':
      return Number{year % 100, 2};
    default:
      return std::nullopt;
  }
}

Result<std::string> Directive(const std::tm& t, char directive, char flag) {
  if (const auto number = NumberOf(t, directive)) {
    return Padded(number->value, number->width, number->pad, flag);
  }
  switch (directive) {
    case '%':
      return "%";
    case 'n':
      return "\n";
    case 't':
      return "\t";
    case 'a':
      return std::string(DayName(t).substr(0, 3));
    case 'A':
      return std::string(DayName(t));
    case 'b':
    case 'h':
      return std::string(MonthName(t).substr(0, 3));
    case 'B':
      return std::string(MonthName(t));
    case 'f':
      return "000000";
    case 'p':
      return t.tm_hour < 12 ? "AM" : "PM";
    case 'P':
      return t.tm_hour < 12 ? "am" : "pm";
    case 'Y':
      return fmt::format("{}", t.tm_year + 1900);
    case 'z':
    case 'Z':
      return "";  // a time without zone, as Python's datetime.now()
    default:
      return Fail("strftime_now(): the directive %{} is not supported", directive);
  }
}

}  // namespace

Result<std::string> FormatTime(const std::tm& time, std::string_view format) {
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    char flag = ' ';
    if (i + 2 < format.size() &&
        std::string_view("-_0").find(format[i + 1]) != std::string_view::npos) {
      flag = format[++i];
    }
    const char directive = format[++i];
    if (const std::string_view composed = Composed(directive); !composed.empty()) {
      KV_ASSIGN_OR_RETURN(const std::string text, FormatTime(time, composed));
      out += text;
      continue;
    }
    KV_ASSIGN_OR_RETURN(const std::string text, Directive(time, directive, flag));
    out += text;
  }
  return out;
}

}  // namespace kvasir::jinja
