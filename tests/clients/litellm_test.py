"""LiteLLM with its providers openai/, text-completion-openai/ and anthropic/."""

import asyncio
import json
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks the network for a price list

import litellm  # noqa: E402
import pytest  # noqa: E402

RIVERS = [{"role": "user", "content": "Name three rivers."}]
TOOL = {"type": "function", "function": {
    "name": "tide", "parameters": {"type": "object", "required": ["harbour"],
                                   "properties": {"harbour": {"enum": ["Narvik", "Oslo"]}},
                                   "additionalProperties": False}}}


@pytest.fixture
def openai_way(server):
    return dict(model="openai/any", api_base=server.url + "/v1", api_key="none", num_retries=0,
                timeout=120)


def test_completion(openai_way):
    reply = litellm.completion(**openai_way, messages=RIVERS, max_tokens=10, temperature=0)
    assert reply.choices[0].message.content and reply.usage.completion_tokens == 10
    parts = litellm.completion(**openai_way, messages=RIVERS, max_tokens=10, temperature=0,
                               stream=True)
    text = "".join(part.choices[0].delta.content or "" for part in parts)
    assert text == reply.choices[0].message.content


def test_async_completion(openai_way):
    async def ask():
        return await asyncio.gather(*(
            litellm.acompletion(**openai_way, messages=RIVERS, max_tokens=5, temperature=0)
            for _ in range(3)))

    assert all(reply.choices[0].message.content for reply in asyncio.run(ask()))


def test_tools(openai_way):
    reply = litellm.completion(**openai_way, messages=RIVERS, tools=[TOOL], tool_choice="required",
                               max_tokens=100, parallel_tool_calls=False)
    assert reply.choices[0].finish_reason == "tool_calls"
    assert reply.choices[0].message.tool_calls[0].function.name == "tide"


def test_structured_output_and_kv(openai_way):
    schema = {"type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"],
              "additionalProperties": False}
    reply = litellm.completion(
        **openai_way, messages=RIVERS, max_tokens=30,
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
        extra_body={"kv": {"spec": "snapkv"}})
    assert json.loads(reply.choices[0].message.content)["sure"] in (True, False)


def test_text_completion(server):
    reply = litellm.text_completion(model="text-completion-openai/any", prompt="One, two,",
                                    api_base=server.url + "/v1", api_key="none", max_tokens=4,
                                    temperature=0)
    assert reply.choices[0].text


def test_embedding(openai_way):
    reply = litellm.embedding(**openai_way, input=["A river.", "A tax."])
    assert len(reply.data[0]["embedding"]) == 576


def test_anthropic_provider(server):
    reply = litellm.completion(model="anthropic/any", api_base=server.url, api_key="none",
                               messages=RIVERS, max_tokens=10, temperature=0)
    assert reply.choices[0].message.content and reply.usage.completion_tokens == 10


def test_errors_are_of_the_right_class(openai_way, keyed_server):
    with pytest.raises(litellm.BadRequestError):
        litellm.completion(**openai_way, messages=RIVERS, temperature=1000)
    with pytest.raises(litellm.ContextWindowExceededError):
        litellm.completion(**openai_way, messages=[{"role": "user", "content": "far " * 9000}])
    with pytest.raises(litellm.AuthenticationError):
        litellm.completion(model="openai/any", api_base=keyed_server.url + "/v1", api_key="wrong",
                           messages=RIVERS, num_retries=0)
