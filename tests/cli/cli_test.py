#!/usr/bin/env python3
"""The promises of docs/commands.md: streams, JSON fields, exit codes, errors.

    python3 tests/cli/cli_test.py build/release/kvasir [unittest arguments]

Runs on the tiny models of tests/golden/models, so it needs no download.
"""

import contextlib
import itertools
import json
import math
import os
import pathlib
import pty
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
MODEL = GOLDEN / "models" / "llama.gguf"
REFERENCE = json.loads((GOLDEN / "models" / "llama.json").read_text())
KVASIR = None  # set in main
RUN_FIELDS = ["text", "ids", "prompt_tokens", "generated_tokens", "stop_reason", "ttft_ms",
              "prefill_tok_s", "decode_tok_s", "kv", "rss_peak_bytes"]
KV_FIELDS = ["spec", "reads_as", "entries", "entries_full", "bytes", "bytes_peak", "bytes_full", "by_codec", "by_tier",
             "read_entries_per_step"]
BENCH_FIELDS = ["spec", "phase", "prompt", "depth", "batch", "threads", "tok_s_median",
                "tok_s_min", "tok_s_max", "tok_s_each", "ttft_ms", "kv_bytes", "rss_peak_bytes",
                "read_bytes_per_token", "floor_tok_s"]


def environment(**more):
    """Nothing of ours from outside, and no model but the one a test gives."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("KVASIR_")}
    env.update(XDG_CACHE_HOME="/nonexistent", XDG_STATE_HOME="/nonexistent", TERM="xterm")
    env.update(more)
    return env


def kvasir(*args, text=None, env=None, check=0):
    stdin = {"input": text} if text is not None else {"stdin": subprocess.DEVNULL}
    done = subprocess.run([KVASIR, *map(str, args)], **stdin, env=environment(**(env or {})),
                          capture_output=True, timeout=600,
                          **({"encoding": "utf-8"} if not isinstance(text, bytes) else {}))
    if check is not None and done.returncode != check:
        raise AssertionError(f"{args}: code {done.returncode}, not {check}\n{done.stderr}")
    return done


def document(*args, **kwargs):
    done = kvasir(*args, "--json", **kwargs)
    lines = done.stdout.splitlines()
    assert len(lines) == 1, f"one document is promised: {done.stdout!r}"
    return json.loads(lines[0])


def run_ids(n=64, **_):
    return ",".join(map(str, REFERENCE["prompt_ids"][:n]))


class Case(unittest.TestCase):
    def fails(self, code, *args, says=(), **kwargs):
        """Exit code, nothing on stdout, one line on stderr that says these things."""
        done = kvasir(*args, check=code, **kwargs)
        self.assertEqual(done.stdout, "")
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertTrue(lines[0].startswith("kvasir: "), lines[0])
        for word in says:
            self.assertIn(word, lines[0])


class WrongUsage(Case):
    def test_no_command(self):
        self.fails(2, says=["--help"])

    def test_command_near_another(self):
        self.fails(2, "rnu", says=["'run'"])
        self.fails(2, "frobnicate", says=["--help"])

    def test_flag_near_another(self):
        self.fails(2, "run", "--temperatur", "1", says=["--temperatur"])
        self.fails(2, "run", "--tmp", "1", says=["--temp"])
        self.fails(2, "run", "-Z", says=["-Z"])

    def test_values(self):
        for flag, value, right in [("--temp", "hot", "number"), ("--temp", "-1", "at least 0"),
                                   ("--top-p", "1.5", "from 0 to 1"), ("-n", "many", "whole"),
                                   ("--kv-type", "f8", "f16"), ("--device", "tpu", "cpu"),
                                   ("--ids", "1,x", "'x'"), ("--ctx", "0", "at least 1"),
                                   ("--ctx", "2147483648", "2147483647"),
                                   ("-c", "9000000000", "2147483647"),
                                   ("--kv-memory", "lots", "4GiB"), ("--temp", "nan", "number"),
                                   ("-n", "99999999999999999999", "whole")]:
            with self.subTest(flag=flag, value=value):
                self.fails(2, "run", flag, value, says=[right])

    def test_specs(self):
        for spec, right in [("snapkv:budgt=9", "did you mean 'budget'"), ("snapvk", "'snapkv'"),
                            ("snapkv:budget=0", "at least 1"), ("snapkv:budget=-5", "budget"),
                            ("snapkv:budget=101%", "100%"), ("snapkv:budget=lots", "lots"),
                            ("", "full"), ("renumber", "renumber")]:
            with self.subTest(spec=spec):
                self.fails(2, "run", "-m", MODEL, "-p", "x", "--kv", spec, says=[right])

    def test_missing_value_and_stray_words(self):
        self.fails(2, "run", "-p", says=["-p TEXT"])
        self.fails(2, "run", "--prompt", says=["--prompt TEXT"])
        self.fails(2, "run", "hello", says=["hello", "-p"])
        self.fails(2, "run", "-m", MODEL, says=["-p TEXT"])

    def test_flags_that_do_not_go_together(self):
        self.fails(2, "run", "-m", MODEL, "-p", "a", "--ids", "1", says=["--ids"])
        self.fails(2, "run", "-m", MODEL, "-p", "a", "--raw", "--system", "b", says=["--system"])
        self.fails(2, "score", "-m", MODEL, "--ids", "1,2", "--against", "full", says=["--prefix"])
        self.fails(2, "inspect", MODEL, "--values", says=["--tensor"])
        for flag in (["-m", "/other.gguf"], ["--model", MODEL], [f"-m{MODEL}"]):
            self.fails(2, "inspect", MODEL, *flag, says=["one model", str(MODEL)])
        self.fails(2, "inspect", MODEL, "--ids", "1", "--map", "x.gif", says=[".png"])
        self.fails(2, "tokenize", "-m", MODEL, says=["-p TEXT"])
        self.fails(2, "tokenize", "-m", MODEL, "-p", "x", "--ids", "1", says=["--decode --ids"])
        self.fails(2, "tokenize", "-m", MODEL, "--decode", "--ids", "1", "-p", "x", says=["one of"])
        self.fails(2, "methods", "snapkv", "--prompt", 100, says=["--explain"])
        self.fails(2, "template", "-m", MODEL, says=["--messages"])
        self.fails(2, "methods", "snapkv", "--matrix", says=["one at a time"])
        self.fails(2, "methods", "snapkvv", says=["'snapkv'"])
        self.fails(2, "completion", "tcsh", says=["zsh"])


class Failures(Case):
    def test_no_model(self):
        self.fails(1, "run", "-p", "x", says=["make model", "-m"])

    def test_missing_and_broken_models(self):
        self.fails(1, "run", "-m", "/no/such.gguf", "-p", "x", says=["/no/such.gguf"])
        with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
            file.write(b"not a model at all" * 10)
            file.flush()
            self.fails(1, "run", "-m", file.name, "-p", "x", says=[file.name])
            file.seek(0)
            file.write(MODEL.read_bytes()[:5000])
            file.flush()
            self.fails(1, "inspect", file.name, says=[file.name])

    def test_unknown_architecture(self):
        self.fails(1, "run", "-m", GOLDEN / "quants" / "all_types.gguf", "-p", "x", says=["quants"])

    def test_missing_prompt_file(self):
        self.fails(1, "run", "-m", MODEL, "-f", "/no/such.txt", says=["/no/such.txt"])

    def test_prompt_longer_than_context(self):
        self.fails(1, "run", "-m", MODEL, "--ids", run_ids(64), "--ctx", 32, says=["64", "32"])

    def test_token_outside_of_the_vocabulary(self):
        self.fails(1, "run", "-m", MODEL, "--ids", "1,512", says=["512", "511"])

    def test_cache_limit(self):
        self.fails(1, "run", "-m", MODEL, "--ids", run_ids(400), "--kv-memory", "100kB")

    def test_a_cache_that_runs_full_keeps_what_was_generated(self):
        flags = ["run", "-m", MODEL, "--ids", run_ids(60), "-n", 4000, "--ignore-eos", "--kv-memory",
                 "400kB"]
        answer = document(*flags, check=1)
        self.assertEqual(answer["stop_reason"], "error")
        self.assertIn("the KV cache is full", answer["error"])
        self.assertGreater(answer["generated_tokens"], 3)
        self.assertEqual(len(answer["ids"]), answer["generated_tokens"])
        plain = kvasir(*flags, check=1)
        self.assertEqual(plain.stdout.rstrip("\n"), answer["text"].rstrip("\n"))
        self.assertIn(answer["error"], plain.stderr)

    def test_memory_that_is_not_there(self):
        program = pathlib.Path(KVASIR).read_bytes()
        if b"__asan_init" in program or b"__tsan_init" in program:
            self.skipTest("the sanitizers take terabytes of address space")

        def little():  # of address space: the program fits, the model does not
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        said = set()
        for limit in range(8 << 20, 96 << 20, 1 << 20):
            done = subprocess.run([KVASIR, "run", "-m", str(MODEL), "--ids", "1,2", "-n", "1",
                                   "--threads", "1"], env=environment(), preexec_fn=little,
                                  capture_output=True, encoding="utf-8")
            if "cannot map its" in done.stderr:
                said.add("map")
                self.assertRegex(done.stderr, r"map its \d+ bytes: .* \(\d+ bytes are available\)")
            if "bytes were asked for" in done.stderr:
                said.add("buffer")
                self.assertRegex(done.stderr, r"memory: \d+ bytes were asked for, \d+ are available")
        self.assertEqual(said, {"map", "buffer"})

    def test_cuda(self):
        self.fails(1, "run", "-m", MODEL, "-p", "x", "--device", "cuda", says=["cpu"])

    def test_full_disk(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([KVASIR, "run", "-m", MODEL, "--ids", "1,2", "-n", "2"],
                                  stdout=full, stderr=subprocess.PIPE, env=environment())
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"standard output", done.stderr)


class Pages(Case):
    COMMANDS = ["run", "chat", "score", "tokenize", "template", "inspect", "methods", "bench",
                "serve", "completion", "man", "help"]

    def test_help(self):
        overview = kvasir("--help").stdout
        for command in self.COMMANDS:
            self.assertIn(f"\n  {command} ", overview)
            page = kvasir(command, "--help").stdout
            self.assertIn("Example:\n", page)
            self.assertEqual(page, kvasir("help", command).stdout)
            self.assertLessEqual(max(map(len, page.splitlines())), 110)
        self.assertIn("[256]", kvasir("run", "--help").stdout)

    def test_version(self):
        self.assertRegex(kvasir("--version").stdout, r"^kvasir \d+\.\d+\.\d+\n")
        self.assertIn("avx2", json.loads(kvasir("--version", "--json").stdout)["cpu_paths"])

    def test_as_json(self):
        for page in [("help", "run"), ("completion", "bash"), ("man",)]:
            self.assertEqual(document(*page), {"text": kvasir(*page).stdout})

    def test_completion_and_man_know_every_flag_of_every_command(self):
        def parts(text, heads):
            """{command: what stands below its head}"""
            pieces = re.split(heads, text, flags=re.M)
            return dict(zip(pieces[1::2], pieces[2::2]))

        bash = parts(kvasir("completion", "bash").stdout, r"^  ([a-z]+)\)$")
        zsh = parts(kvasir("completion", "zsh").stdout, r"^    ([a-z]+)\)$")
        fish = kvasir("completion", "fish").stdout.splitlines()
        man = kvasir("man").stdout
        for_all = man[man.index('.SS "Flags of every command"'):]
        man = parts(man, r'^\.SS "kvasir ([a-z]+).*$')
        for command in re.findall(r"^  ([a-z]+) +\S", kvasir("--help").stdout, re.M):
            if command not in bash and command in ("make", "kvasir"):
                continue  # of "Start here"
            flags = set(re.findall(r"^ +(?:-\w, )?--([a-z0-9-]+)", kvasir(command, "--help").stdout,
                                   re.M))
            self.assertIn("help", flags, command)
            of_command = [line for line in fish if f"subcommand_from {command}'" in line]
            self.assertEqual(flags, {line.split(" -l ")[1].split()[0] for line in of_command
                                     if " -l " in line}, command)
            for flag in flags:
                with self.subTest(command=command, flag=flag):
                    self.assertRegex(bash[command], rf"--{flag}\b")
                    self.assertRegex(zsh[command], rf"--{flag}[=\[]")
                    self.assertIn(rf"\fB\-\-{flag.replace('-', chr(92) + '-')}\fR",
                                  man[command] + for_all)

    def test_bash_completion_works(self):
        script = kvasir("completion", "bash").stdout + """
