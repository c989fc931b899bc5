#!/usr/bin/env python3
"""Goes through packaging/Containerfile without a container engine: as root, in chroots.

    tools/container_check.py MODEL.gguf [--base FOLDER] [--keep FOLDER] [--binary FILE]

Each stage is a copy of a Debian 12 that debootstrap makes (--base: one that is there already). RUN
is executed in it, COPY copies the files that git knows, and what the recipe starts in the end is
started and asked a question. It takes the time of a whole build; with --binary the compiler is
only asked what it would do, and that program is taken, which must have been built on Debian 12.
"""

import argparse
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
RECIPE = ROOT / "packaging" / "Containerfile"
COMPILE = "ninja -C build/release kvasir"


def steps():
    """(instruction, rest) of each; lines that go on are joined."""
    text = "\n".join(line for line in RECIPE.read_text().splitlines() if not line.startswith("#"))
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            instruction, rest = line.split(None, 1)
            yield instruction, rest.strip()


class Stage:
    def __init__(self, root):
        self.root, self.folder, self.env, self.user, self.entry = root, "/", {}, "root", None

    def path(self, path):
        return self.root / os.path.join(self.folder, path).lstrip("/")

    def command(self, words):
        env = [f"{name}={value}" for name, value in self.env.items()]
        inside = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                  *env, *words]
        if self.user != "root":
            inside = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups",
                      *inside]
        return ["chroot", self.root, *inside]

    def run(self, text):
        say("RUN " + text)
        script = f"cd {shlex.quote(self.folder)} && {text}"
        subprocess.run(self.command(["/bin/sh", "-c", script]), check=True,
                       stdin=subprocess.DEVNULL)

    def copy(self, sources, target, origin):
        destination = self.path(target)
        for source in sources:
            if origin:
                destination.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(origin.path(source), destination)
                continue
            known = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard",
                                    source], check=True, capture_output=True, text=True).stdout
            for name in known.splitlines():
                inside = destination / os.path.relpath(name, source)
                inside.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, inside)


def say(text):
    print(f"container_check: {text}", flush=True)


def build(base, folder, binary):
    stages, names = [], {}
    for instruction, rest in steps():
        words = shlex.split(rest)
        if instruction == "FROM":
            stage = Stage(folder / f"stage{len(stages)}")
            subprocess.run(["cp", "-a", "--reflink=auto", base, stage.root], check=True)
            shutil.copy2("/etc/resolv.conf", stage.root / "etc" / "resolv.conf")
            stages.append(stage)
            if len(words) == 3:
                names[words[2]] = stage
        elif instruction == "WORKDIR":
            stage.folder = words[0]
            stage.path(".").mkdir(parents=True, exist_ok=True)
        elif instruction == "COPY":
            origin = None
            if words[0].startswith("--from="):
                origin = names[words.pop(0)[7:]]
            stage.copy(words[:-1], words[-1], origin)
        elif instruction == "RUN" and binary and COMPILE in rest:
            stage.run(rest.replace(COMPILE, COMPILE + " -n >/dev/null"))
            shutil.copy2(binary, stage.path("build/release/kvasir"))
        elif instruction == "RUN":
            stage.run(rest)
        elif instruction == "ENV":
            stage.env.update(word.split("=", 1) for word in words)
        elif instruction == "USER":
            stage.user = words[0]
        elif instruction == "ENTRYPOINT":
            stage.entry = json.loads(rest)
        elif instruction not in ("EXPOSE", "HEALTHCHECK"):
            sys.exit(f"container_check: {instruction} is not known here")
    return stages[-1]


def ask(stage, model):
    shutil.copyfile(model, stage.path("/model.gguf"))
    os.chmod(stage.path("/model.gguf"), 0o644)
    stage.env.update(KVASIR_HOST="127.0.0.1", KVASIR_PORT="18080")
    server = subprocess.Popen(stage.command(stage.entry))
    try:
        url = "http://127.0.0.1:18080"
        for _ in range(300):
            try:
                urllib.request.urlopen(url + "/health", timeout=5).read()
                break
            except OSError:
                assert server.poll() is None, "the server ended"
                time.sleep(0.2)
        check = next(rest for instruction, rest in steps() if instruction == "HEALTHCHECK")
        stage.run(check.split("CMD ", 1)[1].replace("8080", "18080"))
        request = urllib.request.Request(
            url + "/v1/completions", data=b'{"prompt": "One, two,", "max_tokens": 4}',
            headers={"Content-Type": "application/json"})
        say(json.loads(urllib.request.urlopen(request, timeout=60).read())["choices"][0]["text"])
    finally:
        server.terminate()
        assert server.wait(60) == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--base", type=pathlib.Path)
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("--binary", type=pathlib.Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="container-") as temporary:
        folder = args.keep or pathlib.Path(temporary)
        base = args.base
        if base is None:
            base = folder / "base"
            subprocess.run(["debootstrap", "--variant=minbase", "bookworm", base], check=True)
        ask(build(base, folder, args.binary), args.model)
    say("the recipe works")


if __name__ == "__main__":
    main()
