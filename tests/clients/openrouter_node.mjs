// OpenRouter's own SDK for Node against the endpoint; see `run`. It checks every answer with zod, so that a member
// that is missing or of another type fails a check.

import { OpenRouter } from '@openrouter/sdk';
import * as errors from '@openrouter/sdk/models/errors';

import {
  BASE_URL,
  EMBEDDING,
  HELLO,
  LARGE,
  SERVICE_KEY,
  SMALL,
  TIMEOUT_MS,
  TOKEN,
  WEATHER,
  check,
  endpointCheck,
  equal,
  holds,
  left,
  nonce,
  raises,
  run,
  seen,
  skip,
  user,
} from './kit.mjs';

// By default the SDK repeats a failed request for an hour.
const retryConfig = { strategy: 'none' };
const clientOf = (apiKey, more = {}) =>
  new OpenRouter({ serverURL: BASE_URL, apiKey, retryConfig, timeoutMs: TIMEOUT_MS, ...more });
const client = clientOf(TOKEN);

const send = (chatRequest, options) => client.chat.send({ chatRequest }, options);
const ask = (model, text = 'hi', more = {}, options = {}) => send({ model, messages: user(text), ...more }, options);
const textOf = (result) => result.choices[0].message.content;

/** A stream read to its end. */
async function gathered(stream) {
  const found = { text: '', finishReasons: [], usages: [], errors: [], calls: [], details: [], ids: new Set() };
  for await (const chunk of await stream) {
    found.model = chunk.model;
    found.ids.add(chunk.id);
    if (chunk.usage) found.usages.push(chunk.usage);
    if (chunk.error) found.errors.push(chunk.error);
    for (const { delta, finishReason } of chunk.choices) {
      found.text += delta.content ?? '';
      found.details.push(...(delta.reasoningDetails ?? []));
      if (finishReason) found.finishReasons.push(finishReason);
      for (const { index, id, function: piece } of delta.toolCalls ?? []) {
        const call = (found.calls[index] ??= { id: '', type: 'function', function: { name: '', arguments: '' } });
        call.id += id ?? '';
        call.function.name += piece.name ?? '';
        call.function.arguments += piece.arguments ?? '';
      }
    }
  }
  return found;
}
const streamed = (model, text = 'hi', more = {}) => gathered(ask(model, text, { stream: true, ...more }));

/** Every entry of every page. */
async function listed(pages) {
  const entries = [];
  for await (const page of await pages) entries.push(...page.result.data);
  return entries;
}

// Chat

check('a plain chat has text and finish reason and usage', async () => {
  const result = await ask('sandbox/hello');
  equal([textOf(result), result.model, result.choices[0].finishReason], [HELLO, 'sandbox/hello', 'stop']);
  const { usage } = result;
  holds(usage.promptTokens > 0 && usage.completionTokens > 0 && usage.cost > 0, 'the usage is empty');
  equal(usage.totalTokens, usage.promptTokens + usage.completionTokens);
});

check('text beyond ASCII arrives unchanged', async () => {
  const text = 'Grüße, 世界 👩‍🚀 "quoted" \\ \n\ttab \u2028 end';
  equal(textOf(await ask('sandbox/echo', text)), `The sandbox heard: ${text}`);
  equal((await streamed('sandbox/echo', text)).text, `The sandbox heard: ${text}`);
});

endpointCheck('every name of a tier is a model', async () => {
  for (const name of ['TEXT_SMALL', 'tier/small', 'tier/TEXT_SMALL']) {
    equal((await ask(name)).model, SMALL, name);
    equal((await streamed(name)).model, SMALL, `${name} streamed`);
  }
  equal((await send({ messages: user('hi') })).model, LARGE, 'without a model');
});

check('a streamed chat gives the same text and has its usage once', async () => {
  const whole = await ask('sandbox/words-50');
  for (const more of [{}, { streamOptions: { includeUsage: true } }]) {
    const stream = await streamed('sandbox/words-50', 'hi', more);
    equal(stream.text, textOf(whole));
    equal([stream.finishReasons, stream.errors, stream.ids.size], [['stop'], [], 1]);
    equal(stream.usages.length, 1, 'chunks with usage');
    equal(stream.usages[0].completionTokens, whole.usage.completionTokens);
    holds(stream.usages[0].cost > 0, 'the cost is missing from the usage');
  }
});

