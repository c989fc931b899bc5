"""The kinds of request of the soak. Each is a coroutine that fails with Wrong where something that
must not be served was served; being told to come later (429, 503) is right."""

import asyncio
import json
import random

from http_client import Connection, request

WORDS = ("river stone light house green water night paper garden window little music story "
         "morning silver road mountain letter kitchen winter friend market").split()
SPECS = ["full", "snapkv:budget=64,window=16", "streaming:budget=100", "h2o:budget=80",
         "renumber + streaming:budget=90", "kivi:bits=4,residual=32", "q8:window=0",
         "decode:every=16 + tova:budget=64", "knorm:budget=50% + q4:window=0"]
SCHEMA = {"type": "object", "additionalProperties": False, "required": ["name", "count"],
          "properties": {"name": {"type": "string", "maxLength": 8},
                         "count": {"type": "integer", "minimum": 0, "maximum": 99}}}
TOOLS = [{"type": "function", "function": {
    "name": "add", "description": "Adds two numbers.",
    "parameters": {"type": "object", "additionalProperties": False, "required": ["a", "b"],
                   "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 9},
                                  "b": {"type": "integer", "minimum": 0, "maximum": 9}}}}}]
LATER = (429, 503)


class Wrong(Exception):
    pass


def check(condition, *told):
    if not condition:
        raise Wrong(" ".join(str(part) for part in told)[:600])


def text(chance, low, high):
    return " ".join(chance.choice(WORDS) for _ in range(chance.randint(low, high)))


def chat(chance, **more):
    return {"messages": [{"role": "user", "content": text(chance, 5, 250)}],
            "max_tokens": chance.randint(1, 60), "temperature": chance.choice([0, 1]),
            "kv": {"spec": chance.choice(SPECS)}, **more}


async def post(port, path, body):
    """The reply; None: later."""
    reply = await request(port, "POST", path, body)
    if reply.status in LATER:
        check("retry-after" in reply.headers or reply.status == 503, "429 without Retry-After")
        check("error" in reply.json(), reply.body)
        return None
    check(reply.status == 200, path, reply.status, reply.body, json.dumps(body)[:200])
    return reply.json()


async def read_stream(connection):
    """The events before [DONE]; None: later, or it ended with such an error."""
    await connection.head()
    if connection.status in LATER:
        return None
    check(connection.status == 200, "stream", connection.status)
    chunks = []
    async for data in connection.events():
        if data == "[DONE]":
            return chunks
        chunk = json.loads(data)
        if "error" in chunk:
            check(chunk["error"].get("code") in ("kv_memory_busy", "shutting_down"), data)
            return None
        chunks.append(chunk)
    raise Wrong("a stream without an end")


async def streamed(port, chance):
    connection = Connection(port)
    body = chat(chance, stream=True, stream_options={"include_usage": True}, return_tokens=True,
                return_progress=chance.random() < 0.5, timings_per_token=chance.random() < 0.5)
    await connection.send("POST", "/v1/chat/completions", body)
    chunks = await read_stream(connection)
    connection.go()
    if chunks is None:
        return
    check(chunks[-1]["choices"] == [] and chunks[-1]["usage"], chunks[-1])
    check(chunks[-2]["choices"][0]["finish_reason"] in ("stop", "length"), chunks[-2])
    n_made = chunks[-1]["usage"]["completion_tokens"]
    check(n_made <= body["max_tokens"], chunks[-1])
    n_told = sum(len(chunk["choices"][0].get("tokens", [])) for chunk in chunks[:-1])
    check(n_told == n_made, n_told, n_made)


async def canceled(port, chance):
    connection = Connection(port)
    body = chat(chance, stream=chance.random() < 0.7, ignore_eos=True)
    body["max_tokens"] = 300
    await connection.send("POST", "/v1/chat/completions", body)
    if body["stream"] and chance.random() < 0.7:
        await connection.head()
        seen = 0
        async for _ in connection.events():
            seen += 1
            if seen > chance.randint(1, 12):
                break
    else:
        await asyncio.sleep(chance.random() * 0.3)
    connection.go(reset=chance.random() < 0.5)


async def whole(port, chance):
    body = {"prompt": text(chance, 3, 200), "max_tokens": chance.randint(1, 40),
            "temperature": 1, "seed": chance.randint(0, 9), "n": chance.choice([1, 1, 2]),
            "return_tokens": True, "kv": {"spec": chance.choice(SPECS)}}
    reply = await post(port, "/v1/completions", body)
    if reply:
        check(len(reply["choices"]) == body["n"], reply)
        n_told = sum(len(choice["tokens"]) for choice in reply["choices"])
        check(n_told == reply["usage"]["completion_tokens"], n_told, reply["usage"])


