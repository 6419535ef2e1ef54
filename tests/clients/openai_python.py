"""The official OpenAI SDK for Python against the endpoint; see `run`."""

import asyncio
import json
import math
from typing import Literal

import openai
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion
from pydantic import BaseModel

from kit import (
    BASE_URL,
    EMBEDDING,
    HELLO,
    LARGE,
    SERVICE_KEY,
    SMALL,
    TIMEOUT_S,
    TOKEN,
    WEATHER,
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

client = OpenAI(base_url=BASE_URL, api_key=TOKEN, max_retries=0, timeout=TIMEOUT_S)


def ask(model, text="hi", **more):
    return client.chat.completions.create(model=model, messages=user(text), **more)


def text_of(completion):
    return completion.choices[0].message.content


class Streamed:
    """A stream read to its end."""

    def __init__(self, stream):
        self.text, self.finish_reasons, self.usages, self.tool_calls, self.reasoning_details = "", [], [], {}, []
        self.ids, self.last = set(), None
        for chunk in stream:
            self.take(chunk)

    def take(self, chunk):
        self.last = chunk
        self.ids.add(chunk.id)
        if chunk.usage is not None:
            self.usages.append(chunk.usage)
        for choice in chunk.choices:
            self.text += choice.delta.content or ""
            self.reasoning_details += (choice.delta.model_extra or {}).get("reasoning_details") or []
            if choice.finish_reason is not None:
                self.finish_reasons.append(choice.finish_reason)
            for piece in choice.delta.tool_calls or []:
                call = self.tool_calls.setdefault(piece.index, {"id": "", "name": "", "arguments": ""})
                call["id"] += piece.id or ""
                call["name"] += piece.function.name or ""
                call["arguments"] += piece.function.arguments or ""


def streamed(model, text="hi", **more):
    return Streamed(ask(model, text, stream=True, **more))


# Chat


@check
def a_plain_chat_has_text_and_finish_reason_and_usage():
    completion = ask("sandbox/hello")
    equal(text_of(completion), HELLO)
    equal(completion.object, "chat.completion")
    equal(completion.model, "sandbox/hello")
    equal(completion.choices[0].message.role, "assistant")
    equal(completion.choices[0].finish_reason, "stop")
    usage = completion.usage
    holds(usage.prompt_tokens > 0 and usage.completion_tokens > 0, f"usage is empty: {usage}")
    equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)
    holds(usage.model_extra["cost"] > 0, "the cost is missing from the usage")


@check
def text_beyond_ascii_arrives_unchanged():
    text = 'Grüße, 世界 👩‍🚀 "quoted" \\ \n\ttab \u2028 end'
    equal(text_of(ask("sandbox/echo", text)), f"The sandbox heard: {text}")
    equal(streamed("sandbox/echo", text).text, f"The sandbox heard: {text}")


@check
def content_in_parts_with_an_image_is_understood():
    pixel = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
    parts = [{"type": "text", "text": "what is this"}, {"type": "image_url", "image_url": {"url": pixel}}]
    holds("what is this" in text_of(ask("sandbox/echo", parts)), "the text part did not arrive")


@check
def max_tokens_ends_the_answer_with_finish_reason_length():
    completion = ask("sandbox/words-500", max_tokens=3)
    equal(completion.choices[0].finish_reason, "length")


@endpoint_check
def every_name_of_a_tier_is_a_model():
    for name in ("TEXT_SMALL", "tier/small", "tier/TEXT_SMALL"):
        equal(ask(name).model, SMALL, name)
        equal(streamed(name).last.model, SMALL, f"{name} streamed")
    for name in ("TEXT_LARGE", "tier/large", "tier/TEXT_LARGE"):
        equal(ask(name).model, LARGE, name)
    holds(text_of(ask("TEXT_REASONING_LARGE")), "TEXT_REASONING_LARGE does not answer")


@endpoint_check
def a_chat_without_a_model_goes_to_the_large_tier():
    completion = client.post("/chat/completions", cast_to=ChatCompletion, body={"messages": user("hi")})
    equal(completion.model, LARGE)


@check
def a_streamed_chat_gives_the_same_text_and_ends_with_the_usage():
    whole = ask("sandbox/words-50")
    stream = streamed("sandbox/words-50", stream_options={"include_usage": True})
    equal(stream.text, text_of(whole))
    equal(stream.finish_reasons, ["stop"])
    equal(len(stream.usages), 1, "chunks with usage")
    equal(stream.last.usage, stream.usages[0], "usage of the last chunk")
    equal(stream.usages[0].completion_tokens, whole.usage.completion_tokens)
    equal(len(stream.ids), 1, "ids of one answer")