complete_line() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _kvasir; echo "${COMPREPLY[@]}"; }
complete_line kvasir tok
complete_line kvasir run --top
complete_line kvasir run --kv-type b
complete_line kvasir run --kv stre
"""
        done = subprocess.run(["bash", "-c", script], capture_output=True, encoding="utf-8")
        self.assertEqual(done.stdout.splitlines(),
                         ["tokenize", "--top-k --top-p", "bf16", "streaming"], done.stderr)

    def test_man(self):
        page = kvasir("man").stdout
        self.assertTrue(page.startswith('.\\"'))
        for section in ["NAME", "COMMANDS", "ENVIRONMENT", "EXIT STATUS"]:
            self.assertIn(f".SH {section}\n", page)


class Run(Case):
    def test_fields_and_greedy_tokens(self):
        ids = ",".join(map(str, REFERENCE["prompt_ids"]))
        answer = document("run", "-m", MODEL, "--ids", ids, "-n", 32, "--ignore-eos")
        self.assertEqual(list(answer), RUN_FIELDS)
        self.assertEqual(list(answer["kv"]), KV_FIELDS)
        self.assertEqual(answer["ids"], REFERENCE["greedy"])
        self.assertEqual(answer["prompt_tokens"], len(REFERENCE["prompt_ids"]))
        self.assertEqual(answer["generated_tokens"], 32)
        self.assertEqual(answer["stop_reason"], "length")
        kv = answer["kv"]
        # 4 layers of 2 KV heads hold every token.
        self.assertEqual(kv["entries"], 8 * (len(REFERENCE["prompt_ids"]) + 32))
        self.assertEqual(kv["entries"], kv["entries_full"])
        self.assertEqual(sum(kv["by_tier"].values()), kv["bytes"])

    def test_streams(self):
        done = kvasir("run", "-m", MODEL, "--ids", run_ids(), "-n", 8, "--ignore-eos")
        as_json = document("run", "-m", MODEL, "--ids", run_ids(), "-n", 8, "--ignore-eos")
        self.assertEqual(done.stdout, as_json["text"] + "\n")
        for word in ["prompt", "64 tokens", "8 tokens", "KV cache", "peak RSS"]:
            self.assertIn(word, done.stderr)
        self.assertNotIn("\x1b", done.stderr)
        quiet = kvasir("run", "-m", MODEL, "--ids", run_ids(), "-n", 8, "--quiet")
        self.assertEqual(quiet.stderr, "")

    def test_file_comes_before_the_prompt(self):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("one two\n")
            file.flush()
            both = document("run", "-m", MODEL, "-f", file.name, "-p", "three", "-n", 1)
            raw = document("run", "-m", MODEL, "-f", file.name, "-p", "three", "-n", 1, "--raw")
        joined = document("run", "-m", MODEL, "-p", "one two\n\nthree", "-n", 1)
        self.assertEqual(both["prompt_tokens"], joined["prompt_tokens"])
        plain = document("tokenize", "-m", MODEL, "-p", "one two\nthree")
        self.assertEqual(raw["prompt_tokens"], len(plain["ids"]))
        self.assertLess(raw["prompt_tokens"], both["prompt_tokens"])
        piped = document("run", "-m", MODEL, "-f", "-", "-p", "three", "-n", 1, text="one two\n")
        self.assertEqual(piped["ids"], both["ids"])

    def test_system_message_is_in_the_prompt(self):
        without = document("run", "-m", MODEL, "-p", "hi", "-n", 1)
        with_system = document("run", "-m", MODEL, "-p", "hi", "-n", 1, "--system", "Be brief")
        self.assertGreater(with_system["prompt_tokens"], without["prompt_tokens"])

    def test_brackets_and_dashes_are_text(self):
        for text in ["[INST] a, b [/INST]", "--temp", "-1", ""]:
            with self.subTest(text=text):
                document("run", "-m", MODEL, "-p", text, "-n", 1)

    def test_stop_text(self):
        whole = document("run", "-m", MODEL, "--ids", run_ids(), "-n", 12, "--ignore-eos")
        stop = whole["text"][4:6]
        cut = document("run", "-m", MODEL, "--ids", run_ids(), "-n", 12, "--ignore-eos",
                       "--stop", "\x01never", "--stop", stop)
        self.assertEqual(cut["stop_reason"], "stop")
        self.assertEqual(cut["text"], whole["text"][:whole["text"].index(stop)])

    def test_full_context(self):
        done = kvasir("run", "-m", MODEL, "--ids", run_ids(60), "-n", 50, "--ctx", 64, "--json",
                      "--ignore-eos")
        answer = json.loads(done.stdout)
        self.assertEqual((answer["stop_reason"], answer["generated_tokens"]), ("length", 4))
        self.assertIn("--ctx", done.stderr)

    def test_context_beyond_training_warns(self):
        done = kvasir("run", "-m", MODEL, "--ids", "1,2", "-n", 1, "--ctx", 1000000)
        self.assertIn("warning: --ctx 1000000", done.stderr)

    def test_eviction_shows_in_the_account(self):
        kv = document("run", "-m", MODEL, "--ids", run_ids(400), "-n", 1, "--ignore-eos",
                      "--kv", "streaming:budget=100,when=prompt")["kv"]
        self.assertEqual(kv["entries"], 8 * 101)
        self.assertEqual(kv["entries_full"], 8 * 401)
        self.assertLess(kv["bytes"], kv["bytes_full"] / 2)

    def test_seed_decides(self):
        def draw(*flags):
            return document("run", "-m", MODEL, "--ids", run_ids(), "-n", 16, "--ignore-eos",
                            "--temp", 2, *flags)["ids"]
        self.assertEqual(draw("--seed", 5), draw("--seed", 5))
        self.assertNotEqual(draw("--seed", 5), draw("--seed", 6))

    def test_answers_of_a_given_form(self):
        schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3,
                                                         "maximum": 17},
                                                   "t": {"enum": ["é", "b"]}},
                  "required": ["n", "t"]}
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "schema.json").write_text(json.dumps(schema))
            (folder / "digits.gbnf").write_text('root ::= "<" [0-9]{4} ">"')
            for seed in range(5):
                answer = document("run", "-m", MODEL, "--ids", run_ids(), "--temp", 2, "--seed",
                                  seed, "--json-schema", folder / "schema.json")
                self.assertEqual(answer["stop_reason"], "eos")
                value = json.loads(answer["text"])
                self.assertEqual(list(value), ["n", "t"])
                self.assertTrue(3 <= value["n"] <= 17 and value["t"] in ["é", "b"])
            answer = document("run", "-m", MODEL, "--ids", run_ids(), "--ignore-eos", "--grammar",
                              folder / "digits.gbnf")
            self.assertRegex(answer["text"], "^<[0-9]{4}>$")
            cut = kvasir("run", "-m", MODEL, "--ids", run_ids(), "-n", 1, "--grammar", "-",
                         text='root ::= [a-z] [a-z]{50}')
            self.assertIn("cut off before its form was complete", cut.stderr)
            self.fails(2, "run", "-p", "x", "--grammar", "a", "--json-schema", "b", says=["one of"])
        self.fails(1, "run", "-m", MODEL, "--ids", "1", "--grammar", "-", text="root ::= root 'x'",
                   says=["--grammar -", "line 1"])
        self.fails(1, "run", "-m", MODEL, "--ids", "1", "--json-schema", "-", text='{"if": {}}',
                   says=["--json-schema -", "'if'"])

    def test_threads_and_chunks_change_nothing(self):
        def ids(*flags):
            return document("score", "-m", MODEL, "--ids", run_ids(300), *flags)["logprobs"]
        base = ids("--threads", 1)
        self.assertEqual(base, ids("--threads", 2))
        self.assertEqual(base, ids("--chunk", 37))
        self.assertEqual(base, ids("--chunk", 64, "--chunk-major"))

    def test_hugging_face_folder(self):
        folder = GOLDEN / "models" / "llama.hf"
        answer = document("run", "-m", folder, "--ids", run_ids(), "-n", 8, "--ignore-eos")
        again = document("run", "-m", MODEL, "--ids", run_ids(), "-n", 8, "--ignore-eos")
        self.assertEqual(answer["ids"], again["ids"])


class Precedence(Case):
    def spec(self, *flags, env=None):
        return document("run", "-m", MODEL, "--ids", "1,2,3", "-n", 1, *flags, env=env)

    def test_command_line_beats_environment_beats_preset(self):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write('max-tokens = 4\nkv = "streaming:budget=8"\nignore-eos = true\n'
                       '[score]\nkv = "full"\n[run]\nkv = "streaming:budget=9"\n')
            file.flush()
            flags = ["run", "-m", MODEL, "--ids", "1,2,3", "--preset", file.name]
            preset = document(*flags)
            self.assertEqual(preset["kv"]["spec"], "streaming:budget=9")
            self.assertEqual(preset["generated_tokens"], 4)
            env = {"KVASIR_MAX_TOKENS": "3", "KVASIR_KV": "streaming:budget=7"}
            twin = document(*flags, env=env)
            self.assertEqual((twin["generated_tokens"], twin["kv"]["spec"]),
                             (3, "streaming:budget=7"))
            line = document(*flags, "-n", 2, "--kv", "full", env=env)
            self.assertEqual((line["generated_tokens"], line["kv"]["spec"]), (2, "full"))

    def test_environment(self):
        answer = document("run", "--ids", "1,2", "-n", 1, env={"KVASIR_MODEL": str(MODEL)})
        self.assertEqual(answer["prompt_tokens"], 2)
        done = kvasir("run", "-m", MODEL, "--ids", "1,2", "-n", 1, env={"KVASIR_JSON": "1"})
        json.loads(done.stdout)
        done = kvasir("run", "-m", MODEL, "--ids", "1,2", "-n", 1, "--json=false",
                      env={"KVASIR_JSON": "1"})
        self.assertFalse(done.stdout.startswith("{"))
        self.fails(2, "run", "-m", MODEL, "-p", "x", env={"KVASIR_TEMP": "hot"},
                   says=["KVASIR_TEMP", "number"])

    def test_bad_presets(self):
        for text, right in [("temperatur = 1", "temperatur"), ("temp = ", "line 1"),
                            ("[rum]\ntemp = 1", "rum"), ('temp = "hot"', "number")]:
            with self.subTest(text=text), tempfile.NamedTemporaryFile("w") as file:
                file.write(text)
                file.flush()
                self.fails(2, "run", "-m", MODEL, "-p", "x", "--preset", file.name, says=[right])
        for path in ["/no/preset", str(GOLDEN)]:
            self.fails(2, "run", "-m", MODEL, "-p", "x", "--preset", path, says=[path])


class Score(Case):
    def test_whole_text_matches_the_reference(self):
        ids = REFERENCE["prompt_ids"]
        answer = document("score", "-m", MODEL, "--ids", ",".join(map(str, ids)))
        self.assertEqual(list(answer)[:5], ["ids", "logprobs", "nll", "perplexity", "kv"])
        self.assertEqual(answer["ids"], ids)
        self.assertIsNone(answer["logprobs"][0])
        self.assertEqual(len(answer["logprobs"]), len(ids))
        for mine, theirs in zip(answer["logprobs"][1:], REFERENCE["logprobs"]):
            self.assertAlmostEqual(mine, theirs, delta=2e-3)
        nll = -sum(answer["logprobs"][1:]) / (len(ids) - 1)
        self.assertAlmostEqual(answer["nll"], nll, places=9)
        self.assertAlmostEqual(answer["perplexity"], math.exp(nll), places=6)

    def test_token_by_token_agrees_with_the_prefill(self):
        ids = run_ids(200)
        whole = document("score", "-m", MODEL, "--ids", ids)["logprobs"]
        steps = document("score", "-m", MODEL, "--ids", ids, "--prefix", 40)["logprobs"]
        self.assertEqual(len(steps), 200)
        for a, b in zip(whole[1:], steps[1:]):
            self.assertAlmostEqual(a, b, delta=2e-3)

    def test_methods_act_after_the_prefix_only(self):
        ids = run_ids(200)
        full = document("score", "-m", MODEL, "--ids", ids, "--prefix", 100)["logprobs"]
        cut = document("score", "-m", MODEL, "--ids", ids, "--prefix", 100,
                       "--kv", "streaming:budget=10,when=prompt")
        self.assertEqual(cut["logprobs"][:101], full[:101])
        self.assertNotEqual(cut["logprobs"][102:], full[102:])
        self.assertEqual(cut["kv"]["entries"], 8 * 110)
        same = document("score", "-m", MODEL, "--ids", ids, "--kv", "streaming:budget=10")
        self.assertEqual(same["logprobs"], document("score", "-m", MODEL, "--ids", ids)["logprobs"])

    def test_top(self):
        answer = document("score", "-m", MODEL, "--ids", run_ids(20), "--prefix", 15, "--top", 3)
        self.assertEqual(len(answer["top"]), 5)
        for i, position in enumerate(answer["top"], 15):
            self.assertEqual(len(position), 3)
            logprobs = [token["logprob"] for token in position]
            self.assertEqual(logprobs, sorted(logprobs, reverse=True))
            for token in position:
                if token["id"] == answer["ids"][i]:
                    self.assertAlmostEqual(token["logprob"], answer["logprobs"][i], places=9)

    def test_against(self):
        flags = ["score", "-m", MODEL, "--ids", run_ids(120), "--prefix", 80, "--against", "full"]
        same = document(*flags)["against"]
        self.assertEqual((same["kl_mean"], same["kl_p99"], same["top1_agreement"]), (0, 0, 1))
        cut = document(*flags, "--kv", "streaming:budget=8")["against"]
        self.assertGreater(cut["kl_mean"], 0)
        self.assertGreaterEqual(cut["kl_p99"], cut["kl_mean"])
        self.assertLess(cut["top1_agreement"], 1)


class Text(Case):
    def test_tokenize_and_back(self):
        for text in ["Hello world", "naïve €", "12 000", " \n\t"]:
            done = kvasir("tokenize", "-m", MODEL, "-p", text)
            answer = json.loads(done.stdout)
            self.assertEqual(len(answer["ids"]), len(answer["pieces"]))
            back = kvasir("tokenize", "-m", MODEL, "--decode", "--ids",
                          ",".join(map(str, answer["ids"])))
            self.assertEqual(back.stdout, text + "\n")

    def test_special_tokens(self):
        text = "<|im_start|>"
        self.assertEqual(len(document("tokenize", "-m", MODEL, "-p", text)["ids"]), 1)
        self.assertGreater(
            len(document("tokenize", "-m", MODEL, "-p", text, "--no-special")["ids"]), 1)

    def test_jsonl(self):
        rows = [{"text": "a b"}, {"text": "<|im_end|>", "parse_special": False}, {"ids": [5, 6]},
                {"ids": [99999]}, {"nothing": 1}]
        done = kvasir("tokenize", "-m", MODEL, "--jsonl", "-",
                      text="".join(json.dumps(row) + "\n" for row in rows))
        out = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([list(row) for row in out],
                         [["ids"], ["ids"], ["text"], ["error"], ["error"]])
        self.assertEqual(out[0]["ids"], document("tokenize", "-m", MODEL, "-p", "a b")["ids"])
        self.assertGreater(len(out[1]["ids"]), 1)
        bad = kvasir("tokenize", "-m", MODEL, "--jsonl", "-", text='{"text": "a"}\nnonsense\n',
                     check=1)
        self.assertIn("line 2", bad.stderr)
        deep = kvasir("tokenize", "-m", MODEL, "--jsonl", "-", text="[" * 200000 + "\n", check=1)
        self.assertIn("line 1", deep.stderr)
        self.fails(1, "tokenize", "-m", MODEL, "--jsonl", GOLDEN, says=[str(GOLDEN)])

    def test_template(self):
        text = kvasir("template", "-m", MODEL, "-p", "Hi", "--system", "Be brief.").stdout
        self.assertEqual(text, "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi"
                               "<|im_end|>\n<|im_start|>assistant\n")
        closed = kvasir("template", "-m", MODEL, "-p", "Hi", "--no-generation-prompt").stdout
        self.assertTrue(closed.endswith("<|im_end|>\n"))

    def test_an_empty_template_is_one(self):
        line = '{"template": "", "messages": []}\n{"messages": [], "template": null}\n'
        out = kvasir("template", "-m", MODEL, "--jsonl", "-", text=line).stdout.splitlines()
        self.assertEqual(json.loads(out[0]), {"text": ""})
        self.assertEqual(json.loads(out[1]), {"text": "<|im_start|>assistant\n"})

    def test_template_of_ones_own(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "t.jinja").write_text("{{ strftime_now('%Y') }} {{ messages[0].content }}"
                                            "{{ tools | length }}")
            (folder / "m.json").write_text('[{"role": "user", "content": "x"}]')
            (folder / "tools.json").write_text('[{}, {}]')
            done = kvasir("template", "--template", folder / "t.jinja", "--messages",
                          folder / "m.json", "--tools", folder / "tools.json", "--date",
                          "2024-07-26")
            self.assertEqual(done.stdout, "2024 x2")

    def test_template_lines(self):
        messages = [{"role": "user", "content": "x"}]
        rows = [{"template": "{{ messages[0].content }}{{ extra_one }}", "messages": messages,
                 "extra_one": 7},
                {"template": "{{ raise_exception('no way') }}", "messages": messages},
                {"template": "{% if %}", "messages": messages},
                {"messages": messages, "add_generation_prompt": False}]
        done = kvasir("template", "-m", MODEL, "--jsonl", "-",
                      text="".join(json.dumps(row) + "\n" for row in rows))
        out = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(out[0], {"text": "x7"})
        self.assertEqual(out[1], {"error": "no way"})
        self.assertIn("line 1", out[2]["error"])
        self.assertTrue(out[3]["text"].endswith("<|im_end|>\n"))

    def test_no_template(self):
        self.fails(1, "template", "--template", "/dev/null", "-p", "x", says=["empty"])

    def test_bad_date(self):
        self.fails(2, "template", "-m", MODEL, "-p", "x", "--date", "26.7.2024", says=["YYYY"])


class SetUp(Case):
    def model_py(self, home, *args):
        script = GOLDEN.parent.parent / "tools" / "setup" / "model.py"
        # An index that is not there: a download fails at once.
        env = environment(XDG_CACHE_HOME=home, PIP_INDEX_URL="http://127.0.0.1:9/simple",
                          PIP_RETRIES="0")
        return subprocess.run([sys.executable, script, *args], env=env, capture_output=True,
                              encoding="utf-8", timeout=60)

    def test_help_is_no_download(self):
        with tempfile.TemporaryDirectory() as home:
            for flag in ("-h", "--help"):
                done = self.model_py(home, flag)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("--path", done.stdout)
            done = self.model_py(home, "--paht")
            self.assertEqual(done.returncode, 2)
            self.assertIn("--paht", done.stderr)
            self.assertTrue(self.model_py(home, "--path").stdout.startswith(home))
            self.assertEqual(os.listdir(home), [])


class Inspect(Case):
    def test_model(self):
        facts = document("inspect", MODEL)
        self.assertEqual((facts["architecture"], facts["layers"], facts["kv_heads"]),
                         ("llama", 4, 2))
        by_type = {row["kv_type"]: row["bytes_a_token"] for row in facts["kv"]}
        self.assertEqual(by_type["f16"], 2 * 4 * 2 * 32 * 2)  # K, V x layers x heads x dim x 2
        self.assertIn("KV a token", kvasir("inspect", MODEL).stdout)
        beside = document("inspect", MODEL, env={"KVASIR_MODEL": "/no/such.gguf"})
        self.assertEqual(beside["layers"], 4)  # what is typed goes first
        by_flag = document("inspect", "-m", MODEL)
        self.assertEqual(by_flag["fingerprint"], facts["fingerprint"])

    def test_retrieval_heads(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "heads.safetensors")
            found = document("inspect", MODEL, "--find-heads", path)
            self.assertEqual(found["path"], path)
            self.assertEqual([len(layer) for layer in found["induction"]], [2] * 4)
            spec = f"razor:heads={path},min_buffer=20,share=0"
            heads = [len(head["positions"])
                     for layer in document("inspect", MODEL, "--ids", run_ids(100), "--kv",
                                           spec)["layers"] for head in layer["heads"]]
            self.assertEqual(sorted(heads), [25] * 7 + [100])
            self.fails(1, "run", "-m", MODEL, "--ids", "1", "--kv", f"razor:heads={path}.no",
                       says=["--find-heads"])
            by_number = document("inspect", MODEL, "--find-heads", path, "--probe", "number")
            self.assertEqual((found["probe"], by_number["probe"]), ("block", "number"))
            self.assertEqual([len(layer) for layer in by_number["induction"]], [2] * 4)
            self.fails(2, "inspect", MODEL, "--probe", "number", says=["--find-heads"])

    def test_positions(self):
        answer = document("inspect", MODEL, "--ids", run_ids(100),
                          "--kv", "streaming:budget=20,sinks=4")
        self.assertEqual(len(answer["layers"]), 4)
        for layer in answer["layers"]:
            self.assertEqual(len(layer["heads"]), 2)
            for head in layer["heads"]:
                self.assertEqual(head["positions"], [0, 1, 2, 3, *range(84, 100)])
                self.assertNotIn("rope_positions", head)
                self.assertNotIn("channels", head)
                self.assertEqual((head["k_codec"], head["v_codec"], head["tier"]),
                                 ("f32", "f32", "host"))
        self.assertEqual(sum(h["bytes"] for l in answer["layers"] for h in l["heads"]),
                         answer["kv"]["bytes"])

    def test_value_channels(self):
        answer = document("inspect", MODEL, "--ids", run_ids(100),
                          "--kv", "think:ratio=0,values=50%,recent=36")
        for layer in answer["layers"]:
            for head in layer["heads"]:
                self.assertNotIn("channels", head)
                kept = head["value_channels"]
                self.assertEqual((len(kept), kept), (16, sorted(set(kept))))
                self.assertEqual(len(head["positions"]), 100)

    def test_the_peak_is_no_less_than_what_is_held(self):
        for spec in ["full", "think:ratio=0.5", "snapkv:budget=20,window=8", "hadamard + kivi:bits=2"]:
            kv = document("inspect", MODEL, "--ids", run_ids(40), "--kv", spec)["kv"]
            self.assertGreaterEqual(kv["bytes_peak"], kv["bytes"], spec)

    def test_renumbered_positions(self):
        answer = document("inspect", MODEL, "--ids", run_ids(100),
                          "--kv", "renumber + streaming:budget=20,sinks=4")
        for layer in answer["layers"]:
            for head in layer["heads"]:
                self.assertEqual(head["positions"], [0, 1, 2, 3, *range(84, 100)])
                self.assertEqual(head["rope_positions"], list(range(20)))

    def test_map(self):
        with tempfile.TemporaryDirectory() as folder:
            png, html = pathlib.Path(folder) / "a.png", pathlib.Path(folder) / "a.html"
            flags = ["inspect", MODEL, "--ids", run_ids(100), "--kv", "streaming:budget=20"]
            kvasir(*flags, "--map", png)
            kvasir(*flags, "--map", html)
            self.assertEqual(png.read_bytes()[:8], b"\x89PNG\r\n\x1a\n")
            page = html.read_text()
            self.assertNotIn("http", page.replace("http-equiv", ""))
            rows = json.loads(re.search(r"const data = (.*?);\n", page).group(1))["rows"]
            self.assertEqual(rows, [[0, 4, 84, 16]] * 8)
        self.fails(1, *flags, "--map", "/no/such/folder/a.png", says=["/no/such/folder/a.png"])

    def test_tensors(self):
        quants = GOLDEN / "quants" / "all_types.gguf"
        names = [t["name"] for t in document("inspect", quants, "--list")["tensors"]]
        self.assertIn("Q4_K.q", names)
        stored = document("inspect", quants, "--tensor", "Q4_K.q", "--values")
        plain = document("inspect", quants, "--tensor", "Q4_K.f32", "--values")
        self.assertEqual(stored["type"], "Q4_K")
        self.assertEqual(stored["shape"], [8, 1024])
        self.assertEqual(stored["values"], plain["values"])
        self.assertEqual(len(plain["values"]), 8 * 1024)
        self.assertEqual(struct.pack("f", plain["max"]), struct.pack("f", max(plain["values"])))
        self.assertNotIn("values", document("inspect", quants, "--tensor", "Q4_K.q"))
        self.fails(1, "inspect", quants, "--tensor", "Q4_K.p", says=["did you mean 'Q4_K.q'"])


class Methods(Case):
    def test_table_and_pages(self):
        table = kvasir("methods").stdout
        methods = document("methods")["methods"]
        self.assertGreaterEqual({m["name"] for m in methods},
                                {"full", "renumber", "snapkv", "streaming"})
        saves = {m["name"]: m["saves"] for m in methods}
        share = re.compile(r"holds (\d+) % of the bytes")
        for name, least, most in [("think", 75, 90), ("q8", 50, 56), ("q4", 28, 34),
                                  ("vidkv", 12, 22), ("mikv", 30, 45)]:
            held = int(share.fullmatch(saves[name]).group(1))
            self.assertTrue(least <= held <= most, (name, held))
        for method in methods:
            self.assertIn(method["name"], table)
            page = kvasir("methods", method["name"]).stdout
            self.assertIn(method["example"], page)
            for param in method["params"]:
                self.assertIn(param["name"], page)

    def test_matrix(self):
        rows = {(r["first"], r["second"]): r for r in document("methods", "--matrix")["combinations"]}
        self.assertTrue(rows["renumber", "streaming"]["combines"])
        self.assertFalse(rows["snapkv", "streaming"]["combines"])
        self.assertIn("why", rows["snapkv", "streaming"])
        page = GOLDEN.parent.parent / "docs" / "methods-matrix.md"
        self.assertEqual(kvasir("methods", "--matrix").stdout, page.read_text(),
                         "write it anew: kvasir methods --matrix > docs/methods-matrix.md")

    def test_explain(self):
        flags = ["methods", "--prompt", 1000, "--explain"]
        full = document(*flags, "full")
        self.assertEqual((full["entries_per_head"], full["entries_per_head_later"]), (1000, 1256))
        snap = document(*flags, "snapkv:budget=20%")
        self.assertEqual((snap["entries_per_head"], snap["entries_per_head_later"]), (200, 456))
        stream = document(*flags, "renumber + streaming:budget=100")
        self.assertEqual((stream["entries_per_head"], stream["entries_per_head_later"]), (100, 100))
        self.assertEqual(stream["next_position"], 100)
        self.assertEqual([i["role"] for i in stream["chains"][0]], ["wrapper", "base"])
        self.assertIn("budget = 100", kvasir(*flags, "streaming:budget=100").stdout)
        self.fails(2, *flags, "streming", says=["'streaming'"])

    def test_explanation_is_what_happens(self):
        spec = "snapkv:budget=30%,window=8"
        told = document("methods", "--prompt", 200, "--explain", spec)["entries_per_head"]
        done = document("inspect", MODEL, "--ids", run_ids(200), "--kv", spec)
        self.assertEqual(done["kv"]["entries"], told * 8)


class Bench(Case):
    def test_rows(self):
        rows = document("bench", "-m", MODEL, "--prompt", "64,128", "--gen", 4, "--repeat", 2,
                        "--kv", "full; streaming:budget=32", "--depth", "0,96", "--threads",
                        1)["rows"]
        self.assertEqual([list(row) for row in rows], [BENCH_FIELDS] * len(rows))
        seen = [(r["spec"], r["phase"], r["prompt"]) for r in rows]
        for spec in ["full", "streaming:budget=32"]:
            for n in [64, 128]:
                self.assertIn((spec, "prefill", n), seen)
                self.assertIn((spec, "decode", n), seen)
            for n in [0, 96]:
                self.assertIn((spec, "decode", n), seen)
                self.assertNotIn((spec, "prefill", n), seen)
        for row in rows:
            self.assertLessEqual(row["tok_s_min"], row["tok_s_median"])
            self.assertLessEqual(row["tok_s_median"], row["tok_s_max"])
            self.assertGreater(row["floor_tok_s"], 0)
            self.assertEqual((row["batch"], row["tok_s_each"]), (1, row["tok_s_median"]))
        table = kvasir("bench", "-m", MODEL, "--prompt", 32, "--gen", 2, "--repeat", 1).stdout
        self.assertIn("prefill", table)

    def test_sequences_at_a_time(self):
        flags = ["bench", "-m", MODEL, "--prompt", 64, "--depth", 0, "--gen", 3, "--repeat", 2,
                 "--batch", "4,1", "--kv", "full; streaming:budget=32"]
        rows = {(r["spec"], r["phase"], r["prompt"], r["batch"]): r
                for r in document(*flags, "--threads", 2)["rows"]}
        self.assertEqual(len(rows), 2 * 2 * 3)
        for spec in ["full", "streaming:budget=32"]:
            for phase, n in [("prefill", 64), ("decode", 64), ("decode", 0)]:
                one, four = rows[spec, phase, n, 1], rows[spec, phase, n, 4]
                self.assertEqual(four["kv_bytes"], 4 * one["kv_bytes"])
                self.assertAlmostEqual(four["tok_s_each"], four["tok_s_median"] / 4)
                self.assertGreater(four["floor_tok_s"], 0)
                if phase == "decode":  # the weights are read once for all
                    self.assertLess(four["read_bytes_per_token"], one["read_bytes_per_token"])
        table = kvasir(*flags).stdout.splitlines()
        self.assertIn("batch", table[0])
        self.assertEqual(len(table), 1 + len(rows))

    def test_sequences_that_find_no_room(self):
        flags = ["bench", "-m", MODEL, "--prompt", 64, "--gen", 2, "--repeat", 1, "--batch"]
        for nonsense in ["0", "1,-2", "4,x", ""]:
            self.fails(2, *flags, nonsense, says=["--batch"])
        self.fails(1, *flags, 5000, "--kv-memory", "1MiB",
                   says=["--batch 5000", "64 tokens", "--kv-memory 1.0 MB", "--kv"])


class Eval(Case):
    FLAGS = ["eval", "-m", MODEL, "--task", "board_noise", "--length", 600, "--samples", 2,
             "--kv", "full; streaming:budget=20%"]

    def test_the_table_and_its_document(self):
        listed = document("eval", "--list")["tasks"]
        self.assertIn("niah_single_1", [task["name"] for task in listed])
        self.assertIn("board_noise", kvasir("eval", "--list").stdout)
        done = document(*self.FLAGS)
        self.assertEqual(list(done), ["run", "rows", "failed", "interrupted"])
        self.assertEqual([(row["spec"], row["n"]) for row in done["rows"]],
                         [("full", 2), ("streaming:budget=20%", 2)])
        self.assertNotIn("difference", done["rows"][0])
        self.assertEqual(done["rows"][1]["difference"]["pairs"], 2)
        self.assertLess(done["rows"][1]["means"]["entry_share"], 0.25)
        self.assertIn("streaming:budget=20%", kvasir(*self.FLAGS).stdout)

    def test_results_stream_resume_and_become_tables(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "results.jsonl"
            csv, markdown = f"{folder}/t.csv", f"{folder}/t.md"
            kvasir(*self.FLAGS, "--out", out)
            lines = [json.loads(line) for line in out.read_text().splitlines()]
            self.assertEqual([line["type"] for line in lines],
                             ["run", "prompt", "sample", "sample", "prompt", "sample", "sample"])
            self.fails(1, *self.FLAGS, "--out", out, says=["--resume"])
            again = kvasir(*self.FLAGS, "--out", out, "--resume", "--csv", csv, "--markdown",
                           markdown)
            self.assertIn("0 samples done, 4 known before", again.stderr)
            self.assertEqual(len(out.read_text().splitlines()), 8)  # one more header
            self.assertEqual(len(pathlib.Path(csv).read_text().splitlines()), 3)
            self.assertIn("| --- |", pathlib.Path(markdown).read_text())

    def data_of(self, page):
        """What a page draws."""
        text = pathlib.Path(page).read_text()
        begin = text.index('id="data">') + len('id="data">')
        return json.loads(text[begin:text.index("</script>", begin)])

    def test_a_report_shows_its_run_or_whole_files(self):
        with tempfile.TemporaryDirectory() as folder:
            out, page = f"{folder}/r.jsonl", f"{folder}/r.html"
            csv, markdown = f"{folder}/t.csv", f"{folder}/t.md"
            kvasir(*self.FLAGS, "--out", out)
            kvasir(*self.FLAGS[:-1], "full", "--out", out, "--resume", "--report", page)
            self.assertEqual(self.data_of(page)["specs"], ["full"])
            self.assertEqual(len(self.data_of(page)["samples"]), 2)
            done = document("report", out, "--report", page, "--csv", csv, "--markdown", markdown)
            self.assertEqual([row["n"] for row in done["rows"]], [2, 2])
            data = self.data_of(page)
            self.assertEqual(data["specs"], ["full", "streaming:budget=20%"])
            self.assertEqual((len(data["cases"]), len(data["samples"])), (2, 4))
            self.assertIn("--task 'board_noise'", data["runs"][0]["command"])
            self.assertEqual(len(pathlib.Path(csv).read_text().splitlines()), 3)
            self.assertIn("`full`", pathlib.Path(markdown).read_text())
            # Without --out the samples are kept for the page alone.
            kvasir(*self.FLAGS, "--report", page)
            self.assertEqual(len(self.data_of(page)["samples"]), 4)

    def test_a_report_of_bad_files(self):
        self.fails(2, "report", says=["result file"])
        self.fails(1, "report", "/no/such/file", says=["/no/such/file"])
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "r.jsonl"
            file.write_text('{"type": "run"}\n')
            self.fails(1, "report", file, says=["no samples"])
            file.write_text('{"type": "run"}\noops\n')
            self.fails(1, "report", file, says=["line 2"])
            kvasir(*self.FLAGS, "--samples", 1, "--out", f"{folder}/whole.jsonl")
            file.write_text(pathlib.Path(f"{folder}/whole.jsonl").read_text() + '{"type": "sam')
            done = kvasir("report", file)
            self.assertIn("cut off", done.stderr)
            self.assertIn("streaming", done.stdout)

    def test_errors(self):
        model = ["eval", "-m", MODEL]
        self.fails(2, *model, says=["--task"])
        self.fails(2, *model, "--task", "vt", "--samples", 0, says=["--samples"])
        self.fails(2, *model, "--task", "vt", "--resume", says=["--out"])
        self.fails(1, *model, "--task", "niah_singel_1", says=["did you mean"])
        self.fails(1, *model, "--task", "vt", "--length", 1 << 20, says=["--length"])
        self.fails(1, *self.FLAGS, "--csv", "/no/such/folder/t.csv", says=["/no/such/folder"])
        self.fails(1, *self.FLAGS, "--report", "/no/such/folder/r", says=["/no/such/folder"])
        self.fails(1, *self.FLAGS, "--out", "/no/such/folder/t", says=["/no/such/folder"])
        self.fails(1, *model, "--task", "gsm8k", says=["--data"])


class Chat(Case):
    def turns(self, script, *flags):
        return document("chat", "-m", MODEL, "-n", 6, *flags, text=script)["turns"]

    def test_a_second_turn_reads_only_what_is_new(self):
        first, second = self.turns("Hello there\nAnd more\n")
        self.assertLess(second["prompt_tokens"], first["prompt_tokens"] + 12)
        # The cache gives the same answer as reading everything anew.
        self.assertEqual(self.turns("Hello there\nAnd more\n")[1]["text"], second["text"])
        messages = [{"role": "user", "content": "Hello there"},
                    {"role": "assistant", "content": first["text"]},
                    {"role": "user", "content": "And more"}]
        row = kvasir("template", "-m", MODEL, "--jsonl", "-",
                     text=json.dumps({"messages": messages}) + "\n").stdout
        fresh = document("run", "-m", MODEL, "--raw", "-f", "-", "-n", 6,
                         text=json.loads(row)["text"])
        self.assertEqual(fresh["text"], second["text"])

    def test_works_after_compression(self):
        turns = self.turns("One\nTwo\nThree\n", "--kv", "streaming:budget=16")
        self.assertEqual(len(turns), 3)

    def test_a_chat_that_was_killed_goes_on_as_if_nothing_happened(self):
        """Trap 3.17, across processes: what methods collect, half groups of codecs, seeds."""
        for flags in [[], ["--temp", 1, "--seed", 7], ["--kv", "h2o:budget=24", "--temp", 1,
                      "--seed", 7], ["--kv", "snapkv:budget=48,window=8 + kivi:bits=2,residual=32"],
                      ["--kv", "decode:every=4 + tova:budget=24"], ["--stop", "e"]]:
            with self.subTest(flags=flags), tempfile.TemporaryDirectory() as folder:
                flags = ["-n", 12, *flags]
                whole = self.turns("One\nTwo and two\nThree\nFour\n", *flags)
                state = pathlib.Path(folder) / "state"
                process = subprocess.Popen(
                    [KVASIR, "chat", "-m", str(MODEL), *map(str, flags)], stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
                self.addCleanup(process.wait)
                self.addCleanup(process.kill)
                process.stdin.write(f"One\nTwo and two\n/save {state}\n".encode())
                process.stdin.flush()
                end = time.monotonic() + 60  # the messages are written last, and whole
                while not os.path.exists(f"{state}.json") and time.monotonic() < end:
                    time.sleep(0.02)
                process.kill()
                process.stdin.close()
                again = self.turns(f"/load {state}\nThree\nFour\n", *flags)
                for turn, expected in zip(again, whole[2:], strict=True):
                    for field in ["text", "prompt_tokens", "generated_tokens", "stop_reason"]:
                        self.assertEqual(turn[field], expected[field])

    def test_commands(self):
        with tempfile.TemporaryDirectory() as folder:
            state = pathlib.Path(folder) / "state"
            saved = self.turns(f"Hello\n/save {state}\nGo on\n")
            loaded = self.turns(f"/load {state}\nGo on\n")
            self.assertEqual(loaded[0]["text"], saved[1]["text"])
            self.assertEqual(loaded[0]["prompt_tokens"], saved[1]["prompt_tokens"])
            done = kvasir("chat", "-m", MODEL, "--kv", "streaming:budget=8",
                          text=f"/load {state}\n", check=1)
            self.assertEqual(done.stdout, "")
        reset = self.turns("Hello\n/reset\nHello\n")
        self.assertEqual(reset[0]["text"], reset[1]["text"])
        self.assertEqual(reset[0]["prompt_tokens"], reset[1]["prompt_tokens"])
        changed = self.turns("Hello\n/kv streaming:budget=16\nAgain\n")
        self.assertGreater(changed[1]["prompt_tokens"], changed[0]["prompt_tokens"])
        stats = kvasir("chat", "-m", MODEL, "-n", 2, text="Hello\n/stats\n/quit\nnot read\n")
        self.assertIn("KV cache", stats.stderr)

    def test_errors_end_a_script(self):
        self.assertIn("/stats", kvasir("chat", "-m", MODEL, text="/stat\n", check=1).stderr)
        kvasir("chat", "-m", MODEL, text="/kv nonsense\n", check=1)
        kvasir("chat", "-m", MODEL, text="/load /no/such\n", check=1)

    def test_a_failed_save_changes_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            kvasir("chat", "-m", MODEL, "-n", 1, text=f"Hi\n/save {folder}/no/file\n", check=1)
            self.assertEqual(os.listdir(folder), [])
            state = pathlib.Path(folder, "state")
            state.write_text("older")

            def small_disk():  # writes beyond 4 KiB fail as on a full disk
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
                resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
            done = subprocess.run([KVASIR, "chat", "-m", str(MODEL), "-n", "1"],
                                  input=f"Hi\n/save {state}\n".encode(), env=environment(),
                                  capture_output=True, preexec_fn=small_disk,
                                  restore_signals=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(str(state).encode(), done.stderr)
            self.assertEqual(os.listdir(folder), ["state"])
            self.assertEqual(state.read_text(), "older")

    def test_what_is_no_plain_file_is_not_replaced(self):
        with tempfile.TemporaryDirectory() as folder:
            pipe = pathlib.Path(folder, "pipe")
            os.mkfifo(pipe)
            done = kvasir("chat", "-m", MODEL, "-n", 1, text=f"Hi\n/save {pipe}\n", check=1)
            self.assertIn("not a plain file", done.stderr)
            self.assertTrue(pipe.is_fifo())
            os.rename(pipe, folder + "/pipe.png")
            self.fails(1, "inspect", MODEL, "--ids", "1,2", "--map", folder + "/pipe.png",
                       says=["not a plain file"])
            self.assertEqual(os.listdir(folder), ["pipe.png"])

    def test_slash_as_text(self):
        self.assertEqual(self.turns("//etc\n")[0]["user"], "/etc")


class Serve(Case):
    def start(self, *flags):
        process = subprocess.Popen([KVASIR, "serve", "-m", str(MODEL), "--port", "0", *flags],
                                   stderr=subprocess.PIPE, stdout=subprocess.PIPE,
                                   encoding="utf-8", env=environment())
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        line = process.stderr.readline()
        self.assertRegex(line, r"serving on http://127\.0\.0\.1:\d+/v1\n")
        return process, re.search(r"http://[^/]+", line).group(0)

    def post(self, url, **body):
        request = urllib.request.Request(url, json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)

    def test_sigterm_under_load_answers_what_is_at_hand(self):
        process, url = self.start("--log-format", "json")
        answers = []

        def ask():
            answers.append(self.post(url + "/v1/completions", prompt="Hello", max_tokens=800,
                                     ignore_eos=True, seed=1))
        askers = [threading.Thread(target=ask) for _ in range(4)]
        for asker in askers:
            asker.start()
        end = time.monotonic() + 30
        busy = 0
        while busy < 4 and time.monotonic() < end:
            with urllib.request.urlopen(url + "/slots") as reply:
                busy = sum(slot["is_processing"] for slot in json.load(reply))
        self.assertEqual(busy, 4)
        process.send_signal(signal.SIGTERM)
        for asker in askers:
            asker.join()
        self.assertEqual([a["usage"]["completion_tokens"] for a in answers], [800] * 4)
        self.assertEqual(len({a["choices"][0]["text"] for a in answers}), 1)
        self.assertEqual(process.wait(60), 0)
        self.assertEqual(process.stdout.read(), "")
        lines = [json.loads(line) for line in process.stderr if line.startswith("{")]
        asked = [line for line in lines if line["path"] == "/v1/completions"]
        self.assertEqual([line["generated_tokens"] for line in asked], [800] * 4)

    def test_a_slot_outlives_a_server_that_was_killed(self):
        """Trap 3.17, across processes: the next turn is what it would have been."""
        specs = ["full", "h2o:budget=40", "snapkv:budget=80,window=16 + kivi:bits=2,residual=32",
                 "decode:every=4 + tova:budget=32", "expected:budget=40", "think:ratio=40%"]
        for spec, temperature in itertools.product(specs, [0, 1]):
            with (self.subTest(spec=spec, temperature=temperature),
                  tempfile.TemporaryDirectory() as folder):
                flags = ["--slot-save-path", folder, "--kv", spec, "--parallel", "1"]
                process, url = self.start(*flags)
                text = [7 + i * 13 % 400 for i in range(120)]
                first = self.post(url + "/v1/completions", prompt=text, max_tokens=20, seed=5,
                                  ignore_eos=True, return_tokens=True)
                self.post(url + "/slots/0?action=save", filename="a")
                turn = dict(prompt=text + first["choices"][0]["tokens"] + [60, 61, 62], seed=6,
                            max_tokens=12, ignore_eos=True, temperature=temperature)
                expected = self.post(url + "/v1/completions", **turn)
                process.kill()
                process.wait()
                process, url = self.start(*flags)
                self.post(url + "/slots/0?action=restore", filename="a")
                reply = self.post(url + "/v1/completions", **turn)
                self.assertEqual(reply["choices"], expected["choices"])
                self.assertEqual(reply["usage"], expected["usage"])
                self.assertGreater(reply["kv"]["reused_tokens"]["restored"], 100)
                for key in ["entries", "by_codec"]:
                    self.assertEqual(reply["kv"][key], expected["kv"][key])
                process.kill()
                process.wait()

    def test_a_load_maker(self):
        process, url = self.start()
        fields = ["requests", "failed", "statuses", "wall_s", "prompt_tokens", "generated_tokens",
                  "requests_per_s", "generated_tokens_per_s", "total_tokens_per_s", "ttft_s",
                  "inter_token_s", "tpot_s", "e2e_s", "slo", "goodput", "good_requests_per_s"]
        flags = ["bench", "--serve", url + "/v1", "--prompt", "20,40", "--gen", 8, "--requests", 6]
        for way in [["--clients", 3], ["--rate", 50]]:
            figures = document(*flags, *way, "--slo-ttft", 30)
            self.assertEqual(list(figures), fields)
            self.assertEqual((figures["requests"], figures["failed"]), (6, 0))
            self.assertEqual(figures["generated_tokens"], 48)
            self.assertEqual(figures["goodput"], 1)
            for spread in ["ttft_s", "inter_token_s", "e2e_s"]:
                self.assertLessEqual(figures[spread]["p50"], figures[spread]["p99"])
        table = kvasir(*flags, "--kv", "streaming:budget=16", "--slo-e2e", 0).stdout
        self.assertIn("goodput 0.0 %", table)
        with urllib.request.urlopen(url + "/metrics") as reply:
            self.assertIn('policy="streaming"', reply.read().decode())
        self.fails(1, *flags, "--kv", "q8", "--timeout", 1, "--serve", url + "/nowhere",
                   says=["404", "/v1"])
        process.kill()
        process.wait()
        self.fails(1, *flags, says=[url, "refused", "kvasir serve"])
        for wrong in [["--serve", "https://x"], ["--clients", 2, "--rate", 1], ["--depth", 5],
                      ["--kv", "full; q8"]]:
            self.fails(2, *flags, *wrong, says=[wrong[0]])
        self.fails(2, "bench", "--clients", 3, says=["--serve"])

    def test_agents_find_what_they_share(self):
        process, url = self.start()
        with tempfile.TemporaryDirectory() as folder:
            trace = pathlib.Path(folder) / "trace.jsonl"
            lines = subprocess.run(
                [sys.executable, GOLDEN.parents[1] / "bench/serve/agents.py", "--sessions", "3",
                 "--steps", "3", "--prefix", "2000", "--scale", "0.05", "--block", "16", "--most",
                 "1500"],
                capture_output=True, text=True, check=True).stdout
            trace.write_text(lines)
            n = len(lines.splitlines())
            flags = ["bench", "--serve", url + "/v1", "--agents", trace, "--block", 16, "--vocab",
                     400, "--clients", 2, "--speed", 1000]
            figures = document(*flags)
            self.assertEqual((figures["requests"], figures["failed"]), (n, 0))
            told = figures["trace"]
            self.assertEqual(told["sessions_broken"], 0)
            self.assertEqual(told["cached_tokens"] + told["recomputed_tokens"],
                             figures["prompt_tokens"])
            self.assertEqual(figures["prompt_tokens"],
                             sum(json.loads(line)["input_length"] for line in lines.splitlines()))
            self.assertGreater(told["cached_share"], 0.2)
            self.assertGreater(told["known_share"], 0.5)
            self.fails(1, *flags, "--block", 32, says=["line 1", "hash_ids", "--block"])
            self.fails(2, *flags, "--rate", 3, says=["--rate", "trace"])
            self.fails(1, *flags, "--agents", trace.with_suffix(".none"), says=["cannot read"])
        self.fails(2, "bench", "--block", 16, says=["--agents"])
        process.kill()
        process.wait()

    def test_ctrl_c_ends_a_load_with_what_was_measured(self):
        _, url = self.start()
        load = subprocess.Popen(
            [KVASIR, "bench", "--serve", url + "/v1", "--prompt", "20", "--gen", "4", "--requests",
             "1000000", "--clients", "2", "--json"], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=environment())
        self.addCleanup(load.kill)
        name = r'kvasir_request_success_total\{.*"length"\} (\d+)'
        n, end = 0, time.monotonic() + 60
        while n < 5 and time.monotonic() < end:
            with urllib.request.urlopen(url + "/metrics") as reply:
                n = int(re.search(name, reply.read().decode())[1])
        load.send_signal(signal.SIGINT)
        out, err = load.communicate(timeout=60)
        self.assertEqual(load.returncode, 130, err)
        self.assertGreater(json.loads(out)["generated_tokens"], 0)

    def start_without_model(self):
        """It cannot say that the model is loaded, because nobody reads its full pipe: so it waits
        before it serves. Gives the process, its URL, and what to read to let it go on."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        unread, pipe = os.pipe()
        os.set_blocking(pipe, False)
        with contextlib.suppress(BlockingIOError):
            while os.write(pipe, b" " * 4096):
                pass
        os.set_blocking(pipe, True)
        process = subprocess.Popen([KVASIR, "serve", "-m", str(MODEL), "--port", port,
                                    "--log-level", "debug"], stderr=pipe, env=environment())
        os.close(pipe)
        unread = open(unread, "rb")
        self.addCleanup(unread.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        url = "http://127.0.0.1:" + port
        self.assertEqual(self.health(url, process), 503)
        return process, url, unread

    def health(self, url, process):
        """The status; waits until somebody answers at all."""
        end = time.monotonic() + 60
        while time.monotonic() < end and process.poll() is None:
            try:
                with urllib.request.urlopen(url + "/health", timeout=60) as reply:
                    return reply.status
            except urllib.error.HTTPError as error:
                error.close()
                return error.code
            except OSError:
                time.sleep(0.02)
        return None

    def test_health_is_503_until_the_model_is_loaded(self):
        process, url, unread = self.start_without_model()
        said = b"what the pipe is full of"
        while said and b"serving on" not in said:
            said = unread.readline()
        self.assertIn(b"serving on", said)
        self.assertEqual(self.health(url, process), 200)

    def test_sigterm_while_loading_is_0(self):
        process, _, _ = self.start_without_model()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 0)

    def test_json_says_where(self):
        process, url = self.start("--json")
        self.assertTrue(select.select([process.stdout], [], [], 60)[0])
        said = json.loads(process.stdout.readline())
        self.assertEqual(said, {"url": url + "/v1", "port": int(url.rsplit(":", 1)[1])})

    def test_an_ipv6_address_is_in_brackets(self):
        try:
            with socket.socket(socket.AF_INET6) as free:
                free.bind(("::1", 0))
        except OSError:
            self.skipTest("this system has no IPv6")
        process = subprocess.Popen([KVASIR, "serve", "-m", str(MODEL), "--port", "0", "--host",
                                    "::1"], stderr=subprocess.PIPE, env=environment())
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertRegex(process.stderr.readline(), rb"serving on http://\[::1\]:\d+/v1\n")

    def test_ctrl_c_is_130(self):
        process, _ = self.start()
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(60), 130)

    def test_what_cannot_be_served(self):
        process, url = self.start()
        port = url.rsplit(":", 1)[1]
        self.fails(1, "serve", "-m", MODEL, "--port", port, says=[port])
        self.fails(1, "serve", "-m", MODEL, "--host", "not.an.address", says=["not.an.address"])
        self.fails(1, "serve", "-m", MODEL, "--api-key-file", "/no/such", says=["/no/such"])
        self.fails(1, "serve", "-m", "/no/such", "--port", 0, says=["/no/such"])


