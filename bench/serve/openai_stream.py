"""One streamed request to any server that speaks OpenAI's HTTP interface, with the time of each piece.

Only asyncio: a library's own work between two tokens would be measured with the server's.
"""

import asyncio
import dataclasses
import json
import time


@dataclasses.dataclass
class Outcome:
    due: float  # when it was to be sent; waiting for our own turn counts as the server's time
    pieces: list = dataclasses.field(default_factory=list)  # times at which text came
    end: float = 0.0
    status: int = 0  # of HTTP; 0: no reply
    error: str = ""
    n_prompt: int = 0  # tokens, as far as the server tells
    n_generated: int = 0

    @property
    def ok(self):
        return self.status == 200 and not self.error and bool(self.pieces)

    @property
    def first(self):
        return self.pieces[0]

    @property
    def ttft(self):
        return self.pieces[0] - self.due

    @property
    def e2e(self):
        return self.end - self.due

    @property
    def tpot(self):
        """Mean time between two tokens; None: there were no two."""
        n = self.n_generated - 1
        return (self.pieces[-1] - self.pieces[0]) / n if n > 0 and len(self.pieces) > 1 else None


class Server:
    def __init__(self, host, port, base, api_key="", timeout=600.0):
        self.host, self.port, self.base = host, port, base.rstrip("/")
        self.timeout = timeout
        self.auth = f"Authorization: Bearer {api_key}\r\n" if api_key else ""

    async def stream(self, path, body, due):
        outcome = Outcome(due=due)
        try:
            async with asyncio.timeout(self.timeout):
                await self._exchange(path, body, outcome)
        except (OSError, ValueError, asyncio.IncompleteReadError, TimeoutError) as error:
            outcome.error = f"{type(error).__name__}: {error}"
        outcome.end = time.perf_counter()
        return outcome

    async def _exchange(self, path, body, outcome):
        data = json.dumps(body).encode()
        head = (f"POST {self.base}{path} HTTP/1.1\r\nHost: {self.host}\r\n{self.auth}"
                f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
                "Connection: close\r\n\r\n")
        reader, writer = await asyncio.open_connection(self.host, self.port, limit=1 << 22)
        try:
            writer.write(head.encode() + data)
            await writer.drain()
            outcome.status = int((await reader.readline()).split()[1])
            headers = await _read_headers(reader)
            if outcome.status != 200:
                outcome.error = (await _whole(reader, headers)).decode(errors="replace")[:500]
                return
            pending = b""
            async for block in _blocks(reader, headers):
                *events, pending = (pending + block).replace(b"\r\n", b"\n").split(b"\n\n")
                for event in events:
                    _take_event(event, outcome)
        finally:
            writer.close()
        outcome.n_generated = outcome.n_generated or len(outcome.pieces)
        if not outcome.pieces and not outcome.error:
            outcome.error = "the stream held no text"


async def _read_headers(reader):
    headers = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return headers


async def _blocks(reader, headers):
    """The body as it comes."""
    if headers.get("transfer-encoding", "").lower() != "chunked":
        while block := await reader.read(1 << 16):
            yield block
        return
    while size := int((await reader.readline()).split(b";")[0], 16):
        yield await reader.readexactly(size)
        await reader.readline()


async def _whole(reader, headers):
    return b"".join([block async for block in _blocks(reader, headers)])


def _take_event(event, outcome):
    now = time.perf_counter()
    lines = [line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:")]
    data = b"\n".join(lines)
    if not data or data == b"[DONE]":
        return
    message = json.loads(data)
    if "error" in message:
        outcome.error = json.dumps(message["error"])[:500]
        return
    if usage := message.get("usage"):
        outcome.n_prompt = usage.get("prompt_tokens", 0)
        outcome.n_generated = usage.get("completion_tokens", 0)
    for choice in message.get("choices", []):
        if choice.get("text") or choice.get("delta", {}).get("content"):
            outcome.pieces.append(now)
            return