@check
def a_long_stream_arrives_whole():
    equal(len(streamed("sandbox/words-5000").text.split()), 5000, "words")


@check
def keep_alive_comments_are_not_part_of_a_stream():
    stream = streamed("sandbox/comments")
    equal(stream.text, text_of(ask("sandbox/comments")))
    equal(stream.finish_reasons, ["stop"])


@check
def the_stream_helper_builds_the_final_completion():
    with client.chat.completions.stream(model="sandbox/words-50", messages=user("hi")) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    holds({"content.delta", "content.done"} <= kinds, f"events were {kinds}")
    equal(text_of(final), text_of(ask("sandbox/words-50")))


# Tools and reasoning


@check
def tools_work_over_two_turns():
    first = ask("sandbox/tools", "weather?", tools=[WEATHER])
    equal(first.choices[0].finish_reason, "tool_calls")
    (call,) = first.choices[0].message.tool_calls
    equal(call.function.name, "get_weather")
    equal(json.loads(call.function.arguments), {"city": "Paris", "days": 1})

    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny, 21 degrees"}
    messages = [*user("weather?"), first.choices[0].message, result]
    second = client.chat.completions.create(model="sandbox/tools", messages=messages, tools=[WEATHER])
    equal(second.choices[0].finish_reason, "stop")
    holds("sunny, 21 degrees" in text_of(second), f"the result is not in {text_of(second)!r}")


@check
def streamed_tools_work_over_two_turns():
    first = streamed("sandbox/tools", "weather?", tools=[WEATHER])
    equal(first.finish_reasons, ["tool_calls"])
    (call,) = first.tool_calls.values()
    equal(call["name"], "get_weather")
    equal(json.loads(call["arguments"]), {"city": "Paris", "days": 1})

    function = {"name": call["name"], "arguments": call["arguments"]}
    assistant = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call["id"], "type": "function", "function": function}],
    }
    result = {"role": "tool", "tool_call_id": call["id"], "content": "rain, 9 degrees"}
    messages = [*user("weather?"), assistant, result]
    stream = client.chat.completions.create(model="sandbox/tools", messages=messages, tools=[WEATHER], stream=True)
    second = Streamed(stream)
    equal(second.finish_reasons, ["stop"])
    holds("rain, 9 degrees" in second.text, f"the result is not in {second.text!r}")


@check
def a_tool_can_be_named_and_forbidden():
    named = {"type": "function", "function": {"name": "get_weather"}}
    completion = ask("sandbox/tools", tools=[WEATHER], tool_choice=named)
    equal(completion.choices[0].message.tool_calls[0].function.name, "get_weather")
    equal(ask("sandbox/tools", tools=[WEATHER], tool_choice="none").choices[0].message.tool_calls, None)


def second_turn_of_reasoning(assistant, call_id):
    result = {"role": "tool", "tool_call_id": call_id, "content": "snow"}
    messages = [*user("weather?"), assistant, result]
    return client.chat.completions.create(model="sandbox/reasoning-tools", messages=messages, tools=[WEATHER])


@check
def reasoning_details_go_back_with_the_result_of_a_tool():
    message = ask("sandbox/reasoning-tools", "weather?", tools=[WEATHER]).choices[0].message
    extra = message.model_extra
    holds(extra.get("reasoning") and extra.get("reasoning_details"), f"no reasoning in {extra}")
    second = second_turn_of_reasoning(message, message.tool_calls[0].id)
    holds("snow" in text_of(second), f"the result is not in {text_of(second)!r}")


@check
def a_turn_without_its_reasoning_details_is_refused():
    message = ask("sandbox/reasoning-tools", "weather?", tools=[WEATHER]).choices[0].message
    bare = message.model_dump(include={"role", "content", "tool_calls"})
    error = raises(openai.BadRequestError, lambda: second_turn_of_reasoning(bare, message.tool_calls[0].id))
    holds("reasoning_details" in error.message, error.message)


