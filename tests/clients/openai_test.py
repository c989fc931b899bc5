"""openai-python. Replies are checked against its own types (`_strict_response_validation`)."""

import asyncio
import json
import time
from typing import Literal

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

RIVERS = [{"role": "user", "content": "Name three rivers."}]
# Two calls in the form that models write them; a grammar, as a small model cannot be relied upon.
TWO_CALLS = r'''
root ::= call "\n" tide
call ::= "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"" city "\"}}\n</tool_call>"
tide ::= "<tool_call>\n{\"name\": \"tide\", \"arguments\": {\"harbour\": \"Narvik\"}}\n</tool_call>"
city ::= "Oslo" | "Bergen"
'''


def tool(name, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties),
              "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "strict": True, "parameters": schema}}


TOOLS = [tool("weather", city={"enum": ["Oslo", "Bergen"]}),
         tool("tide", harbour={"enum": ["Stavanger", "Narvik"]})]


def connect(server, key="none", **options):
    return OpenAI(**{"base_url": server.url + "/v1", "api_key": key, "max_retries": 0,
                     "timeout": 120, **options})


@pytest.fixture(scope="module")
def client(server):
    return connect(server, _strict_response_validation=True)


@pytest.fixture(scope="module")
def lenient_client(server):
    """As programs use it. The types forbid what OpenAI sends as well: embeddings in base64, and
    null for the log-probability of a first token."""
    return connect(server)


def test_create(client):
    reply = client.chat.completions.create(model="any", messages=RIVERS, max_tokens=8, seed=1)
    choice = reply.choices[0]
    assert reply.id.startswith("chatcmpl-") and reply.object == "chat.completion"
    assert reply.model == "any" and abs(reply.created - time.time()) < 600
    assert choice.message.content and choice.message.role == "assistant"
    assert choice.finish_reason == "length" and choice.logprobs is None
    assert reply.usage.completion_tokens == 8
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + 8
    again = client.chat.completions.create(model="any", messages=RIVERS, max_completion_tokens=8,
                                           seed=1)
    assert again.choices[0].message.content == choice.message.content


def test_answers_stop_and_biases(client):
    reply = client.chat.completions.create(model="any", messages=RIVERS, max_tokens=12, n=3, seed=2)
    assert sorted(choice.index for choice in reply.choices) == [0, 1, 2]
    assert len({choice.message.content for choice in reply.choices}) > 1
    assert reply.usage.completion_tokens == 36
    whole = client.chat.completions.create(model="any", messages=RIVERS, max_tokens=40,
                                           temperature=0).choices[0].message.content
    stop = whole.split()[4]
    cut = client.chat.completions.create(model="any", messages=RIVERS, max_tokens=40, temperature=0,
                                         stop=[stop]).choices[0]
    assert cut.finish_reason == "stop"
    assert cut.message.content == whole[:whole.index(stop)]
    tokens = client.post("/tokenize", cast_to=object, body={"content": whole})["tokens"]
    other = client.chat.completions.create(model="any", messages=RIVERS, max_tokens=40,
                                           temperature=0, logit_bias={str(tokens[0]): -100})
    assert not other.choices[0].message.content.startswith(whole[:10])


def test_stream(client):
    chunks = list(client.chat.completions.create(
        model="any", messages=RIVERS, max_tokens=20, temperature=0, stream=True,
        stream_options={"include_usage": True}))
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert all(c.choices[0].delta.role is None for c in chunks[1:-1])
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 20
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert [c.choices[0].finish_reason for c in chunks[:-1]] == [None] * (len(chunks) - 2) + [
        "length"]
    text = "".join(c.choices[0].delta.content or "" for c in chunks[:-1])
    whole = client.chat.completions.create(model="any", messages=RIVERS, max_tokens=20,
                                           temperature=0)
    assert text == whole.choices[0].message.content
    without = list(client.chat.completions.create(model="any", messages=RIVERS, max_tokens=3,
                                                  stream=True))
    assert all(chunk.choices for chunk in without), "a chunk without choices nobody asked for"


def test_stream_helper_with_two_parallel_tools(client):
    with client.chat.completions.stream(
            model="any", messages=[{"role": "user", "content": "Weather and tide?"}], tools=TOOLS,
            max_tokens=200, extra_body={"grammar": TWO_CALLS}) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert final.choices[0].finish_reason == "tool_calls"
    assert [call.function.name for call in calls] == ["weather", "tide"]
    assert len({call.id for call in calls}) == 2
    assert calls[0].function.parsed_arguments["city"] in ("Oslo", "Bergen")
    assert calls[1].function.parsed_arguments == {"harbour": "Narvik"}
    done = [e for e in events if e.type == "tool_calls.function.arguments.done"]
    assert [(e.index, e.name) for e in done] == [(0, "weather"), (1, "tide")]
    assert final.choices[0].message.content in (None, "", "\n")


