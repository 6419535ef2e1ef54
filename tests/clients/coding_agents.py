"""What the programs of coding agents share: every run has a home of its own, and no way to other machines."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

from kit import LARGE, TOKEN, check, endpoint_check, equal, holds, nonce, raises, run, seen

AGENTS = Path(os.environ["CLIENTS_AGENTS"]) / "node_modules"
# The command that the scripted models call; the shell makes `sunny-21` of it.
RESULT = "sunny-21"
# Agents start slowly on a machine that is busy.
RUN_WITHIN_S = 120

# Nobody listens here. Agents look for updates, plugins and tips on other machines.
NOWHERE = "http://127.0.0.1:9"
PROXIES = {"HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE, "ALL_PROXY": NOWHERE, "NO_PROXY": "127.0.0.1,localhost"}
# Programs differ in which case they read.
PROXIES |= {name.lower(): value for name, value in PROXIES.items()}


class Failed(Exception):
    pass


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
        own = {"PATH": os.environ["PATH"], "HOME": home, **PROXIES}
        settings = {"cwd": work, "env": {**own, **variables}, "stdin": subprocess.DEVNULL}
        # `timeout` ends the processes that the agent started as well.
        limited = ["timeout", "-k", "5", str(RUN_WITHIN_S), *command]
        done = subprocess.run(limited, capture_output=True, text=True, **settings)
    if done.returncode != 0:
        raise Failed(f"exit {done.returncode}: {done.stdout} {done.stderr}")
    return done.stdout


def run_agent(package, asked, unauthorized="401", unpaid="more credits"):
    """Runs the checks of an agent, and two that are the same for all.

    `asked` runs the agent with a model, a prompt and a token. The others are its words for the two refusals."""

    @endpoint_check
    def a_tier_is_a_model():
        mark = nonce()
        asked("TEXT_LARGE", mark, TOKEN)
        equal(seen(mark)["body"]["model"], LARGE)

    @check
    def a_refusal_is_shown_in_its_own_words():
        refusals = ((unauthorized, "sandbox/hello", "wrong"), (unpaid, "sandbox/status-402", TOKEN))
        for words, model, token in refusals:
            error = raises(Failed, lambda: asked(model, "hi", token))
            holds(words in str(error), str(error))

    version = json.loads((AGENTS / package / "package.json").read_text())["version"]
    run(versions=[f"{package} {version}"])
