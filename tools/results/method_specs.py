"""The specs that stand for the methods of `kvasir methods` in tables of results."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUDGETS = [50, 20, 10, 5]

# Settings that a method's name alone does not say. Wrappers stand on the snapkv that kvpress's
# figures were measured with: on the best one there is nothing left for them to mend.
WRAPPED = "snapkv:window=16,kernel=7,budget={b}%"
VARIANTS = {
    "snapkv": ["snapkv:budget={b}%", WRAPPED, "snapkv:window=64,kernel=7,budget={b}%"],
    "chunkkv": ["chunkkv:chunk=20 + " + WRAPPED],
    "pyramidkv": ["pyramidkv + snapkv:window=8,kernel=7,budget={b}%"],
    "auto": ["auto:budget={b}%", "auto:of=entries,budget={b}%"],
    "kivi": ["kivi:bits=8", "kivi:bits=4", "kivi:bits=2"],
    "hadamard": ["hadamard + q4", "hadamard + kivi:bits=2"],
    "think": ["think:ratio=20%", "think:ratio=50%", "think:ratio=0,values=50%"],
}


def model_flags(model):
    """Of "needle" or "default"."""
    return ["-m", str(ROOT / "models/needle-11m-f16.gguf")] if model == "needle" else []


def explains(kvasir, spec):
    """Whether a spec is one: a wrapper may want another base."""
    return subprocess.run([kvasir, "methods", "--explain", spec, "--json"],
                          capture_output=True).returncode == 0


def specs_of(kvasir, only=None, budgets=BUDGETS):
    """{method: [(budget or None, spec), …]}, `full` first."""
    done = subprocess.run([kvasir, "methods", "--json"], capture_output=True, text=True, check=True)
    table = {"full": [(None, "full")]}
    for method in json.loads(done.stdout)["methods"]:
        name = method["name"]
        if name == "full" or (only and name not in only):
            continue
        if name == "trimkv":
            print("trimkv wants gates trained for the model; left out", file=sys.stderr)
            continue
        if name in VARIANTS:
            forms = VARIANTS[name]
        elif method["role"] == "wrapper":
            forms = [f"{name} + {WRAPPED}"]
        elif any(param["name"] == "budget" for param in method["params"]):
            forms = [f"{name}:budget={{b}}%"]
        else:
            forms = [name]
        specs = [(budget, form.format(b=budget)) for form in forms
                 for budget in (budgets if "{b}" in form else [None])]
        table[name] = [(budget, spec) for budget, spec in specs if explains(kvasir, spec)]
    return table


def find_heads(kvasir, folder, model):
    """razor's side file of a model, once; `folder` remembers where it is."""
    known = folder / f"heads-{model}.json"
    if known.exists() and os.path.exists(json.loads(known.read_text())["path"]):
        return
    done = subprocess.run([kvasir, "inspect", *model_flags(model), "--find-heads", "auto",
                           "--json"], capture_output=True, text=True, check=True)
    known.write_text(done.stdout)


def runs(kvasir, model, spec):
    """Whether a model takes a spec: the heads that razor keeps whole may be more than a budget."""
    return subprocess.run([kvasir, "run", *model_flags(model), "--ids", "1", "-n", "1", "--kv", spec,
                           "--json"], capture_output=True).returncode == 0


def write_between(path, begin, end, text):
    """Puts a text between two lines of a page that mark its place."""
    document = path.read_text()
    before, rest = document.split(begin, 1)
    after = rest.split(end, 1)[1]
    temporary = path.with_suffix(".tmp")
    temporary.write_text(f"{before}{begin}\n{text}\n{end}{after}")
    os.replace(temporary, path)
