"""`kvasir serve` as a process of its own, behind a relay."""

import os
import pathlib
import re
import signal
import subprocess
import threading
import time
import urllib.request

from relay import Relay

ROOT = pathlib.Path(__file__).resolve().parents[2]
KVASIR = os.environ.get("KVASIR_BINARY", str(ROOT / "build" / "release" / "kvasir"))


class Serving:
    """The server; `url` goes through the relay, `log` is what it wrote to standard error."""

    def __init__(self, *flags):
        self._process = subprocess.Popen([KVASIR, "serve", "--port", "0", *flags],
                                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                         stderr=subprocess.PIPE, text=True)
        self.log = []
        port = None
        for line in self._process.stderr:
            self.log.append(line)
            if found := re.search(r"serving on http://[\d.]+:(\d+)", line):
                port = int(found[1])
                break
        if port is None:
            raise RuntimeError("kvasir serve did not start:\n" + "".join(self.log))
        threading.Thread(target=lambda: self.log.extend(self._process.stderr), daemon=True).start()
        self.relay = Relay(port)
        self.port = port
        self.url = f"http://127.0.0.1:{self.relay.port}"

    def get(self, path):
        """Not through the relay: what a test looks up for itself is no part of its report."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as reply:
            return reply.read().decode()

    def metric(self, name):
        """The sum over all labels."""
        lines = [line for line in self.get("/metrics").splitlines()
                 if re.match(re.escape(name) + r"[ {]", line)]
        assert lines, f"/metrics has no {name}"
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def await_metric(self, name, value):
        """Figures are published once a step, so they may lag behind what a client has seen."""
        deadline = time.monotonic() + 20
        while (now := self.metric(name)) != value:
            assert time.monotonic() < deadline, f"{name} is {now}, and not {value}"
            time.sleep(0.05)

    def stop(self):
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self.relay.close()
        assert code == 0, f"kvasir serve ended with {code}:\n" + "".join(self.log[-20:])
