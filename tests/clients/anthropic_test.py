"""anthropic-sdk-python at /v1/messages."""

from typing import Literal

import anthropic
import pytest
from pydantic import BaseModel

GREEDY = {"temperature": 0}  # the newest models have no such thing, so the client lacks it
HELLO = [{"role": "user", "content": "Name three rivers."}]
TOOLS = [{"name": "tide", "description": "The tide in a harbour.",
          "input_schema": {"type": "object",
                           "properties": {"harbour": {"enum": ["Narvik", "Oslo"]}},
                           "required": ["harbour"], "additionalProperties": False}}]


def connect(server, key="none", **options):
    return anthropic.Anthropic(**{"base_url": server.url, "api_key": key, "max_retries": 0,
                                  "timeout": 120, **options})


@pytest.fixture(scope="module")
def client(server):
    return connect(server, _strict_response_validation=True)


def test_create(client):
    reply = client.messages.create(model="any", max_tokens=12, system="Be brief.", messages=HELLO,
                                   extra_body=GREEDY)
    assert reply.type == "message" and reply.role == "assistant" and reply.model == "any"
    assert reply.content[0].type == "text" and reply.content[0].text
    assert reply.stop_reason == "max_tokens" and reply.usage.output_tokens == 12
    counted = client.messages.count_tokens(model="any", system="Be brief.", messages=HELLO)
    assert counted.input_tokens == (reply.usage.input_tokens + reply.usage.cache_read_input_tokens)


def test_stop_sequences(client):
    ask = dict(model="any", max_tokens=30, messages=HELLO, extra_body=GREEDY)
    whole = client.messages.create(**ask).content[0].text
    stop = whole.split()[3]
    cut = client.messages.create(**ask, stop_sequences=[stop])
    assert cut.stop_reason == "stop_sequence" and cut.stop_sequence == stop
    assert cut.content[0].text == whole[:whole.index(stop)]


def test_stream(client):
    ask = dict(model="any", max_tokens=20, messages=HELLO, extra_body=GREEDY)
    whole = client.messages.create(**ask)
    with client.messages.stream(**ask) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == final.content[0].text == whole.content[0].text
    assert final.stop_reason == whole.stop_reason
    assert final.usage.output_tokens == whole.usage.output_tokens
    types = [event.type for event in client.messages.create(**ask, stream=True)]
    assert types[0] == "message_start" and types[-2:] == ["message_delta", "message_stop"]
    assert types.count("content_block_start") == types.count("content_block_stop") == 1


def test_a_turn_with_a_tool(client):
    messages = [{"role": "user", "content": "How is the tide in Narvik?"}]
    ask = dict(model="any", max_tokens=200, tools=TOOLS, extra_body=GREEDY,
               tool_choice={"type": "any", "disable_parallel_tool_use": True})
    reply = client.messages.create(**ask, messages=messages)
    call = reply.content[0]
    assert reply.stop_reason == "tool_use" and call.type == "tool_use" and call.name == "tide"
    assert call.input["harbour"] in ("Narvik", "Oslo")
    messages += [{"role": "assistant", "content": reply.content},
                 {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id,
                                               "content": [{"type": "text", "text": "high"}]}]}]
    follow = client.messages.create(model="any", max_tokens=8, tools=TOOLS, messages=messages,
                                    tool_choice={"type": "none"}, extra_body=GREEDY)
    assert follow.content[0].type == "text"


def test_a_streamed_call(client):
    with client.messages.stream(model="any", max_tokens=200, tools=TOOLS,
                                tool_choice={"type": "tool", "name": "tide"},
                                messages=HELLO) as stream:
        pieces = "".join(event.partial_json for event in stream if event.type == "input_json")
        final = stream.get_final_message()
    assert final.stop_reason == "tool_use"
    assert final.content[0].input["harbour"] in ("Narvik", "Oslo") and "harbour" in pieces


def test_a_marked_prefix_is_read_from_the_cache(client):
    system = [{"type": "text", "text": "You know about boats. " * 60,
               "cache_control": {"type": "ephemeral"}}]
    first, second = (client.messages.create(model="any", max_tokens=4, system=system, messages=[
        {"role": "user", "content": question}]) for question in ("What is a keel?", "And a mast?"))
    read = second.usage.cache_read_input_tokens
    assert read > 250 and second.usage.input_tokens < 50
    assert first.usage.input_tokens + first.usage.cache_read_input_tokens > 250


def test_the_kv_object(client):
    reply = client.messages.create(model="any", max_tokens=4, extra_body={"kv": {"spec": "snapkv"}},
                                   messages=HELLO)
    assert reply.kv["spec"].startswith("snapkv")


def test_errors(client, server, keyed_server):
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        client.messages.create(model="any", max_tokens=0, messages=HELLO)
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(model="any", max_tokens=5, messages=[{"role": "boss"}])
    assert caught.value.body["error"]["type"] == "invalid_request_error"
    with pytest.raises(anthropic.AuthenticationError) as caught:
        connect(keyed_server, "wrong-key").messages.create(model="any", max_tokens=5,
                                                           messages=HELLO)
    assert caught.value.body["type"] == "error"
    assert connect(keyed_server, "key-of-alice").messages.create(
        model="any", max_tokens=2, messages=HELLO, extra_body=GREEDY).content
    assert connect(keyed_server, None, auth_token="key-of-alice").messages.create(
        model="any", max_tokens=2, messages=HELLO, extra_body=GREEDY).content


class Answer(BaseModel):
    river: Literal["Rhine", "Nile"]


def test_parse(client):
    reply = client.messages.parse(model="any", max_tokens=50, messages=HELLO, output_format=Answer)
    assert reply.parsed_output.river in ("Rhine", "Nile")
