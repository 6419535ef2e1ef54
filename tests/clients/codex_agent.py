"""Codex against the endpoint, through OpenAI's responses; see `run`."""

import json

from coding_agents import AGENTS, RESULT, output_of, run_agent
from kit import BASE_URL, HELLO, TOKEN, check, equal, holds

CONFIG = f"""
model_provider = "local"
approval_policy = "never"
# The sandbox of Codex needs namespaces, which a container may forbid.
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false

[analytics]
enabled = false

[model_providers.local]
name = "Local"
base_url = "{BASE_URL}"
env_key = "LOCAL_TOKEN"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"""


def asked(model, prompt, token=TOKEN):
    """The events of one run."""
    options = ["exec", "--json", "--skip-git-repo-check", "-m", model]
    command = ["node", str(AGENTS / "@openai/codex/bin/codex.js"), *options, prompt]
    printed = output_of(command, {"LOCAL_TOKEN": token}, {".codex/config.toml": CONFIG})
    return [json.loads(line) for line in printed.splitlines()]


def items_of(events, kind):
    return [event["item"] for event in events if event["type"] == "item.completed" and event["item"]["type"] == kind]


@check
def a_prompt_is_answered():
    events = asked("sandbox/hello", "hi")
    equal([item["text"] for item in items_of(events, "agent_message")], [HELLO])
    equal(events[-1]["type"], "turn.completed")
    holds(events[-1]["usage"]["output_tokens"] > 0, f"the usage is empty: {events[-1]}")


@check
def a_tool_runs_and_its_result_is_in_the_answer():
    events = asked("clients/codex", "weather?")
    (command,) = items_of(events, "command_execution")
    equal((command["aggregated_output"], command["exit_code"]), (f"{RESULT}\n", 0))
    (message,) = items_of(events, "agent_message")
    holds(RESULT in message["text"], f"the result is not in {message['text']!r}")


run_agent("@openai/codex", asked)
