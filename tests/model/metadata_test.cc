#include "model/metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

using testing::ElementsAre;

Metadata Example() {
  Metadata m;
  m.Set("int", int64_t{-3});
  m.Set("large", ~uint64_t{0});
  m.Set("float", 0.5);
  m.Set("bool", true);
  m.Set("text", "words");
  m.Set("texts", std::vector<std::string>{"a", "b"});
  m.Set("floats", std::vector<float>{1, 2});
  m.Set("ints", std::vector<int64_t>{4, 5});
  return m;
}

TEST(Metadata, GivesEachTypeBack) {
  const Metadata m = Example();
  EXPECT_EQ(*m.I64("int"), -3);
  EXPECT_EQ(*m.U64("large"), ~uint64_t{0});
  EXPECT_EQ(*m.F64("float"), 0.5);
  EXPECT_TRUE(*m.Bool("bool"));
  EXPECT_EQ(*m.String("text"), "words");
  EXPECT_THAT(*m.Strings("texts"), ElementsAre("a", "b"));
  EXPECT_THAT(*m.Floats("floats"), ElementsAre(1, 2));
  EXPECT_THAT(*m.Ints("ints"), ElementsAre(4, 5));
}

TEST(Metadata, AnIntegerServesAsAFloatButNotTheOtherWayRound) {
  const Metadata m = Example();
  EXPECT_EQ(*m.F64("int"), -3);
  EXPECT_FALSE(m.I64("float"));
}

TEST(Metadata, ErrorsNameKeyAndTypes) {
  const Metadata m = Example();
  EXPECT_EQ(m.I64("text").error().message,
            "metadata key 'text' is of type string; it must be of type integer");
  EXPECT_EQ(
      m.Strings("floats").error().message,
      "metadata key 'floats' is of type array of floats; it must be of type array of strings");
  EXPECT_EQ(m.Bool("none").error().message, "metadata has no key 'none' (wanted: boolean)");
  EXPECT_EQ(m.U64("int").error().message, "metadata key 'int' is -3; it must not be negative");
  EXPECT_EQ(m.I64("large").error().message,
            "metadata key 'large' is 18446744073709551615; it must be below 2^63");
}

TEST(Metadata, FallbacksAreForMissingKeysOnly) {
  const Metadata m = Example();
  EXPECT_EQ(*m.I64("none", 9), 9);
  EXPECT_EQ(*m.F64("none", 1.5), 1.5);
  EXPECT_TRUE(*m.Bool("none", true));
  EXPECT_EQ(*m.String("none", "else"), "else");
  EXPECT_EQ(*m.I64("int", 9), -3);
  EXPECT_FALSE(m.I64("text", 9));
  EXPECT_FALSE(m.String("int", "else"));
}

TEST(Metadata, SetReplacesAndEraseRemoves) {
  Metadata m = Example();
  m.Erase("float");
  m.Erase("none");
  EXPECT_FALSE(m.Has("float"));
  m.Set("int", "now a text");
  EXPECT_EQ(*m.String("int"), "now a text");
}

}  // namespace
}  // namespace kvasir
