//! What model ids mean, given a model list.

use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use super::*;
use crate::kit::rows;

/// A catalogue of these ids, each with its canonical slug if that is not the id.
fn catalogue(ids: &str) -> Arc<Catalogue> {
    let entry = |line: &str| {
        let (id, slug) = line.split_once('|').unwrap_or((line, line));
        json!({"id": id.trim(), "canonical_slug": slug.trim()})
    };
    let ids = ids.lines().filter(|line| !line.trim().is_empty());
    crate::kit::catalogue(&Value::Array(ids.map(entry).collect()))
}

/// Built once, because its settings include an HTTP client. In the last lines, authors share a bare name.
fn usual() -> &'static Catalogue {
    static USUAL: OnceLock<Arc<Catalogue>> = OnceLock::new();
    let entries = "
        openrouter/auto
        ~anthropic/claude-sonnet-latest | anthropic/claude-4.5-sonnet-20250929
        anthropic/claude-sonnet-4.5 | anthropic/claude-4.5-sonnet-20250929
        anthropic/claude-sonnet-4 | anthropic/claude-4-sonnet-20250522
        anthropic/claude-3.7-sonnet | anthropic/claude-3-7-sonnet-20250219
        anthropic/claude-3.7-sonnet:thinking | anthropic/claude-3-7-sonnet-20250219
        anthropic/claude-3.5-sonnet
        anthropic/claude-3-opus
        openai/gpt-4o
        openai/gpt-4o:extended | openai/gpt-4o
        openai/gpt-4o-2024-08-06
        openai/gpt-4o-mini | openai/gpt-4o-mini
        openai/gpt-4.1 | openai/gpt-4.1-2025-04-14
        openai/gpt-4
        openai/gpt-4-0314
        deepseek/deepseek-r1
        deepseek/deepseek-r1:free | deepseek/deepseek-r1
        perplexity/r1-1776
        tencent/hunyuan-a13b-instruct:free | tencent/hunyuan-a13b-instruct
        meta-llama/llama-3.3-70b-instruct
        meta-llama/llama-3.3-70b-instruct:free
        acme/falcon-2.0
        tii/falcon-2.0
        acme/falcon-2.0:free
        tii/kite-1.5
        acme/kite-1-5
        acme/gift:free
        tii/gift:free
        acme/only-here
        tii/only-here:free
        tii/both
        acme/both
        acme/both:free
    ";
    USUAL.get_or_init(|| catalogue(entries))
}

/// The id that is sent, and the note.
fn resolved(id: &str) -> (String, String) {
    match meaning(id, usual()) {
        Meaning::Resolved { wire, note } => (wire, note),
        other => unreachable!("{id}: {other:?}"),
    }
}

/// Each row: an id, and `=` and the id that is sent, `?` and the models it may mean, or `unknown:` and suggestions.
fn assert_meanings(catalogue: &Catalogue, table: &str) {
    for [id, expected] in rows(table) {
        let found = match meaning(id, catalogue) {
            Meaning::Known => String::new(),
            Meaning::Resolved { wire, .. } => format!("= {wire}"),
            Meaning::Ambiguous { candidates } => format!("? {}", candidates.join(" ")),
            Meaning::Unknown { suggestions } => format!("unknown: {}", suggestions.join(" ")),
        };
        assert_eq!(found.trim_end(), expected, "{id}");
    }
}

#[test]
fn listed_ids_and_ids_that_are_never_listed_are_known() {
    let ids = "openai/gpt-4o openai/gpt-4o:extended openai/gpt-4o:nitro openai/gpt-4o:free:online
        openai/gpt-4.1-2025-04-14 openai/gpt-4.1-2025-04-14:floor openrouter/auto openrouter/auto:nitro
        openrouter/not-listed ~google/gemini-flash-latest @preset/mine
        openrouter/auto@preset/mine";
    for id in ids.split_whitespace() {
        assert_eq!(meaning(id, usual()), Meaning::Known, "{id}");
    }
    // An empty list says nothing about an id.
    for id in ["gpt-4o", "a/b", ""] {
        assert_eq!(meaning(id, &catalogue("")), Meaning::Known, "{id}");
    }
}

