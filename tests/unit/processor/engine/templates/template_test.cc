#include "processor/engine/templates/template.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schemas/json.h"

namespace alertstream::engine {
namespace {

using testing::HasSubstr;

// An order event around `data`; "" leaves the data out.
class EventOf {
 public:
  explicit EventOf(std::string_view data) {
    if (!data.empty()) {
      const Status parsed = document_.Parse(data);
      EXPECT_TRUE(parsed.ok()) << data;
    }
    event_ = {.id = "evt-1",
              .type = "order.paid",
              .source = "/shop",
              .time = FromMicros(1'700'000'000'000'000),
              .data = {}};
    if (!data.empty()) {
      event_.data = document_.root();
    }
  }

  const TemplateEvent& get() const { return event_; }

 private:
  schemas::JsonDocument document_;
  TemplateEvent event_{};
};

// What `body` renders to, or the message of the error.
std::string Rendered(std::string_view body, std::string_view data) {
  const auto compiled = Template::Compile(body);
  if (!compiled.ok()) {
    return "compile: " + compiled.error().message();
  }
  const EventOf event(data);
  std::string text = "of the message before";
  const Status rendered = compiled.value().Render(event.get(), &text);
  if (!rendered.ok()) {
    EXPECT_EQ(rendered.error().code(), ErrorCode::kInvalid) << body;
    return rendered.error().message();
  }
  return text;
}

struct RenderCase {
  std::string_view body;
  std::string_view data;
  std::string_view expected;
};

constexpr std::string_view kOrder =
    R"({"amount":120,"customer":{"name":"Amina","vip":true,"note":null},)"
    R"("items":[{"sku":"A1","qty":2},{"sku":"B2","qty":1}],"tags":["x","y"],"empty":[],)"
    R"("none":{},"zero":0,"blank":"","off":false,"grid":[[1,2],[3]]})";

TEST(TemplateTest, InsertsValues) {
  const RenderCase cases[] = {
      {"", kOrder, ""},
      {"No tags.", kOrder, "No tags."},
      {"{{id}} {{type}} {{source}}", "", "evt-1 order.paid /shop"},
      {"{{time}}", "", "2023-11-14T22:13:20Z"},
      {"Paid {{data.amount}}, thanks {{data.customer.name}}!", kOrder, "Paid 120, thanks Amina!"},
      {"{{ data.amount }}|{{&data.amount}}|{{{data.amount}}}|{{& data.amount }}", kOrder,
       "120|120|120|120"},
      {"{{data.customer.vip}} {{data.off}} {{data.zero}} [{{data.blank}}]", kOrder,
       "true false 0 []"},
      {"{{data.t}}", R"({"t":"<a href=\"x\">&'\u00e9</a>"})", "<a href=\"x\">&'\xC3\xA9</a>"},
      {"{{data.t}}", R"({"t":"{{id}} {{#x}}"})", "{{id}} {{#x}}"},  // Values are never templates.
      {"{ {{id}} }", "", "{ evt-1 }"},
      {"{{id}}}", "", "evt-1}"},
      {"}} {{id}}", "", "}} evt-1"},
      {"{{id}}{{type}}", "", "evt-1order.paid"},
      {"a{{! a comment with {braces} }}b", "", "ab"},
      {"{{!}}x", "", "x"},
      {"  indented {{id}}\n\n", "", "  indented evt-1\n\n"},
      {"{{data.@type}} {{data.a-b}} {{data.x:y}} {{data.0}}",
       R"({"@type":1,"a-b":2,"x:y":3,"0":4})", "1 2 3 4"},
      {"{{\n id \n}}", "", "evt-1"},
      {"\xE2\x9C\x93 {{id}} \xF0\x9F\x9A\x80", "", "\xE2\x9C\x93 evt-1 \xF0\x9F\x9A\x80"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Rendered(c.body, c.data), c.expected) << c.body;
  }
}

TEST(TemplateTest, PrintsNumbersShortly) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"0", "0"},
      {"-7", "-7"},
      {"9223372036854775807", "9223372036854775807"},
      {"-9223372036854775808", "-9223372036854775808"},
      {"0.1", "0.1"},
      {"1.10", "1.1"},
      {"5.0", "5"},
      {"-0.0", "0"},
      {"100000.0", "100000"},
      {"1e5", "100000"},
      {"12345678.9", "12345678.9"},
      {"0.30000000000000004", "0.30000000000000004"},
      {"0.000001", "0.000001"},
      {"0.0000001", "1e-07"},
      {"1e20", "100000000000000000000"},
      {"1e21", "1e+21"},
      {"-1.5e300", "-1.5e+300"},
      {"9223372036854775808", "9223372036854775808"},  // One beyond int64 is a double.
  };
  for (const auto& [literal, expected] : cases) {
    EXPECT_EQ(Rendered("{{data.n}}", R"({"n":)" + std::string(literal) + "}"), expected) << literal;
  }
}

TEST(TemplateTest, RefusesVariablesWithoutASingleValue) {
  const RenderCase cases[] = {
      {"{{data.amount}}", "", "template: data.amount is absent"},
      {"{{data}}", "", "template: data is absent"},
      {"{{data.amount}}", "{}", "template: data.amount is absent"},
      {"{{data.a.b.c}}", R"({"a":{"x":1}})", "template: data.a.b.c is absent"},
      {"{{data.a.b}}", R"({"a":"text"})", "template: data.a.b is absent"},
      {"{{data.items.0}}", kOrder, "template: data.items.0 is absent"},
      {"{{data.Amount}}", kOrder, "template: data.Amount is absent"},
      {"{{data.customer.note}}", kOrder, "template: data.customer.note is null"},
      {"{{data.customer}}", kOrder, "template: data.customer is an object, not a single value"},
      {"{{data.items}}", kOrder, "template: data.items is an array, not a single value"},
      {"{{data.items}}", R"({"items":[]})", "template: data.items is an array, not a single value"},
      {"{{#data.items}}{{price}}{{/data.items}}", kOrder, "template: price is absent"},
      {"{{#data.list}}{{.}}{{/data.list}}", R"({"list":[1,null]})", "template: . is null"},
      // The first error wins, and what comes after it is not looked at.
      {"{{data.a}}{{data.b}}", "{}", "template: data.a is absent"},
      {"{{#data.tags}}{{oops}}{{/data.tags}}{{^data.off}}{{data.more}}{{/data.off}}", kOrder,
       "template: oops is absent"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Rendered(c.body, c.data), c.expected) << c.body;
  }
}

TEST(TemplateTest, ErrorsDoNotQuoteValues) {
  const std::string message = Rendered("{{data.phone}}", R"({"phone":{"number":"+254700000001"}})");
  EXPECT_THAT(message, HasSubstr("data.phone"));
  EXPECT_THAT(message, testing::Not(HasSubstr("254")));
}

TEST(TemplateTest, WalksSections) {
  const RenderCase cases[] = {
      {"{{#data.items}}{{qty}}x{{sku}};{{/data.items}}", kOrder, "2xA1;1xB2;"},
      {"{{#data.tags}}<{{.}}>{{/data.tags}}", kOrder, "<x><y>"},
      {"{{#data.grid}}[{{#.}}{{.}},{{/.}}]{{/data.grid}}", kOrder, "[1,2,][3,]"},
      {"{{#data.customer}}{{name}}{{/data.customer}}", kOrder, "Amina"},
      {"{{#data.customer.vip}}VIP{{/data.customer.vip}}", kOrder, "VIP"},
      {"{{#data}}{{amount}} {{id}}{{/data}}", kOrder, "120 evt-1"},
      {"{{#type}}{{.}}!{{/type}}", "", "order.paid!"},
      // Falsy: false, null, absent, []. Everything else is entered.
      {"{{#data.off}}no{{/data.off}}{{^data.off}}yes{{/data.off}}", kOrder, "yes"},
      {"{{#data.customer.note}}no{{/data.customer.note}}", kOrder, ""},
      {"{{^data.customer.note}}yes{{/data.customer.note}}", kOrder, "yes"},
      {"{{#data.x.y}}no{{/data.x.y}}{{^data.x.y}}yes{{/data.x.y}}", kOrder, "yes"},
      {"{{#data.empty}}no{{/data.empty}}{{^data.empty}}yes{{/data.empty}}", kOrder, "yes"},
      {"{{#data}}no{{/data}}{{^data}}yes{{/data}}", "", "yes"},
      {"{{#data.zero}}0{{/data.zero}}{{^data.zero}}no{{/data.zero}}", kOrder, "0"},
      {"{{#data.blank}}b{{/data.blank}}{{^data.blank}}no{{/data.blank}}", kOrder, "b"},
      {"{{#data.none}}o{{/data.none}}{{^data.none}}no{{/data.none}}", kOrder, "o"},
      // A false element is still an element.
      {"{{#data.l}}.{{#.}}T{{/.}}{{^.}}F{{/.}}{{/data.l}}", R"({"l":[true,false,null,[]]})",
       ".T.F.F.F"},
      // Sections after and inside one another.
      {"{{#data.tags}}{{.}}{{/data.tags}}-{{#data.tags}}{{.}}{{/data.tags}}", kOrder, "xy-xy"},
      {"{{#data.tags}}{{#data.items}}{{sku}}{{/data.items}}{{.}} {{/data.tags}}", kOrder,
       "A1B2x A1B2y "},
      {"{{#data.items}}{{#data.tags}}{{.}}{{/data.tags}}{{#data.tags}}{{.}}{{/data.tags}}{{sku}} "
       "{{/data.items}}",
       kOrder, "xyxyA1 xyxyB2 "},
      {"{{#data.off}}{{#data.tags}}{{.}}{{/data.tags}}{{/data.off}}|", kOrder, "|"},
      {"{{^data.off}}{{#data.tags}}{{.}}{{/data.tags}}{{/data.off}}|", kOrder, "xy|"},
      // Absent names in a section that is left out do not matter.
      {"{{#data.gift}}{{data.gift.from}}{{/data.gift}}ok", kOrder, "ok"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Rendered(c.body, c.data), c.expected) << c.body;
  }
}

TEST(TemplateTest, ResolvesNamesFromTheInnermostSection) {
  const RenderCase cases[] = {
      // The inner id hides the event's; data is found behind the item.
      {"{{#data.l}}{{id}}{{data.k}} {{/data.l}}{{id}}", R"({"k":"!","l":[{"id":7},{"x":8}]})",
       "7! evt-1! evt-1"},
      // The first part decides where to look; the rest is not looked for elsewhere.
      {"{{#data.l}}{{data.k}}{{/data.l}}", R"({"k":1,"l":[{"data":{"j":2}}]})",
       "template: data.k is absent"},
      // Null hides as well.
      {"{{#data.l}}{{id}}{{/data.l}}", R"({"l":[{"id":null}]})", "template: id is null"},
      {"{{#data.a}}{{#b}}{{x}}{{y}}{{/b}}{{/data.a}}", R"({"a":{"y":1,"b":{"x":2}}})", "21"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Rendered(c.body, c.data), c.expected) << c.body;
  }
}

TEST(TemplateTest, TagsAloneOnALineTakeTheLineAway) {
  const RenderCase cases[] = {
      {"A\n{{#data.tags}}\n- {{.}}\n{{/data.tags}}\nB", kOrder, "A\n- x\n- y\nB"},
      {"A\n  {{#data.tags}}  \n- {{.}}\n\t{{/data.tags}}\n\nB", kOrder, "A\n- x\n- y\n\nB"},
      {"A\r\n{{#data.tags}}\r\n{{.}}\r\n{{/data.tags}}\r\nB", kOrder, "A\r\nx\r\ny\r\nB"},
      {"A\n{{#data.off}}\nx\n{{/data.off}}\nB", kOrder, "A\nB"},
      {"{{^data.off}}\nx\n{{/data.off}}", kOrder, "x\n"},
      {"A\n{{! note }}\nB", "", "A\nB"},
      {"A\n  {{! two\n lines }}\nB", "", "A\nB"},
      {"{{!a}}\n{{!b}}\nC", "", "C"},
      {"A {{! note }}\nB", "", "A \nB"},
      {"A\n{{id}}\nB", "", "A\nevt-1\nB"},
      {"{{#data.off}} {{/data.off}}\nB", kOrder, "\nB"},  // Two tags are not alone.
      {"{{#data.tags}} {{/data.tags}}\nB", kOrder, "  \nB"},
      {"A\n  {{! at the end }}", "", "A\n"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Rendered(c.body, c.data), c.expected) << testing::PrintToString(c.body);
  }
}

struct CompileCase {
  std::string body;
  std::string_view reason;
};

TEST(TemplateTest, CompileRefusesWithLineAndColumn) {
  const std::vector<CompileCase> cases = {
      {std::string(kTemplateBytesMax + 1, 'x'), "template: longer than 8192 bytes"},
      {"ab\xFF", "template: line 1, column 3: not valid UTF-8"},
      {std::string("a\nb\0", 4), "template: line 2, column 2: U+0000 is not text"},
      {"{{", "line 1, column 1: the tag is not closed"},
      {"Hello {{id", "line 1, column 7: the tag is not closed"},
      {"{{{id}}", "line 1, column 1: the tag is not closed"},
      {"one\ntwo {{id}", "line 2, column 5: the tag is not closed"},
      {"\xC3\xA9\xC3\xA9 {{id", "line 1, column 4: the tag is not closed"},
      {"{{}}", "column 1: the tag has no name"},
      {"{{ }}", "column 1: the tag has no name"},
      {"{{#}}{{/}}", "column 1: the tag has no name"},
      {"{{> footer}}", "column 1: partials are not supported"},
      {"x {{=<% %>=}}", "column 3: other delimiters are not supported"},
      {"{{$block}}", "column 1: inheritance is not supported"},
      {"{{<parent}}", "column 1: inheritance is not supported"},
      {"{{data.first name}}", "column 1: a name is made of"},
      {"{{data..x}}", "column 1: a name is made of"},
      {"{{.data}}", "column 1: a name is made of"},
      {"{{data.}}", "column 1: a name is made of"},
      {"{{data.na\xC3\xAFve}}", "column 1: a name is made of"},
      {"{{{{id}}}}", "column 1: a name is made of"},
      {"{{.}}", "column 1: {{.}} stands only inside a section"},
      {"{{^data.x}}{{.}}{{/data.x}}", "column 12: {{.}} stands only inside a section"},
      {"{{amount}}", "column 1: names begin with data, or are one of id, type, source, time"},
      {"{{#items}}{{/items}}", "column 1: names begin with data"},
      {"{{id.x}}", "column 1: names begin with data"},
      {"{{^data.x}}{{name}}{{/data.x}}", "column 12: names begin with data"},
      {"{{#data.x}}{{/data.x}}{{name}}", "column 23: names begin with data"},
      {"{{/data.x}}", "column 1: closes a section that is not open"},
      {"{{#data.x}}{{/data.y}}", "column 12: closes another section than the innermost one"},
      {"{{#data.x}}{{#data.y}}{{/data.x}}{{/data.y}}", "column 23: closes another section"},
      {"a\n{{#data.x}}b", "line 2, column 1: the section is never closed"},
      {"{{#data.x}}{{^data.y}}{{/data.y}}", "line 1, column 1: the section is never closed"},
  };
  for (const auto& c : cases) {
    const auto result = Template::Compile(c.body);
    ASSERT_FALSE(result.ok()) << c.body;
    EXPECT_EQ(result.error().code(), ErrorCode::kInvalid) << c.body;
    EXPECT_THAT(result.error().message(), HasSubstr(c.reason)) << c.body;
  }
}

std::string Repeat(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) {
    all += text;
  }
  return all;
}

