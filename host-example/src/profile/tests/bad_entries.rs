//! Bad files and bad entries, each with its report.
//!
//! A case is a text with `§` at the place of the problem, then pointer and message, then a part of the hint.
//! A case without a hint must have none.

/// Whole files; `⏎` is a line break, `⇥` a tab.
pub(super) const BAD_TEXTS: &str = r###"
§
  at /: expected an object, found nothing
§// only a comment
  at /: expected an object, found nothing
{ "a": 1§ "b": 2 }
  at /: expected `,` before the next item
[1§ 2]
  at /: expected `,` before the next item
{ "a": 0§1 }
  at /: expected `,` before the next item
§{ "a": 1
  at /: this `{` is never closed, expected `}`
{ "a": §[1, 2
  at /: this `[` is never closed, expected `]`
{ "a" §1 }
  at /: expected `:` after the key, found `1`
{ "a": §}
  at /: expected a value, found `}`
{ "a": 1 §]
  at /: expected a key or `}`, found `]`
{ §a: 1 }
  at /: expected a key in double quotes, found a bare word  hint: double quotes
{ "a": §yes }
  at /: expected a value, found a bare word  hint: double quotes
{ "a": §'b' }
  at /: expected double quotes, found a single quote  hint: double quotes
{ "a": §"b,⏎ "c": 1 }
  at /: this string is not closed, expected `"` on the same line
{ "a": §"b
  at /: this string is not closed, expected `"` on the same line
{ "a": 1 } §/* b
  at /: this comment is never closed, expected `*/`
{ "a": 1 }⏎§{}
  at /: expected the end of the file, found `{`
{ "a": §+1 }
  at /: expected a number such as `12`, `-3` or `0.5`, found another notation
{ "a": §0x10 }
  at /: expected a number such as `12`, `-3` or `0.5`, found another notation
{ "a": "b§⇥c" }
  at /: expected `\u0009`, found the control character itself
# JSON, but no profiles.
§[]
  at /: expected an object, found an array
§"text"
  at /: expected an object, found `"text"`
§{ "models": {} }
  at /: missing section `auth`, which holds the profiles
{ §"auht": {} }
  at /auht: missing section `auth`, which holds the profiles  hint: did you mean `auth` instead of `auht`?
{ "auth": §5 }
  at /auth: expected an object, found `5`
{ §"auth": { "order": {} } }
  at /auth: missing section `profiles`, which holds the profiles by name
{ "auth": { §"profile": {} } }
  at /auth/profile: missing section `profiles`, which holds the profiles by name  hint: did you mean `profiles` instead of `profile`?
{ "auth": { "profiles": §[] } }
  at /auth/profiles: expected an object with the profiles by name, found an array
{ "auth": { "profiles": { "a/b": §"acme" } } }
  at /auth/profiles/a~1b: expected an object with `provider` and its options, found `"acme"`
"###;

/// The inside of the profile `default`; `@` is its provider, and without `§` the place is the name of the profile.
pub(super) const BAD_ENTRIES: &str = r###"
# The provider.
"model": "a/b"
  at /: missing option `provider`  hint: installed: `acme`
"provder": "acme"
  at /: missing option `provider`  hint: did you mean `provider` instead of `provder`?
"provider": §7
  at /provider: expected the id of a provider, found `7`
"provider": §"acmee"
  at /provider: expected the id of an installed provider, found `"acmee"`  hint: did you mean `acme`?
"provider": §"other", "model": 5
  at /provider: expected the id of an installed provider, found `"other"`  hint: no installed plugin provides it; installed: `acme`
# Wrong types and limits.
@, "model": §5
  at /model: expected a model id such as `author/model`, found `5`
@, "model": §"claude"
  at /model: expected a model id such as `author/model`, found `"claude"`
@, "model": §"ääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääää"
  at /model: expected a model id such as `author/model`, found `"äääääääääääääääääääääääääääääääääääääääääääääääääääääääääää…`
@, "model": §null
  at /model: expected a model id such as `author/model`, found `null`
@, "fallbackModels": §"a/b"
  at /fallbackModels: expected an array of strings, found `"a/b"`
@, "fallbackModels": ["a/b", §"c"]
  at /fallbackModels/1: expected a model id such as `author/model`, found `"c"`
@, §"fallbackModels": ["a/b", "a/c", "a/d", "a/e"]
  at /fallbackModels: expected at most 3 items, found 4
@, "timeouts": { "connectMs": §"30s" }
  at /timeouts/connectMs: expected a whole number from 1000 to 3600000, found `"30s"`
@, "timeouts": { "connectMs": §5 }
  at /timeouts/connectMs: expected a whole number from 1000 to 3600000, found `5`
@, "timeouts": { "connectMs": §1e999 }
  at /timeouts/connectMs: expected a whole number from 1000 to 3600000, found `1e999`
@, "timeouts": { "idleMs": §1.5 }
  at /timeouts/idleMs: expected a whole number of at least 1, found `1.5`
@, "timeouts": §true
  at /timeouts: expected an object, found `true`
@, "providerPreferences": { "allowFallbacks": §"yes" }
  at /providerPreferences/allowFallbacks: expected `true` or `false`, found `"yes"`
@, "providerPreferences": { "order": ["a", §5] }
  at /providerPreferences/order/1: expected a string, found `5`
@, "providerPreferences": { "maxPrice": { "prompt": §false } }
  at /providerPreferences/maxPrice/prompt: expected a string or a number, found `false`
# Choices.
@, "providerPreferences": { "dataCollection": §"denny" }
  at /providerPreferences/dataCollection: expected one of `"allow"` or `"deny"`, found `"denny"`  hint: did you mean `"deny"`?
@, "providerPreferences": { "sort": §"speed" }
  at /providerPreferences/sort: expected one of `"price"`, `"throughput"` or `"latency"` or an object, found `"speed"`
# Unknown keys at several depths.
@, §"modle": "a/b"
  at /modle: unknown option  hint: did you mean `model`?
@, §"Fallback-Models": []
  at /Fallback-Models: unknown option  hint: did you mean `fallbackModels`?
@, §"colour": 1
  at /colour: unknown option  hint: known options: `provider`, `apiKey`, `history`, `model`
@, §"idle_ms": 5
  at /idle_ms: unknown option  hint: did you mean `timeouts.idleMs`?
@, "tiers": { "TEXT_SMALL": { "model": "a/b", §"temperature": 1 } }
  at /tiers/TEXT_SMALL/temperature: unknown option  hint: did you mean `tiers.TEXT_SMALL.parameters.temperature`?
@, "timeouts": { §"connect": 1 }
  at /timeouts/connect: unknown option  hint: did you mean `connectMs`?
@, "providerPreferences": { "maxPrice": { §"promt": 1 } }
  at /providerPreferences/maxPrice/promt: unknown option  hint: did you mean `prompt`?
@, "tiers": { "TEXT_SMALL": { "model": "a/b", "parameters": { §"temprature": 1 } } }
  at /tiers/TEXT_SMALL/parameters/temprature: unknown option  hint: did you mean `temperature`?
# Unions.
@, "tiers": { "TEXT_SMALL": §5 }
  at /tiers/TEXT_SMALL: expected a model id such as `author/model` or an object, found `5`
@, "tiers": { "TEXT_SMALL": §"small" }
  at /tiers/TEXT_SMALL: expected a model id such as `author/model` or an object, found `"small"`
@, "tiers": { §"TEXT_SMALL": { "parameters": {} } }
  at /tiers/TEXT_SMALL: missing option `model`
@, "tiers": { "fast": { "model": "a/b", "parameters": { "temperature": §3 } } }
  at /tiers/fast/parameters/temperature: expected a number from 0 to 2, found `3`
@, "tiers": { "fast": { "model": "a/b", "providerPreferences": { "sort": { "by": §"prize" } } } }
  at /tiers/fast/providerPreferences/sort/by: expected one of `"price"`, `"throughput"` or `"latency"`, found `"prize"`  hint: did you mean `"price"`?
@, "cache": { "type": "disk", "maxBytes": §"1 MB" }
  at /cache/maxBytes: expected a whole number, found `"1 MB"`
@, "cache": { "type": "none", §"size": 1 }
  at /cache/size: unknown option  hint: known options: `type`
# snake_case, and the spelling of the file in pointers.
@, "provider_preferences": { "allow_fallbacks": §1 }
  at /provider_preferences/allow_fallbacks: expected `true` or `false`, found `1`
@, "tiers": { "TEXT_SMALL": { "model": "a/b", "parameters": { "max_tokens": §0 } } }
  at /tiers/TEXT_SMALL/parameters/max_tokens: expected a whole number of at least 1, found `0`
@, "timeouts": { "connectMs": 2000, §"connect_ms": 3000 }
  at /timeouts/connect_ms: expected one spelling of the option, found two  hint: remove this one
# Keys of the provider.
@, "apiKey": §"hunter2hunter2"
  at /apiKey: expected the source of the key, found the key itself  hint: { "env": "VARIABLE" }
@, "api_key": §"sk-acme-0123456789"
  at /api_key: expected the source of the key, found the key itself  hint: { "file": "PATH" }
@, "fallbackModels": [§"Bearer sk-acme-0123456789"]
  at /fallbackModels/0: expected the source of the key, found the key itself  hint: { "command": ["PROGRAM"] }
@, "apiKey": { "env": §"sk-acme-0123456789" }
  at /apiKey/env: expected the source of the key, found the key itself  hint: VARIABLE
@, "apiKey": { "env": §"not a name" }
  at /apiKey/env: expected the name of an environment variable, found a value that is not shown
@, §"apiKey": { "env": "A", "file": "b" }
  at /apiKey: expected an object with exactly one of `env`, `file` and `command`  hint: VARIABLE
@, §"apiKey": {}
  at /apiKey: expected an object with exactly one of `env`, `file` and `command`  hint: VARIABLE
@, §"apiKey": 5
  at /apiKey: expected an object with exactly one of `env`, `file` and `command`  hint: VARIABLE
@, "apiKey": { §"command": [] }
  at /apiKey/command: expected at least 1 item
@, "apiKey": { "command": §"pass" }
  at /apiKey/command: expected an array of strings, found a value that is not shown
@, "apiKey": { "env": "A", §"envv": 1 }
  at /apiKey/envv: unknown option  hint: did you mean `env`?
"###;
