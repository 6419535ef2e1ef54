"""OpenRouter's own SDK for Python against the endpoint; see `run`.

It checks every answer with pydantic, so that a member that is missing or of another type fails a check.
"""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
from openrouter import OpenRouter, errors
from openrouter.utils import RetryConfig

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


def client_of(api_key, **more):
    # By default the SDK repeats a failed request for an hour.
    no_retries = RetryConfig("none", None, False)
    settings = {"server_url": BASE_URL, "retry_config": no_retries, "timeout_ms": int(TIMEOUT_S * 1000)}
    return OpenRouter(api_key=api_key, **settings, **more)


client = client_of(TOKEN)


def ask(model, text="hi", **more):
    return client.chat.send(model=model, messages=user(text), **more)


def text_of(result):
    return result.choices[0].message.content


class Streamed:
    """A stream read to its end."""

    def __init__(self, stream):
        self.text, self.finish_reasons, self.usages, self.errors = "", [], [], []
        self.ids, self.model, self.tool_calls, self.reasoning_details = set(), None, {}, []
        for chunk in stream:
            self.take(chunk)

    def take(self, chunk):
        self.model = chunk.model
        self.ids.add(chunk.id)
        self.usages += [chunk.usage] if chunk.usage else []
        self.errors += [chunk.error] if chunk.error else []
        for choice in chunk.choices:
            self.text += choice.delta.content or ""
            self.reasoning_details += choice.delta.reasoning_details or []
            self.finish_reasons += [choice.finish_reason] if choice.finish_reason else []
            for piece in choice.delta.tool_calls or []:
                call = self.tool_calls.setdefault(piece.index, {"id": "", "name": "", "arguments": ""})
                call["id"] += piece.id or ""
                call["name"] += piece.function.name or ""
                call["arguments"] += piece.function.arguments or ""


def streamed(model, text="hi", **more):
    return Streamed(ask(model, text, stream=True, **more))


def listed(page):
    """Every entry of this page and those behind it."""
    entries = []
    while page is not None:
        entries += page.result.data
        page = page.next()
    return entries


# Chat


@check
def a_plain_chat_has_text_and_finish_reason_and_usage():
    result = ask("sandbox/hello")
    equal((text_of(result), result.model, result.choices[0].finish_reason), (HELLO, "sandbox/hello", "stop"))
    usage = result.usage
    holds(usage.prompt_tokens > 0 and usage.completion_tokens > 0 and usage.cost > 0, f"usage is empty: {usage}")
    equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)


@check
def text_beyond_ascii_arrives_unchanged():
    text = 'Grüße, 世界 👩‍🚀 "quoted" \\ \n\ttab \u2028 end'
    equal(text_of(ask("sandbox/echo", text)), f"The sandbox heard: {text}")
    equal(streamed("sandbox/echo", text).text, f"The sandbox heard: {text}")


@endpoint_check
def every_name_of_a_tier_is_a_model():
    for name in ("TEXT_SMALL", "tier/small", "tier/TEXT_SMALL"):
        equal(ask(name).model, SMALL, name)
        equal(streamed(name).model, SMALL, f"{name} streamed")
    equal(client.chat.send(messages=user("hi")).model, LARGE, "without a model")


@check
def a_streamed_chat_gives_the_same_text_and_has_its_usage_once():
    whole = ask("sandbox/words-50")
    for more in ({}, {"stream_options": {"include_usage": True}}):
        stream = streamed("sandbox/words-50", **more)
        equal(stream.text, text_of(whole))
        equal((stream.finish_reasons, stream.errors, len(stream.ids)), (["stop"], [], 1))
        equal(len(stream.usages), 1, "chunks with usage")
        equal(stream.usages[0].completion_tokens, whole.usage.completion_tokens)
        holds(stream.usages[0].cost > 0, "the cost is missing from the usage")


@endpoint_check
def a_plain_loop_reads_a_stream():
    text = ""
    with ask("sandbox/words-50", stream=True) as stream:
        for chunk in stream:
            text += chunk.choices[0].delta.content or ""
    equal(len(text.split()), 50, "words")