TEST(TemplateTest, KeepsItsLimits) {
  EXPECT_EQ(Rendered(std::string(kTemplateBytesMax, 'x'), "").size(), kTemplateBytesMax);
  EXPECT_EQ(Rendered(Repeat("{{!}}", kTemplateTagsMax), ""), "");
  EXPECT_THAT(Rendered(Repeat("{{!}}", kTemplateTagsMax + 1), ""),
              HasSubstr("column 1281: more than 256 tags"));

  const auto nested = [](std::size_t depth) {
    return Repeat("{{#data}}", depth) + "x" + Repeat("{{/data}}", depth);
  };
  EXPECT_EQ(Rendered(nested(kTemplateNestingMax), R"({"a":1})"), "x");
  EXPECT_THAT(Rendered(nested(kTemplateNestingMax + 1), R"({"a":1})"),
              HasSubstr("sections are nested deeper than 8"));
}

TEST(TemplateTest, RefusesOutputThatGrowsTooLarge) {
  const auto data = [](std::size_t bytes) {
    return R"({"t":")" + std::string(bytes, 'x') + R"("})";
  };
  EXPECT_EQ(Rendered("{{data.t}}", data(kRenderedBytesMax)).size(), kRenderedBytesMax);
  EXPECT_EQ(Rendered("{{data.t}}", data(kRenderedBytesMax + 1)),
            "template: the output is longer than 10000 bytes");
  EXPECT_EQ(Rendered("{{data.t}}.", data(kRenderedBytesMax)),
            "template: the output is longer than 10000 bytes");
  EXPECT_EQ(Rendered("{{#data}}{{t}}.{{/data}}", data(kRenderedBytesMax)),
            "template: the output is longer than 10000 bytes");
}