@check
def streamed_reasoning_details_go_back_with_the_result_of_a_tool():
    first = streamed("sandbox/reasoning-tools", "weather?", tools=[WEATHER])
    holds(len(first.reasoning_details) > 1, "the reasoning came in one delta")
    (call,) = first.tool_calls.values()
    function = {"name": call["name"], "arguments": call["arguments"]}
    assistant = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call["id"], "type": "function", "function": function}],
        "reasoning_details": first.reasoning_details,
    }
    holds("snow" in text_of(second_turn_of_reasoning(assistant, call["id"])), "the result is not in the answer")


# Structured output


class Forecast(BaseModel):
    city: str
    days: int
    sky: Literal["clear", "cloudy"]


@check
def a_json_schema_shapes_the_answer():
    schema = {**Forecast.model_json_schema(), "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "forecast", "strict": True, "schema": schema}}
    whole = ask(SMALL, response_format=wanted)
    equal(Forecast.model_validate_json(text_of(whole)).sky, "clear")
    equal(streamed(SMALL, response_format=wanted).text, text_of(whole))


@check
def the_parse_helper_gives_an_object():
    completion = client.chat.completions.parse(model=SMALL, messages=user("forecast?"), response_format=Forecast)
    parsed = completion.choices[0].message.parsed
    holds(isinstance(parsed, Forecast) and parsed.sky == "clear", f"parsed is {parsed!r}")


@check
def the_stream_helper_parses_too():
    arguments = {"model": SMALL, "messages": user("forecast?"), "response_format": Forecast}
    with client.chat.completions.stream(**arguments) as stream:
        parsed = stream.get_final_completion().choices[0].message.parsed
    holds(isinstance(parsed, Forecast), f"parsed is {parsed!r}")


@check
def any_json_object_can_be_asked_for():
    equal(json.loads(text_of(ask(SMALL, response_format={"type": "json_object"})))["sandbox"], True)


# Embeddings


@check
def one_text_is_embedded():
    reply = client.embeddings.create(model=EMBEDDING, input="a quick brown fox")
    equal(len(reply.data), 1)
    vector = reply.data[0].embedding
    equal(len(vector), 1536, "dimensions")
    holds(abs(math.hypot(*vector) - 1) < 1e-3, "the vector is not of length one")
    holds(reply.usage.prompt_tokens > 0, "the usage is empty")


@check
def base64_and_numbers_are_the_same_vector():
    # By default the SDK asks for base64.
    mark = nonce()
    packed = client.embeddings.create(model=EMBEDDING, input=mark).data[0].embedding
    equal(seen(mark)["body"].get("encoding_format"), "base64", "encoding_format")
    plain = client.embeddings.create(model=EMBEDDING, input=mark, encoding_format="float").data[0].embedding
    holds(max(abs(a - b) for a, b in zip(packed, plain, strict=True)) < 1e-6, "the vectors differ")
    raw = client.embeddings.create(model=EMBEDDING, input=mark, encoding_format="base64").data[0].embedding
    holds(isinstance(raw, str), f"expected base64 text, found {type(raw).__name__}")


@check
def a_batch_is_embedded_in_its_order():
    texts = [f"text number {n}" for n in range(40)]
    batch = client.embeddings.create(model=EMBEDDING, input=texts, dimensions=16).data
    equal([entry.index for entry in batch], list(range(40)))
    alone = client.embeddings.create(model=EMBEDDING, input=texts[17], dimensions=16).data[0]
    equal(batch[17].embedding, alone.embedding)
    equal(len({tuple(entry.embedding) for entry in batch}), 40, "different vectors")


@check
def dimensions_can_be_chosen():
    reply = client.embeddings.create(model=EMBEDDING, input="fox", dimensions=256)
    equal(len(reply.data[0].embedding), 256)


@endpoint_check
def the_tier_for_embeddings_is_a_model():
    reply = client.embeddings.create(model="TEXT_EMBEDDING", input="fox")
    equal((reply.model, len(reply.data[0].embedding)), (EMBEDDING, 1536))


# Models and the account


@check
def the_model_list_contains_ids():
    ids = {model.id for model in client.models.list()}
    for id in (SMALL, LARGE, "sandbox/echo"):
        holds(id in ids, f"{id} is not listed among {len(ids)}")


@endpoint_check
def the_model_list_contains_tiers_and_can_be_refreshed():
    for query in ({}, {"force": "true"}):
        ids = {model.id for model in client.models.list(extra_query=query)}
        for tier in ("small", "large", "reasoning_large"):
            names = {f"TEXT_{tier.upper()}", f"tier/{tier}", f"tier/TEXT_{tier.upper()}"}
            holds(ids & names, f"none of {sorted(names)} is listed")


@endpoint_check
def a_model_with_a_slash_in_its_id_is_retrieved():
    # The SDK writes the slash as %2F.
    equal(client.models.retrieve(SMALL).id, SMALL)
    bare = client.get(f"/models/{SMALL}", cast_to=object)
    equal(bare["id"], SMALL)


@endpoint_check
def a_tier_is_retrieved_and_an_unknown_model_is_not_found():
    holds(client.models.retrieve("TEXT_SMALL").id, "the tier has no id")
    raises(openai.NotFoundError, lambda: client.models.retrieve("nobody/nothing-at-all"))


@check
def the_endpoints_of_a_model_and_the_key_are_shown():
    endpoints = client.get("/models/openai/gpt-4o/endpoints", cast_to=object)
    equal(endpoints["data"]["id"], "openai/gpt-4o")
    holds("usage" in client.get("/key", cast_to=object)["data"], "the key has no usage")


@check
def a_generation_is_found_by_its_id():
    id = ask("sandbox/hello").id
    found = client.get("/generation", cast_to=object, options={"params": {"id": id}})
    equal(found["data"]["id"], id)


# Responses, and the older completions


@check
def a_response_has_text_and_usage():
    response = client.responses.create(model="sandbox/hello", input="hi")
    equal(response.object, "response")
    equal(response.status, "completed")
    equal(response.output_text, HELLO)
    holds(response.usage.input_tokens > 0 and response.usage.output_tokens > 0, f"usage is {response.usage}")


@check
def a_response_reads_instructions_and_a_list_of_messages():
    given = [{"role": "user", "content": [{"type": "input_text", "text": "grüße"}]}]
    response = client.responses.create(model="sandbox/echo", instructions="Be brief.", input=given)
    equal(response.output_text, "The sandbox heard: grüße")


@check
def a_streamed_response_gives_the_same_text():
    whole = client.responses.create(model="sandbox/words-50", input="hi").output_text
    events = list(client.responses.create(model="sandbox/words-50", input="hi", stream=True))
    kinds = [event.type for event in events]
    equal(kinds[0], "response.created")
    equal(kinds[-1], "response.completed")
    equal("".join(event.delta for event in events if event.type == "response.output_text.delta"), whole)
    equal(events[-1].response.output_text, whole)
    holds(events[-1].response.usage.output_tokens > 0, "the usage is missing")
    numbers = [event.sequence_number for event in events]
    equal(numbers, sorted(set(numbers)), "sequence numbers")


@check
def the_stream_helper_builds_the_final_response():
    with client.responses.stream(model="sandbox/hello", input="hi") as stream:
        for _ in stream:
            pass
        equal(stream.get_final_response().output_text, HELLO)


@check
def a_response_calls_a_tool_over_two_turns():
    tool = {"type": "function", "strict": True, **WEATHER["function"]}
    arguments = {"model": "sandbox/tools", "tools": [tool]}
    question = {"role": "user", "content": "weather?"}
    first = client.responses.create(input=[question], **arguments)
    (call,) = [item for item in first.output if item.type == "function_call"]
    equal((call.name, json.loads(call.arguments)), ("get_weather", {"city": "Paris", "days": 1}))
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "hail"}
    second = client.responses.create(input=[question, *first.output, result], **arguments)
    holds("hail" in second.output_text, f"the result is not in {second.output_text!r}")


