"""LangChain's clients for OpenAI against the endpoint; see `run`."""

import os

# LangChain would send traces to its vendor.
os.environ["LANGSMITH_TRACING"] = "false"

import openai
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

from kit import (
    BASE_URL,
    EMBEDDING,
    HELLO,
    SMALL,
    TIMEOUT_S,
    TOKEN,
    check,
    endpoint_check,
    equal,
    holds,
    nonce,
    run,
    seen,
)


def model_of(name, **more):
    return ChatOpenAI(base_url=BASE_URL, api_key=TOKEN, model=name, max_retries=0, timeout=TIMEOUT_S, **more)


@tool
def get_weather(city: str, days: int) -> str:
    """The weather of a city."""
    return f"hail in {city} for {days} days"


class Forecast(BaseModel):
    """A forecast."""

    city: str
    days: int


@check
def invoke_answers_with_usage():
    message = model_of("sandbox/hello").invoke("hi")
    equal(message.content, HELLO)
    equal(message.response_metadata["finish_reason"], "stop")
    holds(message.usage_metadata["output_tokens"] > 0, f"usage is {message.usage_metadata}")


@endpoint_check
def a_tier_is_a_model():
    equal(model_of("TEXT_SMALL").invoke("hi").response_metadata["model_name"], SMALL)


@check
def a_stream_gives_the_same_text():
    pieces = list(model_of("sandbox/words-50", stream_usage=True).stream("hi"))
    whole = sum(pieces[1:], pieces[0])
    equal(whole.content, model_of("sandbox/words-50").invoke("hi").content)
    holds(whole.usage_metadata["output_tokens"] > 0, f"usage is {whole.usage_metadata}")


@check
def keep_alive_comments_are_not_part_of_a_stream():
    text = "".join(piece.content for piece in model_of("sandbox/comments").stream("hi"))
    equal(text, model_of("sandbox/comments").invoke("hi").content)


def both_turns(answer):
    turns = [HumanMessage("weather?")]
    first = answer(turns)
    equal([call["args"] for call in first.tool_calls], [{"city": "sandbox", "days": 1}])
    turns += [first, *(get_weather.invoke(call) for call in first.tool_calls)]
    holds(isinstance(turns[-1], ToolMessage), "the tool gave no message")
    second = answer(turns)
    holds("hail in sandbox for 1 days" in second.content, f"the result is not in {second.content!r}")


@check
def tools_work_over_two_turns():
    both_turns(model_of("sandbox/tools").bind_tools([get_weather]).invoke)


@check
def streamed_tools_work_over_two_turns():
    model = model_of("sandbox/tools").bind_tools([get_weather])

    def answer(turns):
        pieces = list(model.stream(turns))
        return sum(pieces[1:], pieces[0])

    both_turns(answer)


@check
def structured_output_gives_an_object():
    for method in ("json_schema", "function_calling"):
        name = SMALL if method == "json_schema" else "sandbox/tools"
        found = model_of(name).with_structured_output(Forecast, method=method).invoke("forecast?")
        equal(found, Forecast(city="sandbox", days=1), method)


@check
def the_responses_api_is_used_on_request():
    message = model_of("sandbox/hello", use_responses_api=True).invoke("hi")
    equal(message.text, HELLO)


@check
def texts_are_embedded_in_their_order():
    # Counting tokens would download a table.
    settings = {"base_url": BASE_URL, "api_key": TOKEN, "check_embedding_ctx_length": False}
    embeddings = OpenAIEmbeddings(model=EMBEDDING, dimensions=8, **settings)
    vectors = embeddings.embed_documents(["one", "two", "three"])
    equal([len(vector) for vector in vectors], [8, 8, 8])
    equal(embeddings.embed_query("two"), vectors[1])


@check
def errors_keep_the_classes_of_the_sdk():
    # LangChain derives its own classes from those of the SDK.
    asked = [(TOKEN, f"sandbox/status-{status}") for status in (402, 429, 502)]
    found = []
    for token, name in [("wrong", SMALL), *asked]:
        try:
            ChatOpenAI(base_url=BASE_URL, api_key=token, model=name, max_retries=0, timeout=TIMEOUT_S).invoke("hi")
        except openai.APIStatusError as error:
            found.append(error.status_code)
    equal(found, [401, 402, 429, 502])


@check
def an_error_in_the_middle_of_a_stream_is_raised():
    try:
        list(model_of("sandbox/mid-stream-error").stream("hi"))
    except openai.APIError:
        return
    raise AssertionError("the stream ended as if it were complete")


@check
def the_answers_of_a_batch_do_not_mix():
    texts = [f"request {n} " * (n + 1) for n in range(32)]
    messages = model_of("sandbox/echo").batch(texts, config={"max_concurrency": 16})
    equal([message.content for message in messages], [f"The sandbox heard: {text}" for text in texts])


@check
def extra_body_members_and_headers_reach_the_service():
    mark = nonce()
    headers = {"HTTP-Referer": "https://clients.example", "X-Title": "Clients of the tests"}
    body = {"provider": {"only": ["azure"]}, "session_id": mark}
    model_of("openai/gpt-4o", extra_body=body, default_headers=headers).invoke("hi")
    request = seen(mark)
    equal(request["body"]["provider"], {"only": ["azure"]})
    sent = dict(request["headers"])
    equal((sent.get("http-referer"), sent.get("x-title")), tuple(headers.values()))


run("langchain-openai", "langchain-core", "openai")
