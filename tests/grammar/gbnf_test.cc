#include "grammar/gbnf.h"

#include <gmock/gmock.h>

#include "grammar/matcher.h"
#include "tests/grammar/random_grammar.h"

namespace kvasir::grammar {
namespace {

using ::testing::HasSubstr;

std::shared_ptr<const Grammar> Parse(std::string_view source) {
  auto grammar = ParseGbnf(source);
  EXPECT_TRUE(grammar) << grammar.error().message;
  return *grammar;
}

std::string ProblemOf(std::string_view source) {
  const auto grammar = ParseGbnf(source);
  EXPECT_FALSE(grammar) << source;
  return grammar ? "" : grammar.error().message;
}

// A whole sentence, fed byte by byte.
bool Matches(const std::shared_ptr<const Grammar>& grammar, std::string_view text) {
  Matcher matcher(grammar);
  return matcher.Accept(text) && matcher.complete();
}

TEST(Gbnf, LiteralsSequencesAndChoices) {
  const auto grammar = Parse(R"(root ::= "yes" | "no" "!"  # a comment
)");
  EXPECT_TRUE(Matches(grammar, "yes"));
  EXPECT_TRUE(Matches(grammar, "no!"));
  EXPECT_FALSE(Matches(grammar, "no"));
  EXPECT_FALSE(Matches(grammar, "yes!"));
  EXPECT_FALSE(Matches(grammar, ""));
}

TEST(Gbnf, ClassesRangesNegationAndAnyCharacter) {
  const auto grammar = Parse(R"(root ::= [a-cx] [^a-z\n] . [\]\-])");
  EXPECT_TRUE(Matches(grammar, "b7\n]"));
  EXPECT_TRUE(Matches(grammar, "xé世-"));
  EXPECT_FALSE(Matches(grammar, "d7z]"));
  EXPECT_FALSE(Matches(grammar, "bqz]"));
  EXPECT_FALSE(Matches(grammar, "b\nz]"));
  EXPECT_TRUE(Matches(Parse("root ::= [a-]"), "-"));
}

TEST(Gbnf, UnicodeEscapes) {
  const auto grammar = Parse(R"(root ::= "\x41\u00e9" [\u4e00-\u9fff] "\U0001F600\t\\\"")");
  EXPECT_TRUE(Matches(grammar, "Aé世😀\t\\\""));
  EXPECT_FALSE(Matches(grammar, "Aéa😀\t\\\""));
}

TEST(Gbnf, Repetitions) {
  EXPECT_TRUE(Matches(Parse("root ::= \"a\"*"), ""));
  EXPECT_TRUE(Matches(Parse("root ::= \"a\"*"), "aaaa"));
  EXPECT_FALSE(Matches(Parse("root ::= \"a\"+"), ""));
  EXPECT_TRUE(Matches(Parse("root ::= \"a\"? \"b\""), "b"));
  const auto grammar = Parse("root ::= (\"ab\" | \"c\"){2,4}");
  EXPECT_FALSE(Matches(grammar, "ab"));
  EXPECT_TRUE(Matches(grammar, "abc"));
  EXPECT_TRUE(Matches(grammar, "ccabc"));
  EXPECT_FALSE(Matches(grammar, "ccccc"));
  EXPECT_TRUE(Matches(Parse("root ::= [0-9]{3}"), "123"));
  EXPECT_FALSE(Matches(Parse("root ::= [0-9]{3}"), "12"));
  EXPECT_TRUE(Matches(Parse("root ::= [0-9]{2,}"), "123456"));
  EXPECT_FALSE(Matches(Parse("root ::= [0-9]{2,}"), "1"));
  EXPECT_TRUE(Matches(Parse("root ::= [0-9]{0}"), ""));
}

TEST(Gbnf, CountsCostNoSize) {
  const auto grammar = Parse("root ::= \"a\"{0,1000000} \"b\"");
  EXPECT_LT(grammar->nodes().size(), 10u);
  EXPECT_TRUE(Matches(grammar, std::string(30'000, 'a') + "b"));
}

TEST(Gbnf, RulesMaySpanLinesWithinGroupsAndAroundBars) {
  const auto grammar = Parse(
      "# JSON-like lists\r\n"
      "root ::=\n  list\n"
      "list ::= \"[\" (\n    item\n    (\",\" item)*\n  )? \"]\"\n\n"
      "item ::= [0-9]+ |\n  list\n  | \"null\" # the last\n");
  EXPECT_TRUE(Matches(grammar, "[1,[2,[]],null]"));
  EXPECT_FALSE(Matches(grammar, "[1,]"));
}

TEST(Gbnf, DeepRecursionIsPushedAndPopped) {
  const auto grammar = Parse("root ::= \"(\" root \")\" | \"x\"");
  EXPECT_TRUE(Matches(grammar, std::string(500, '(') + "x" + std::string(500, ')')));
  EXPECT_FALSE(Matches(grammar, std::string(500, '(') + "x" + std::string(499, ')')));
}

TEST(Gbnf, AmbiguousGrammarsStayPolynomial) {
  // 2^n derivations after n letters, and every way to end them.
  const auto grammar =
      Parse("root ::= \"a\" root \"x\" | \"a\" root \"y\" | \"a\" root root | \"\"");
  Matcher matcher(grammar);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(matcher.Accept("a")) << i << matcher.problem();
  EXPECT_TRUE(matcher.Accept("xyx")) << matcher.problem();
  EXPECT_TRUE(matcher.complete());
}

// Counted in characters, not seconds: a step's work grows with the text, and it is refused where it
// passes kMaxWork, after 445 on any machine.
TEST(Gbnf, AHopelessGrammarIsAnErrorInLittleTime) {
  const auto grammar = Parse(
      "root ::= s s s s s s\n"
      "s ::= \"a\" s s s s | \"a\" s \"a\" s | \"a\" | \"\"");
  Matcher matcher(grammar);
  int n_read = 0;
  while (n_read < 20'000 && matcher.problem().empty()) n_read += matcher.Accept("a") ? 1 : 0;
  EXPECT_THAT(matcher.problem(), HasSubstr("too ambiguous"));
  EXPECT_LT(n_read, 600);
}

TEST(Gbnf, LongListsUseBoundedMemory) {
  const auto grammar =
      Parse("root ::= item | item \",\" root\nitem ::= \"[\" root? \"]\" | [0-9]+");
  Matcher matcher(grammar);
  for (int i = 0; i < 5000; ++i) ASSERT_TRUE(matcher.Accept("12,[3,4,[5]],"));
  EXPECT_LT(matcher.n_states(), 100);
}

TEST(Gbnf, ForgettingOldStatesChangesNothing) {
  // Each count is a state of its own, so the tables are started anew several times.
  const auto grammar = Parse("root ::= \"(\" [ab]{30000} \")\"");
  Matcher matcher(grammar);
  EXPECT_TRUE(matcher.Accept("("));
  for (int i = 0; i < 30'000; ++i) ASSERT_TRUE(matcher.Accept(i % 3 == 0 ? "a" : "b")) << i;
  EXPECT_GT(matcher.generation(), 0);
  EXPECT_FALSE(matcher.Accept("a"));
  EXPECT_TRUE(matcher.Accept(")"));
  EXPECT_TRUE(matcher.complete());
  EXPECT_FALSE(matcher.can_continue());
}

TEST(Gbnf, BytesOfACharacterMayComeOneByOne) {
  const auto grammar = Parse("root ::= [é-世]");
  Matcher matcher(grammar);
  const std::string text = "世";
  EXPECT_TRUE(matcher.Accept(text.substr(0, 1)));
  EXPECT_FALSE(matcher.complete());
  EXPECT_FALSE(matcher.Accept("\xBF"));  // beyond 世
  EXPECT_TRUE(matcher.Accept(text.substr(1)));
  EXPECT_TRUE(matcher.complete());
}

TEST(Gbnf, NamesLeftRecursion) {
  EXPECT_THAT(ProblemOf("root ::= expr\nexpr ::= expr \"+\" \"1\" | \"1\""),
              HasSubstr("left recursion: 'expr' can begin with itself"));
  EXPECT_THAT(ProblemOf("root ::= a\na ::= \"x\"? b\nb ::= a \"y\" | \"z\""),
              HasSubstr("left recursion"));
  EXPECT_THAT(ProblemOf("root ::= (\"\" | \"x\"){2,3} root \"y\" | \"z\""),
              HasSubstr("left recursion"));
}

TEST(Gbnf, SaysWhatIsWrongAndWhere) {
  EXPECT_THAT(ProblemOf("foo ::= \"a\""), HasSubstr("no rule 'root'"));
  EXPECT_THAT(ProblemOf("root ::= \"a\"\n\nx ::= nowhere"), HasSubstr("line 3"));
  EXPECT_THAT(ProblemOf("root ::= \"a\"\nroot ::= \"b\""), HasSubstr("defined twice"));
  EXPECT_THAT(ProblemOf("root ::= \"abc"), HasSubstr("no closing '\"'"));
  EXPECT_THAT(ProblemOf("root ::= [a-"), HasSubstr("no closing ']'"));
  EXPECT_THAT(ProblemOf("root ::= [z-a]"), HasSubstr("backwards"));
  EXPECT_THAT(ProblemOf("root ::= (\"a\""), HasSubstr("')' is expected, not the end"));
  EXPECT_THAT(ProblemOf("root ::= \"a\"{3,2}"), HasSubstr("the most is less than the least"));
  EXPECT_THAT(ProblemOf("root ::= \"a\"{99999999999}"), HasSubstr("a count must be below"));
  EXPECT_THAT(ProblemOf("root ::= \"\\q\""), HasSubstr("unknown escape"));
  EXPECT_THAT(ProblemOf("root ::= \"\\uD800\""), HasSubstr("U+D800 is no character"));
  EXPECT_THAT(ProblemOf("root ::= \"\xff\""), HasSubstr("no UTF-8"));
  EXPECT_THAT(ProblemOf("root = \"a\""), HasSubstr("'::=' is expected"));
  EXPECT_THAT(ProblemOf("root ::= \"x\" root"), HasSubstr("no text can ever satisfy"));
  EXPECT_THAT(ProblemOf("root ::= " + std::string(200, '(')), HasSubstr("nested deeper"));
  EXPECT_THAT(ProblemOf("root ::= \"a\"" + std::string(1000, '?')), HasSubstr("nested deeper"));
}

TEST(Gbnf, LargeSourcesAreRefusedOrReadInLinearTime) {
  EXPECT_THAT(ProblemOf(std::string(kMaxSourceBytes + 1, ' ')), HasSubstr("at most"));
  EXPECT_THAT(ProblemOf("root ::= \"" + std::string(kMaxNodes + 1, 'a') + "\""),
              HasSubstr("larger than"));
  std::string chain = "root ::= r0\n";
  for (int i = 0; i < 20'000; ++i) chain += fmt::format("r{} ::= r{} | \"x\"\n", i, i + 1);
  EXPECT_TRUE(Matches(Parse(chain + "r20000 ::= \"y\""), "y"));
}

TEST(Gbnf, ADeadEndIsNeverEntered) {
  // 'loop' has no end, so its letter is refused at once.
  const auto grammar = Parse("root ::= \"a\" | \"b\" loop | loop{0,3} \"c\"\nloop ::= \"x\" loop");
  EXPECT_TRUE(Matches(grammar, "a"));
  EXPECT_TRUE(Matches(grammar, "c"));
  EXPECT_FALSE(Matcher(grammar).Accept("b"));
  EXPECT_FALSE(Matcher(grammar).Accept("x"));
}

TEST(Gbnf, RandomGrammarsAgreeWithAPlainRecogniser) {
  int n_used = 0, n_positive = 0;
  for (uint32_t seed = 0; seed < 3000; ++seed) {
    RandomGrammar random(seed);
    const std::string source = random.Text();
    const auto grammar = ParseGbnf(source);
    if (!grammar) {
      const std::string& problem = grammar.error().message;
      ASSERT_TRUE(problem.find("left recursion") != std::string::npos ||
                  problem.find("no text can ever") != std::string::npos)
          << problem << "\n"
          << source;
      continue;
    }
    ++n_used;
    for (int k = 0; k < 12; ++k) {
      bool ok = false;
      std::string text = random.Sentence(ok);
      if (!ok) continue;
      if (k % 2 == 1) {  // something near a sentence
        for (int n = random.Draw(3); n-- > 0;) text += random.Letter();
        if (!text.empty() && random.Draw(2) == 0) text.erase(0, text[0] < 0 ? 2 : 1);
      }
      const bool wanted = random.Matches(text);
      n_positive += wanted;
      ASSERT_EQ(Matches(*grammar, text), wanted) << source << "text: " << text;
      if (k % 2 == 0) {
        ASSERT_TRUE(wanted);
      }
    }
  }
  EXPECT_GT(n_used, 1000);
  EXPECT_GT(n_positive, 5000);
}

}  // namespace
}  // namespace kvasir::grammar
