"""A relay between a client and the server that keeps what both said.

Clients are libraries, so a test cannot print what they sent; the relay can. It copies bytes and
closes when either side does, so streams and departures are what they would be without it.
"""

import socket
import threading
import time

KEPT = 6000  # bytes of each direction of a connection that a report shows, from the end


class Conversation:
    """What went over one connection."""

    def __init__(self):
        self.sent = bytearray()
        self.received = bytearray()
        self.last = time.monotonic()


class Relay:
    def __init__(self, port):
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._conversations = []
        threading.Thread(target=self._accept, daemon=True).start()

    def forget(self):
        """What was said until now belongs to another test."""
        for conversation in list(self._conversations):
            conversation.sent.clear()
            conversation.received.clear()
        self._conversations = self._conversations[-50:]

    def report(self):
        """Requests and replies since `forget`, the latest connection last."""
        parts = []
        for conversation in sorted(self._conversations, key=lambda c: c.last):
            if conversation.sent:
                parts += ["---- request", _tail(conversation.sent),
                          "---- reply", _tail(conversation.received)]
        return "\n".join(parts)

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            conversation = Conversation()
            self._conversations.append(conversation)
            for source, sink, copy in ((client, server, conversation.sent),
                                       (server, client, conversation.received)):
                threading.Thread(target=_copy, args=(source, sink, copy, conversation),
                                 daemon=True).start()


def _copy(source, sink, copy, conversation):
    try:
        while data := source.recv(1 << 16):
            copy += data
            conversation.last = time.monotonic()
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        end.close()


def _tail(data):
    text = bytes(data[-KEPT:]).decode("utf-8", "replace")
    return text if len(data) <= KEPT else f"... {len(data) - KEPT} bytes left out\n{text}"