@check
def the_reasoning_of_a_response_goes_back_with_the_result_of_a_tool():
    tool = {"type": "function", "strict": True, **WEATHER["function"]}
    arguments = {"model": "sandbox/reasoning-tools", "tools": [tool]}
    question = {"role": "user", "content": "weather?"}
    first = client.responses.create(input=[question], **arguments)
    equal([item.type for item in first.output], ["reasoning", "function_call"])
    result = {"type": "function_call_output", "call_id": first.output[1].call_id, "output": "snow"}
    # The model refuses the second turn if its reasoning is missing or different.
    second = client.responses.create(input=[question, *first.output, result], **arguments)
    holds("snow" in second.output_text, f"the result is not in {second.output_text!r}")
    bare = [question, first.output[1], result]
    raises(openai.BadRequestError, lambda: client.responses.create(input=bare, **arguments))


@check
def a_response_is_parsed_by_its_schema():
    response = client.responses.parse(model=SMALL, input="forecast?", text_format=Forecast)
    holds(isinstance(response.output_parsed, Forecast), f"parsed is {response.output_parsed!r}")


@check
def an_error_in_the_middle_of_a_response_is_reported():
    kinds = []
    try:
        for event in client.responses.create(model="sandbox/mid-stream-error", input="hi", stream=True):
            kinds.append(event.type)
    except openai.APIError as error:
        equal(type(error), openai.APIError)
    else:
        equal(kinds[-1], "response.failed")
    equal(kinds.count("response.output_text.delta"), 5, "deltas before the error")
    holds("response.completed" not in kinds, "the response claims to be complete")


