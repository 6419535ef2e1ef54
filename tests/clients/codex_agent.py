"""Codex against the endpoint, through OpenAI's responses; see `run`."""

import json

from coding_agents import AGENTS, HELLO, LARGE, RESULT, Failed, output_of, version_of
from kit import BASE_URL, TOKEN, check, endpoint_check, equal, holds, nonce, raises, run, seen

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


@endpoint_check
def a_tier_is_a_model():
    mark = nonce()
    asked("TEXT_LARGE", mark)
    equal(seen(mark)["body"]["model"], LARGE)


@check
def a_refusal_is_shown_in_its_own_words():
    for words, model, token in (("401", "sandbox/hello", "wrong"), ("more credits", "sandbox/status-402", TOKEN)):
        error = raises(Failed, lambda: asked(model, "hi", token))
        holds(words in str(error), str(error))


run(versions=[version_of("@openai/codex")])