class Terminal(Case):
    """Behind a pseudo-terminal: the bar, line editing, Ctrl-C."""

    def start(self, *args, stdout_too=True, env=None):
        main, side = pty.openpty()
        process = subprocess.Popen(
            [KVASIR, *map(str, args)], stdin=side, stderr=side,
            stdout=side if stdout_too else subprocess.PIPE, start_new_session=True,
            env=environment(XDG_STATE_HOME=self.state, **(env or {})),
            preexec_fn=lambda: __import__("fcntl").ioctl(0, 0x540E, 0))  # TIOCSCTTY
        os.close(side)
        self.addCleanup(os.close, main)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, main

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.state = folder.name
        self.unread = b""

    def read_until(self, main, wanted, seconds=300):
        end = time.monotonic() + seconds
        while wanted not in self.unread and time.monotonic() < end:
            if select.select([main], [], [], 0.2)[0]:
                try:
                    self.unread += os.read(main, 65536)
                except OSError:
                    break
        self.assertIn(wanted, self.unread)
        text, _, self.unread = self.unread.partition(wanted)
        return text + wanted

    def test_chat(self):
        process, main = self.start("chat", "-m", MODEL, "-n", 4)
        self.read_until(main, b"> ")
        os.write(main, b"Hello\r")
        self.read_until(main, b"tokens/s")
        self.read_until(main, b"> ")
        os.write(main, b"half a li\x03")
        self.read_until(main, b"Ctrl-C again")
        self.read_until(main, b"> ")
        os.write(main, b"/stats\r")
        self.read_until(main, b"peak RSS")
        self.read_until(main, b"> ")
        os.write(main, b"\x04")
        self.assertEqual(process.wait(120), 0)
        history = pathlib.Path(self.state, "kvasir", "history")
        self.assertIn("Hello", history.read_text())
        self.assertEqual(history.stat().st_mode & 0o77, 0)

    def test_keys_are_heeded_from_the_prompt_on(self):
        compiler = shutil.which("cc")
        if compiler is None:
            self.skipTest("no C compiler")
        slow = pathlib.Path(self.state, "slow")  # libedit takes its time after it has the prompt out
        slow.with_suffix(".c").write_text("""
            #define _GNU_SOURCE
            #include <dlfcn.h>
            #include <termios.h>
            #include <unistd.h>
            int tcsetattr(int fd, int when, const struct termios* mode) {
              int (*real)(int, int, const struct termios*) = dlsym(RTLD_NEXT, "tcsetattr");
              usleep(200000);
              return real(fd, when, mode);
            }""")
        subprocess.run([compiler, "-shared", "-fPIC", "-o", slow.with_suffix(".so"),
                        slow.with_suffix(".c"), "-ldl"], check=True)
        process, main = self.start("chat", "-m", MODEL,
                                   env={"LD_PRELOAD": str(slow.with_suffix(".so")),
                                        "ASAN_OPTIONS": "verify_asan_link_order=0"})
        self.read_until(main, b"> ")
        os.write(main, b"\x04")
        self.assertEqual(process.wait(120), 0)

    def test_ctrl_c_twice_leaves_the_chat(self):
        process, main = self.start("chat", "-m", MODEL)
        self.read_until(main, b"> ")
        os.write(main, b"\x03")
        self.read_until(main, b"again")
        self.read_until(main, b"> ")
        os.write(main, b"\x03")
        self.assertEqual(process.wait(120), 130)

    def test_ctrl_c_stops_an_answer_and_the_chat_goes_on(self):
        process, main = self.start("chat", "-m", MODEL, "-n", 100000, "--ignore-eos", "--ctx", 90000)
        self.read_until(main, b"> ")
        os.write(main, b"Hello\r")
        self.read_until(main, b"Hello\r\n")
        time.sleep(0.5)
        os.write(main, b"\x03")
        self.read_until(main, b"tokens/s")
        self.read_until(main, b"> ")
        os.write(main, b"/quit\r")
        self.assertEqual(process.wait(120), 0)

    def test_no_color(self):
        done = self.start("run", "-m", MODEL, "--ids", "1,2", "-n", 1)
        self.assertIn(b"\x1b[2m", self.read_until(done[1], b"peak RSS"))


