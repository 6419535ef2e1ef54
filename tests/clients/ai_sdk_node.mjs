// Vercel's AI SDK against the endpoint, with its provider for OpenAI-compatible services and with OpenRouter's own;
// see `run`.

import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { createOpenRouter } from '@openrouter/ai-sdk-provider';
import { APICallError, embedMany, generateObject, generateText, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';

import {
  BASE_URL,
  EMBEDDING,
  HELLO,
  SMALL,
  TOKEN,
  check,
  endpointCheck,
  equal,
  holds,
  left,
  nonce,
  run,
  seen,
} from './kit.mjs';

// Advice about settings would only clutter the output.
globalThis.AI_SDK_LOG_WARNINGS = false;

const able = { includeUsage: true, supportsStructuredOutputs: true };
const compatible = (apiKey = TOKEN) => createOpenAICompatible({ name: 'local', baseURL: BASE_URL, apiKey, ...able });
const openrouter = createOpenRouter({
  baseURL: BASE_URL,
  apiKey: TOKEN,
  headers: { 'HTTP-Referer': 'https://clients.example', 'X-Title': 'Clients of the tests' },
});
const providers = { compatible: compatible(), openrouter };

const quiet = { maxRetries: 0 };
const get_weather = tool({
  description: 'The weather of a city.',
  inputSchema: z.object({ city: z.enum(['Paris']), days: z.number() }),
  execute: async ({ city, days }) => `hail in ${city} for ${days} days`,
});
const bothTurns = { prompt: 'weather?', tools: { get_weather }, stopWhen: stepCountIs(2), ...quiet };

/** The status of the refusal; each provider bundles its own copy of the error class. */
async function statusOf(asked) {
  const error = await generateText(asked).catch((error) => error);
  return APICallError.isInstance(error) ? error.statusCode : error;
}

for (const [name, provider] of Object.entries(providers)) {
  check(`${name}: a text is generated, with usage`, async () => {
    const asked = { model: provider('sandbox/hello'), prompt: 'hi', ...quiet };
    const { text, finishReason, usage } = await generateText(asked);
    equal([text, finishReason], [HELLO, 'stop']);
    holds(usage.outputTokens > 0, 'the usage is empty');
  });

  endpointCheck(`${name}: a tier is a model`, async () => {
    const { response } = await generateText({ model: provider('TEXT_SMALL'), prompt: 'hi', ...quiet });
    equal(response.modelId, SMALL);
  });

  for (const model of ['sandbox/words-50', 'sandbox/comments']) {
    check(`${name}: a stream of ${model} gives the same text`, async () => {
      const asked = { model: provider(model), prompt: 'hi', ...quiet };
      const stream = streamText(asked);
      let text = '';
      for await (const piece of stream.textStream) text += piece;
      equal(text, (await generateText(asked)).text);
      equal(await stream.finishReason, 'stop');
      holds((await stream.usage).outputTokens > 0, 'the usage is empty');
    });
  }

  check(`${name}: tools work over two turns`, async () => {
    const { text, steps } = await generateText({ model: provider('sandbox/tools'), ...bothTurns });
    equal(steps.length, 2, 'steps');
    holds(text.includes('hail in Paris for 1 days'), `the result is not in ${text}`);
  });

  check(`${name}: streamed tools work over two turns`, async () => {
    const stream = streamText({ model: provider('sandbox/tools'), ...bothTurns });
    await stream.consumeStream();
    const text = await stream.text;
    holds(text.includes('hail in Paris for 1 days'), `the result is not in ${text}`);
  });

  check(`${name}: an object follows its schema`, async () => {
    const schema = z.object({ city: z.string(), days: z.number(), sky: z.enum(['clear', 'cloudy']) });
    const { object } = await generateObject({ model: provider(SMALL), schema, prompt: 'forecast?', ...quiet });
    equal(object.sky, 'clear');
  });

  check(`${name}: errors of the service keep their status`, async () => {
    const found = [];
    for (const status of [400, 402, 404, 429, 502]) {
      found.push(await statusOf({ model: provider(`sandbox/status-${status}`), prompt: 'hi', ...quiet }));
    }
    equal(found, [400, 402, 404, 429, 502]);
  });

  check(`${name}: an error in the middle of a stream is reported`, async () => {
    const errors = [];
    const onError = ({ error }) => errors.push(error);
    const stream = streamText({ model: provider('sandbox/mid-stream-error'), prompt: 'hi', onError, ...quiet });
    let text = '';
    for await (const piece of stream.textStream) text += piece;
    equal(text.split(/\s+/).length, 5, 'words before the error');
    equal(errors.length, 1, 'errors');
  });

  check(`${name}: an abort signal ends a stream at the service too`, async () => {
    const mark = nonce();
    const controller = new AbortController();
    const abortSignal = controller.signal;
    const stream = streamText({ model: provider('sandbox/stall'), prompt: mark, abortSignal, ...quiet });
    for await (const _ of stream.textStream) controller.abort();
    await left(mark);
  });

  check(`${name}: 32 streams at once do not mix`, async () => {
    const one = async (_, n) => {
      const text = `request ${n}: ${`word${n} `.repeat(n * 7)}end`;
      const stream = streamText({ model: provider('sandbox/echo'), prompt: text, ...quiet });
      return (await stream.text) === `The sandbox heard: ${text}`;
    };
    equal(await Promise.all(Array.from({ length: 32 }, one)), Array(32).fill(true));
  });
}

check('compatible: texts are embedded in their order', async () => {
  const model = providers.compatible.textEmbeddingModel(EMBEDDING);
  const both = await embedMany({ model, values: ['one', 'two'], ...quiet });
  const alone = await embedMany({ model, values: ['two'], ...quiet });
  equal(both.embeddings.map((vector) => vector.length), [1536, 1536]);
  equal(both.embeddings[1], alone.embeddings[0]);
});

check('compatible: a wrong token is refused with 401', async () => {
  const model = compatible('wrong')(SMALL);
  equal(await statusOf({ model, prompt: 'hi', ...quiet }), 401);
});

for (const way of ['whole', 'streamed']) {
  check(`openrouter: ${way} reasoning goes back with the result of a tool`, async () => {
    // The model refuses the second turn if its reasoning_details are missing or different.
    const asked = { model: openrouter('sandbox/reasoning-tools'), ...bothTurns };
    let reply;
    if (way === 'whole') {
      reply = await generateText(asked);
    } else {
      reply = streamText(asked);
      await reply.consumeStream();
    }
    const text = await reply.text;
    holds(text.includes('hail in Paris'), `the result is not in ${text}`);
    const [first] = await reply.steps;
    holds(first.reasoningText?.length > 0, 'the first step has no reasoning');
  });
}

check('openrouter: provider preferences, fallback models and headers reach the service', async () => {
  const mark = nonce();
  const model = openrouter('openai/gpt-4o', { provider: { only: ['azure'] }, models: [SMALL] });
  const { providerMetadata } = await generateText({ model, prompt: mark, ...quiet });
  equal(providerMetadata.openrouter.provider, 'Azure');
  const request = await seen(mark);
  equal(request.body.provider, { only: ['azure'] });
  const sent = Object.fromEntries(request.headers);
  equal([sent['http-referer'], sent['x-title']], ['https://clients.example', 'Clients of the tests']);
});

check('openrouter: usage accounting reports the cost', async () => {
  const model = openrouter(SMALL, { usage: { include: true } });
  const { providerMetadata } = await generateText({ model, prompt: 'hi', ...quiet });
  holds(providerMetadata.openrouter.usage.cost > 0, 'the cost is missing');
});

await run('ai', '@ai-sdk/openai-compatible', '@openrouter/ai-sdk-provider');
