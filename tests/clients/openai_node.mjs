// The official OpenAI SDK for Node against the endpoint; see `run`.

import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';

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

const client = new OpenAI({ baseURL: BASE_URL, apiKey: TOKEN, maxRetries: 0, timeout: TIMEOUT_MS });

const ask = (model, text = 'hi', more = {}, options = {}) =>
  client.chat.completions.create({ model, messages: user(text), ...more }, options);
const textOf = (completion) => completion.choices[0].message.content;

/** A stream read to its end. */
async function gathered(stream) {
  const found = { text: '', finishReasons: [], usages: [], calls: [], details: [], ids: new Set(), last: undefined };
  for await (const chunk of await stream) {
    found.last = chunk;
    found.ids.add(chunk.id);
    if (chunk.usage) found.usages.push(chunk.usage);
    for (const { delta, finish_reason } of chunk.choices) {
      found.text += delta.content ?? '';
      found.details.push(...(delta.reasoning_details ?? []));
      if (finish_reason) found.finishReasons.push(finish_reason);
      for (const { index, id, function: piece } of delta.tool_calls ?? []) {
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

// Chat

check('a plain chat has text and finish reason and usage', async () => {
  const completion = await ask('sandbox/hello');
  equal(textOf(completion), HELLO);
  equal(completion.object, 'chat.completion');
  equal(completion.model, 'sandbox/hello');
  equal(completion.choices[0].finish_reason, 'stop');
  const { usage } = completion;
  holds(usage.prompt_tokens > 0 && usage.completion_tokens > 0, 'the usage is empty');
  equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
  holds(usage.cost > 0, 'the cost is missing from the usage');
});

check('text beyond ASCII arrives unchanged', async () => {
  const text = 'Grüße, 世界 👩‍🚀 "quoted" \\ \n\ttab \u2028 end';
  equal(textOf(await ask('sandbox/echo', text)), `The sandbox heard: ${text}`);
  equal((await streamed('sandbox/echo', text)).text, `The sandbox heard: ${text}`);
});

check('max_tokens ends the answer with finish reason length', async () => {
  equal((await ask('sandbox/words-500', 'hi', { max_tokens: 3 })).choices[0].finish_reason, 'length');
});

endpointCheck('every name of a tier is a model', async () => {
  for (const name of ['TEXT_SMALL', 'tier/small', 'tier/TEXT_SMALL']) {
    equal((await ask(name)).model, SMALL, name);
    equal((await streamed(name)).last.model, SMALL, `${name} streamed`);
  }
  for (const name of ['TEXT_LARGE', 'tier/large', 'tier/TEXT_LARGE']) equal((await ask(name)).model, LARGE, name);
  holds(textOf(await ask('TEXT_REASONING_LARGE')), 'TEXT_REASONING_LARGE does not answer');
});

endpointCheck('a chat without a model goes to the large tier', async () => {
  equal((await client.chat.completions.create({ messages: user('hi') })).model, LARGE);
});

check('a streamed chat gives the same text and ends with the usage', async () => {
  const whole = await ask('sandbox/words-50');
  const stream = await streamed('sandbox/words-50', 'hi', { stream_options: { include_usage: true } });
  equal(stream.text, textOf(whole));
  equal(stream.finishReasons, ['stop']);
  equal(stream.usages.length, 1, 'chunks with usage');
  equal(stream.last.usage, stream.usages[0], 'usage of the last chunk');
  equal(stream.usages[0].completion_tokens, whole.usage.completion_tokens);
  equal(stream.ids.size, 1, 'ids of one answer');
});

check('a long stream arrives whole', async () => {
  equal((await streamed('sandbox/words-5000')).text.split(/\s+/).length, 5000, 'words');
});

check('keep-alive comments are not part of a stream', async () => {
  const stream = await streamed('sandbox/comments');
  equal(stream.text, textOf(await ask('sandbox/comments')));
  equal(stream.finishReasons, ['stop']);
});

check('the stream helper builds the final completion', async () => {
  const pieces = [];
  const stream = client.chat.completions.stream({ model: 'sandbox/words-50', messages: user('hi') });
  stream.on('content', (piece) => pieces.push(piece));
  equal(textOf(await stream.finalChatCompletion()), pieces.join(''));
  equal(pieces.join('').split(/\s+/).length, 50, 'words');
});

// Tools and reasoning

check('tools work over two turns', async () => {
  const first = await ask('sandbox/tools', 'weather?', { tools: [WEATHER] });
  equal(first.choices[0].finish_reason, 'tool_calls');
  const { message } = first.choices[0];
  equal(message.tool_calls.length, 1, 'calls');
  const [call] = message.tool_calls;
  equal(call.function.name, 'get_weather');
  equal(JSON.parse(call.function.arguments), { city: 'Paris', days: 1 });

  const result = { role: 'tool', tool_call_id: call.id, content: 'sunny, 21 degrees' };
  const messages = [...user('weather?'), message, result];
  const second = await client.chat.completions.create({ model: 'sandbox/tools', messages, tools: [WEATHER] });
  equal(second.choices[0].finish_reason, 'stop');
  holds(textOf(second).includes('sunny, 21 degrees'), 'the result is not in the answer');
});

check('streamed tools work over two turns', async () => {
  const first = await streamed('sandbox/tools', 'weather?', { tools: [WEATHER] });
  equal(first.finishReasons, ['tool_calls']);
  const [call] = first.calls;
  equal(call.function.name, 'get_weather');
  equal(JSON.parse(call.function.arguments), { city: 'Paris', days: 1 });

  const assistant = { role: 'assistant', content: null, tool_calls: first.calls };
  const result = { role: 'tool', tool_call_id: call.id, content: 'rain, 9 degrees' };
  const messages = [...user('weather?'), assistant, result];
  const body = { model: 'sandbox/tools', messages, tools: [WEATHER], stream: true };
  const second = await gathered(client.chat.completions.create(body));
  equal(second.finishReasons, ['stop']);
  holds(second.text.includes('rain, 9 degrees'), 'the result is not in the answer');
});

check('the tool runner of the SDK goes through both turns, streamed and not', async () => {
  const asked = [];
  const tool = {
    type: 'function',
    function: {
      ...WEATHER.function,
      parse: JSON.parse,
      function: ({ city }) => {
        asked.push(city);
        return 'fog, 4 degrees';
      },
    },
  };
  for (const stream of [false, true]) {
    const body = { model: 'sandbox/tools', messages: user('weather?'), tools: [tool], stream };
    const text = await client.chat.completions.runTools(body).finalContent();
    holds(text.includes('fog, 4 degrees'), `the result is not in ${text}`);
  }
  equal(asked, ['Paris', 'Paris']);
});

const secondTurnOfReasoning = (assistant, callId) => {
  const messages = [...user('weather?'), assistant, { role: 'tool', tool_call_id: callId, content: 'snow' }];
  return client.chat.completions.create({ model: 'sandbox/reasoning-tools', messages, tools: [WEATHER] });
};

check('reasoning_details go back with the result of a tool', async () => {
  const { message } = (await ask('sandbox/reasoning-tools', 'weather?', { tools: [WEATHER] })).choices[0];
  holds(message.reasoning && message.reasoning_details.length > 0, 'the reasoning is missing');
  const second = await secondTurnOfReasoning(message, message.tool_calls[0].id);
  holds(textOf(second).includes('snow'), 'the result is not in the answer');
});

check('a turn without its reasoning_details is refused', async () => {
  const { message } = (await ask('sandbox/reasoning-tools', 'weather?', { tools: [WEATHER] })).choices[0];
  const { reasoning, reasoning_details, ...bare } = message;
  const error = await raises(OpenAI.BadRequestError, () => secondTurnOfReasoning(bare, message.tool_calls[0].id));
  holds(error.message.includes('reasoning_details'), error.message);
});

check('streamed reasoning_details go back with the result of a tool', async () => {
  const first = await streamed('sandbox/reasoning-tools', 'weather?', { tools: [WEATHER] });
  holds(first.details.length > 1, 'the reasoning came in one delta');
  const assistant = { role: 'assistant', content: null, tool_calls: first.calls, reasoning_details: first.details };
  const second = await secondTurnOfReasoning(assistant, first.calls[0].id);
  holds(textOf(second).includes('snow'), 'the result is not in the answer');
});

// Structured output

const Forecast = z.object({ city: z.string(), days: z.number().int(), sky: z.enum(['clear', 'cloudy']) });

check('a JSON Schema shapes the answer', async () => {
  const schema = { ...z.toJSONSchema(Forecast), additionalProperties: false };
  const response_format = { type: 'json_schema', json_schema: { name: 'forecast', strict: true, schema } };
  const whole = await ask(SMALL, 'forecast?', { response_format });
  equal(Forecast.parse(JSON.parse(textOf(whole))).sky, 'clear');
  equal((await streamed(SMALL, 'forecast?', { response_format })).text, textOf(whole));
});

check('the parse helper gives an object', async () => {
  const response_format = zodResponseFormat(Forecast, 'forecast');
  const completion = await client.chat.completions.parse({ model: SMALL, messages: user('hi'), response_format });
  equal(completion.choices[0].message.parsed.sky, 'clear');
});

// Embeddings

check('one text is embedded', async () => {
  const reply = await client.embeddings.create({ model: EMBEDDING, input: 'a quick brown fox' });
  equal(reply.data.length, 1);
  const vector = Array.from(reply.data[0].embedding);
  equal(vector.length, 1536, 'dimensions');
  holds(Math.abs(Math.hypot(...vector) - 1) < 1e-3, 'the vector is not of length one');
});

check('base64 and numbers are the same vector', async () => {
  // By default the SDK asks for base64.
  const mark = nonce();
  const packed = (await client.embeddings.create({ model: EMBEDDING, input: mark })).data[0].embedding;
  equal((await seen(mark)).body.encoding_format, 'base64', 'encoding_format');
  const request = { model: EMBEDDING, input: mark, encoding_format: 'float' };
  const plain = (await client.embeddings.create(request)).data[0].embedding;
  equal(plain.length, packed.length);
  holds(plain.every((number, n) => Math.abs(number - packed[n]) < 1e-6), 'the vectors differ');
});

check('a batch is embedded in its order, with the chosen dimensions', async () => {
  const input = Array.from({ length: 40 }, (_, n) => `text number ${n}`);
  const { data } = await client.embeddings.create({ model: EMBEDDING, input, dimensions: 16 });
  equal(data.map((entry) => entry.index), [...input.keys()]);
  const alone = await client.embeddings.create({ model: EMBEDDING, input: input[17], dimensions: 16 });
  equal(data[17].embedding, alone.data[0].embedding);
  equal(data[17].embedding.length, 16, 'dimensions');
});

endpointCheck('the tier for embeddings is a model', async () => {
  equal((await client.embeddings.create({ model: 'TEXT_EMBEDDING', input: 'fox' })).model, EMBEDDING);
});

// Models

check('the model list contains ids', async () => {
  const ids = new Set();
  for await (const model of client.models.list()) ids.add(model.id);
  for (const id of [SMALL, LARGE, 'sandbox/echo']) holds(ids.has(id), `${id} is not listed among ${ids.size}`);
});

endpointCheck('the model list contains tiers', async () => {
  const ids = new Set();
  for await (const model of client.models.list()) ids.add(model.id);
  for (const tier of ['small', 'large', 'reasoning_large']) {
    const names = [`TEXT_${tier.toUpperCase()}`, `tier/${tier}`, `tier/TEXT_${tier.toUpperCase()}`];
    holds(names.some((name) => ids.has(name)), `none of ${names} is listed`);
  }
});

endpointCheck('a model with a slash in its id is retrieved', async () => {
  // The SDK writes the slash as %2F.
  equal((await client.models.retrieve(SMALL)).id, SMALL);
  equal((await client.get(`/models/${SMALL}`)).id, SMALL);
  await raises(OpenAI.NotFoundError, () => client.models.retrieve('nobody/nothing-at-all'));
});

// Responses, and the older completions

check('a response has text and usage', async () => {
  const response = await client.responses.create({ model: 'sandbox/hello', input: 'hi' });
  equal(response.status, 'completed');
  equal(response.output_text, HELLO);
  holds(response.usage.input_tokens > 0 && response.usage.output_tokens > 0, 'the usage is empty');
});

check('a streamed response gives the same text', async () => {
  const whole = (await client.responses.create({ model: 'sandbox/words-50', input: 'hi' })).output_text;
  const events = [];
  const stream = await client.responses.create({ model: 'sandbox/words-50', input: 'hi', stream: true });
  for await (const event of stream) events.push(event);
  equal(events[0].type, 'response.created');
  equal(events.at(-1).type, 'response.completed');
  const pieces = events.filter((event) => event.type === 'response.output_text.delta');
  equal(pieces.map((event) => event.delta).join(''), whole);
  holds(events.at(-1).response.usage.output_tokens > 0, 'the usage is missing');
});

check('the stream helper builds the final response', async () => {
  const response = await client.responses.stream({ model: 'sandbox/hello', input: 'hi' }).finalResponse();
  equal(response.output_text, HELLO);
});

check('a response calls a tool over two turns', async () => {
  const body = { model: 'sandbox/tools', tools: [{ type: 'function', strict: true, ...WEATHER.function }] };
  const question = { role: 'user', content: 'weather?' };
  const first = await client.responses.create({ ...body, input: [question] });
  const call = first.output.find((item) => item.type === 'function_call');
  equal(JSON.parse(call.arguments), { city: 'Paris', days: 1 });
  const result = { type: 'function_call_output', call_id: call.call_id, output: 'hail' };
  const second = await client.responses.create({ ...body, input: [question, ...first.output, result] });
  holds(second.output_text.includes('hail'), 'the result is not in the answer');
});

check('the reasoning of a response goes back with the result of a tool', async () => {
  const body = { model: 'sandbox/reasoning-tools', tools: [{ type: 'function', strict: true, ...WEATHER.function }] };
  const question = { role: 'user', content: 'weather?' };
  const first = await client.responses.create({ ...body, input: [question] });
  equal(first.output.map((item) => item.type), ['reasoning', 'function_call']);
  const result = { type: 'function_call_output', call_id: first.output[1].call_id, output: 'snow' };
  // The model refuses the second turn if its reasoning is missing or different.
  const second = await client.responses.create({ ...body, input: [question, ...first.output, result] });
  holds(second.output_text.includes('snow'), 'the result is not in the answer');
});

check('the older completions answer whole and streamed', async () => {
  const body = { model: 'sandbox/words-50', prompt: 'hi' };
  const whole = (await client.completions.create(body)).choices[0].text;
  let text = '';
  for await (const chunk of await client.completions.create({ ...body, stream: true })) {
    text += chunk.choices.map((choice) => choice.text ?? '').join('');
  }
  equal(text, whole);
  equal(text.split(/\s+/).length, 50, 'words');
});

// Leaving early

check('a stream that the client leaves ends at the service too', async () => {
  const mark = nonce();
  let nChunks = 0;
  for await (const _ of await ask('sandbox/stall', mark, { stream: true })) {
    if (++nChunks === 3) break;
  }
  await left(mark);
});

check('an abort signal ends a stream of nothing but comments', async () => {
  const mark = nonce();
  const stream = await ask('sandbox/comments-forever', mark, { stream: true });
  setTimeout(() => stream.controller.abort(), 300);
  for await (const _ of stream) throw new Error('a chunk came');
  await left(mark);
});

check('an abort signal ends a request for a whole answer', async () => {
  const mark = nonce();
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 300);
  const { signal } = controller;
  await raises(OpenAI.APIUserAbortError, () => ask('sandbox/slow-start-2000ms', mark, {}, { signal }));
  await left(mark);
});

check('a timeout is reported as one and ends the request at the service', async () => {
  const mark = nonce();
  await raises(OpenAI.APIConnectionTimeoutError, () => ask('sandbox/slow-start-2000ms', mark, {}, { timeout: 500 }));
  await left(mark);
});

// Errors

check('a wrong token is an authentication error', async () => {
  const stranger = client.withOptions({ apiKey: 'wrong' });
  const body = { model: SMALL, messages: user('hi') };
  const error = await raises(OpenAI.AuthenticationError, () => stranger.chat.completions.create(body));
  equal(error.status, 401);
  holds(error.error?.message, 'the error has no message');
});

endpointCheck('a wrong token opens nothing', async () => {
  const stranger = client.withOptions({ apiKey: 'wrong' });
  await raises(OpenAI.AuthenticationError, () => stranger.models.list());
  await raises(OpenAI.AuthenticationError, () => stranger.embeddings.create({ model: EMBEDDING, input: 'hi' }));
  await raises(OpenAI.AuthenticationError, () => stranger.responses.create({ model: SMALL, input: 'hi' }));
});

endpointCheck('the key of the service is a token too', async () => {
  if (!SERVICE_KEY) skip('CLIENTS_SERVICE_KEY is not set');
  const owner = client.withOptions({ apiKey: SERVICE_KEY });
  equal(textOf(await owner.chat.completions.create({ model: 'sandbox/hello', messages: user('hi') })), HELLO);
});

check('an unknown model is named in the error', async () => {
  const error = await ask('nobody/nothing-at-all').catch((error) => error);
  holds(error instanceof OpenAI.NotFoundError || error instanceof OpenAI.BadRequestError, `found ${error}`);
  holds(error.message.includes('nobody/nothing-at-all'), error.message);
});

check('every status becomes the error class of the SDK', async () => {
  const kinds = {
    400: OpenAI.BadRequestError,
    402: OpenAI.APIError,
    403: OpenAI.PermissionDeniedError,
    404: OpenAI.NotFoundError,
    408: OpenAI.APIError,
    413: OpenAI.APIError,
    422: OpenAI.UnprocessableEntityError,
    429: OpenAI.RateLimitError,
    500: OpenAI.InternalServerError,
    502: OpenAI.InternalServerError,
    503: OpenAI.InternalServerError,
    524: OpenAI.InternalServerError,
    529: OpenAI.InternalServerError,
  };
  const wrong = [];
  for (const [status, kind] of Object.entries(kinds)) {
    try {
      const error = await raises(kind, () => ask(`sandbox/status-${status}`));
      equal([error.status, error.code], [Number(status), Number(status)], 'status and error.code');
    } catch (problem) {
      wrong.push(`${status}: ${problem.message}`);
    }
  }
  equal(wrong, []);
});

check('an error before the first chunk of a stream keeps its status', async () => {
  await raises(OpenAI.RateLimitError, () => ask('sandbox/status-429', 'hi', { stream: true }));
  await raises(OpenAI.InternalServerError, () => ask('sandbox/status-502', 'hi', { stream: true }));
});

check('a rate limit comes with its Retry-After wait', async () => {
  const error = await raises(OpenAI.RateLimitError, () => ask('sandbox/status-429'));
  holds(Number(error.headers.get('retry-after')) >= 1, 'no retry-after');
});

check('an error in the middle is raised after the text so far', async () => {
  let text = '';
  const error = await raises(OpenAI.APIError, async () => {
    for await (const chunk of await ask('sandbox/mid-stream-error', 'hi', { stream: true })) {
      text += chunk.choices[0]?.delta.content ?? '';
    }
  });
  equal(error.error?.message, 'Provider disconnected');
  equal(text.split(/\s+/).length, 5, 'words before the error');
});

endpointCheck('a stream that is cut is an error, not an end', async () => {
  // Not an APIConnectionError: the endpoint reports it in a last chunk of its own.
  await raises(OpenAI.APIError, async () => (await streamed('sandbox/cut')).finishReasons);
  await raises(OpenAI.APIError, async () => (await streamed('sandbox/cut-connection')).finishReasons);
});

endpointCheck('a stream without finish reason is an error in spite of [DONE]', async () => {
  // The SDK ignores everything after `[DONE]`, so the error has to come before it.
  await raises(OpenAI.APIError, async () => (await streamed('sandbox/no-finish-reason')).finishReasons);
});

// Headers, and what goes beyond OpenAI's protocol

endpointCheck('headers say who served and at what cost', async () => {
  const { data, response } = await ask('TEXT_SMALL').withResponse();
  equal(response.headers.get('x-served-model'), SMALL);
  equal(response.headers.get('x-served-provider'), data.provider);
  equal(response.headers.get('x-attempts'), '1');
  equal(response.headers.get('x-generation-id'), data.id);
  equal(Number(response.headers.get('x-cost-usd')), data.usage.cost, 'cost');
});

endpointCheck('a stream has the headers of a stream', async () => {
  const { data, response } = await ask('sandbox/words-50', 'hi', { stream: true }).withResponse();
  equal(response.headers.get('content-type').split(';')[0], 'text/event-stream');
  equal(response.headers.get('cache-control'), 'no-cache');
  equal(response.headers.get('x-accel-buffering'), 'no');
  equal((await gathered(data)).text.split(/\s+/).length, 50, 'words');
});

endpointCheck('a failed attempt is counted', async () => {
  const { data, response } = await ask('clients/openai-node-fails-once').withResponse();
  equal([response.headers.get('x-attempts'), textOf(data)], ['2', 'second try']);
});

check('provider preferences hold', async () => {
  equal((await ask('openai/gpt-4o', 'hi', { provider: { only: ['azure'] } })).provider, 'Azure');
  await raises(OpenAI.NotFoundError, () => ask('openai/gpt-4o', 'hi', { provider: { only: ['groq'] } }));
});

check('fallback models are asked in turn', async () => {
  const completion = await ask('sandbox/status-503', 'hi', { models: ['sandbox/hello'] });
  equal([completion.model, textOf(completion)], ['sandbox/hello', HELLO]);
});

check('members and headers unknown to the SDK reach the service', async () => {
  const mark = nonce();
  const headers = { 'HTTP-Referer': 'https://clients.example', 'X-Title': 'Clients of the tests' };
  await ask('sandbox/echo', mark, { min_p: 0.05, session_id: mark, user: 'someone' }, { headers });
  const request = await seen(mark);
  const sent = Object.fromEntries(request.headers);
  equal([sent['http-referer'], sent['x-title']], ['https://clients.example', 'Clients of the tests']);
  equal([request.body.min_p, request.body.session_id, request.body.user], [0.05, mark, 'someone']);
});

endpointCheck('old forms are translated and named in a header', async () => {
  const { data, response } = await ask('sandbox/status-503,sandbox/hello').withResponse();
  equal([response.headers.get('x-translated'), data.model], ['model-list', 'sandbox/hello']);
});

// Many at once

for (const stream of [false, true]) {
  check(`32 ${stream ? 'streams' : 'requests'} at once do not mix`, async () => {
    const one = async (_, n) => {
      // Different lengths, so that a swapped answer cannot look right.
      const text = `request ${n}: ${`word${n} `.repeat(n * 7)}end`;
      const reply = ask('sandbox/echo', text, { stream });
      const found = stream ? (await gathered(reply)).text : textOf(await reply);
      return found === `The sandbox heard: ${text}`;
    };
    equal(await Promise.all(Array.from({ length: 32 }, one)), Array(32).fill(true));
  });
}

await run('openai', 'zod');