async def as_json(port, chance):
    body = chat(chance, response_format={"type": "json_schema",
                                         "json_schema": {"name": "s", "schema": SCHEMA}})
    body["max_tokens"] = 60
    reply = await post(port, "/v1/chat/completions", body)
    if reply and reply["choices"][0]["finish_reason"] == "stop":
        value = json.loads(reply["choices"][0]["message"]["content"])
        check(set(value) == {"name", "count"} and 0 <= value["count"] <= 99, value)


async def with_tools(port, chance):
    body = chat(chance, tools=TOOLS, tool_choice="required", parallel_tool_calls=False)
    body["max_tokens"] = 80
    reply = await post(port, "/v1/chat/completions", body)
    if reply and reply["choices"][0]["finish_reason"] == "tool_calls":
        call = reply["choices"][0]["message"]["tool_calls"][0]["function"]
        check(call["name"] == "add" and set(json.loads(call["arguments"])) == {"a", "b"}, call)


async def conversation(port, chance):
    messages, session = [], str(chance.random())
    spec = chance.choice(SPECS)
    for _ in range(chance.randint(2, 4)):
        messages.append({"role": "user", "content": text(chance, 3, 60)})
        reply = await post(port, "/v1/chat/completions", {
            "messages": messages, "max_tokens": 24, "temperature": 0,
            "prompt_cache_key": chance.choice(["a", "b", None]),
            "kv": {"spec": spec, "session": session, "ttl_s": chance.choice([1, 30])}})
        if reply is None:
            return
        messages.append({"role": "assistant",
                         "content": reply["choices"][0]["message"]["content"]})


async def others(port, chance):
    if chance.random() < 0.4:
        await post(port, "/v1/embeddings", {"input": [text(chance, 3, 40)]})
    elif chance.random() < 0.5:
        reply = await post(port, "/tokenize", {"content": text(chance, 1, 300)})
        check(reply and reply["count"] > 0, reply)
    else:
        reply = await request(port, "GET", chance.choice(["/metrics", "/slots", "/health", "/",
                                                          "/v1/models", "/v1/kv/methods"]))
        check(reply.status == 200, reply.status)


async def malformed(port, chance):
    body = chance.choice([b"{", b"[]", b'{"messages": 3}', b'{"messages": []}', b"\xff\xfe",
                          b'{"messages":[{"role":"user","content":"x"}],"kv":{"spec":"snapkvv"}}',
                          b'{"messages":[{"role":"user","content":"x"}],"max_tokens":"many"}'])
    reply = await request(port, "POST", "/v1/chat/completions", body)
    check(reply.status in (400, *LATER) and "error" in reply.json(), reply.status, reply.body)


# With how often each comes.
KINDS = [(streamed, 5), (canceled, 4), (whole, 4), (as_json, 2), (with_tools, 2),
         (conversation, 2), (others, 3), (malformed, 1)]


class Probes:
    """Requests whose answers do not depend on company, memory or what came before: recorded alone,
    then asked again under load."""

    def __init__(self, chance):
        self.bodies = [{"prompt": text(chance, 40, 150), "max_tokens": 30, "temperature": 0.7,
                        "seed": i, "ignore_eos": True, "cache_prompt": False,
                        "kv": {"spec": spec}} for i, spec in enumerate(SPECS)]
        self.expected = []
        self.asked = 0

    async def record(self, port):
        for body in self.bodies:
            reply = await post(port, "/v1/completions", body)
            check(reply is not None, "no answer to an idle server's first requests")
            self.expected.append(reply["choices"][0]["text"])

    async def ask(self, port, chance):
        i = chance.randrange(len(self.bodies))
        reply = await post(port, "/v1/completions", self.bodies[i])
        if reply is None or any("memory" in warning for warning in reply["kv"]["warnings"]):
            return  # cut short, and it says so
        self.asked += 1
        check(reply["choices"][0]["text"] == self.expected[i], self.bodies[i]["kv"],
              reply["choices"][0]["text"], "instead of", self.expected[i])


def kind(chance):
    return chance.choices([k for k, _ in KINDS], [n for _, n in KINDS])[0]


def made(seed):
    return random.Random(seed)
