"""What the Python programs here share: named checks, the address to test, and what the sandbox recorded.

A check is a function whose name is a sentence. It passes if it returns, fails if it raises, and is skipped if it
calls `skip`. The next check runs in any case. Each prints one line: `ok`, `FAILED … : why` or `skipped … : why`.
Arguments of a program select the checks whose sentence contains one of them.
"""

import json
import os
import platform
import subprocess
import sys
import time
import traceback
import uuid
from importlib import metadata

# Clients would send requests for this machine through the proxies of the environment.
for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
    os.environ.pop(name, None)

BASE_URL = os.environ["CLIENTS_BASE_URL"]
TOKEN = os.environ["CLIENTS_TOKEN"]
# `endpoint`, or `sandbox` where the programs talk to the sandbox itself, which knows no tiers.
TARGET = os.environ.get("CLIENTS_TARGET", "endpoint")
# The sandbox appends a line to this file when a request is over; and this is the key it accepts.
RECORD = os.environ.get("CLIENTS_SANDBOX_RECORD")
SERVICE_KEY = os.environ.get("CLIENTS_SERVICE_KEY")

# Longest wait for an answer, and for the sandbox to record something.
TIMEOUT_S = 20.0

# What the sandbox answers, models of its list, and a tool in the form of chat completions.
HELLO = "Hello from the sandbox, a local service."
SMALL = "openai/gpt-4o-mini"
LARGE = "anthropic/claude-sonnet-4.5"
EMBEDDING = "openai/text-embedding-3-small"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Paris"]}, "days": {"type": "integer"}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}

_checks = []


class Skipped(Exception):
    pass


def check(function):
    _checks.append((function.__name__.replace("_", " "), function))
    return function


def endpoint_check(function):
    """A check of something that only the endpoint has."""

    def checked():
        if TARGET != "endpoint":
            skip("the sandbox itself does not have this")
        function()

    checked.__name__ = function.__name__
    return check(checked)


def skip(reason):
    raise Skipped(reason)


def equal(found, expected, what="value"):
    if found != expected:
        raise AssertionError(f"{what}: expected {short(expected)}, found {short(found)}")


def holds(condition, why):
    if not condition:
        raise AssertionError(why)


def raises(kind, action):
    """Returns the error that `action` raises, which must be of exactly this class."""
    try:
        result = action()
    except Exception as error:
        if type(error) is kind:
            return error
        raise AssertionError(f"expected {kind.__name__}, found {type(error).__name__}: {error}") from error
    raise AssertionError(f"expected {kind.__name__}, found an answer: {short(result)}")


def short(value):
    text = repr(value)
    return text if len(text) <= 400 else text[:400] + "…"


def nonce():
    """A text that no other request contains."""
    return f"nonce-{uuid.uuid4().hex}"


def user(text):
    return [{"role": "user", "content": text}]


def seen(mark):
    """Waits for the end of the request whose body contains `mark`; returns the sandbox's record of it."""
    if RECORD is None:
        skip("CLIENTS_SANDBOX_RECORD does not name the sandbox's record")
    # `tail` wakes up when the file grows, and `timeout` ends it if nothing comes.
    follow = ["timeout", str(TIMEOUT_S), "tail", "-n", "+1", "-f", RECORD]
    with subprocess.Popen(follow, stdout=subprocess.PIPE, text=True, encoding="utf-8") as record:
        try:
            for line in record.stdout:
                if mark in line:
                    return json.loads(line)
        finally:
            record.terminate()
    raise AssertionError(f"the sandbox recorded no end of the request within {TIMEOUT_S} s")


def left(mark):
    """Fails unless the sandbox saw the client leave the request that contains `mark`."""
    outcome = seen(mark)["outcome"]
    holds(isinstance(outcome, dict) and "client_left" in outcome, f"the outcome was {outcome}")


def run(*packages, versions=()):
    """Runs the checks. `versions` are those of what is not a package of Python."""
    versions = [*versions, *(f"{package} {metadata.version(package)}" for package in packages)]
    print("# " + ", ".join([*versions, f"Python {platform.python_version()}"]), flush=True)
    chosen = sys.argv[1:]
    n_failed = 0
    for name, function in _checks:
        if chosen and not any(part in name for part in chosen):
            continue
        began_s = time.monotonic()
        try:
            function()
        except Skipped as skipped:
            print(f"skipped {name}: {skipped}", flush=True)
        except Exception as error:
            n_failed += 1
            why = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"FAILED {name}: {why}", flush=True)
            if os.environ.get("CLIENTS_TRACE"):
                traceback.print_exc()
        else:
            print(f"ok {name} ({(time.monotonic() - began_s) * 1000:.0f} ms)", flush=True)
    sys.exit(1 if n_failed else 0)
