"""Jinja as transformers sets it up for chat templates, on jinja2 3.1.6."""
import datetime
import json

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import CallBlock
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2024, 7, 26)


class Raised(Exception):
    """raise_exception() was called."""


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return CallBlock(self.call_method("_render"), [], [], body).set_lineno(line)

    def _render(self, caller):
        return caller()


def raise_exception(message):
    raise Raised(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                      sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=[Generation, loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda form: NOW.strftime(form)
    return env


ENV = environment()


def render(template, variables):
    """The row that a test wants: expected text, or null with the text of raise_exception if any."""
    row = {"template": template, "variables": variables}
    try:
        row["expected"] = ENV.from_string(template).render(**variables)
        row["expected"].encode("utf-8")
    except Raised as e:
        row["expected"] = None
        row["error"] = str(e.args[0])
    except Exception as e:  # any other error: only that there is one is compared
        row["expected"] = None
        row["reference_error"] = f"{type(e).__name__}: {e}"[:200]
    return row
