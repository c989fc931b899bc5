"""packaging/: the unit of systemd and its settings."""

import os
import re
import shutil
import subprocess

import pytest
from serving import KVASIR, ROOT, Serving

PACKAGING = ROOT / "packaging"
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"),
                                   reason="systemd-analyze is not there")


@pytest.fixture
def unit(tmp_path):
    """The unit with the program where it is now."""
    text = (PACKAGING / "kvasir.service").read_text()
    assert "ExecStart=/usr/local/bin/kvasir serve\n" in text
    path = tmp_path / "kvasir.service"
    path.write_text(text.replace("/usr/local/bin/kvasir", KVASIR))
    return path


@needs_systemd
def test_the_unit_verifies(unit):
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0 and "kvasir.service" not in done.stderr, done.stderr


@needs_systemd
def test_the_unit_is_confined(unit):
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=25", unit],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_every_setting_is_a_flag_and_the_server_starts_with_them(tmp_path, monkeypatch):
    flags = subprocess.run([KVASIR, "serve", "--help"], capture_output=True, text=True,
                           check=True).stdout
    settings = dict(re.findall(r"^#?(KVASIR_\w+)=(.+)$", (PACKAGING / "kvasir.env").read_text(),
                               re.MULTILINE))
    assert len(settings) >= 8
    for name in settings:
        assert "--" + name[7:].lower().replace("_", "-") in flags, name
    settings.update(KVASIR_HOST="127.0.0.1", KVASIR_SLOT_SAVE_PATH=str(tmp_path))
    del settings["KVASIR_MODEL"], settings["KVASIR_API_KEY_FILE"]
    for name, value in settings.items():
        monkeypatch.setitem(os.environ, name, value)
    server = Serving()
    assert '"ok"' in server.get("/health")
    server.stop()
