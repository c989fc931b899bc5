#include "jinja/time_format.h"

#include <algorithm>
#include <array>

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

Result<std::string> Directive(const std::tm& t, char directive, char flag) {
  const int year = t.tm_year + 1900;
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
    case 'C':
      return Padded(year / 100, 2, '0', flag);
    case 'd':
      return Padded(t.tm_mday, 2, '0', flag);
    case 'e':
      return Padded(t.tm_mday, 2, ' ', flag);
    case 'f':
      return "000000";
    case 'H':
      return Padded(t.tm_hour, 2, '0', flag);
    case 'I':
      return Padded((t.tm_hour + 11) % 12 + 1, 2, '0', flag);
    case 'j':
      return Padded(t.tm_yday + 1, 3, '0', flag);
    case 'k':
      return Padded(t.tm_hour, 2, ' ', flag);
    case 'l':
      return Padded((t.tm_hour + 11) % 12 + 1, 2, ' ', flag);
    case 'm':
      return Padded(t.tm_mon + 1, 2, '0', flag);
    case 'M':
      return Padded(t.tm_min, 2, '0', flag);
    case 'p':
      return t.tm_hour < 12 ? "AM" : "PM";
    case 'P':
      return t.tm_hour < 12 ? "am" : "pm";
    case 'S':
      return Padded(t.tm_sec, 2, '0', flag);
    case 'u':
      return Padded(t.tm_wday == 0 ? 7 : t.tm_wday, 1, '0', flag);
    case 'U':
      return Padded((t.tm_yday + 7 - t.tm_wday) / 7, 2, '0', flag);
    case 'w':
      return Padded(t.tm_wday, 1, '0', flag);
    case 'W':
      return Padded((t.tm_yday + 7 - (t.tm_wday + 6) % 7) / 7, 2, '0', flag);
    case 'y':
      return Padded(year % 100, 2, '0', flag);
    case 'Y':
      return fmt::format("{}", year);
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