@check
def keep_alive_comments_are_not_part_of_a_stream():
    stream = streamed("sandbox/comments")
    equal((stream.text, stream.finish_reasons), (text_of(ask("sandbox/comments")), ["stop"]))


@check
def every_kind_of_answer_is_valid():
    # Reasoning of three kinds, an image, sound, a citation, and a member that nobody knows.
    message = ask("sandbox/everything").choices[0].message
    equal(len(message.reasoning_details), 3, "reasoning blocks")
    stream = streamed("sandbox/everything")
    equal((stream.text, stream.errors), (message.content, []))


@check
def a_json_schema_shapes_the_answer():
    schema = {"name": "weather", "strict": True, "schema": WEATHER["function"]["parameters"]}
    wanted = {"type": "json_schema", "json_schema": schema}
    whole = text_of(ask(SMALL, "weather?", response_format=wanted))
    equal(json.loads(whole), {"city": "Paris", "days": 1})
    equal(streamed(SMALL, "weather?", response_format=wanted).text, whole)


# Tools and reasoning; `sandbox/reasoning-tools` refuses the second turn if its reasoning is missing or different


def second_turn(model, assistant, call_id, result):
    tool = {"role": "tool", "tool_call_id": call_id, "content": result}
    second = client.chat.send(model=model, messages=[*user("weather?"), assistant, tool], tools=[WEATHER])
    equal(second.choices[0].finish_reason, "stop")
    holds(result in text_of(second), f"the result is not in {text_of(second)!r}")


@check
def tools_work_over_two_turns():
    for model in ("sandbox/tools", "sandbox/reasoning-tools"):
        choice = ask(model, "weather?", tools=[WEATHER]).choices[0]
        equal(choice.finish_reason, "tool_calls", model)
        (call,) = choice.message.tool_calls
        equal((call.function.name, json.loads(call.function.arguments)), ("get_weather", {"city": "Paris", "days": 1}))
        second_turn(model, choice.message, call.id, "sunny, 21 degrees")


@check
def streamed_tools_work_over_two_turns():
    for model in ("sandbox/tools", "sandbox/reasoning-tools"):
        first = streamed(model, "weather?", tools=[WEATHER])
        equal(first.finish_reasons, ["tool_calls"], model)
        (call,) = first.tool_calls.values()
        equal(json.loads(call["arguments"]), {"city": "Paris", "days": 1})
        function = {"name": call["name"], "arguments": call["arguments"]}
        assistant = {
            "role": "assistant",
            "tool_calls": [{"id": call["id"], "type": "function", "function": function}],
            "reasoning_details": first.reasoning_details,
        }
        second_turn(model, assistant, call["id"], "rain, 9 degrees")


# Models


@check
def every_entry_of_the_model_list_is_valid():
    ids = [model.id for model in listed(client.models.list())]
    for id in (SMALL, LARGE, "sandbox/echo"):
        holds(id in ids, f"{id} is not listed among {len(ids)}")
    equal(len(ids), len(set(ids)), "different ids")


@endpoint_check
def the_tiers_in_the_list_are_models_with_prices():
    models = {model.id: model for model in listed(client.models.list())}
    small = models.get("tier/small") or models.get("TEXT_SMALL")
    holds(small, f"the small tier is not listed among {len(models)}")
    real = models[SMALL]
    equal((small.pricing, small.context_length), (real.pricing, real.context_length), "price and context")


@check
def the_first_five_models_have_prices_to_print():
    for model in client.models.list().result.data[:5]:
        line = f"{model.id}: {float(model.pricing.prompt):.8f} in, {float(model.pricing.completion):.8f} out"
        holds(model.id in line and model.context_length > 0, line)


@check
def models_are_counted():
    holds(client.models.count().data.count > 0, "the count is empty")


@check
def one_model_is_found_and_an_unknown_one_is_not():
    model = client.models.get(author="openai", slug="gpt-4o-mini").data
    equal((model.id, model.top_provider.context_length > 0), (SMALL, True))
    raises(errors.NotFoundResponseError, lambda: client.models.get(author="nobody", slug="nothing-at-all"))