endpointCheck("the loop of the SDK's manual reads a stream", async () => {
  let text = '';
  for await (const chunk of await ask('sandbox/words-50', 'hi', { stream: true })) {
    text += chunk.choices[0].delta.content ?? '';
  }
  equal(text.split(/\s+/).length, 50, 'words');
});

check('keep-alive comments are not part of a stream', async () => {
  const stream = await streamed('sandbox/comments');
  equal([stream.text, stream.finishReasons], [textOf(await ask('sandbox/comments')), ['stop']]);
});

check('every kind of answer is valid: reasoning, images, audio, citations', async () => {
  const { message } = (await ask('sandbox/everything')).choices[0];
  equal(message.reasoningDetails.length, 3, 'reasoning blocks');
  const stream = await streamed('sandbox/everything');
  equal([stream.text, stream.errors], [message.content, []]);
});

check('a JSON Schema shapes the answer', async () => {
  const schema = WEATHER.function.parameters;
  const responseFormat = { type: 'json_schema', jsonSchema: { name: 'weather', strict: true, schema } };
  const whole = textOf(await ask(SMALL, 'weather?', { responseFormat }));
  equal(JSON.parse(whole), { city: 'Paris', days: 1 });
  equal((await streamed(SMALL, 'weather?', { responseFormat })).text, whole);
});

// Tools and reasoning

for (const model of ['sandbox/tools', 'sandbox/reasoning-tools']) {
  const tools = [WEATHER];
  const secondTurn = async (assistant, result) => {
    const tool = { role: 'tool', toolCallId: assistant.toolCalls[0].id, content: result };
    const second = await send({ model, messages: [...user('weather?'), assistant, tool], tools });
    equal(second.choices[0].finishReason, 'stop');
    holds(textOf(second).includes(result), 'the result is not in the answer');
  };

  // `sandbox/reasoning-tools` refuses the second turn if its reasoning is missing or different.
  check(`${model}: tools work over two turns`, async () => {
    const { finishReason, message } = (await ask(model, 'weather?', { tools })).choices[0];
    equal([finishReason, message.toolCalls.length], ['tool_calls', 1]);
    const { name, arguments: given } = message.toolCalls[0].function;
    equal([name, JSON.parse(given)], ['get_weather', { city: 'Paris', days: 1 }]);
    await secondTurn(message, 'sunny, 21 degrees');
  });

  check(`${model}: streamed tools work over two turns`, async () => {
    const { finishReasons, calls, details } = await streamed(model, 'weather?', { tools });
    equal([finishReasons, calls.length], [['tool_calls'], 1]);
    equal(JSON.parse(calls[0].function.arguments), { city: 'Paris', days: 1 });
    await secondTurn({ role: 'assistant', toolCalls: calls, reasoningDetails: details }, 'rain, 9 degrees');
  });
}

// Models

check('every entry of the model list is valid', async () => {
  const ids = (await listed(client.models.list())).map((model) => model.id);
  for (const id of [SMALL, LARGE, 'sandbox/echo']) holds(ids.includes(id), `${id} is not listed among ${ids.length}`);
  equal(ids.length, new Set(ids).size, 'different ids');
});

endpointCheck('the tiers in the list are models with prices, whatever is asked for', async () => {
  for (const request of [undefined, { offset: 0, limit: 500 }]) {
    const models = await listed(client.models.list(request));
    const small = models.find(({ id }) => id === 'tier/small' || id === 'TEXT_SMALL');
    holds(small, `the small tier is not listed among ${models.length}`);
    const { pricing, contextLength } = models.find(({ id }) => id === SMALL);
    equal([small.pricing, small.contextLength], [pricing, contextLength], 'price and context');
  }
});

check('the first five models have prices to print', async () => {
  for (const { id, pricing } of (await listed(client.models.list())).slice(0, 5)) {
    holds(id && Number.isFinite(Number(pricing.prompt) + Number(pricing.completion)), `prices of ${id}`);
  }
});

check('models are counted, and listed as the user may use them', async () => {
  holds((await client.models.count()).data.count > 0, 'the count is empty');
  holds((await listed(client.models.listForUser({ bearer: TOKEN }))).length > 0, 'the list is empty');
});

