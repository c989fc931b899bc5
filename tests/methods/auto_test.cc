// What `auto` stands for, and where it can stand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "methods/registry.h"

namespace kvasir {
namespace {

using testing::HasSubstr;

std::string ReadAs(const std::string& spec) {
  const auto program = Program::Build(spec);
  return program ? (*program)->reads_as() : program.error().message;
}

TEST(Auto, GivesUpBitsBeforeEntries) {
  EXPECT_EQ(ReadAs("auto:budget=100%"), "full");
  EXPECT_EQ(ReadAs("auto:budget=70%"), "kivi:bits=8,residual=32");
  EXPECT_EQ(ReadAs("auto:budget=50%"), "kivi:k_bits=8,v_bits=4,residual=32");
  EXPECT_EQ(ReadAs("auto:budget=40%"), "kivi:bits=4,residual=32");
  EXPECT_EQ(ReadAs("auto:budget=20%"),
            "snapkv:window=32,kernel=21,budget=37% + kivi:k_bits=8,v_bits=4,residual=32");
  EXPECT_EQ(ReadAs("auto"), ReadAs("auto:budget=20%"));
  EXPECT_EQ(ReadAs("auto:budget=10%"),
            "snapkv:window=32,kernel=21,budget=24% + kivi:bits=4,residual=32");
  EXPECT_EQ(ReadAs("auto:budget=5%"),
            "adakv + snapkv:window=32,kernel=21,budget=10% + kivi:bits=4,residual=32");
}

TEST(Auto, OfEntriesKeepsThatShareOfThem) {
  EXPECT_EQ(ReadAs("auto:budget=20%,of=entries"), "snapkv:window=32,kernel=21,budget=20%");
  EXPECT_EQ(ReadAs("auto:budget=100%,of=entries"), "full");
}

TEST(Auto, EveryShareIsASpec) {
  for (int thousandths = 1; thousandths <= 1000; ++thousandths) {
    const std::string budget = fmt::format("auto:budget={}%", thousandths / 10.0);
    for (const char* of : {"", ",of=entries"}) EXPECT_TRUE(Program::Build(budget + of)) << budget;
  }
}

TEST(Auto, IsAShareOnly) {
  EXPECT_THAT(ReadAs("auto:budget=1024"), HasSubstr("budget is a share (20%)"));
}

TEST(Auto, StacksAsWhatItStandsFor) {
  EXPECT_EQ(ReadAs("protect + auto:budget=10%"),
            "protect + snapkv:window=32,kernel=21,budget=24% + kivi:bits=4,residual=32");
  EXPECT_EQ(ReadAs("auto:of=entries + q8"), "snapkv:window=32,kernel=21,budget=20% + q8");
  // An error shows what was written and what it stands for.
  const std::string error = ReadAs("auto + q8");
  EXPECT_THAT(error, HasSubstr("\"auto + q8\" = \"snapkv"));
  EXPECT_THAT(error, HasSubstr("'kivi' and 'q8' both say how entries are stored; leave one out"));
  EXPECT_THAT(ReadAs("adakv + auto:budget=50%"), HasSubstr("write \"adakv + snapkv"));
  EXPECT_THAT(ReadAs("auto + snapkv"), HasSubstr("'snapkv', which"));
}

TEST(Auto, WhatIsWrittenOutReadsAsItself) {
  EXPECT_EQ(ReadAs("snapkv:budget=20%"), "snapkv:budget=20%");
}

}  // namespace
}  // namespace kvasir