@endpoint_check
def a_tier_is_found_as_a_whole_model():
    tier = client.models.get(author="tier", slug="small").data
    model = client.models.get(author="openai", slug="gpt-4o-mini").data
    equal((tier.pricing, tier.context_length), (model.pricing, model.context_length), "price and context")


@check
def the_endpoints_of_a_model_are_shown():
    data = client.endpoints.list(author="openai", slug="gpt-4o").data
    equal(data.id, "openai/gpt-4o")
    holds(data.endpoints, "there are none")


@check
def providers_are_listed():
    slugs = [provider.slug for provider in client.providers.list().data]
    holds("anthropic" in slugs, f"anthropic is not among {slugs}")


# The account


@check
def the_key_is_shown_with_its_usage_and_limit():
    data = client.api_keys.get_current_key_metadata().data
    holds(data.usage >= 0 and data.limit_remaining <= data.limit, f"the figures do not fit: {data}")


@check
def credits_are_for_management_keys_and_the_refusal_says_so():
    error = raises(errors.ForbiddenResponseError, client.credits.get_credits)
    holds("management" in error.message, error.message)


@check
def a_generation_is_found_by_its_id():
    for id, is_stream in ((ask("sandbox/hello").id, False), (streamed("sandbox/hello").ids.pop(), True)):
        data = client.generations.get_generation(id=id).data
        equal((data.id, data.model, data.streamed), (id, "sandbox/hello", is_stream))
        holds(data.total_cost > 0 and data.tokens_completion > 0, f"the generation has no usage: {data}")


# Embeddings, reranking, responses


@check
def texts_are_embedded_in_their_order():
    both = client.embeddings.generate(model=EMBEDDING, input=["one", "two"], dimensions=16)
    alone = client.embeddings.generate(model=EMBEDDING, input="two", dimensions=16)
    equal([len(entry.embedding) for entry in both.data], [16, 16])
    equal(both.data[1].embedding, alone.data[0].embedding)
    holds(both.usage.prompt_tokens > 0, "the usage is empty")
    holds(EMBEDDING in {model.id for model in listed(client.embeddings.list_models())}, "the model is not listed")


@endpoint_check
def the_tier_for_embeddings_is_a_model():
    equal(client.embeddings.generate(model="TEXT_EMBEDDING", input="fox").model, EMBEDDING)


@check
def documents_are_ranked():
    ranked = client.rerank.rerank(model="cohere/rerank-v3.5", query="fox", documents=["bear", "fox"])
    equal(ranked.results[0].document.text, "fox")


@check
def a_response_has_text_and_usage_whole_and_streamed():
    whole = client.responses.send(model="sandbox/words-50", input="hi")
    text = whole.output[0].content[0].text
    equal((whole.status, len(text.split())), ("completed", 50))
    holds(whole.usage.output_tokens > 0, f"usage is {whole.usage}")
    events = list(client.responses.send(model="sandbox/words-50", input="hi", stream=True))
    equal("".join(event.delta for event in events if event.type == "response.output_text.delta"), text)
    equal(events[-1].type, "response.completed")


# Errors


@check
def a_wrong_token_is_refused_as_such():
    stranger = client_of("wrong")
    asked = {"model": SMALL, "messages": user("hi")}
    for action in (lambda: stranger.chat.send(**asked), stranger.api_keys.get_current_key_metadata):
        error = raises(errors.UnauthorizedResponseError, action)
        equal((error.status_code, error.data.error.code), (401, 401))
        holds(error.data.error.message, f"no message in {error.body}")


@endpoint_check
def the_key_of_the_service_is_a_token_too():
    if SERVICE_KEY is None:
        skip("CLIENTS_SERVICE_KEY is not set")
    equal(text_of(client_of(SERVICE_KEY).chat.send(model="sandbox/hello", messages=user("hi"))), HELLO)


@check
def an_unknown_model_is_named_in_the_error():
    try:
        ask("nobody/nothing-at-all")
    except (errors.NotFoundResponseError, errors.BadRequestResponseError) as error:
        holds("nobody/nothing-at-all" in error.message, error.message)
    else:
        raise AssertionError("an unknown model answered")


