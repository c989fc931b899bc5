"""One measurement of OpenVINO GenAI (PyPI openvino-genai), in a process of its own; JSON on stdout.

LLMPipeline(model.gguf, "CPU"), greedy, token ids in, its own metrics out: prefill is the prompt's
tokens over the time to the first token, decode the tokens after the first over their time. A
warm-up of other tokens comes first.
"""

import argparse
import json

import numpy as np
import openvino
import openvino_genai

from prompt_ids import prompt_ids

WARM_UP_TOKENS = 64


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompt", type=int, required=True)
    parser.add_argument("--gen", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kv-precision", default="",
                        help="KV_CACHE_PRECISION of the CPU plugin; empty: its own default")
    return parser.parse_args()


def generate(pipeline, ids, n_tokens):
    config = openvino_genai.GenerationConfig()
    config.max_new_tokens = n_tokens
    config.ignore_eos = True
    config.do_sample = False
    tokens = np.array([ids], dtype=np.int64)
    inputs = openvino_genai.TokenizedInputs(openvino.Tensor(tokens),
                                            openvino.Tensor(np.ones_like(tokens)))
    return pipeline.generate(inputs, config).perf_metrics


def main():
    args = parse()
    properties = {"INFERENCE_NUM_THREADS": args.threads}
    if args.kv_precision:
        properties["KV_CACHE_PRECISION"] = args.kv_precision
    pipeline = openvino_genai.LLMPipeline(args.model, "CPU", **properties)
    generate(pipeline, prompt_ids(WARM_UP_TOKENS, args.seed + 1000), 4)

    metrics = generate(pipeline, prompt_ids(args.prompt, args.seed), args.gen + 1)
    made = metrics.get_num_generated_tokens()
    if made != args.gen + 1 or metrics.get_num_input_tokens() != args.prompt:
        raise SystemExit(f"OpenVINO read {metrics.get_num_input_tokens()} tokens and made {made}, "
                         f"asked were {args.prompt} and {args.gen + 1}")
    print(json.dumps({
        "version": openvino_genai.__version__,
        "prefill_tok_s": args.prompt / (metrics.get_ttft().mean / 1000),
        "decode_tok_s": 1000 / metrics.get_tpot().mean,
    }))


if __name__ == "__main__":
    main()
