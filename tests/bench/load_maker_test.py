#!/usr/bin/env python3
"""bench/serve's figures by hand-worked numbers, and its client against a server of a few lines."""

import asyncio
import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench" / "serve"))

import figures  # noqa: E402
import load  # noqa: E402
from openai_stream import Outcome, Server  # noqa: E402
from prompts import prompt  # noqa: E402


def outcome(due, *pieces, end=None, status=200):
    return Outcome(due=due, pieces=list(pieces), end=end or pieces[-1], status=status,
                   n_prompt=10, n_generated=len(pieces))


class FiguresTest(unittest.TestCase):
    def test_percentiles_lie_between_neighbours(self):
        self.assertEqual(figures.percentile([3, 1, 2], 0.5), 2)
        self.assertAlmostEqual(figures.percentile([0, 10], 0.95), 9.5)
        self.assertIsNone(figures.percentile([], 0.5))

    def test_decode_counts_only_while_all_decode(self):
        # From 2 to 4 both decode: three tokens of the first, two of the second come after 2.
        both = [outcome(0, 1.0, 2.5, 3.0, 4.0), outcome(0, 2.0, 3.0, 4.0, 5.0, 6.0)]
        rate, seconds = figures.decode_rate(both, 2)
        self.assertAlmostEqual(seconds, 2.0)
        self.assertAlmostEqual(rate, 5 / 2.0)
        rate, seconds = figures.decode_rate(both, 1)
        self.assertAlmostEqual(seconds, 5.0)
        self.assertAlmostEqual(rate, 7 / 5.0)

    def test_goodput_counts_what_failed(self):
        slo = {"ttft": 1.0, "tpot": 0.5, "e2e": None}
        outcomes = [outcome(0, 1.0, 1.5), outcome(0, 1.1, 1.2), outcome(0, 0.5, 1.5),
                    Outcome(due=0, end=3.0, status=429, error="full")]
        found = figures.summary(outcomes, 1, slo)
        self.assertEqual(found["goodput"], 0.25)  # late, slow and refused ones are no good
        self.assertEqual(found["failed"], 1)
        self.assertEqual(found["statuses"], {"200": 3, "429": 1})
        self.assertIn("25.0 %", figures.text(found))

    def test_prompts_share_what_is_asked_and_no_more(self):
        a, b = prompt(50, 1, shared=20).split(), prompt(50, 2, shared=20).split()
        self.assertEqual(len(a), 50)
        self.assertEqual(a[:20], b[:20])
        self.assertNotEqual(a[20:], b[20:])


class ClientTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.server = await asyncio.start_server(self.reply, "127.0.0.1", 0)
        self.addAsyncCleanup(self.server.wait_closed)
        self.addCleanup(self.server.close)
        self.port = self.server.sockets[0].getsockname()[1]
        self.n_open = self.most_open = 0

    async def reply(self, reader, writer):
        self.n_open += 1
        self.most_open = max(self.most_open, self.n_open)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().split("content-length:")[1].split()[0])
        body = json.loads(await reader.readexactly(length))
        if body["prompt"] == "refuse":
            writer.write(b"HTTP/1.1 429 Too Many\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfull")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            text = b"".join(b"data: %s\r\n\r\n" % json.dumps(event).encode() for event in (
                {"choices": [{"text": ""}]}, {"choices": [{"text": "a"}]},
                {"choices": [{"text": "b"}]},
                {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}))
            text += b"data: [DONE]\r\n\r\n"
            for part in (text[:33], text[33:90], text[90:]):  # chunks end in the midst of events
                writer.write(b"%x\r\n%s\r\n" % (len(part), part))
                await writer.drain()
                await asyncio.sleep(0.01)
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        self.n_open -= 1
        writer.close()

    def ask(self):
        server = Server("127.0.0.1", self.port, "/v1")
        return lambda body, due: server.stream("/completions", body, due)

    async def test_a_stream_is_read_whatever_its_chunks(self):
        outcomes = await load.closed_loop(self.ask(), [{"prompt": "x"}] * 5, 2)
        self.assertEqual(self.most_open, 2)
        self.assertEqual([(o.ok, len(o.pieces), o.n_prompt, o.n_generated) for o in outcomes],
                         [(True, 2, 7, 3)] * 5)

    async def test_a_refusal_is_told(self):
        refused, = await load.closed_loop(self.ask(), [{"prompt": "refuse"}], 1)
        self.assertEqual((refused.ok, refused.status, refused.error), (False, 429, "full"))

    async def test_an_open_loop_does_not_wait_for_answers(self):
        outcomes = await load.open_loop(self.ask(), [{"prompt": "x"}] * 30, 2000, seed=1)
        self.assertGreater(self.most_open, 3)
        self.assertTrue(all(o.ok for o in outcomes))


if __name__ == "__main__":
    unittest.main()