def test_a_turn_with_a_tool(client):
    messages = [{"role": "user", "content": "How is the tide in Narvik?"}]
    reply = client.chat.completions.create(
        model="any", messages=messages, tools=TOOLS, max_tokens=200, temperature=0,
        parallel_tool_calls=False,
        tool_choice={"type": "function", "function": {"name": "tide"}})
    message = reply.choices[0].message
    assert reply.choices[0].finish_reason == "tool_calls" and message.content is None
    assert json.loads(message.tool_calls[0].function.arguments)["harbour"]
    messages += [message.model_dump(exclude_none=True),
                 {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "high"}]
    follow = client.chat.completions.create(model="any", messages=messages, tools=TOOLS,
                                            tool_choice="none", max_tokens=10, temperature=0)
    assert follow.choices[0].message.content and not follow.choices[0].message.tool_calls


class Sight(BaseModel):  # nothing in it that a small model could write on and on
    animal: Literal["a horse", "a cow", "a goose"]
    count: Literal[1, 2, 3]
    tame: bool


def test_parse_with_a_pydantic_schema(client):
    reply = client.chat.completions.parse(
        model="any", messages=[{"role": "user", "content": "Describe what you see on the farm."}],
        response_format=Sight, max_tokens=300, temperature=0)
    assert reply.choices[0].finish_reason == "stop"
    assert isinstance(reply.choices[0].message.parsed, Sight)
    with client.chat.completions.stream(
            model="any", messages=[{"role": "user", "content": "Describe a horse."}],
            response_format=Sight, max_tokens=300, temperature=0) as stream:
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, Sight)


def test_logprobs_stream(client):
    arguments = dict(model="any", messages=RIVERS, max_tokens=15, temperature=0, logprobs=True,
                     top_logprobs=3)
    whole = client.chat.completions.create(**arguments).choices[0]
    streamed, text = [], ""
    for chunk in client.chat.completions.create(**arguments, stream=True):
        choice = chunk.choices[0]
        text += choice.delta.content or ""
        streamed += choice.logprobs.content if choice.logprobs else []
    assert "".join(token.token for token in streamed) == text == whole.message.content
    assert b"".join(bytes(token.bytes) for token in streamed).decode() == text
    assert streamed == whole.logprobs.content
    for token in streamed:
        assert len(token.top_logprobs) == 3 and token.logprob <= 0
        assert token.top_logprobs[0].token == token.token  # greedy
        assert token.top_logprobs[0].logprob == max(top.logprob for top in token.top_logprobs)


def test_embeddings_as_the_client_asks_by_default(lenient_client):
    client = lenient_client
    texts = ["Rivers run to the sea.", "A stream flows into the ocean.", "Taxes are due in April."]
    reply = client.embeddings.create(model="any", input=texts)  # base64, which it decodes
    assert [item.index for item in reply.data] == [0, 1, 2]
    assert reply.usage.prompt_tokens > 10
    floats = client.embeddings.create(model="any", input=texts, encoding_format="float")
    for a, b in zip(reply.data, floats.data):
        assert a.embedding == pytest.approx(b.embedding, abs=1e-6)
        assert sum(x * x for x in a.embedding) == pytest.approx(1, abs=1e-4)
    ids = [client.post("/tokenize", cast_to=object, body={"content": t})["tokens"] for t in texts]
    tokens = client.embeddings.create(model="any", input=ids)
    assert tokens.data[0].embedding == reply.data[0].embedding
    short = client.embeddings.create(model="any", input=texts[0], dimensions=8)
    assert len(short.data[0].embedding) == 8


def test_models_list(client):
    models = client.models.list().data
    assert len(models) == 1 and models[0].owned_by == "kvasir"
    assert client.models.retrieve(models[0].id).id == models[0].id
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-4")
    assert caught.value.code == "model_not_found"


def test_completions(lenient_client):
    client = lenient_client
    reply = client.completions.create(model="any", prompt=["One, two,", "Red, green,"],
                                      max_tokens=4, temperature=0, echo=True, logprobs=2)
    assert [choice.index for choice in reply.choices] == [0, 1]
    for choice, prompt in zip(reply.choices, ("One, two,", "Red, green,")):
        lists = choice.logprobs
        assert choice.text.startswith(prompt) and "".join(lists.tokens) == choice.text
        assert lists.token_logprobs[0] is None and all(x <= 0 for x in lists.token_logprobs[1:])
        assert [choice.text[at:at + len(token)] for at, token in
                zip(lists.text_offset, lists.tokens)] == lists.tokens
    parts = list(client.completions.create(model="any", prompt="One, two,", max_tokens=4,
                                           temperature=0, stream=True))
    assert "One, two," + "".join(p.choices[0].text for p in parts) == reply.choices[0].text


