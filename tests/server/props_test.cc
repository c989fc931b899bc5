// What /props says of the model's chat template.
#include <gmock/gmock.h>

#include "tests/server/server_test_util.h"

namespace kvasir::testing_ {
namespace {

class PropsTest : public ServerTest {
 protected:
  // The tiny model with another template.
  Json CapsOf(const std::string& chat_template) {
    StartWith(chat_template);
    return Get(port(), "/props").json()["chat_template_caps"];
  }
};

TEST_F(PropsTest, CapsAreWhatTheTemplateMakesOfAConversation) {
  Start();
  // ChatML without tools, whose calls are lost.
  EXPECT_EQ(Get(port(), "/props").json()["chat_template_caps"],
            (Json{{"supports_system_role", true},
                  {"supports_tools", false},
                  {"supports_tool_calls", false},
                  {"supports_parallel_tool_calls", false},
                  {"supports_tool_responses", true},
                  {"supports_preserve_reasoning", false}}));
  EXPECT_EQ(CapsOf("{% for t in tools or [] %}{{ t.function.name }} {% endfor %}"
                   "{% for m in messages %}{{ m.role }}: {{ m.content }}"
                   "{% if m.tool_calls %}{% for c in m.tool_calls %} {{ c.function.name }}"
                   "{% endfor %}{% endif %}{{ m.reasoning_content }}\n{% endfor %}"),
            (Json{{"supports_system_role", true},
                  {"supports_tools", true},
                  {"supports_tool_calls", true},
                  {"supports_parallel_tool_calls", true},
                  {"supports_tool_responses", true},
                  {"supports_preserve_reasoning", true}}));
  // One call a message, no system, and a tool's answer is refused.
  EXPECT_EQ(CapsOf("{% for m in messages %}{% if m.role in ['system', 'tool'] %}"
                   "{{ raise_exception('no') }}{% endif %}{{ m.content }}"
                   "{% if m.tool_calls %}{{ m.tool_calls[0].function.name }}{% endif %}"
                   "{% endfor %}"),
            (Json{{"supports_system_role", false},
                  {"supports_tools", false},
                  {"supports_tool_calls", true},
                  {"supports_parallel_tool_calls", false},
                  {"supports_tool_responses", false},
                  {"supports_preserve_reasoning", false}}));
}

}  // namespace
}  // namespace kvasir::testing_