@endpoint_check
def a_tier_is_a_model_for_responses_too():
    equal(client.responses.create(model="TEXT_SMALL", input="hi").model, SMALL)


@check
def an_error_before_a_response_keeps_its_status():
    raises(openai.RateLimitError, lambda: client.responses.create(model="sandbox/status-429", input="hi"))


@check
def the_older_completions_answer_whole_and_streamed():
    whole = client.completions.create(model="sandbox/words-50", prompt="hi")
    equal(whole.choices[0].finish_reason, "stop")
    stream = client.completions.create(model="sandbox/words-50", prompt="hi", stream=True)
    text = "".join(choice.text or "" for chunk in stream for choice in chunk.choices)
    equal((len(text.split()), text), (50, whole.choices[0].text))


# Leaving early


@check
def a_stream_that_is_closed_ends_at_the_service_too():
    mark = nonce()
    stream = ask("sandbox/stall", mark, stream=True)
    for n, _ in enumerate(stream):
        if n == 2:
            break
    stream.close()
    left(mark)


@check
def a_client_can_leave_a_stream_of_nothing_but_comments():
    mark = nonce()

    async def leave():
        async with AsyncOpenAI(base_url=BASE_URL, api_key=TOKEN, max_retries=0, timeout=TIMEOUT_S) as asker:
            arguments = {"model": "sandbox/comments-forever", "messages": user(mark), "stream": True}
            stream = await asker.chat.completions.create(**arguments)
            try:
                await asyncio.wait_for(anext(aiter(stream)), 0.5)
            except asyncio.TimeoutError:
                await stream.close()
                return
            raise AssertionError("a chunk came")

    asyncio.run(leave())
    left(mark)


@check
def a_timeout_is_reported_as_one_and_ends_the_request_at_the_service():
    mark = nonce()
    raises(openai.APITimeoutError, lambda: ask("sandbox/slow-start-2000ms", mark, timeout=0.5))
    left(mark)


@check
def a_stream_that_falls_silent_is_a_timeout():
    mark = nonce()
    stream = ask("sandbox/stall", mark, stream=True, timeout=0.5)
    raises(openai.APITimeoutError, lambda: list(stream))
    left(mark)


@check
def a_slow_start_is_waited_for():
    equal(ask("sandbox/slow-start-2000ms").choices[0].finish_reason, "stop")


# Errors


@check
def a_wrong_token_is_an_authentication_error():
    stranger = client.with_options(api_key="wrong")
    asked = {"model": SMALL, "messages": user("hi")}
    error = raises(openai.AuthenticationError, lambda: stranger.chat.completions.create(**asked))
    equal(error.status_code, 401)
    holds(error.body and error.body["message"], f"no message in {error.body}")


@endpoint_check
def a_wrong_token_opens_nothing():
    stranger = client.with_options(api_key="wrong")
    raises(openai.AuthenticationError, lambda: list(stranger.models.list()))
    raises(openai.AuthenticationError, lambda: stranger.embeddings.create(model=EMBEDDING, input="hi"))
    raises(openai.AuthenticationError, lambda: stranger.responses.create(model=SMALL, input="hi"))
    raises(openai.AuthenticationError, lambda: stranger.get("/key", cast_to=object))
    raises(openai.AuthenticationError, lambda: stranger.with_options(api_key=TOKEN[:-1]).models.list())


@endpoint_check
def the_key_of_the_service_is_a_token_too():
    if SERVICE_KEY is None:
        skip("CLIENTS_SERVICE_KEY is not set")
    owner = client.with_options(api_key=SERVICE_KEY)
    equal(text_of(owner.chat.completions.create(model="sandbox/hello", messages=user("hi"))), HELLO)


