#include "jinja/template.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

namespace kvasir::jinja {
namespace {

using Json = nlohmann::ordered_json;

// The text, or "! " and the error.
std::string Render(const std::string& source, const Json& variables = Json::object(),
                   const Limits& limits = {}) {
  const Result<Template> parsed = Template::Parse(source);
  if (!parsed) return "! " + parsed.error().message;
  RenderOptions options;
  options.limits = limits;
  const RenderResult text = parsed->Render(variables, options);
  return text ? *text : "! " + text.error().message;
}

std::string Repeat(const std::string& text, int n) {
  std::string out;
  for (int i = 0; i < n; ++i) out += text;
  return out;
}

bool Exceeds(const std::string& text) { return text.find("limit exceeded") != std::string::npos; }

TEST(Template, RendersVariables) {
  EXPECT_EQ(Render("Hello {{ name }}!", {{"name", "you"}}), "Hello you!");
}

TEST(Template, NamesTheLineOfAnError) {
  EXPECT_EQ(Render("a\n\n{{ x.y }}"), "! line 3: 'x' is undefined");
  EXPECT_EQ(Render("a\n{% if x %}"),
            "! line 2: 'if' is not closed: expected elif or else or endif");
  EXPECT_EQ(Render("{{ 1 +\n }}"), "! line 2: expected an expression");
  EXPECT_EQ(Render("{% for i in [1] %}\n{{ i.a.b }}\n{% endfor %}"),
            "! line 2: 'int object' has no attribute 'a'");
}

TEST(Template, NamesWhatItDoesNotSupport) {
  EXPECT_EQ(Render("\n{% include 'x' %}"),
            "! line 2: the tag 'include' is not supported in chat templates");
  EXPECT_EQ(Render("{{ [1] | random }}"),
            "! line 1: the filter 'random' is not supported in chat templates");
  EXPECT_EQ(Render("{{ [1] | map('string') }}"),
            "! line 1: printing a generator is not supported: add | list");
  EXPECT_EQ(Render("{{ 'a'.encode() }}"), "! line 1: 'encode' of 'str' objects is not supported");
  EXPECT_EQ(Render("{{ 'a'.upper }}"),
            "! line 1: printing a 'builtin_function_or_method' is not supported");
  EXPECT_EQ(Render("{{ 2 ** 127 }}"),
            "! line 1: integer overflow: more than 127 bits are not supported");
}

TEST(Template, TellsRaisedTextFromItsOwnErrors) {
  const auto parsed = Template::Parse("x\n{{ raise_exception('line 1: not ours') }}");
  ASSERT_TRUE(parsed);
  const RenderResult text = parsed->Render(Json::object());
  ASSERT_FALSE(text);
  EXPECT_TRUE(text.error().raised);
  EXPECT_EQ(text.error().message, "line 1: not ours");
  EXPECT_EQ(text.error().line, 2);
}

TEST(Template, RefusesBrokenText) {
  EXPECT_EQ(Render("\xff"), "! line 1: the template is not valid UTF-8");
  EXPECT_EQ(Render("{{ x }}", {{"x", "\xc3"}}),
            "! line 1: a string in the template's variables is not valid UTF-8");
  EXPECT_EQ(Render("", Json::array()), "! line 1: the template's variables are not an object");
}

TEST(Template, KeepsUnsignedIntegersExact) {
  EXPECT_EQ(Render("{{ x }} {{ x | tojson }} {{ x + 1 }}", {{"x", 18446744073709551615u}}),
            "18446744073709551615 18446744073709551615 18446744073709551616");
}

TEST(Template, RendersConcurrently) {
  const auto parsed = Template::Parse(
      "{% macro m(x) %}{{ x | upper }}{% endmacro %}"
      "{% for i in range(50) %}{{ m('a' ~ i) }}{% endfor %}");
  ASSERT_TRUE(parsed);
  const std::string expected = *parsed->Render(Json::object());
  std::vector<std::string> texts(4);
  std::vector<std::thread> threads;
  for (std::string& text : texts) {
    threads.emplace_back([&] { text = *parsed->Render(Json::object()); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& text : texts) EXPECT_EQ(text, expected);
}

TEST(TemplateLimits, BoundNestingOfTheSource) {
  for (const char* open : {"{% if 1 %}", "{% for i in [1] %}", "{% set x %}", "{% macro m() %}"}) {
    EXPECT_TRUE(Exceeds(Render(Repeat(open, 100000)))) << open;
  }
  for (const char* part : {"(", "[", "{1:", "not ", "-", "x if x else ", "x(", "x[", "x|f("}) {
    EXPECT_TRUE(Exceeds(Render("{{ " + Repeat(part, 100000) + "1 }}"))) << part;
  }
}

TEST(TemplateLimits, BoundChains) {
  for (const char* part : {"1 + ", "1 * ", "2 ** ", "x and ", "x or "}) {
    EXPECT_TRUE(Exceeds(Render("{{ " + Repeat(part, 100000) + "1 }}"))) << part;
  }
  for (const char* part : {".x", "[0]", "()", "|list"}) {
    EXPECT_TRUE(Exceeds(Render("{{ x" + Repeat(part, 100000) + " }}"))) << part;
  }
  // A chain as long as templates write them is fine.
  EXPECT_EQ(Render("{{ " + Repeat("'a' + ", 100) + "'b' }}"), Repeat("a", 100) + "b");
  EXPECT_EQ(Render("{{ " + Repeat("'a' ~ ", 1000) + "'b' }}"), Repeat("a", 1000) + "b");
}

TEST(TemplateLimits, AllowLongElifChains) {
  std::string source = "{% if x == 0 %}0";
  for (int i = 1; i < 1000; ++i) {
    source += "{% elif x == " + std::to_string(i) + " %}" + std::to_string(i);
  }
  EXPECT_EQ(Render(source + "{% endif %}", {{"x", 777}}), "777");
}

TEST(TemplateLimits, BoundRecursion) {
  EXPECT_TRUE(Exceeds(Render("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}")));
  EXPECT_TRUE(Exceeds(
      Render("{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}")));
  EXPECT_TRUE(Exceeds(Render("{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}")));
  EXPECT_EQ(Render("{% macro m(n) %}{{ m(n - 1) if n else 'end' }}{% endmacro %}{{ m(40) }}"),
            "end");
}

TEST(TemplateLimits, BoundDepthOfValues) {
  EXPECT_TRUE(
      Exceeds(Render("{% set ns = namespace(x=[]) %}"
                     "{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}")));
  Json deep = Json::array();
  for (int i = 0; i < 5000; ++i) deep = Json::array({std::move(deep)});
  EXPECT_TRUE(Exceeds(Render("{{ x }}", {{"x", std::move(deep)}})));
}

TEST(TemplateLimits, SurviveNamespacesInCircles) {
  EXPECT_EQ(Render("{% set ns = namespace() %}{% set ns.me = [ns] %}{{ ns }}"),
            "! line 1: printing a namespace that contains itself is not supported");
  EXPECT_EQ(Render("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns == ns.me.me }}"), "True");
}

TEST(TemplateLimits, BoundSizes) {
  for (const char* expression :
       {"'a' * 10**12", "[1] * 10**12", "10**12 * 'ab'", "'x'.center(10**9)", "'%999999999d' % 1",
        "'{:999999999}'.format(1)", "'%.999999999f' % 1.5", "'a'.zfill(10**9)", "range(10**9)",
        "'x' | indent(10**9)", "[1] | batch(10**12, 0) | list", "[1] | slice(10**12) | list",
        "'a' | center(10**9)", "'%*d' % (10**9, 1)", "'a\tb'.expandtabs(10**9)",
        "[1] | tojson(indent=10**9)", "'a'.ljust(10**9)", "(' ' * 10**9) | list"}) {
    EXPECT_TRUE(Exceeds(Render(std::string("{{ ") + expression + " }}"))) << expression;
  }
}

TEST(TemplateLimits, BoundGrowth) {
  Limits small;
  small.max_live_bytes = 4 << 20;
  small.max_steps = 1'000'000;
  const std::string doubling =
      "{% set ns = namespace(x=START) %}{% for i in range(99) %}{% set ns.x = STEP %}{% endfor %}";
  const auto grown = [&](const std::string& start, const std::string& step) {
    std::string source = doubling;
    source.replace(source.find("START"), 5, start);
    source.replace(source.find("STEP"), 4, step);
    return source;
  };
  for (const char* step : {"ns.x + ns.x", "ns.x ~ ns.x", "ns.x.replace('a', 'aa')",
                           "ns.x | replace('a', 'aa')", "ns.x.join('aaa')", "'%s%s' % (ns.x, ns.x)",
                           "'{0}{0}'.format(ns.x)", "[ns.x, ns.x] | join"}) {
    EXPECT_TRUE(Exceeds(Render(grown("'aa'", step), Json::object(), small))) << step;
  }
  // Lists that share their parts stay small; looking at all of them does not.
  const std::string shared = grown("[1]", "[ns.x, ns.x]");
  EXPECT_EQ(Render(shared + "{{ ns.x | length }}", Json::object(), small), "2");
  for (const char* use : {"{{ ns.x }}", "{{ ns.x | tojson }}", "{{ ns.x == ns.x + [] }}"}) {
    const std::string text = Render(shared + use, Json::object(), small);
    EXPECT_TRUE(Exceeds(text) || text == "True") << use;
  }
}

TEST(TemplateLimits, BoundWork) {
  Limits limits;
  limits.max_steps = 10'000;
  EXPECT_TRUE(
      Exceeds(Render("{% for i in range(99999) %}{{ i }}{% endfor %}", Json::object(), limits)));
  limits = {};
  limits.max_iterations = 100;
  EXPECT_TRUE(
      Exceeds(Render("{% for i in range(50) %}{% for j in range(50) %}{% endfor %}{% endfor %}",
                     Json::object(), limits)));
  limits = {};
  limits.max_output_bytes = 100;
  EXPECT_TRUE(Exceeds(Render("{{ 'a' * 101 }}", Json::object(), limits)));
  EXPECT_EQ(Render("{{ 'a' * 100 }}", Json::object(), limits), std::string(100, 'a'));
}

TEST(TemplateLimits, CountOnlyWhatIsAlive) {
  Limits small;
  small.max_live_bytes = 4 << 20;
  // Each round makes a tenth of a megabyte and drops it; together they are beyond the limit.
  EXPECT_EQ(Render("{% for i in range(100) %}{% set x = 'a' * 100000 %}{% endfor %}done",
                   Json::object(), small),
            "done");
}

}  // namespace
}  // namespace kvasir::jinja
