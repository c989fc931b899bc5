#!/usr/bin/env python3
"""Runs the clients' tests in an environment with those clients, which is made where it is missing.

    python3 tests/clients/run.py [pytest arguments]

$KVASIR_BINARY is the executable, else build/release/kvasir. The environment is
build/clients-venv (about 1.2 GB, one or two minutes), or $KVASIR_CLIENTS_VENV.
"""

import hashlib
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
LISTS = [HERE / "requirements.txt", HERE / "constraints.txt"]


def environment():
    """Path of an interpreter that has the clients of requirements.txt."""
    folder = pathlib.Path(os.environ.get("KVASIR_CLIENTS_VENV") or
                          HERE.parents[1] / "build" / "clients-venv")
    interpreter = folder / "bin" / "python"
    stamp = folder / "requirements.sha256"
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in LISTS)).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return interpreter
    print(f"Installing the clients into {folder} ...", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                    "--requirement", LISTS[0], "--constraint", LISTS[1]], check=True)
    stamp.write_text(wanted)
    return interpreter


if __name__ == "__main__":
    command = [environment(), "-m", "pytest", "-q", "-p", "no:cacheprovider",
               "--disable-warnings", *sys.argv[1:]]
    if not any(pathlib.Path(argument.split("::")[0]).exists() for argument in sys.argv[1:]):
        command.append(HERE)
    sys.exit(subprocess.run(command, check=False).returncode)