@check
def an_unknown_model_is_named_in_the_error():
    try:
        ask("nobody/nothing-at-all")
    except (openai.NotFoundError, openai.BadRequestError) as error:
        holds("nobody/nothing-at-all" in error.message, error.message)
    else:
        raise AssertionError("an unknown model answered")


@check
def a_chat_without_messages_is_a_bad_request():
    error = raises(openai.BadRequestError, lambda: client.chat.completions.create(model=SMALL, messages=[]))
    holds("messages" in error.message, error.message)


@check
def every_status_becomes_the_error_class_of_the_sdk():
    kinds = {
        400: openai.BadRequestError,
        402: openai.APIStatusError,
        403: openai.PermissionDeniedError,
        404: openai.NotFoundError,
        408: openai.APIStatusError,
        413: openai.APIStatusError,
        422: openai.UnprocessableEntityError,
        429: openai.RateLimitError,
        500: openai.InternalServerError,
        502: openai.InternalServerError,
        503: openai.InternalServerError,
        524: openai.InternalServerError,
        529: openai.InternalServerError,
    }
    wrong = []
    for status, kind in kinds.items():
        try:
            error = raises(kind, lambda: ask(f"sandbox/status-{status}"))
            equal(error.status_code, status)
            equal(error.code, str(status), "error.code")
        except AssertionError as problem:
            wrong.append(f"{status}: {problem}")
    holds(not wrong, "; ".join(wrong))


@check
def an_error_before_the_first_chunk_of_a_stream_keeps_its_status():
    for status, kind in ((402, openai.APIStatusError), (429, openai.RateLimitError), (502, openai.InternalServerError)):
        equal(raises(kind, lambda: ask(f"sandbox/status-{status}", stream=True)).status_code, status)


@check
def a_rate_limit_comes_with_its_retry_after_wait():
    error = raises(openai.RateLimitError, lambda: ask("sandbox/status-429"))
    holds(int(error.response.headers["retry-after"]) >= 1, "no retry-after")


@check
def a_web_page_from_a_proxy_is_an_internal_server_error():
    equal(raises(openai.InternalServerError, lambda: ask("sandbox/html-502")).status_code, 502)


@check
def an_error_in_the_middle_is_raised_after_the_text_so_far():
    chunks = []

    def read():
        for chunk in ask("sandbox/mid-stream-error", stream=True):
            chunks.append(chunk)

    error = raises(openai.APIError, read)
    holds("Provider disconnected" in error.message, error.message)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    equal(len(text.split()), 5, "words before the error")


@endpoint_check
def a_stream_that_is_cut_is_an_error_not_an_end():
    # Not an APIConnectionError: the endpoint reports it in a last chunk of its own.
    raises(openai.APIError, lambda: streamed("sandbox/cut").finish_reasons)
    raises(openai.APIError, lambda: streamed("sandbox/cut-connection").finish_reasons)
    raises(openai.APIError, lambda: list(client.responses.create(model="sandbox/cut", input="hi", stream=True)))


@endpoint_check
def a_stream_without_finish_reason_is_an_error_in_spite_of_done():
    # The SDK reads nothing after `[DONE]`, so the error has to come before it.
    raises(openai.APIError, lambda: streamed("sandbox/no-finish-reason").finish_reasons)


@check
def a_stream_with_finish_reason_is_complete_without_done():
    equal(streamed("sandbox/no-done").finish_reasons, ["stop"])


# Headers, and what goes beyond OpenAI's protocol


@check
def the_id_of_the_generation_is_in_a_header():
    raw = client.chat.completions.with_raw_response.create(model="sandbox/hello", messages=user("hi"))
    equal(raw.headers["x-generation-id"], raw.parse().id)


@endpoint_check
def headers_say_who_served_and_at_what_cost():
    raw = client.chat.completions.with_raw_response.create(model="TEXT_SMALL", messages=user("hi"))
    completion = raw.parse()
    equal(raw.headers["x-served-model"], SMALL)
    equal(raw.headers["x-served-provider"], completion.model_extra["provider"])
    equal(raw.headers["x-attempts"], "1")
    equal(float(raw.headers["x-cost-usd"]), completion.usage.model_extra["cost"], "cost")


