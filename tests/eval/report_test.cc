// What a report reads from result files, and what its page must never let through.
#include "eval/report.h"

#include "eval/report_data.h"
#include "tests/eval/eval_test_util.h"

namespace kvasir::eval {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Json Header(const std::string& model, std::vector<std::string> specs, int64_t samples = 2) {
  return {{"type", "run"},
          {"command", "kvasir eval"},
          {"model", {{"name", model + " name"}, {"fingerprint", model}}},
          {"specs", specs},
          {"seed", 42},
          {"tasks", Json::array({{{"name", "needle"},
                                  {"figure", "score"},
                                  {"length", 512},
                                  {"stand_in", "generated prose"},
                                  {"samples", samples}}})}};
}

Json SampleLine(const std::string& spec, int64_t index, double score) {
  return {{"type", "sample"},
          {"key", spec + std::to_string(index)},
          {"spec", spec},
          {"task", "needle"},
          {"length", 512},
          {"seed", 42},
          {"index", index},
          {"model", "m"},
          {"build", "b"},
          {"settings", "generator=1 scope=question"},
          {"prompt", "p"},
          {"prompt_tokens", 500},
          {"meta", {{"depth", 10 * index}}},
          {"figures", {{"score", score}}},
          {"turns", Json::array({{{"question", "What?"},
                                  {"answers", {"1234"}},
                                  {"prediction", "It is 1234"},
                                  {"score", score}}})},
          {"kept", {{"map", {"99", "90"}}}},
          {"recall_by_layer", {1, 0.5}}};
}

std::string Lines(const std::vector<Json>& records) {
  std::string text;
  for (const Json& record : records) text += record.dump() + "\n";
  return text;
}

TEST(Report, HasCellsSpecsRowsAndNotes) {
  Report report;
  ASSERT_TRUE(report.Add(Lines({Header("m", {"full", "b"}), SampleLine("full", 0, 1),
                                SampleLine("b", 0, 0), SampleLine("full", 1, 1)}),
                         "r.jsonl"));
  EXPECT_THAT(report.Specs(), ElementsAre("full", "b"));
  ASSERT_EQ(report.Cells().size(), 1u);
  EXPECT_EQ(report.Cells()[0].stand_in, "generated prose");
  const Summary summary = report.Rows();
  ASSERT_EQ(summary.rows.size(), 2u);
  EXPECT_EQ(summary.rows[0].n, 2);
  EXPECT_EQ(summary.rows[1].difference->mean, -1);
  EXPECT_EQ(summary.rows[1].n_pairs, 1);
  ASSERT_EQ(report.Notes().size(), 2u);
  EXPECT_THAT(report.Notes()[0].text, HasSubstr("generated prose"));
  EXPECT_THAT(report.Notes()[1].text, HasSubstr("3 of 4"));
}

TEST(Report, TheLastFinishedSampleCounts) {
  Json failure = SampleLine("full", 0, 0);
  failure["type"] = "failure";
  failure["error"] = "no memory";
  Json other_build = SampleLine("full", 0, 0.5);
  other_build["build"] = "c";
  other_build["key"] = "another";
  Report report;
  ASSERT_TRUE(report.Add(
      Lines({Header("m", {"full"}, 1), failure, SampleLine("full", 0, 1), other_build, failure}),
      "r.jsonl"));
  ASSERT_EQ(report.samples().size(), 1u);
  EXPECT_EQ(report.Rows().rows[0].value.mean, 0.5);
  EXPECT_EQ(report.Rows().rows[0].n_failed, 0);
}

TEST(Report, ARunThatWasStartedAgainIsOne) {
  Json first = Header("m", {"full"}), again = first, other = first;
  first["started"] = "Monday";
  again["started"] = "Tuesday";
  other["command"] = "kvasir eval --samples 9";
  Report report;
  ASSERT_TRUE(report.Add(Lines({first, again, other}), "r.jsonl"));
  ASSERT_EQ(report.runs().size(), 2u);
  EXPECT_EQ(report.runs()[0]["started"], "Tuesday");
}

TEST(Report, OfOneRunLeavesOutWhatElseTheFileHolds) {
  Report report(std::set<std::string>{"full0"});
  ASSERT_TRUE(report.Add(Lines({Header("m", {"full"}), SampleLine("full", 0, 1),
                                SampleLine("full", 1, 1), SampleLine("b", 0, 1)}),
                         "r.jsonl"));
  EXPECT_EQ(report.samples().size(), 1u);
}

TEST(Report, AMalformedLineIsNamed) {
  Report report;
  const Status no_json = report.Add(Lines({Header("m", {"full"})}) + "{oops\n", "r.jsonl");
  ASSERT_FALSE(no_json);
  EXPECT_EQ(no_json.error().message, "r.jsonl line 2: not a JSON object");
  Json record = SampleLine("full", 0, 1);
  record.erase("spec");
  const Status no_spec = report.Add(Lines({record}), "r.jsonl");
  ASSERT_FALSE(no_spec);
  EXPECT_EQ(no_spec.error().message, "r.jsonl line 1: 'spec' is missing or no text");
}

TEST(ReportData, DrillsDownToPromptAnswersAndMaps) {
  Report report;
  ASSERT_TRUE(report.Add(Lines({Header("m", {"full", "b"}, 1),
                                {{"type", "prompt"}, {"hash", "p"}, {"text", "A text"}},
                                SampleLine("full", 0, 1),
                                SampleLine("b", 0, 0)}),
                         "r.jsonl"));
  const Json data = ReportData(report);
  EXPECT_EQ(data["title"], "m name");
  ASSERT_EQ(data["cases"].size(), 1u);
  EXPECT_EQ(data["cases"][0]["prompt"], Json::array({"A text"}));
  EXPECT_EQ(data["cases"][0]["turns"][0]["answers"], Json::array({"1234"}));
  ASSERT_EQ(data["samples"].size(), 2u);
  EXPECT_EQ(data["samples"][1]["turns"][0]["prediction"], "It is 1234");
  EXPECT_EQ(data["samples"][1]["map"], Json::array({"99", "90"}));
  EXPECT_EQ(data["rows"][1]["depths"], Json::array({Json::array({0, 0.0, 1})}));
  EXPECT_EQ(data["rows"][0]["layers"]["recall"], Json::array({1.0, 0.5}));
}

TEST(ReportData, SettingsThatDifferTellCellsApart) {
  Json agnostic = SampleLine("full", 0, 0);
  agnostic["settings"] = "generator=1 scope=context";
  Report report;
  ASSERT_TRUE(report.Add(Lines({Header("m", {"full"}), SampleLine("full", 0, 1), agnostic}), "r"));
  const Json data = ReportData(report);
  ASSERT_EQ(data["cells"].size(), 2u);
  EXPECT_EQ(data["cells"][0]["label"], "needle · scope=question · 512");
  EXPECT_EQ(data["cells"][1]["label"], "needle · scope=context · 512");
}

TEST(ReportData, TwentyThousandSamplesStaySmall) {
  std::vector<Json> records = {Header("m", {"full"}, 20000)};
  const std::string prompt(16000, 'x');
  Json sample = SampleLine("full", 0, 1);
  sample["kept"]["map"] = std::vector<std::string>(30, std::string(30, '9'));
  sample["turns"][0]["prediction"] = std::string(3000, 'y');
  for (int64_t i = 0; i < 20000; ++i) {
    const std::string hash = "p" + std::to_string(i);
    sample["index"] = i;
    sample["key"] = hash;
    sample["prompt"] = hash;
    records.push_back({{"type", "prompt"}, {"hash", hash}, {"text", prompt}});
    records.push_back(sample);
  }
  Report report;
  ASSERT_TRUE(report.Add(Lines(records), "r"));
  EXPECT_LT(report.Html().size(), size_t{48} << 20);
}

// Only the page's own three scripts can begin or end; everything else of the data is JSON text.
TEST(ReportPage, TextsCannotEndTheScriptThatHoldsThem) {
  const std::string evil = "</script><script>alert(1)</script><!-- {{script}} & \" \\ \xff";
  Json sample = SampleLine(evil, 0, 1);
  sample["turns"][0]["prediction"] = evil;
  sample["turns"][0]["question"] = evil;
  Report report, plain;
  Json header = Header(evil, {evil});
  header["command"] = evil;
  const std::string lines = header.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n" +
                            sample.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  ASSERT_TRUE(report.Add(lines, "r"));
  ASSERT_TRUE(plain.Add(Lines({SampleLine("full", 0, 1)}), "r"));
  const std::string html = report.Html();
  EXPECT_THAT(html, Not(HasSubstr("alert(1)</script>")));
  const auto count = [](const std::string& text, std::string_view word) {
    int64_t n = 0;
    for (size_t at = 0; (at = text.find(word, at)) != std::string::npos; ++at) ++n;
    return n;
  };
  EXPECT_EQ(count(html, "</script>"), 3);
  EXPECT_EQ(count(html, "<!--"), count(plain.Html(), "<!--"));
  EXPECT_EQ(count(html, "{{script}}"), count(html, "\\u003c!-- {{script}}"));

  const size_t begin = html.find("id=\"data\">") + 10;
  const Json data = Json::parse(html.substr(begin, html.find("</script>", begin) - begin));
  EXPECT_THAT(data["samples"][0]["turns"][0]["prediction"].get<std::string>(),
              HasSubstr("</script><script>alert(1)</script><!-- {{script}} & \" \\"));
}

TEST(ReportPage, LoadsNothing) {
  Report report;
  ASSERT_TRUE(report.Add(Lines({Header("m", {"full"}), SampleLine("full", 0, 1)}), "r"));
  const std::string html = report.Html();
  EXPECT_THAT(html, HasSubstr("default-src 'none'"));
  for (const char* word : {"<script src", "<link", "@import", "fetch(", "XMLHttpRequest", "url("}) {
    EXPECT_THAT(html, Not(HasSubstr(word)));
  }
}

}  // namespace
}  // namespace kvasir::eval
