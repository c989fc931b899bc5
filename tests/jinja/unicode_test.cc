#include "jinja/unicode.h"

#include <gtest/gtest.h>

namespace kvasir::jinja {
namespace {

TEST(Unicode, AcceptsValidUtf8Only) {
  for (const char* good : {"", "a", "\xc2\x80", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(IsUtf8(good)) << good;
  }
  for (const char* bad :
       {"\x80", "\xc0\x80", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "a\xff"}) {
    EXPECT_FALSE(IsUtf8(bad)) << bad;
  }
}

TEST(Unicode, RoundTripsEveryCharacter) {
  for (char32_t c = 0; c < 0x110000; c += c < 0x3000 ? 1 : 61) {
    if (c >= 0xd800 && c < 0xe000) continue;
    std::string bytes;
    AppendChar(bytes, c);
    size_t at = 0;
    ASSERT_TRUE(IsUtf8(bytes));
    ASSERT_EQ(NextChar(bytes, at), c);
    ASSERT_EQ(at, bytes.size());
    ASSERT_EQ(CodePoints(bytes), 1);
  }
}

TEST(Unicode, MapsCases) {
  EXPECT_EQ(Upper("stra\u00dfe \u01c6 \ufb01"), "STRASSE \u01c4 FI");
  EXPECT_EQ(Lower("\u0391\u03a3 \u03a3\u0391\u03a3."), "\u03b1\u03c2 \u03c3\u03b1\u03c2.");
  EXPECT_EQ(TitleCase("\u01c6 they're"), "\u01c5 They'Re");
  EXPECT_EQ(CaseFold("\u00df\u1e9e"), "ssss");
}

TEST(Unicode, KnowsDigitsOfAllScripts) {
  EXPECT_EQ(DigitValue('7'), 7);
  EXPECT_EQ(DigitValue(U'\u0663'), 3);      // Arabic-Indic
  EXPECT_EQ(DigitValue(U'\U0001d7e1'), 9);  // mathematical: the second of five rows
  EXPECT_EQ(DigitValue(U'\u00b2'), -1);     // superscripts are digits, but not decimal
  EXPECT_EQ(DigitValue('a'), -1);
}

TEST(Unicode, StripsBySides) {
  EXPECT_EQ(Strip("\u2003 x \n", Side::kBoth), "x");
  EXPECT_EQ(Strip(" x ", Side::kLeft), "x ");
  EXPECT_EQ(Strip("\u00e9x\u00e9", "\u00e9", Side::kRight), "\u00e9x");
}

}  // namespace
}  // namespace kvasir::jinja