@endpoint_check
def a_stream_has_the_headers_of_a_stream():
    arguments = {"model": "sandbox/words-50", "messages": user("hi"), "stream": True}
    raw = client.chat.completions.with_raw_response.create(**arguments)
    equal(raw.headers["content-type"].split(";")[0], "text/event-stream")
    equal(raw.headers["cache-control"], "no-cache")
    equal(raw.headers["x-accel-buffering"], "no")
    equal(raw.headers["x-attempts"], "1")
    equal(len(Streamed(raw.parse()).text.split()), 50, "words")


@endpoint_check
def a_failed_attempt_is_counted():
    model = "clients/openai-python-fails-once"
    raw = client.chat.completions.with_raw_response.create(model=model, messages=user("hi"))
    equal((raw.headers["x-attempts"], text_of(raw.parse())), ("2", "second try"))


@check
def provider_preferences_hold():
    completion = ask("openai/gpt-4o", extra_body={"provider": {"only": ["azure"]}})
    equal(completion.model_extra["provider"], "Azure")
    error = raises(openai.NotFoundError, lambda: ask("openai/gpt-4o", extra_body={"provider": {"only": ["groq"]}}))
    holds("providers" in error.message, error.message)


@check
def fallback_models_are_asked_in_turn():
    completion = ask("sandbox/status-503", extra_body={"models": ["sandbox/hello"]})
    equal((completion.model, text_of(completion)), ("sandbox/hello", HELLO))


@check
def members_and_headers_unknown_to_the_sdk_reach_the_service():
    mark = nonce()
    headers = {"HTTP-Referer": "https://clients.example", "X-Title": "Clients of the tests"}
    extra = {"transforms": ["middle-out"], "usage": {"include": True}, "min_p": 0.05, "session_id": mark}
    ask("sandbox/echo", mark, extra_headers=headers, extra_body=extra, user="someone")
    request = seen(mark)
    sent = dict(request["headers"])
    equal(sent.get("http-referer"), "https://clients.example", "http-referer")
    equal(sent.get("x-title"), "Clients of the tests", "x-title")
    body = request["body"]
    equal((body["min_p"], body["session_id"], body["user"]), (0.05, mark, "someone"))


@endpoint_check
def the_token_never_reaches_the_service():
    mark = nonce()
    ask("sandbox/echo", mark, extra_headers={"x-api-key": TOKEN})
    holds(TOKEN not in json.dumps(seen(mark)), "the token of the endpoint went to the service")


@endpoint_check
def old_forms_are_translated_and_named_in_a_header():
    def translated(model, **extra):
        create = client.chat.completions.with_raw_response.create
        raw = create(model=model, messages=user("hi"), extra_body=extra)
        return raw.headers.get("x-translated", "").split(", "), raw.parse()

    words, completion = translated("sandbox/status-503,sandbox/hello")
    equal((words, completion.model), (["model-list"], "sandbox/hello"))
    words, completion = translated(SMALL, providerPreferences={"only": ["azure"]})
    holds("provider-preferences" in words, f"translated: {words}")
    equal(completion.model_extra["provider"], "Azure")


# Many at once


async def asked_at_once(n_requests, stream):
    async with AsyncOpenAI(base_url=BASE_URL, api_key=TOKEN, max_retries=0, timeout=TIMEOUT_S) as asker:

        async def one(n):
            # Different lengths, so that a swapped answer cannot look right.
            text = f"request {n}: " + f"word{n} " * (n * 7) + "end"
            messages = user(text)
            reply = await asker.chat.completions.create(model="sandbox/echo", messages=messages, stream=stream)
            if stream:
                gathered = ""
                async for chunk in reply:
                    gathered += "".join(choice.delta.content or "" for choice in chunk.choices)
            else:
                gathered = text_of(reply)
            return gathered == f"The sandbox heard: {text}"

        return await asyncio.gather(*(one(n) for n in range(n_requests)))


@check
def thirty_two_requests_at_once_do_not_mix():
    equal(asyncio.run(asked_at_once(32, stream=False)), [True] * 32)


@check
def thirty_two_streams_at_once_do_not_mix():
    equal(asyncio.run(asked_at_once(32, stream=True)), [True] * 32)


@check
def the_retries_of_the_sdk_end_with_the_error():
    stubborn = client.with_options(max_retries=1)
    asked = {"model": "sandbox/status-500", "messages": user("hi")}
    raises(openai.InternalServerError, lambda: stubborn.chat.completions.create(**asked))


run("openai")
