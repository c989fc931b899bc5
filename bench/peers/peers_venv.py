"""The Python environment with the peers: $KVASIR_PEERS_VENV, else build/peers-venv, made here."""

import os
import subprocess
import sys


def python(root, here):
    """Path of an interpreter that can import llama_cpp and openvino_genai."""
    own = os.environ.get("KVASIR_PEERS_VENV", "")
    folder = own or os.path.join(root, "build", "peers-venv")
    interpreter = os.path.join(folder, "bin", "python")
    if has_peers(interpreter):
        return interpreter
    if own:
        sys.exit(f"KVASIR_PEERS_VENV={own} lacks llama_cpp or openvino_genai; unset it and the "
                 "environment is made in build/peers-venv")
    print("Making build/peers-venv; llama.cpp is compiled for this CPU, which takes about ten "
          "minutes on two cores ...", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([interpreter, "-m", "pip", "install", "--quiet", "--requirement",
                    os.path.join(here, "requirements.txt")], check=True)
    if not has_peers(interpreter):
        sys.exit(f"{folder} was made, but llama_cpp or openvino_genai cannot be imported")
    return interpreter


def has_peers(interpreter):
    if not os.path.exists(interpreter):
        return False
    done = subprocess.run([interpreter, "-c", "import llama_cpp, openvino_genai, numpy"],
                          capture_output=True, check=False)
    return done.returncode == 0
