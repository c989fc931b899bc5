#include "model/tokenizer/utf8.h"

#include <gtest/gtest.h>

#include "model/tokenizer/byte_level.h"
#include "model/tokenizer/nfc.h"

namespace kvasir {
namespace {

const std::string kReplacement = "\xef\xbf\xbd";

TEST(DecodeUtf8, TellsInvalidFromIncomplete) {
  EXPECT_EQ(DecodeUtf8("\xe2\x82\xac").code, 0x20acu);
  EXPECT_EQ(DecodeUtf8("\xf0\x9f\x98\x80").length, 4);
  EXPECT_EQ(DecodeUtf8("\xe2\x82").length, -1);
  EXPECT_EQ(DecodeUtf8("\xf0").length, -1);
  for (const char* bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80",
                          "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5",
                          "\xe2"
                          "a",
                          "\xff"}) {
    EXPECT_EQ(DecodeUtf8(bad).length, 0) << bad;
  }
}

TEST(DecodeUtf8, ReadsWhatAppendWrites) {
  for (char32_t code = 0; code < 0x110000; code += code < 0x1000 ? 1 : 37) {
    if (code >= 0xd800 && code < 0xe000) continue;
    std::string text;
    AppendUtf8(code, text);
    const Utf8Char c = DecodeUtf8(text);
    ASSERT_EQ(c.code, code);
    ASSERT_EQ(c.length, static_cast<int>(text.size()));
    ASSERT_TRUE(IsValidUtf8("12345678" + text));
  }
}

TEST(Utf8Stream, LetsOutWholeCharactersOnly) {
  Utf8Stream stream;
  EXPECT_EQ(stream.Push("a\xf0\x9f"), "a");
  EXPECT_EQ(stream.Push("\x98"), "");
  EXPECT_EQ(stream.Push("\x80z\xc3"), "\xf0\x9f\x98\x80z");
  EXPECT_EQ(stream.Push("\xa9"), "\xc3\xa9");
  EXPECT_EQ(stream.Flush(), "");
}

TEST(Utf8Stream, MarksWhatCanBecomeNoCharacter) {
  Utf8Stream stream;
  EXPECT_EQ(stream.Push("\xff"
                        "a"),
            kReplacement + "a");
  EXPECT_EQ(stream.Push("\xe2\x82"
                        "b"),
            kReplacement + "b");  // two bytes, one start of a character
  EXPECT_EQ(stream.Push("\xed\xa0\x80"), kReplacement + kReplacement + kReplacement);  // surrogate
  EXPECT_EQ(stream.Push("\xe2\x82"), "");
  EXPECT_EQ(stream.Flush(), kReplacement);
  EXPECT_EQ(stream.Flush(), "");
}

TEST(Utf8Stream, DoesNotDependOnWhereItIsCut) {
  const std::string bytes = "a\xc3\xa9\xf0\x9f\x98\x80\xff\xe2\x82z\xf0\x9f\xe4\xb8\xad\xc0";
  Utf8Stream whole;
  const std::string expected = whole.Push(bytes) + whole.Flush();
  EXPECT_TRUE(IsValidUtf8(expected));
  for (size_t step = 1; step < bytes.size(); ++step) {
    Utf8Stream stream;
    std::string out;
    for (size_t at = 0; at < bytes.size(); at += step) out += stream.Push(bytes.substr(at, step));
    EXPECT_EQ(out + stream.Flush(), expected) << "step " << step;
  }
}

TEST(ByteLevel, EveryByteHasItsCharacter) {
  EXPECT_EQ(PieceOfBytes(" a\n"),
            "\xc4\xa0"
            "a\xc4\x8a");  // U+0120 a U+010A
  std::string all, back;
  for (int b = 0; b < 256; ++b) all.push_back(static_cast<char>(b));
  EXPECT_TRUE(AppendBytesOfPiece(PieceOfBytes(all), back));
  EXPECT_EQ(back, all);
  back = "x";
  EXPECT_FALSE(AppendBytesOfPiece("a b", back));  // a space is not in the alphabet
  EXPECT_EQ(back, "x");
}

std::string ToNfc(std::string_view text) { return Normalized(text, NormalForm::kNfc); }

TEST(Nfc, ComposesReordersAndKeeps) {
  EXPECT_EQ(ToNfc("e\u0301"), "\u00e9");
  EXPECT_EQ(ToNfc("\u212b \u2126 \u0344"), "\u00c5 \u03a9 \u0308\u0301");  // singletons, exclusion
  EXPECT_EQ(ToNfc("a\u0301\u0323"), "\u1ea1\u0301");  // the dot below goes first, then joins
  EXPECT_EQ(ToNfc("q\u0307\u0323"), "q\u0323\u0307");
  EXPECT_EQ(ToNfc("\u1112\u1161\u11ab"), "\ud55c");  // Hangul
  EXPECT_EQ(ToNfc("\uac00\u11a8"), "\uac01");
  EXPECT_EQ(ToNfc("\u0958"), "\u0915\u093c");  // never composed
  EXPECT_EQ(ToNfc("a\u0308\u0304 \u1e69"), "\u01df \u1e69");
  EXPECT_EQ(ToNfc("\xff"
                  "e\u0301\xe2\x82"),
            "\xff\u00e9\xe2\x82");
  EXPECT_EQ(ToNfc("plain \u00e9"), "plain \u00e9");
}

}  // namespace
}  // namespace kvasir
