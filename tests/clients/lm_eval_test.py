"""lm-evaluation-harness: `local-completions` (echo with log-probabilities) and
`local-chat-completions`, on small tasks of our own. It tokenizes through /tokenize and
/tokenizer_info, so it needs neither transformers nor torch."""

import json
import math
import os
import pathlib
import subprocess

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")  # the tasks are files

import lm_eval  # noqa: E402
import pytest  # noqa: E402
from serving import KVASIR  # noqa: E402

HERE = pathlib.Path(__file__).parent
TEXT = "The river runs to the sea, and the sea gives back the rain."


def task(tmp_path, output_type, rows=None, **more):
    path = HERE / "lm_eval_questions.jsonl"
    if rows is not None:
        path = tmp_path / f"{output_type}.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
    return {"task": "kvasir_" + output_type, "dataset_path": "json", "test_split": "train",
            "dataset_kwargs": {"data_files": str(path), "cache_dir": str(tmp_path)},
            "output_type": output_type, **more}


def evaluate(server, tmp_path, endpoint, model, task_config, **options):
    arguments = {"model": "any", "base_url": f"{server.url}/v1/{endpoint}", "max_length": 512,
                 "max_retries": 1, **options}
    chat = model == "local-chat-completions"
    results = lm_eval.simple_evaluate(model=model, model_args=arguments, tasks=[task_config],
                                      bootstrap_iters=0, apply_chat_template=chat)
    return results["results"][task_config["task"]], results["samples"][task_config["task"]]


@pytest.mark.parametrize("options", [{}, {"batch_size": 4}, {"num_concurrent": 4}])
def test_multiple_choice(server, tmp_path, options):
    config = task(tmp_path, "multiple_choice", doc_to_text="{{question}}",
                  doc_to_choice="{{choices}}", doc_to_target="answer",
                  target_delimiter="",
                  metric_list=[{"metric": "acc"}])
    results, samples = evaluate(server, tmp_path, "completions", "local-completions", config,
                                **options)
    assert results["acc,none"] == 1.0, [(s["doc"], s["resps"]) for s in samples]
    first = min(samples, key=lambda s: s["doc_id"])
    # The same question, asked of the engine without a server.
    expected = [score(first["doc"]["question"], choice) for choice in first["doc"]["choices"]]
    got = [float(response[0][0]) for response in first["resps"]]
    assert got == pytest.approx(expected, abs=2e-3)


def test_perplexity_is_what_kvasir_score_says(server, tmp_path):
    config = task(tmp_path, "loglikelihood_rolling", rows=[{"text": TEXT}], doc_to_text="",
                  doc_to_target="{{text}}",
                  metric_list=[{"metric": "byte_perplexity"}, {"metric": "bits_per_byte"}])
    results, _ = evaluate(server, tmp_path, "completions", "local-completions", config)
    bos = json.loads(server.get("/tokenizer_info"))["bos_token"]
    nats = -score(bos, TEXT)
    assert results["bits_per_byte,none"] == pytest.approx(nats / math.log(2) / len(TEXT), rel=1e-4)


@pytest.mark.parametrize("endpoint, model", [("completions", "local-completions"),
                                             ("chat/completions", "local-chat-completions")])
def test_generation(server, tmp_path, endpoint, model):
    config = task(tmp_path, "generate_until", rows=[{"q": "One, two, three,", "a": "four"}],
                  doc_to_text="{{q}}", doc_to_target="{{a}}",
                  generation_kwargs={"until": ["\n"], "max_gen_toks": 8, "temperature": 0},
                  metric_list=[{"metric": "exact_match"}])
    _, samples = evaluate(server, tmp_path, endpoint, model, config)
    text = samples[0]["resps"][0][0]
    assert text and "\n" not in text
    if model == "local-completions":
        assert "four" in text


def score(context, continuation):
    """Log-probability of the continuation, from `kvasir score`."""
    def ids(text):
        done = subprocess.run([KVASIR, "tokenize", "-p", text, "--json"], capture_output=True,
                              check=True, text=True)
        return json.loads(done.stdout)["ids"]

    head, whole = ids(context), ids(context) + ids(continuation)
    done = subprocess.run([KVASIR, "score", "--ids", ",".join(map(str, whole)), "--json"],
                          capture_output=True, check=True, text=True)
    return sum(json.loads(done.stdout)["logprobs"][len(head):])