def test_the_kv_object_and_what_it_came_to(client):
    reply = client.chat.completions.create(
        model="any", max_tokens=8,
        messages=[{"role": "user", "content": "Count the sheep. " * 40}],
        extra_body={"kv": {"spec": "streaming", "budget": 64}})
    assert reply.kv["spec"].startswith("streaming") and "64" in reply.kv["spec"]
    assert 0 < reply.kv["entries"] < reply.kv["entries_full"]
    with pytest.raises(openai.BadRequestError, match="streaming") as caught:
        client.chat.completions.create(model="any", messages=RIVERS,
                                       extra_body={"kv": {"spec": "streming"}})
    assert caught.value.param == "kv.spec"


def test_an_agent_sends_its_whole_history_each_turn(client):
    """As Continue, OpenCode and Cline do: long system prompt, tools, every turn again."""
    messages = [{"role": "system", "content": "You help with code. " * 60},
                {"role": "user", "content": "List the files."}]
    read = []
    for turn in range(3):
        reply = client.chat.completions.create(model="any", messages=messages, tools=TOOLS,
                                               tool_choice="none", max_tokens=8, temperature=0)
        details = reply.usage.prompt_tokens_details
        read.append((reply.usage.prompt_tokens, details.cached_tokens))
        messages += [{"role": "assistant", "content": reply.choices[0].message.content},
                     {"role": "user", "content": f"And then? {turn}"}]
    for prompt, cached in read[1:]:
        assert cached > 0.8 * prompt, read


def first_text(stream):
    """Reads until the answer has begun: the request then has its slot."""
    return next(text for chunk in stream if (text := chunk.choices[0].delta.content))


def test_a_stream_that_is_left_is_canceled(client, server):
    before = server.metric("kvasir_requests_canceled_total")
    stream = client.chat.completions.create(model="any", messages=RIVERS, max_tokens=4000,
                                            stream=True, extra_body={"ignore_eos": True})
    first_text(stream)
    server.await_metric("kvasir_requests_running", 1)
    stream.close()
    server.await_metric("kvasir_requests_running", 0)
    assert server.metric("kvasir_requests_canceled_total") == before + 1


def test_400(client):
    for wrong in ({"temperature": "hot"}, {"messages": []}, {"messages": [{"content": "no role"}]},
                  {"response_format": {"type": "xml"}}):
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(**{"model": "any", "messages": RIVERS, **wrong})
        assert caught.value.type == "invalid_request_error"
        assert next(iter(wrong)) in str(caught.value)
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="any",
                                       messages=[{"role": "user", "content": "far " * 9000}])
    assert caught.value.code == "context_length_exceeded"


def test_401(keyed_server):
    with pytest.raises(openai.AuthenticationError) as caught:
        connect(keyed_server, "wrong-key").chat.completions.create(model="any", messages=RIVERS)
    assert caught.value.code == "invalid_api_key"
    assert connect(keyed_server, "wrong-key").models.list().data  # public
    reply = connect(keyed_server, "key-of-alice").chat.completions.create(
        model="any", messages=RIVERS, max_tokens=2)
    assert reply.usage.completion_tokens == 2


def test_429_of_a_key_and_of_the_queue(keyed_server):
    bob, alice = connect(keyed_server, "key-of-bob"), connect(keyed_server, "key-of-alice")
    stream = bob.chat.completions.create(model="any", messages=RIVERS, max_tokens=4000, stream=True,
                                         extra_body={"ignore_eos": True})
    first_text(stream)
    for client, code in ((bob, "quota_exceeded"), (alice, "queue_full")):
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model="any", messages=RIVERS, max_tokens=2)
        assert caught.value.code == code
        assert int(caught.value.response.headers["Retry-After"]) >= 1
    stream.close()
    # The client waits for as long as Retry-After says, and then it is served.
    patient = connect(keyed_server, "key-of-alice", max_retries=3)
    assert patient.chat.completions.create(model="any", messages=RIVERS, max_tokens=2).choices


def test_429_of_tokens_a_minute(keyed_server):
    carol = connect(keyed_server, "key-of-carol")
    carol.chat.completions.create(model="any", messages=RIVERS, max_tokens=30)
    with pytest.raises(openai.RateLimitError, match="40 tokens a minute"):
        carol.chat.completions.create(model="any", messages=RIVERS, max_tokens=2)


def test_an_async_client(server):
    async def ask(client, seed):
        reply = await client.chat.completions.create(model="any", messages=RIVERS, max_tokens=6,
                                                     seed=seed)
        return reply.choices[0].message.content

    async def ask_all():
        async with openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="none",
                                      timeout=120) as client:
            return await asyncio.gather(*(ask(client, seed) for seed in range(8)))

    together = asyncio.run(ask_all())
    client = connect(server)
    alone = [client.chat.completions.create(model="any", messages=RIVERS, max_tokens=6, seed=seed)
             .choices[0].message.content for seed in range(8)]
    assert together == alone
