"""The servers that all tests share, and what was said over HTTP in the report of a failure."""

import pytest
from serving import Serving

KEYS = """\
key-of-alice name=alice
key-of-bob name=bob parallel=1
key-of-carol name=carol tokens_per_minute=40
"""
_servers = []


def _serving(*flags):
    server = Serving(*flags)
    _servers.append(server)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def server():
    yield from _serving("--parallel", "4", "--metrics-aliases", "all")


@pytest.fixture(scope="session")
def keyed_server(tmp_path_factory):
    """One that asks for a key, has one slot, and lets nobody wait."""
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(KEYS)
    yield from _serving("--parallel", "1", "--queue", "0", "--api-key-file", str(keys))


@pytest.fixture(autouse=True)
def _fresh_report():
    for server in _servers:
        server.relay.forget()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for server in _servers:
            if said := server.relay.report():
                report.sections.append(("what was said over HTTP", said))
                report.sections.append(("the server's log", "".join(server.log[-10:])))
