"""Anthropic's SDK for Python against `/v1/messages` of the endpoint; see `run`."""

import asyncio
import json

import anthropic
from anthropic import Anthropic, AsyncAnthropic

from kit import (
    BASE_URL,
    HELLO,
    SMALL,
    TARGET,
    TIMEOUT_S,
    TOKEN,
    check,
    endpoint_check,
    equal,
    holds,
    left,
    nonce,
    raises,
    run,
    seen,
    skip,
    user,
)

# The SDK appends `/v1/messages` itself. It sends the token as `x-api-key`; the sandbox, like the service, expects a
# bearer token.
ROOT = BASE_URL.removesuffix("/v1")
ACCESS = {"api_key": TOKEN} if TARGET == "endpoint" else {"auth_token": TOKEN}
SETTINGS = {"base_url": ROOT, "max_retries": 0, "timeout": TIMEOUT_S}
client = Anthropic(**ACCESS, **SETTINGS)

WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Paris"]}, "days": {"type": "integer"}},
        "required": ["city", "days"],
    },
}


def ask(model, text="hi", asker=client, **more):
    return asker.messages.create(model=model, max_tokens=1024, messages=user(text), **more)


def stream_of(model, text="hi", **more):
    return client.messages.stream(model=model, max_tokens=1024, messages=user(text), **more)


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def streamed_check(function):
    """A check of a stream that is read to its end.

    The sandbox ends these streams with `event: data`, `data: [DONE]`, as the service is reported to do. Versions 0
    and 1 of the SDK ignored that frame; since 2.0 it decodes every named event, so the endpoint has to drop it.
    """

    def checked():
        if TARGET != "endpoint":
            skip("the sandbox ends its streams with a frame that this SDK cannot decode")
        function()

    checked.__name__ = function.__name__
    return check(checked)


@check
def a_message_has_text_and_stop_reason_and_usage():
    message = ask("sandbox/hello")
    equal((message.type, message.role), ("message", "assistant"))
    equal(text_of(message), HELLO)
    equal(message.stop_reason, "end_turn")
    holds(message.usage.input_tokens > 0 and message.usage.output_tokens > 0, f"usage is {message.usage}")


@check
def a_system_prompt_and_content_in_blocks_are_understood():
    blocks = [{"type": "text", "text": "grüße, 世界", "cache_control": {"type": "ephemeral"}}]
    message = ask("sandbox/echo", blocks, system=[{"type": "text", "text": "Be brief."}])
    equal(text_of(message), "The sandbox heard: grüße, 世界")


@streamed_check
def a_streamed_message_gives_the_same_text():
    whole = ask("sandbox/words-50")
    with stream_of("sandbox/words-50") as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    holds(len(pieces) > 1, "the text came in one delta")
    equal("".join(pieces), text_of(whole))
    equal(text_of(final), text_of(whole))
    equal(final.stop_reason, "end_turn")
    equal(final.usage.output_tokens, whole.usage.output_tokens, "output tokens")


@streamed_check
def the_events_of_a_stream_come_in_their_order():
    kinds = [event.type for event in ask("sandbox/hello", stream=True)]
    pieces = [kind for kind in kinds if kind not in ("content_block_delta", "ping")]
    expected = ["message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"]
    equal(pieces, expected)


@streamed_check
def keep_alive_comments_are_not_part_of_a_stream():
    with stream_of("sandbox/comments") as stream:
        equal("".join(stream.text_stream), text_of(ask("sandbox/comments")))


def second_turn(first, result, model="sandbox/tools"):
    (call,) = [block for block in first.content if block.type == "tool_use"]
    equal((call.name, call.input), ("get_weather", {"city": "Paris", "days": 1}))
    answer = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": result}]}
    turns = [*user("weather?"), {"role": "assistant", "content": first.content}, answer]
    return {"model": model, "max_tokens": 1024, "messages": turns, "tools": [WEATHER]}


@check
def tools_work_over_two_turns():
    first = ask("sandbox/tools", "weather?", tools=[WEATHER])
    equal(first.stop_reason, "tool_use")
    second = client.messages.create(**second_turn(first, "sunny, 21 degrees"))
    equal(second.stop_reason, "end_turn")
    holds("sunny, 21 degrees" in text_of(second), f"the result is not in {text_of(second)!r}")


@streamed_check
def streamed_tools_work_over_two_turns():
    with stream_of("sandbox/tools", "weather?", tools=[WEATHER]) as stream:
        first = stream.get_final_message()
    equal(first.stop_reason, "tool_use")
    with client.messages.stream(**second_turn(first, "rain, 9 degrees")) as stream:
        text = "".join(stream.text_stream)
    holds("rain, 9 degrees" in text, f"the result is not in {text!r}")


@streamed_check
def thinking_goes_back_with_the_result_of_a_tool():
    # The model refuses the second turn if its thinking is missing or different.
    model = "sandbox/reasoning-tools"
    with stream_of(model, "weather?", tools=[WEATHER]) as stream:
        streamed = stream.get_final_message()
    for first in (ask(model, "weather?", tools=[WEATHER]), streamed):
        equal([block.type for block in first.content], ["thinking", "tool_use"])
        second = client.messages.create(**second_turn(first, "snow", model))
        holds("snow" in text_of(second), f"the result is not in {text_of(second)!r}")


