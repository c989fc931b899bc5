"""langchain-openai: ChatOpenAI and OpenAIEmbeddings."""

from typing import Literal

import pytest
import tiktoken
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, Field


@tool
def tide(harbour: Literal["Narvik", "Oslo"]) -> str:
    """The tide in a harbour."""
    return f"high in {harbour}"


class Sight(BaseModel):
    """An animal that is seen."""
    animal: Literal["horse", "goose"] = Field(description="which animal")
    count: Literal[1, 2, 3]


@pytest.fixture(scope="module")
def chat(server):
    return ChatOpenAI(model="any", base_url=server.url + "/v1", api_key="none", temperature=0,
                      max_tokens=60, max_retries=0, timeout=120)


def test_invoke(chat):
    reply = chat.invoke([SystemMessage("Be brief."), HumanMessage("Name three rivers.")])
    assert reply.content and reply.usage_metadata["output_tokens"] > 0
    assert reply.response_metadata["finish_reason"] in ("stop", "length")


def test_batch(chat):
    replies = chat.batch(["Name a river.", "Name a hill.", "Name a lake."])
    assert all(reply.content for reply in replies)


def test_stream_with_usage(server, chat):
    streaming = chat.model_copy(update={"stream_usage": True})
    chunks = list(streaming.stream("Name three rivers."))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert whole.content == chat.invoke("Name three rivers.").content
    assert whole.usage_metadata["output_tokens"] > 0
    assert sum(chunk.usage_metadata is not None for chunk in chunks) == 1


def test_bind_tools(chat):
    bound = chat.bind_tools([tide], tool_choice="any", parallel_tool_calls=False)
    question = HumanMessage("How is the tide in Narvik?")
    reply = bound.invoke([question])
    assert [call["name"] for call in reply.tool_calls] == ["tide"]
    result = tide.invoke(reply.tool_calls[0])
    assert isinstance(result, ToolMessage) and result.content.startswith("high in")
    assert chat.invoke([question, reply, result]).content
    whole = None
    for chunk in bound.stream([question]):
        whole = chunk if whole is None else whole + chunk
    assert whole.tool_calls[0]["args"] == reply.tool_calls[0]["args"]


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output(chat, method):
    sight = chat.with_structured_output(Sight, method=method).invoke("What is on the farm?")
    assert isinstance(sight, Sight)


def test_the_kv_object(server):
    chat = ChatOpenAI(model="any", base_url=server.url + "/v1", api_key="none", max_tokens=4,
                      extra_body={"kv": {"spec": "h2o", "budget": 0.5}}, max_retries=0)
    with pytest.raises(Exception, match="kv.budget"):
        chat.invoke("Hello")
    chat = chat.model_copy(update={"extra_body": {"kv": {"spec": "h2o", "budget": "50%"}}})
    assert chat.invoke("Hello").content


def test_responses_api(server):
    chat = ChatOpenAI(model="any", base_url=server.url + "/v1", api_key="none", max_tokens=100,
                      use_responses_api=True, temperature=0, max_retries=0, timeout=120)
    reply = chat.invoke("Name three rivers.")
    assert reply.text and reply.usage_metadata["output_tokens"] > 0
    assert "".join(chunk.text for chunk in chat.stream("Name three rivers.")) == reply.text
    bound = chat.bind_tools([tide], tool_choice="any")
    assert bound.invoke("How is the tide in Narvik?").tool_calls[0]["name"] == "tide"


def embed(server, **options):
    return OpenAIEmbeddings(model="any", base_url=server.url + "/v1", api_key="none",
                            max_retries=0, **options).embed_documents(["A river.", "A tax."])


def test_embeddings_of_texts(server):
    river, tax = embed(server, check_embedding_ctx_length=False)
    assert len(river) == len(tax) == 576 and river != tax


def test_embeddings_of_tokens_which_is_the_default(server, monkeypatch):
    """The table of its tokenizer is a download; a vocabulary of bytes stands in for it. The
    numbers mean something else to our model: the form counts."""
    simple = tiktoken.Encoding("bytes", pat_str=r"\S+|\s+", special_tokens={},
                               mergeable_ranks={bytes([b]): b for b in range(256)})
    monkeypatch.setattr(tiktoken, "encoding_for_model", lambda name: simple)
    vectors = embed(server)
    assert [len(vector) for vector in vectors] == [576, 576] and vectors[0] != vectors[1]