#[test]
fn an_id_that_means_one_model_is_resolved() {
    let table = "
        // Without the author.
        gpt-4o | = openai/gpt-4o
        gpt-4o-mini | = openai/gpt-4o-mini
        gpt-4.1-2025-04-14 | = openai/gpt-4.1-2025-04-14
        claude-sonnet-latest | = ~anthropic/claude-sonnet-latest
        r1-1776 | = perplexity/r1-1776
        gpt-4o:nitro@preset/mine | = openai/gpt-4o:nitro@preset/mine
        // Another spelling.
        anthropic/claude-sonnet-4-5 | = anthropic/claude-sonnet-4.5
        Anthropic/Claude-Sonnet-4.5 | = anthropic/claude-sonnet-4.5
        OpenAI/gpt-4o | = openai/gpt-4o
        claude-3-5-sonnet | = anthropic/claude-3.5-sonnet
        anthropic/claude-sonnet-latest | = ~anthropic/claude-sonnet-latest
        gpt-4o-20240806 | = openai/gpt-4o-2024-08-06
        // A date, or `latest`.
        anthropic/claude-3-opus-20240229 | = anthropic/claude-3-opus
        claude-3-opus-20240229 | = anthropic/claude-3-opus
        claude-sonnet-4-5-20250929 | = anthropic/claude-sonnet-4.5
        openai/gpt-4o-2024-05-13 | = openai/gpt-4o
        claude-3-5-sonnet-latest | = anthropic/claude-3.5-sonnet
        CLAUDE-3.5-SONNET-LATEST | = anthropic/claude-3.5-sonnet
        gpt-4-0613 | = openai/gpt-4
        openai/gpt-4.1-2504 | = openai/gpt-4.1
        // The canonical slug.
        anthropic/claude-4.5-sonnet | = anthropic/claude-sonnet-4.5
        claude-4-sonnet-20250514 | = anthropic/claude-sonnet-4
        claude-3-7-sonnet-20250219 | = anthropic/claude-3-7-sonnet-20250219
        claude-3-7-sonnet-20990101 | = anthropic/claude-3.7-sonnet
    ";
    assert_meanings(usual(), table);
}

#[test]
fn the_note_says_which_id_is_sent_and_why() {
    let table = "
        gpt-4o | `openai/gpt-4o`, the only model with this name
        anthropic/claude-sonnet-4-5:nitro
            | `anthropic/claude-sonnet-4.5:nitro`, the same name in the service's spelling
        claude-3-opus-20240229 | `anthropic/claude-3-opus`, the same name without `-20240229`
        claude-4-sonnet | `anthropic/claude-sonnet-4`, also known as `anthropic/claude-4-sonnet-20250522`
        gpt-4-0613 | `openai/gpt-4`, the same name without `-0613`
    ";
    for [id, sent] in rows(table) {
        let expected = format!("the service does not list `{id}`; sending {sent}");
        assert_eq!(resolved(id).1, expected);
    }
}

#[test]
fn the_callers_variant_is_kept() {
    let table = "
        gpt-4o:extended | = openai/gpt-4o:extended
        gpt-4o:nitro | = openai/gpt-4o:nitro
        deepseek-r1 | = deepseek/deepseek-r1
        deepseek-r1:free | = deepseek/deepseek-r1:free
        deepseek-r1:free:online | = deepseek/deepseek-r1:free:online
        DeepSeek/DeepSeek-R1:Free | = deepseek/deepseek-r1:free
        deepseek/deepseek-r1:Free | = deepseek/deepseek-r1:free
        hunyuan-a13b-instruct:free | = tencent/hunyuan-a13b-instruct:free
        claude-3-7-sonnet:thinking | = anthropic/claude-3.7-sonnet:thinking
        claude-3-opus-20240229:free | = anthropic/claude-3-opus:free
        // Only one of the two authors lists the variant.
        falcon-2.0:free | = acme/falcon-2.0:free
        // An id without a variant does not mean a variant.
        only-here | = acme/only-here
    ";
    assert_meanings(usual(), table);
}

#[test]
fn a_model_that_is_only_listed_as_free_is_suggested_but_not_sent() {
    let table = "
        hunyuan-a13b-instruct | unknown: tencent/hunyuan-a13b-instruct:free
        hunyuan-a13b-instruct:nitro | unknown: tencent/hunyuan-a13b-instruct:free
        Tencent/Hunyuan-A13B-Instruct | unknown: tencent/hunyuan-a13b-instruct:free
    ";
    assert_meanings(usual(), table);
}