TEST(TemplateTest, RefusesLoopsThatTakeTooLong) {
  const auto array = [](std::size_t size) { return R"({"l":[)" + Repeat("1,", size - 1) + "1]}"; };
  const std::string_view too_long = "template: rendering takes more than 65536 steps";
  EXPECT_EQ(Rendered("{{#data.l}}{{/data.l}}", array(60'000)), "");
  EXPECT_EQ(Rendered("{{#data.l}}{{/data.l}}", array(70'000)), too_long);
  EXPECT_EQ(Rendered("{{#data.l}}" + std::string(8000, ' ') + "{{/data.l}}", array(50)), too_long);
  // Each level multiplies; nothing is printed.
  EXPECT_EQ(Rendered(Repeat("{{#data.l}}", 8) + Repeat("{{/data.l}}", 8), array(100)), too_long);
  // An object with many members is not searched for nothing.
  std::string wide = R"({"l":[1,2,3,4,5,6,7,8,9],"o":{"a0":0)";
  for (int i = 1; i < 60'000; ++i) {
    wide += ",\"a" + std::to_string(i) + "\":0";
  }
  wide += "}}";
  EXPECT_EQ(Rendered("{{data.o.a1}}", wide), "0");
  EXPECT_EQ(Rendered("{{#data.l}}{{data.o.a1}}{{/data.l}}", wide), too_long);
}

// The two ways to render, with and without the library, differ in nothing else.
TEST(TemplateTest, RendersTheSameInsideASection) {
  for (const std::string_view body :
       {"{{id}} {{data.amount}}", "  {{data.customer.name}}\n\n", "{{data.gone}}", " ", "\n",
        "{{data.customer.note}}", "{{data.items}} x", "{{time}}"}) {
    const std::string plain = "|" + std::string(body) + "|";
    const std::string in_section = "|{{#id}}" + std::string(body) + "{{/id}}|";
    EXPECT_EQ(Rendered(in_section, kOrder), Rendered(plain, kOrder)) << body;
  }
}

TEST(TemplateTest, RendersRepeatedlyAndAfterAMove) {
  auto compiled = Template::Compile("{{#data.tags}}{{.}}{{/data.tags}}{{id}}");
  ASSERT_TRUE(compiled.ok());
  Template moved = std::move(compiled).value();
  EXPECT_EQ(moved.source(), "{{#data.tags}}{{.}}{{/data.tags}}{{id}}");
  const EventOf good(kOrder);
  const EventOf bad(R"({"tags":[{}]})");
  for (int i = 0; i < 3; ++i) {
    std::string text;
    ASSERT_FALSE(moved.Render(bad.get(), &text).ok());
    ASSERT_TRUE(moved.Render(good.get(), &text).ok());
    EXPECT_EQ(text, "xyevt-1");
  }
}

}  // namespace
}  // namespace alertstream::engine