@endpoint_check
def a_tier_is_a_model():
    equal(ask("TEXT_SMALL").model, SMALL)
    equal(ask("tier/small").model, SMALL)
    with stream_of("TEXT_SMALL") as stream:
        equal(stream.get_final_message().model, SMALL)


@endpoint_check
def the_token_is_accepted_as_api_key_and_as_bearer():
    for access in ({"api_key": TOKEN}, {"auth_token": TOKEN}):
        equal(text_of(ask("sandbox/hello", asker=Anthropic(**access, **SETTINGS))), HELLO)


@endpoint_check
def the_token_never_reaches_the_service():
    mark = nonce()
    ask("sandbox/echo", mark)
    record = seen(mark)
    holds(TOKEN not in json.dumps(record), "the token of the endpoint went to the service")
    equal(dict(record["headers"])["authorization"], "present", "authorization")


@check
def headers_for_the_dialect_reach_the_service():
    mark = nonce()
    headers = {"anthropic-version": "2023-06-01", "anthropic-beta": "interleaved-thinking-2025-05-14"}
    ask("sandbox/echo", mark, extra_headers=headers)
    request = seen(mark)
    equal(request["path"].removeprefix("/api"), "/v1/messages", "path")
    sent = dict(request["headers"])
    equal({name: sent.get(name) for name in headers}, headers, "headers")


@check
def a_wrong_token_is_an_authentication_error():
    stranger = Anthropic(api_key="wrong", **SETTINGS)
    equal(raises(anthropic.AuthenticationError, lambda: ask("sandbox/hello", asker=stranger)).status_code, 401)


@check
def every_status_becomes_the_error_class_of_the_sdk():
    kinds = {
        400: anthropic.BadRequestError,
        402: anthropic.APIStatusError,
        403: anthropic.PermissionDeniedError,
        404: anthropic.NotFoundError,
        422: anthropic.UnprocessableEntityError,
        429: anthropic.RateLimitError,
        500: anthropic.InternalServerError,
        502: anthropic.InternalServerError,
    }
    wrong = []
    for status, kind in kinds.items():
        try:
            ask(f"sandbox/status-{status}")
        except anthropic.APIStatusError as error:
            # For some statuses the SDK has subclasses of those named here.
            if not isinstance(error, kind) or error.status_code != status:
                wrong.append(f"{status}: found {type(error).__name__} {error.status_code}")
        else:
            wrong.append(f"{status}: found an answer")
    holds(not wrong, "; ".join(wrong))


@check
def an_error_before_the_first_event_of_a_stream_keeps_its_status():
    raises(anthropic.RateLimitError, lambda: ask("sandbox/status-429", stream=True))


@check
def an_error_in_the_middle_is_raised_after_the_text_so_far():
    pieces = []

    def read():
        with stream_of("sandbox/mid-stream-error") as stream:
            pieces.extend(stream.text_stream)

    try:
        read()
    except anthropic.APIError:
        equal(len("".join(pieces).split()), 5, "words before the error")
    else:
        raise AssertionError("the stream ended as if it were complete")


@endpoint_check
def a_stream_that_is_cut_is_an_error_not_an_end():
    for model in ("sandbox/cut", "sandbox/cut-connection"):
        try:
            with stream_of(model) as stream:
                message = stream.get_final_message()
        except anthropic.APIStatusError:
            continue
        raise AssertionError(f"{model} ended as if it were complete, with {message.stop_reason}")


@check
def an_unknown_model_is_an_error():
    try:
        ask("nobody/nothing-at-all")
    except (anthropic.NotFoundError, anthropic.BadRequestError) as error:
        holds("nobody/nothing-at-all" in error.message, error.message)
    else:
        raise AssertionError("an unknown model answered")


@check
def a_stream_that_is_closed_ends_at_the_service_too():
    mark = nonce()
    with stream_of("sandbox/stall", mark) as stream:
        next(iter(stream.text_stream))
    left(mark)


@endpoint_check
def headers_say_who_served():
    raw = client.messages.with_raw_response.create(model="TEXT_SMALL", max_tokens=64, messages=user("hi"))
    equal((raw.headers["x-served-model"], raw.headers["x-attempts"]), (SMALL, "1"))


@streamed_check
def sixteen_streams_at_once_do_not_mix():
    async def all_at_once():
        async with AsyncAnthropic(**ACCESS, **SETTINGS) as asker:

            async def one(n):
                text = f"request {n}: " + f"word{n} " * (n * 7) + "end"
                async with asker.messages.stream(model="sandbox/echo", max_tokens=4096, messages=user(text)) as stream:
                    return await stream.get_final_text() == f"The sandbox heard: {text}"

            return await asyncio.gather(*(one(n) for n in range(16)))

    equal(asyncio.run(all_at_once()), [True] * 16)


run("anthropic")