class CtrlC(Case):
    """Moments are CPU time of the process, so that a busy machine does not move them."""

    @staticmethod
    def wait_for(condition):
        end = time.monotonic() + 300
        while not condition():
            assert time.monotonic() < end, "not within five minutes"
            time.sleep(0.01)

    @staticmethod
    def catches_sigint(pid):
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        caught = int(re.search(r"SigCgt:\s*([0-9a-f]+)", status)[1], 16)
        return caught >> (signal.SIGINT - 1) & 1

    @staticmethod
    def cpu_seconds(pid):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def interrupted(self, *args, after=0.5, times=1):
        process = subprocess.Popen([KVASIR, *map(str, args)], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=environment())
        self.addCleanup(process.kill)
        self.wait_for(lambda: self.catches_sigint(process.pid))
        self.wait_for(lambda: self.cpu_seconds(process.pid) >= after)
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(0.02)
        out, err = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 130, err)
        return out.decode(), err.decode()

    FOREVER = ["run", "-m", MODEL, "--ids", "1,2,3", "-n", 1000000, "--ignore-eos", "--ctx", 1000000,
               "--kv", "streaming:budget=64"]

    def test_evaluating(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "results.jsonl"
            text, err = self.interrupted("eval", "-m", MODEL, "--task", "board_noise", "--length",
                                         600, "--samples", 5000, "--out", out, after=3)
            self.assertIn("interrupted", err)
            self.assertIn("board_noise", text)
            lines = out.read_text().splitlines()
            self.assertGreater(len(lines), 2)
            for line in lines:
                json.loads(line)

    def test_generating(self):
        out, err = self.interrupted(*self.FOREVER, after=1)
        self.assertGreater(len(out), 5)
        self.assertTrue(out.endswith("\n"))
        self.assertIn("interrupted", err)

    def test_generating_json(self):
        out, _ = self.interrupted(*self.FOREVER, "--json", after=1)
        answer = json.loads(out)
        self.assertEqual(answer["stop_reason"], "interrupted")
        self.assertEqual(len(answer["ids"]), answer["generated_tokens"])
        self.assertGreater(answer["generated_tokens"], 0)

    def test_reading(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("word " * 30000)
            file.flush()
            out, err = self.interrupted("run", "-m", MODEL, "-f", file.name, "--raw", "--ctx",
                                        1000000, "--threads", 1, "--json", after=1.5)
        answer = json.loads(out)
        self.assertEqual((answer["generated_tokens"], answer["prompt_tokens"]), (0, 0))
        self.assertEqual((answer["ttft_ms"], answer["prefill_tok_s"]), (None, 0))
        self.assertEqual((answer["kv"]["spec"], answer["kv"]["entries"]), ("full", 0))

    def test_work_without_a_model(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("words and more words, " * 3000000)
            file.flush()
            out, err = self.interrupted("tokenize", "-m", MODEL, "-f", file.name, after=0.3)
        self.assertEqual(out, "")
        self.assertIn("interrupted", err)

    def test_at_once(self):
        self.interrupted(*self.FOREVER, after=0, times=2)

    def test_bench_prints_what_it_has(self):
        out, _ = self.interrupted("bench", "-m", MODEL, "--prompt", 512, "--gen", 512, "--repeat",
                                  1000, "--json", after=1)
        self.assertIn("rows", json.loads(out))


if __name__ == "__main__":
    KVASIR = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main()