check('one model is found, and an unknown one is not', async () => {
  const { data } = await client.models.get({ author: 'openai', slug: 'gpt-4o-mini' });
  equal([data.id, data.topProvider.contextLength > 0], [SMALL, true]);
  await raises(errors.NotFoundResponseError, () => client.models.get({ author: 'nobody', slug: 'nothing-at-all' }));
});

endpointCheck('a tier is found as a whole model', async () => {
  const { data } = await client.models.get({ author: 'tier', slug: 'small' });
  const model = (await client.models.get({ author: 'openai', slug: 'gpt-4o-mini' })).data;
  equal([data.pricing, data.contextLength], [model.pricing, model.contextLength], 'price and context');
});

check('the endpoints of a model are shown', async () => {
  const { data } = await client.endpoints.list({ author: 'openai', slug: 'gpt-4o' });
  equal(data.id, 'openai/gpt-4o');
  holds(data.endpoints.length > 0, 'there are none');
});

check('providers are listed', async () => {
  const slugs = (await client.providers.list()).data.map(({ slug }) => slug);
  holds(slugs.includes('anthropic'), `anthropic is not among ${slugs}`);
});

// The account

check('the key is shown with its usage and limit', async () => {
  const { data } = await client.apiKeys.getCurrentKeyMetadata();
  holds(data.usage >= 0 && data.limitRemaining <= data.limit, 'the figures do not fit');
});

check('credits are for management keys, and the refusal says so', async () => {
  const error = await raises(errors.ForbiddenResponseError, () => client.credits.getCredits());
  holds(error.message.includes('management'), error.message);
});

for (const stream of [false, true]) {
  check(`a ${stream ? 'streamed' : 'whole'} generation is found by its id`, async () => {
    const id = stream ? [...(await streamed('sandbox/hello')).ids][0] : (await ask('sandbox/hello')).id;
    const { data } = await client.generations.getGeneration({ id });
    equal([data.id, data.model, data.streamed], [id, 'sandbox/hello', stream]);
    holds(data.totalCost > 0 && data.tokensCompletion > 0, 'the generation has no usage');
  });
}

// Embeddings, reranking, responses

check('texts are embedded in their order', async () => {
  const embed = (input) => client.embeddings.generate({ requestBody: { model: EMBEDDING, input, dimensions: 16 } });
  const { data, usage } = await embed(['one', 'two']);
  equal(data.map(({ embedding }) => embedding.length), [16, 16]);
  equal(data[1].embedding, (await embed('two')).data[0].embedding);
  holds(usage.promptTokens > 0, 'the usage is empty');
  const ids = (await listed(client.embeddings.listModels())).map(({ id }) => id);
  holds(ids.includes(EMBEDDING), `${EMBEDDING} is not among ${ids}`);
});

endpointCheck('the tier for embeddings is a model', async () => {
  const requestBody = { model: 'TEXT_EMBEDDING', input: 'fox' };
  equal((await client.embeddings.generate({ requestBody })).model, EMBEDDING);
});

check('documents are ranked', async () => {
  const requestBody = { model: 'cohere/rerank-v3.5', query: 'fox', documents: ['bear', 'fox'] };
  equal((await client.rerank.rerank({ requestBody })).results[0].document.text, 'fox');
});

check('a response has text and usage, whole and streamed', async () => {
  const responsesRequest = { model: 'sandbox/words-50', input: 'hi' };
  const whole = await client.responses.send({ responsesRequest });
  const { text } = whole.output[0].content[0];
  equal([whole.status, text.split(/\s+/).length], ['completed', 50]);
  holds(whole.usage.outputTokens > 0, 'the usage is empty');
  const events = [];
  for await (const event of await client.responses.send({ responsesRequest: { ...responsesRequest, stream: true } })) {
    events.push(event);
  }
  const deltas = events.filter(({ type }) => type === 'response.output_text.delta');
  equal([deltas.map(({ delta }) => delta).join(''), events.at(-1).type], [text, 'response.completed']);
});

// Errors

check('a wrong token is refused as such', async () => {
  const stranger = clientOf('wrong');
  const chatRequest = { model: SMALL, messages: user('hi') };
  for (const action of [() => stranger.chat.send({ chatRequest }), () => stranger.apiKeys.getCurrentKeyMetadata()]) {
    const error = await raises(errors.UnauthorizedResponseError, action);
    holds(error.statusCode === 401 && error.error.message, `no message in ${error.body}`);
  }
});

