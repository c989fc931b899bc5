"""llama.cpp's engine behind a socket: continuous batching as llama-server does it, over the C batch
API of llama-cpp-python (whose own server answers one request at a time). Streams `/v1/completions`,
greedy. For comparisons with bench/serve/load.py, and nothing else.

Each step is one llama_decode: a token of every answer that is being made, then prompt tokens until
the batch is full (2048, in micro-batches of 512: llama-server's defaults).
"""

import argparse
import asyncio
import ctypes
import dataclasses
import json
import queue
import threading

import llama_cpp
import numpy as np


@dataclasses.dataclass
class Answer:
    ids: list  # the prompt's tokens that are not read yet
    n_prompt: int
    max_tokens: int
    ignore_eos: bool
    tell: object  # called on the engine's thread with a text, and None at the end
    n_past: int = 0
    n_made: int = 0
    token: int = -1  # drawn last, not read yet
    row: int = -1  # of this step's logits


class Engine(threading.Thread):
    def __init__(self, args):
        super().__init__(daemon=True)
        self.silence = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(self.silence, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        params = llama_cpp.llama_model_default_params()
        params.use_extra_bufts = bool(args.extra_buffers)
        self.model = llama_cpp.llama_model_load_from_file(args.model.encode(), params)
        params = llama_cpp.llama_context_default_params()
        params.n_seq_max = args.parallel
        params.n_ctx = args.parallel * args.ctx
        params.n_batch, params.n_ubatch = args.batch, args.ubatch
        params.n_threads = params.n_threads_batch = args.threads
        params.type_k = params.type_v = llama_cpp.GGML_TYPE_F16
        params.flash_attn_type = args.flash
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        if not self.model or not self.context:
            raise SystemExit(f"llama.cpp cannot load {args.model}")
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)
        self.n_vocab = llama_cpp.llama_vocab_n_tokens(self.vocab)
        self.batch = llama_cpp.llama_batch_init(args.batch, 0, 1)
        self.n_batch = args.batch
        self.slots = [None] * args.parallel
        self.waiting = queue.Queue()

    def tokenize(self, text):
        data = text.encode()
        ids = (llama_cpp.llama_token * (len(data) + 8))()
        n = llama_cpp.llama_tokenize(self.vocab, data, len(data), ids, len(ids), True, True)
        return list(ids[:n])

    def piece(self, token):
        buffer = ctypes.create_string_buffer(64)
        n = llama_cpp.llama_token_to_piece(self.vocab, token, buffer, len(buffer), 0, False)
        return buffer.raw[:max(n, 0)].decode(errors="replace")

    def add(self, token, position, slot, wanted):
        batch, i = self.batch, self.batch.n_tokens
        batch.token[i], batch.pos[i] = token, position
        batch.n_seq_id[i], batch.seq_id[i][0] = 1, slot
        batch.logits[i] = wanted
        batch.n_tokens = i + 1
        return i

    def fill(self):
        self.batch.n_tokens = 0
        for slot, answer in enumerate(self.slots):
            if answer and not answer.ids:
                answer.row = self.add(answer.token, answer.n_past, slot, 1)
                answer.n_past += 1
        for slot, answer in enumerate(self.slots):
            if not answer or not answer.ids:
                continue
            part = answer.ids[:self.n_batch - self.batch.n_tokens]
            answer.ids = answer.ids[len(part):]
            answer.row = -1
            for i, token in enumerate(part):
                last = not answer.ids and i + 1 == len(part)
                row = self.add(token, answer.n_past + i, slot, int(last))
                answer.row = row if last else -1
            answer.n_past += len(part)

    def draw(self, slot, answer):
        logits = llama_cpp.llama_get_logits_ith(self.context, answer.row)
        answer.token = int(np.argmax(np.ctypeslib.as_array(logits, shape=(self.n_vocab,))))
        answer.row = -1
        answer.n_made += 1
        ends = not answer.ignore_eos and llama_cpp.llama_vocab_is_eog(self.vocab, answer.token)
        if not ends:
            answer.tell(self.piece(answer.token))
        if ends or answer.n_made >= answer.max_tokens:
            answer.tell(None)
            llama_cpp.llama_memory_seq_rm(self.memory, slot, -1, -1)
            self.slots[slot] = None

    def run(self):
        while True:
            for slot, answer in enumerate(self.slots):
                if answer is None:
                    idle = not any(self.slots)
                    try:
                        self.slots[slot] = self.waiting.get(block=idle)
                    except queue.Empty:
                        break
            self.fill()
            if llama_cpp.llama_decode(self.context, self.batch) != 0:
                raise SystemExit("llama_decode failed")
            for slot, answer in enumerate(self.slots):
                if answer and answer.row >= 0:
                    self.draw(slot, answer)


async def serve(engine, reader, writer):
    try:
        await reader.readline()
        length = 0
        while (line := await reader.readline()).strip():
            name, _, value = line.decode("latin-1").partition(":")
            length = int(value) if name.lower() == "content-length" else length
        body = json.loads(await reader.readexactly(length)) if length else None
        if body is None:  # a look whether it is up
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            return
        ids, pieces, loop = engine.tokenize(body["prompt"]), asyncio.Queue(), \
            asyncio.get_running_loop()
        engine.waiting.put(Answer(ids, len(ids), body["max_tokens"], body.get("ignore_eos", False),
                                  lambda t: loop.call_soon_threadsafe(pieces.put_nowait, t)))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                     b"Connection: close\r\n\r\n")
        n = 0
        while (text := await pieces.get()) is not None:
            n += 1
            writer.write(b"data: %s\n\n" % json.dumps({"choices": [{"text": text or " "}]}).encode())
            await writer.drain()
        usage = {"prompt_tokens": len(ids), "completion_tokens": n}
        writer.write(b"data: %s\n\ndata: [DONE]\n\n" % json.dumps(
            {"choices": [], "usage": usage}).encode())
        await writer.drain()
    finally:
        writer.close()


async def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--parallel", type=int, default=16)
    parser.add_argument("--ctx", type=int, default=1024, help="tokens an answer, its prompt included")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=2048)
    parser.add_argument("--ubatch", type=int, default=512)
    parser.add_argument("--flash", type=int, choices=(0, 1), default=1)
    parser.add_argument("--extra-buffers", type=int, choices=(0, 1), default=1,
                        help="0: no repacked weights, for builds whose AMX kernels crash")
    args = parser.parse_args()
    engine = Engine(args)
    engine.start()
    server = await asyncio.start_server(lambda r, w: serve(engine, r, w), "127.0.0.1", args.port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
