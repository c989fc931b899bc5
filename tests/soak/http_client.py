"""HTTP/1.1 on asyncio, with the right to go at any moment."""

import asyncio
import json


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Connection:
    """One request: send, then whole() or blocks(); go() leaves in the midst of it."""

    def __init__(self, port):
        self.port = port
        self.reader = self.writer = None
        self.status, self.headers = 0, {}

    async def send(self, method, path, body=None, headers=()):
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        head = [f"{method} {path} HTTP/1.1", "Host: soak", "Connection: close",
                "Content-Type: application/json", f"Content-Length: {len(data)}",
                *(f"{name}: {value}" for name, value in headers)]
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port,
                                                                 limit=1 << 24)
        self.writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + data)
        await self.writer.drain()

    async def head(self):
        line = await self.reader.readline()
        if not line:
            raise ConnectionError("closed without a reply")
        self.status = int(line.split()[1])
        while (line := await self.reader.readline()).strip():
            name, _, value = line.decode("latin-1").partition(":")
            self.headers[name.lower()] = value.strip()

    async def blocks(self):
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(await self.reader.readline(), 16):
                yield await self.reader.readexactly(size)
                await self.reader.readline()
        elif length := int(self.headers.get("content-length", 0)):
            yield await self.reader.readexactly(length)

    async def whole(self):
        await self.head()
        body = b"".join([block async for block in self.blocks()])
        self.go()
        return Reply(self.status, self.headers, body)

    async def events(self):
        """The data of each event of a stream."""
        pending = b""
        async for block in self.blocks():
            *events, pending = (pending + block).split(b"\n\n")
            for event in events:
                if event.startswith(b"data: "):
                    yield event[6:].decode()

    def go(self, reset=False):
        if self.writer is None:
            return
        if reset:
            self.writer.transport.abort()
        else:
            self.writer.close()
        self.writer = None


async def request(port, method, path, body=None, headers=()):
    connection = Connection(port)
    await connection.send(method, path, body, headers)
    return await connection.whole()
