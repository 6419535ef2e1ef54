"""opencode against the endpoint, through chat completions; see `run`."""

import json

from coding_agents import AGENTS, RESULT, output_of, run_agent
from kit import BASE_URL, HELLO, TOKEN, check, equal, holds

PACKAGE = "opencode-linux-x64"


def asked(model, prompt, token=TOKEN):
    """The events of one run."""
    options = {"baseURL": BASE_URL, "apiKey": token}
    provider = {"npm": "@ai-sdk/openai-compatible", "name": "Local", "options": options, "models": {model: {}}}
    config = {
        "autoupdate": False,
        "share": "disabled",
        "permission": {"bash": "allow"},
        "provider": {"local": provider},
        # It would ask for a title of the conversation as well.
        "agent": {"title": {"disable": True}},
    }
    variables = {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1"}
    command = [str(AGENTS / PACKAGE / "bin/opencode"), "run", "--format", "json", "-m", f"local/{model}", prompt]
    printed = output_of(command, variables, {".config/opencode/opencode.json": json.dumps(config)})
    return [json.loads(line) for line in printed.splitlines()]


def parts_of(events, kind):
    return [event["part"] for event in events if event["type"] == kind]


@check
def a_prompt_is_answered():
    events = asked("sandbox/hello", "hi")
    equal([part["text"] for part in parts_of(events, "text")], [HELLO])
    (step,) = parts_of(events, "step_finish")
    equal(step["reason"], "stop")
    holds(step["tokens"]["output"] > 0, f"the usage is empty: {step['tokens']}")


@check
def a_tool_runs_and_its_result_is_in_the_answer():
    events = asked("clients/opencode", "weather?")
    (call,) = parts_of(events, "tool_use")
    equal(call["state"]["output"], f"{RESULT}\n")
    (text,) = parts_of(events, "text")
    holds(RESULT in text["text"], f"the result is not in {text['text']!r}")


run_agent(PACKAGE, asked)
