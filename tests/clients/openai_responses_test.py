"""openai-python at /v1/responses."""

import json
from typing import Literal

import pytest
from openai import BadRequestError, OpenAI, pydantic_function_tool
from pydantic import BaseModel


class Tide(BaseModel):
    """The tide in a harbour."""
    harbour: Literal["Narvik", "Oslo"]


class Answer(BaseModel):
    river: Literal["Rhine", "Nile"]


TOOL = {"type": "function", "name": "Tide", "strict": True, "parameters":
        pydantic_function_tool(Tide)["function"]["parameters"]}
ASK = dict(model="any", input="Name three rivers.", max_output_tokens=30, temperature=0)


@pytest.fixture(scope="module")
def client(server):
    return OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0, timeout=120,
                  _strict_response_validation=True)


def test_create_and_stream(client):
    whole = client.responses.create(**ASK, instructions="Be brief.")
    assert whole.output_text and whole.status in ("completed", "incomplete")
    assert whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens
    with client.responses.stream(**ASK, instructions="Be brief.") as stream:
        text = "".join(e.delta for e in stream if e.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert text == final.output_text == whole.output_text
    counted = client.responses.input_tokens.count(model="any", input=ASK["input"],
                                                  instructions="Be brief.")
    assert counted.input_tokens == whole.usage.input_tokens


def test_parse(client):
    reply = client.responses.parse(**ASK, text_format=Answer)
    assert reply.output_parsed.river in ("Rhine", "Nile")


def test_a_turn_with_a_function(client):
    items = [{"role": "user", "content": "How is the tide in Narvik?"}]
    reply = client.responses.create(model="any", input=items, tools=[TOOL], tool_choice="required",
                                    parallel_tool_calls=False)
    call = reply.output[0]
    assert call.type == "function_call" and call.name == "Tide" and reply.output_text == ""
    assert json.loads(call.arguments)["harbour"] in ("Narvik", "Oslo")
    items += [item.model_dump(exclude_none=True) for item in reply.output]
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": "high"})
    follow = client.responses.create(model="any", input=items, tools=[TOOL], tool_choice="none",
                                     max_output_tokens=10, temperature=0)
    assert follow.output_text
    with client.responses.stream(model="any", input=items[:1], tools=[TOOL],
                                 tool_choice={"type": "function", "name": "Tide"}) as stream:
        arguments = "".join(event.delta for event in stream
                            if event.type == "response.function_call_arguments.delta")
        final = stream.get_final_response()
    assert final.output[0].arguments == arguments
    assert final.output[0].parsed_arguments["harbour"] in ("Narvik", "Oslo")


def test_what_is_not_there_is_said(client):
    for wrong in ({"tools": [{"type": "web_search"}]}, {"previous_response_id": "resp_1"},
                  {"background": True}):
        with pytest.raises(BadRequestError) as caught:
            client.responses.create(**ASK, **wrong)
        assert caught.value.param.startswith(next(iter(wrong)))
