"""The examples of docs/serve.md, as they are printed there, but for the port."""

import re
import subprocess
import sys

import pytest
from serving import ROOT

BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = BLOCK.findall((ROOT / "docs" / "serve.md").read_text())
# What their output has, in their order.
EXPECTED = [r'"finish_reason"', r"\w+", r"(?s)full \d+ bytes: .+snapkv:budget=128 \d+ bytes: ",
            r"mood='(glad|angry|neither)' stars=[1-5]", r"'name': 'tide'", r"\w+"]


def test_each_example_is_known():
    assert len(EXAMPLES) == len(EXPECTED) >= 5


@pytest.mark.parametrize("number", range(len(EXPECTED)))
def test_example(server, number):
    language, code = EXAMPLES[number]
    assert "127.0.0.1:8080" in code
    code = code.replace("127.0.0.1:8080", server.url.removeprefix("http://"))
    command = ["sh", "-ec", code] if language == "sh" else [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{code}\n{done.stderr}"
    assert re.search(EXPECTED[number], done.stdout), f"{code}\n{done.stdout}"
