"""What the programs of coding agents share: every run has a home of its own, and no way to other machines."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

AGENTS = Path(os.environ["CLIENTS_AGENTS"]) / "node_modules"
HELLO = "Hello from the sandbox, a local service."
LARGE = "anthropic/claude-sonnet-4.5"
# The command that the scripted models call; the shell makes `sunny-21` of it.
RESULT = "sunny-21"
# Agents start slowly on a machine that is busy.
RUN_WITHIN_S = 120

# Nobody listens here. Agents look for updates, plugins and tips on other machines.
NOWHERE = "http://127.0.0.1:9"


class Failed(Exception):
    pass


def version_of(package):
    return f"{package} {json.loads((AGENTS / package / 'package.json').read_text())['version']}"


def output_of(command, variables, files):
    """Runs an agent once, with `files` in its home; returns what it printed. Raises `Failed` if it exits with another
    code than 0."""
    # What an agent left running may still write.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        work = Path(home, "work")
        work.mkdir()
        for name, content in files.items():
            path = Path(home, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        own = {"PATH": os.environ["PATH"], "HOME": home, "HTTPS_PROXY": NOWHERE, "NO_PROXY": "127.0.0.1"}
        settings = {"cwd": work, "env": {**own, **variables}, "stdin": subprocess.DEVNULL}
        # `timeout` ends the processes that the agent started as well.
        limited = ["timeout", "-k", "5", str(RUN_WITHIN_S), *command]
        done = subprocess.run(limited, capture_output=True, text=True, **settings)
    if done.returncode != 0:
        raise Failed(f"exit {done.returncode}: {done.stdout} {done.stderr}")
    return done.stdout
