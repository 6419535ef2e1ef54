// What the Node programs here share: named checks, the address to test, and what the sandbox recorded.
// The counterpart of kit.py: it prints the same lines and reads the same variables.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { on } from 'node:events';
import { watch } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const { env } = process;
export const BASE_URL = env.CLIENTS_BASE_URL;
export const TOKEN = env.CLIENTS_TOKEN;
// `endpoint`, or `sandbox` where the programs talk to the sandbox itself, which knows no tiers.
const TARGET = env.CLIENTS_TARGET ?? 'endpoint';
export const SERVICE_KEY = env.CLIENTS_SERVICE_KEY;
// Longest wait for an answer, and for the sandbox to record something.
export const TIMEOUT_MS = 20_000;
const CHECK_WITHIN_MS = 60_000;

// What the sandbox answers, models of its list, and a tool in the form of chat completions.
export const HELLO = 'Hello from the sandbox, a local service.';
export const SMALL = 'openai/gpt-4o-mini';
export const LARGE = 'anthropic/claude-sonnet-4.5';
export const EMBEDDING = 'openai/text-embedding-3-small';
export const WEATHER = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The weather of a city.',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string', enum: ['Paris'] }, days: { type: 'integer' } },
      required: ['city', 'days'],
      additionalProperties: false,
    },
  },
};

export const user = (content) => [{ role: 'user', content }];

const checks = [];

class Skipped extends Error {}

export function check(name, action) {
  checks.push([name, action]);
}

/** A check of something that only the endpoint has. */
export function endpointCheck(name, action) {
  check(name, () => (TARGET === 'endpoint' ? action() : skip('the sandbox itself does not have this')));
}

export function skip(reason) {
  throw new Skipped(reason);
}

export function equal(found, expected, what = 'value') {
  try {
    assert.deepEqual(found, expected);
  } catch {
    throw new Error(`${what}: expected ${short(expected)}, found ${short(found)}`);
  }
}

export function holds(condition, why) {
  if (!condition) throw new Error(why);
}

/** Returns the error that `action` ends with, which must be of exactly this class. */
export async function raises(kind, action) {
  let result;
  try {
    result = await action();
  } catch (error) {
    if (error.constructor === kind) return error;
    throw new Error(`expected ${kind.name}, found ${error.constructor.name}: ${error.message}`, { cause: error });
  }
  throw new Error(`expected ${kind.name}, found an answer: ${short(result)}`);
}

export function short(value) {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 400 ? text : `${text.slice(0, 400)}…`;
}

/** A text that no other request contains. */
export const nonce = () => `nonce-${randomUUID()}`;

/** Waits for the end of the request whose body contains `mark`; returns the sandbox's record of it. */
export async function seen(mark) {
  const path = env.CLIENTS_SANDBOX_RECORD;
  if (!path) skip("CLIENTS_SANDBOX_RECORD does not name the sandbox's record");
  // Watched before it is read, so that no line is missed.
  const watcher = watch(path);
  const changes = on(watcher, 'change', { signal: AbortSignal.timeout(TIMEOUT_MS) });
  const file = await open(path);
  try {
    let rest = '';
    const decoder = new TextDecoder();
    const buffer = Buffer.alloc(1 << 20);
    for (;;) {
      const { bytesRead } = await file.read(buffer);
      const lines = (rest + decoder.decode(buffer.subarray(0, bytesRead), { stream: true })).split('\n');
      rest = lines.pop();
      const line = lines.find((line) => line.includes(mark));
      if (line) return JSON.parse(line);
      if (bytesRead === 0) await changes.next();
    }
  } catch (error) {
    if (error.name !== 'AbortError') throw error;
    throw new Error(`the sandbox recorded no end of the request within ${TIMEOUT_MS} ms`, { cause: error });
  } finally {
    watcher.close();
    await file.close();
  }
}

/** Fails unless the sandbox saw the client leave the request that contains `mark`. */
export async function left(mark) {
  const { outcome } = await seen(mark);
  holds(outcome?.client_left !== undefined, `the outcome was ${short(outcome)}`);
}

export async function run(...packages) {
  const versions = [];
  for (const name of packages) {
    const { version } = JSON.parse(await readFile(new URL(`./node_modules/${name}/package.json`, import.meta.url)));
    versions.push(`${name} ${version}`);
  }
  console.log(`# ${[...versions, `Node ${process.versions.node}`].join(', ')}`);
  const chosen = process.argv.slice(2);
  let nFailed = 0;
  for (const [name, action] of checks) {
    if (chosen.length > 0 && !chosen.some((part) => name.includes(part))) continue;
    const began = performance.now();
    const limit = new AbortController();
    const tooLate = sleep(CHECK_WITHIN_MS, undefined, { signal: limit.signal }).then(() => {
      throw new Error(`not done within ${CHECK_WITHIN_MS} ms`);
    });
    tooLate.catch(() => {});
    try {
      await Promise.race([action(), tooLate]);
      console.log(`ok ${name} (${Math.round(performance.now() - began)} ms)`);
    } catch (error) {
      if (error instanceof Skipped) {
        console.log(`skipped ${name}: ${error.message}`);
        continue;
      }
      nFailed += 1;
      // An error of zod says in `pretty` which members it does not like.
      const why = (error?.pretty?.() ?? String(error?.message)).slice(0, 600);
      console.log(`FAILED ${name}: ${`${error?.name}: ${why}`.replace(/\s+/g, ' ')}`);
      if (env.CLIENTS_TRACE) console.error(error);
    } finally {
      limit.abort();
    }
  }
  // Kept connections would keep the process alive.
  process.exit(nFailed > 0 ? 1 : 0);
}
