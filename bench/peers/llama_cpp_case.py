"""One measurement of llama.cpp (PyPI llama-cpp-python), in a process of its own; JSON on stdout.

The low-level API, no Python between the tokens but an argmax: the prompt goes to llama_decode in
batches of n_batch with logits for its last token only, as llama.cpp's own tools do; then one
llama_decode a token. f16 cache. A warm-up of other tokens comes first and is cleared.
"""

import argparse
import ctypes
import json
import time

import llama_cpp
import numpy as np

from prompt_ids import prompt_ids

WARM_UP_TOKENS = 64


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompt", type=int, required=True)
    parser.add_argument("--gen", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--flash", type=int, choices=(0, 1), required=True)
    parser.add_argument("--ubatch", type=int, default=512)
    parser.add_argument("--plain-buffers", action="store_true",
                        help="weights as in the file, not repacked for special instructions")
    return parser.parse_args()


class Context:
    def __init__(self, args):
        self.silence = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(self.silence, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        params = llama_cpp.llama_model_default_params()
        params.use_extra_bufts = not args.plain_buffers
        self.model = llama_cpp.llama_model_load_from_file(args.model.encode(), params)
        if not self.model:
            raise SystemExit(f"llama.cpp cannot load {args.model}")
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = max(args.prompt, WARM_UP_TOKENS) + args.gen + 8
        params.n_ubatch = args.ubatch
        params.n_batch = 2048
        params.n_threads = params.n_threads_batch = args.threads
        params.type_k = params.type_v = llama_cpp.GGML_TYPE_F16
        params.flash_attn_type = args.flash
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        if not self.context:
            raise SystemExit("llama.cpp cannot make a context")
        self.n_batch = params.n_batch
        self.n_vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        self.batch = llama_cpp.llama_batch_init(self.n_batch, 0, 1)

    def clear(self):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)

    def decode(self, ids, start, last):
        batch = self.batch
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i] = token
            batch.pos[i] = start + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = 0
        batch.logits[len(ids) - 1] = 1 if last else 0
        if llama_cpp.llama_decode(self.context, batch) != 0:
            raise SystemExit("llama_decode failed")

    def prefill(self, ids):
        for start in range(0, len(ids), self.n_batch):
            part = ids[start:start + self.n_batch]
            self.decode(part, start, start + len(part) == len(ids))
        return self.best_token()

    def best_token(self):
        logits = llama_cpp.llama_get_logits_ith(self.context, -1)  # waits for the result
        return int(np.argmax(np.ctypeslib.as_array(logits, shape=(self.n_vocab,))))

    def generate(self, token, start, n):
        for i in range(n):
            self.decode([token], start + i, True)
            token = self.best_token()

    def kv_bytes_per_token(self):
        head_dim = (llama_cpp.llama_model_n_embd(self.model)
                    // llama_cpp.llama_model_n_head(self.model))
        heads = (llama_cpp.llama_model_n_layer(self.model)
                 * llama_cpp.llama_model_n_head_kv(self.model))
        return heads * head_dim * 2 * 2  # keys and values, 16 bits


def main():
    args = parse()
    context = Context(args)
    context.generate(context.prefill(prompt_ids(WARM_UP_TOKENS, args.seed + 1000)),
                     WARM_UP_TOKENS, 4)
    context.clear()

    ids = prompt_ids(args.prompt, args.seed)
    start = time.perf_counter()
    token = context.prefill(ids)
    prefilled = time.perf_counter()
    context.generate(token, args.prompt, args.gen)
    done = time.perf_counter()
    print(json.dumps({
        "version": llama_cpp.__version__,
        "prefill_tok_s": args.prompt / (prefilled - start),
        "decode_tok_s": args.gen / (done - prefilled),
        "kv_bytes_per_token": context.kv_bytes_per_token(),
    }))


if __name__ == "__main__":
    main()