endpointCheck('the key of the service is a token too', async () => {
  if (!SERVICE_KEY) skip('CLIENTS_SERVICE_KEY is not set');
  const chatRequest = { model: 'sandbox/hello', messages: user('hi') };
  equal(textOf(await clientOf(SERVICE_KEY).chat.send({ chatRequest })), HELLO);
});

check('an unknown model is named in the error', async () => {
  const error = await ask('nobody/nothing-at-all').catch((error) => error);
  holds([400, 404].includes(error.statusCode), `the answer was ${error}`);
  holds(error.message.includes('nobody/nothing-at-all'), error.message);
});

const CLASSES = {
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
};
check('every status becomes the error class of the SDK', async () => {
  for (const [status, kind] of Object.entries(CLASSES)) {
    const error = await raises(kind, () => ask(`sandbox/status-${status}`));
    equal([error.statusCode, error.error.code], [Number(status), Number(status)]);
  }
});

check('an error before the first chunk of a stream keeps its class', async () => {
  for (const status of [402, 429, 502]) {
    await raises(CLASSES[status], () => ask(`sandbox/status-${status}`, 'hi', { stream: true }));
  }
});

check('a rate limit comes with its Retry-After wait', async () => {
  const error = await raises(errors.TooManyRequestsResponseError, () => ask('sandbox/status-429'));
  holds(Number(error.headers.get('retry-after')) >= 1, 'no retry-after');
});

check('a web page from a proxy is a bad gateway', async () => {
  const error = await ask('sandbox/html-502').catch((error) => error);
  equal([error instanceof errors.OpenRouterError, error.statusCode], [true, 502]);
});

check('an error in the middle is in the last chunk, after the text so far', async () => {
  const stream = await streamed('sandbox/mid-stream-error');
  equal([stream.text.split(/\s+/).length, stream.finishReasons], [5, ['error']]);
  equal(stream.errors.map(({ code, message }) => [code, message]), [[502, 'Provider disconnected']]);
});

endpointCheck('a stream that is cut or lacks a finish reason ends with an error', async () => {
  for (const model of ['sandbox/cut', 'sandbox/cut-connection', 'sandbox/no-finish-reason']) {
    const stream = await streamed(model);
    equal([stream.finishReasons, stream.errors.length], [['error'], 1], model);
  }
});

// Leaving early

check('a stream that is left ends at the service too', async () => {
  const mark = nonce();
  for await (const _ of await ask('sandbox/stall', mark, { stream: true })) break;
  await left(mark);
});

check('a timeout and an abort signal end the request at the service', async () => {
  const controller = new AbortController();
  const ways = [
    [errors.RequestTimeoutError, { timeoutMs: 300 }],
    [errors.RequestAbortedError, { fetchOptions: { signal: controller.signal } }],
  ];
  for (const [kind, options] of ways) {
    const mark = nonce();
    const asked = raises(kind, () => ask('sandbox/slow-start-2000ms', mark, {}, options));
    if (options.fetchOptions) setTimeout(() => controller.abort(), 300);
    await asked;
    await left(mark);
  }
});

// What reaches the service

check('provider preferences, fallback models and headers reach the service', async () => {
  const mark = nonce();
  const app = clientOf(TOKEN, { httpReferer: 'https://clients.example', appTitle: 'Clients of the tests' });
  const chatRequest = { model: 'openai/gpt-4o', models: [SMALL], messages: user(mark), provider: { only: ['azure'] } };
  await app.chat.send({ chatRequest: { ...chatRequest, sessionId: mark } });
  const { body, headers } = await seen(mark);
  equal([body.provider, body.session_id], [{ only: ['azure'] }, mark]);
  const sent = Object.fromEntries(headers);
  const title = sent['x-openrouter-title'] ?? sent['x-title'];
  equal([sent['http-referer'], title], ['https://clients.example', 'Clients of the tests']);
  equal((await ask('sandbox/status-503', 'hi', { models: ['sandbox/hello'] })).model, 'sandbox/hello');
});

check('32 streams at once do not mix', async () => {
  const one = async (_, n) => {
    // Different lengths, so that a swapped answer cannot look right.
    const text = `request ${n}: ${`word${n} `.repeat(n * 7)}end`;
    return (await streamed('sandbox/echo', text)).text === `The sandbox heard: ${text}`;
  };
  equal(await Promise.all(Array.from({ length: 32 }, one)), Array(32).fill(true));
});

await run('@openrouter/sdk');
