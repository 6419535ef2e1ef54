"""Claude Code against the endpoint, through Anthropic's messages; see `run`."""

import json

from coding_agents import AGENTS, RESULT, output_of, run_agent
from kit import BASE_URL, HELLO, TOKEN, check, equal, holds


def asked(model, prompt, token=TOKEN):
    """What Claude Code prints at the end of its work."""
    variables = {
        "ANTHROPIC_BASE_URL": BASE_URL.removesuffix("/v1"),
        "ANTHROPIC_AUTH_TOKEN": token,
        "ANTHROPIC_MODEL": model,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": "sandbox/hello",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        # By default it repeats even a refused token for minutes.
        "CLAUDE_CODE_MAX_RETRIES": "0",
    }
    options = ["--output-format", "json", "--allowedTools", "Bash(echo:*)"]
    command = ["node", str(AGENTS / "@anthropic-ai/claude-code/cli.js"), "-p", prompt, *options]
    return json.loads(output_of(command, variables, {}))


@check
def a_prompt_is_answered():
    answer = asked("sandbox/hello", "hi")
    equal((answer["result"], answer["is_error"]), (HELLO, False))
    holds(answer["usage"]["output_tokens"] > 0, f"the usage is empty: {answer['usage']}")


@check
def a_tool_runs_and_its_result_is_in_the_answer():
    answer = asked("clients/claude-code", "weather?")
    holds(RESULT in answer["result"], f"the result is not in {answer['result']!r}")
    equal((answer["num_turns"], answer["permission_denials"]), (2, []))


# Claude Code takes any mention of a key for the advice to log in, which nobody can follow here.
run_agent("@anthropic-ai/claude-code", asked, unauthorized="API Error: 401", unpaid="API Error: 402")