CLASSES = {
    400: errors.BadRequestResponseError,
    402: errors.PaymentRequiredResponseError,
    403: errors.ForbiddenResponseError,
    404: errors.NotFoundResponseError,
    408: errors.RequestTimeoutResponseError,
    413: errors.PayloadTooLargeResponseError,
    422: errors.UnprocessableEntityResponseError,
    429: errors.TooManyRequestsResponseError,
    500: errors.InternalServerResponseError,
    502: errors.BadGatewayResponseError,
    503: errors.ServiceUnavailableResponseError,
    524: errors.EdgeNetworkTimeoutResponseError,
    529: errors.ProviderOverloadedResponseError,
}


@check
def every_status_becomes_the_error_class_of_the_sdk():
    for status, kind in CLASSES.items():
        error = raises(kind, lambda: ask(f"sandbox/status-{status}"))
        equal((error.status_code, error.data.error.code), (status, status))


@check
def an_error_before_the_first_chunk_of_a_stream_keeps_its_class():
    for status in (402, 429, 502):
        raises(CLASSES[status], lambda: ask(f"sandbox/status-{status}", stream=True))


@check
def a_rate_limit_comes_with_its_retry_after_wait():
    error = raises(errors.TooManyRequestsResponseError, lambda: ask("sandbox/status-429"))
    holds(int(error.headers["retry-after"]) >= 1, "no retry-after")


@check
def a_web_page_from_a_proxy_is_a_bad_gateway():
    try:
        ask("sandbox/html-502")
    except errors.OpenRouterError as error:
        equal(error.status_code, 502)
    else:
        raise AssertionError("a page is no answer")


@check
def an_error_in_the_middle_is_in_the_last_chunk_after_the_text_so_far():
    stream = streamed("sandbox/mid-stream-error")
    equal((len(stream.text.split()), stream.finish_reasons), (5, ["error"]))
    equal([(error.code, error.message) for error in stream.errors], [(502, "Provider disconnected")])


@endpoint_check
def a_stream_that_is_cut_or_lacks_a_finish_reason_ends_with_an_error():
    for model in ("sandbox/cut", "sandbox/cut-connection", "sandbox/no-finish-reason"):
        stream = streamed(model)
        equal((stream.finish_reasons, len(stream.errors)), (["error"], 1), model)


# Leaving early


@check
def a_stream_that_is_left_ends_at_the_service_too():
    mark = nonce()
    with ask("sandbox/stall", mark, stream=True) as stream:
        next(stream)
    left(mark)


@check
def a_timeout_ends_the_request_at_the_service():
    mark = nonce()
    raises(httpx.ReadTimeout, lambda: ask("sandbox/slow-start-2000ms", mark, timeout_ms=300))
    left(mark)


# What reaches the service


@check
def provider_preferences_fallback_models_and_headers_reach_the_service():
    mark = nonce()
    app = client_of(TOKEN, http_referer="https://clients.example", x_open_router_title="Clients of the tests")
    asked = {"model": "openai/gpt-4o", "models": [SMALL], "provider": {"only": ["azure"]}, "session_id": mark}
    app.chat.send(messages=user(mark), **asked)
    request = seen(mark)
    equal((request["body"]["provider"], request["body"]["session_id"]), ({"only": ["azure"]}, mark))
    sent = dict(request["headers"])
    title = sent.get("x-openrouter-title") or sent.get("x-title")
    equal((sent.get("http-referer"), title), ("https://clients.example", "Clients of the tests"))
    equal(ask("sandbox/status-503", models=["sandbox/hello"]).model, "sandbox/hello")


@check
def thirty_two_streams_at_once_do_not_mix():
    # Different lengths, so that a swapped answer cannot look right.
    texts = [f"request {n}: " + f"word{n} " * (n * 7) + "end" for n in range(32)]
    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(lambda text: streamed("sandbox/echo", text).text, texts))
    equal(found, [f"The sandbox heard: {text}" for text in texts])


run("openrouter", "pydantic")