#[test]
fn a_name_of_several_models_is_not_guessed() {
    let table = "
        falcon-2.0 | ? acme/falcon-2.0 tii/falcon-2.0
        falcon-2-0 | ? acme/falcon-2.0 tii/falcon-2.0
        falcon-2.0:nitro | ? acme/falcon-2.0:nitro tii/falcon-2.0:nitro
        Falcon-2.0-20260101 | ? acme/falcon-2.0 tii/falcon-2.0
        both | ? tii/both acme/both
        // Both are only listed as variants.
        gift | ? acme/gift:free tii/gift:free
    ";
    assert_meanings(usual(), table);
    let many: Vec<String> = (0..12).map(|n| format!("author-{n}/same")).collect();
    let candidates = many[..10].to_vec();
    let many = catalogue(&many.join("\n"));
    assert_eq!(meaning("same", &many), Meaning::Ambiguous { candidates });
}

#[test]
fn the_exact_name_beats_the_same_name_in_another_spelling() {
    let table = "
        kite-1.5 | = tii/kite-1.5
        kite-1-5 | = acme/kite-1-5
        KITE-1.5 | ? tii/kite-1.5 acme/kite-1-5
        gpt-4-0314 | = openai/gpt-4-0314
    ";
    assert_meanings(usual(), table);
}

#[test]
fn a_dated_model_does_not_replace_one_of_another_date() {
    let dated = catalogue("openai/gpt-4o-2024-08-06\nmistralai/mistral-large-2411");
    let table = "
        gpt-4o-2024-05-13 | unknown: openai/gpt-4o-2024-08-06
        openai/gpt-4o | unknown: openai/gpt-4o-2024-08-06
        mistral-large-2407 | unknown: mistralai/mistral-large-2411
        mistralai/mistral-large | unknown: mistralai/mistral-large-2411
    ";
    assert_meanings(&dated, table);
}

#[test]
fn an_unknown_name_gets_the_nearest_ids() {
    let table = "
        antropic/claude-3-opus | unknown: anthropic/claude-3-opus
        claude/claude-3-opus | unknown: anthropic/claude-3-opus
        anthropic.claude-3-opus | unknown: anthropic/claude-3-opus
        openai-gpt-4o-mini | unknown: openai/gpt-4o-mini
        openai:gpt-4o-mini | unknown: openai/gpt-4o-mini
        openai/gtp-4o-mini | unknown: openai/gpt-4o-mini
        gtp-4.1 | unknown: openai/gpt-4.1
        claude-sonnet | unknown: anthropic/claude-sonnet-4.5 anthropic/claude-sonnet-4 ~anthropic/claude-sonnet-latest
        meta-llama/llama-3.3-70b | unknown: meta-llama/llama-3.3-70b-instruct
        meta-llama/llama-3.3-70b:free | unknown: meta-llama/llama-3.3-70b-instruct:free
        deepsek/deepseek-r1:free | unknown: deepseek/deepseek-r1:free
        deepseek/deepseek-r2 | unknown: deepseek/deepseek-r1
        meta-llama/banana | unknown:
        nobody/nothing-alike | unknown:
        x | unknown:
        :free | unknown:
    ";
    assert_meanings(usual(), table);
    for id in ["", "anthropic/söñnet-四", &"claude-".repeat(100_000)] {
        let suggestions = Vec::new();
        assert_eq!(meaning(id, usual()), Meaning::Unknown { suggestions });
    }
}

#[test]
fn only_possible_dates_count_as_dates() {
    let rows = [
        ("a-20240229", Some(("a", "20240229"))),
        ("a-2024-08-06", Some(("a", "20240806"))),
        ("a-20241301", None),
        ("a-2024-08-32", None),
        ("a-2024-8-006", None),
        ("a-19990101", None),
        ("a20240229", None),
        ("20240229", None),
        ("a-2024022x", None),
        ("é-20240229", Some(("é", "20240229"))),
        ("ééééé", None),
    ];
    for (name, expected) in rows {
        let date = date_of(name);
        let date = date.as_ref().map(|(stem, digits)| (*stem, digits.as_str()));
        assert_eq!(date, expected, "{name}");
    }
    let rows = [
        ("a-0613", Some(1)),
        ("a-2411", Some(1)),
        ("a-1776", None),
        ("a-0000", None),
        ("a-06-13", None),
        ("a-+1+1", None),
        ("0613", None),
        ("a-éé", None),
    ];
    for (name, expected) in rows {
        assert_eq!(four_digits(name), expected, "{name}");
    }
}
