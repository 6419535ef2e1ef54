//! What model ids mean, given a model list.

use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use super::*;
use crate::kit::{block_on, settings};
use crate::models::Store;

/// A catalogue of these ids, each with its canonical slug, or `""` if that is the id.
fn catalogue(entries: &[(&str, &str)]) -> Arc<Catalogue> {
    let entry = |(id, slug): &(&str, &str)| match *slug {
        "" => json!({"id": id, "canonical_slug": id}),
        slug => json!({"id": id, "canonical_slug": slug}),
    };
    let entries: Vec<Value> = entries.iter().map(entry).collect();
    let settings = settings(json!({}), &[]);
    let store = Store::with(&settings, &json!(entries));
    block_on(store.catalogue(&settings)).expect("it is there")
}

/// Built once, because its settings include an HTTP client.
fn usual() -> &'static Catalogue {
    static USUAL: OnceLock<Arc<Catalogue>> = OnceLock::new();
    let entries = [
        ("openrouter/auto", ""),
        (
            "~anthropic/claude-sonnet-latest",
            "anthropic/claude-4.5-sonnet-20250929",
        ),
        ("anthropic/claude-sonnet-4.5", "anthropic/claude-4.5-sonnet-20250929"),
        ("anthropic/claude-sonnet-4", "anthropic/claude-4-sonnet-20250522"),
        ("anthropic/claude-3.7-sonnet", "anthropic/claude-3-7-sonnet-20250219"),
        (
            "anthropic/claude-3.7-sonnet:thinking",
            "anthropic/claude-3-7-sonnet-20250219",
        ),
        ("anthropic/claude-3.5-sonnet", ""),
        ("anthropic/claude-3-opus", ""),
        ("openai/gpt-4o", ""),
        ("openai/gpt-4o:extended", "openai/gpt-4o"),
        ("openai/gpt-4o-2024-08-06", ""),
        ("openai/gpt-4o-mini", "openai/gpt-4o-mini"),
        ("openai/gpt-4.1", "openai/gpt-4.1-2025-04-14"),
        ("openai/gpt-4", ""),
        ("openai/gpt-4-0314", ""),
        ("deepseek/deepseek-r1", ""),
        ("deepseek/deepseek-r1:free", "deepseek/deepseek-r1"),
        ("perplexity/r1-1776", ""),
        ("tencent/hunyuan-a13b-instruct:free", "tencent/hunyuan-a13b-instruct"),
        ("meta-llama/llama-3.3-70b-instruct", ""),
        ("meta-llama/llama-3.3-70b-instruct:free", ""),
        // Two authors with one bare name, and one whose spelling differs.
        ("acme/falcon-2.0", ""),
        ("tii/falcon-2.0", ""),
        ("acme/falcon-2.0:free", ""),
        ("tii/kite-1.5", ""),
        ("acme/kite-1-5", ""),
        ("acme/gift:free", ""),
        ("tii/gift:free", ""),
        ("acme/only-here", ""),
        ("tii/only-here:free", ""),
        ("tii/both", ""),
        ("acme/both", ""),
        ("acme/both:free", ""),
    ];
    USUAL.get_or_init(|| catalogue(&entries))
}

fn resolved(id: &str) -> (String, String) {
    match meaning(id, usual()) {
        Meaning::Resolved { wire, note } => (wire, note),
        other => unreachable!("{id}: {other:?}"),
    }
}

fn candidates(id: &str) -> Vec<String> {
    match meaning(id, usual()) {
        Meaning::Ambiguous { candidates } => candidates,
        other => unreachable!("{id}: {other:?}"),
    }
}

fn suggestions(id: &str) -> Vec<String> {
    match meaning(id, usual()) {
        Meaning::Unknown { suggestions } => suggestions,
        other => unreachable!("{id}: {other:?}"),
    }
}

#[test]
fn listed_ids_and_ids_that_are_never_listed_are_known() {
    for id in [
        "openai/gpt-4o",
        "openai/gpt-4o:extended",
        "openai/gpt-4o:nitro",
        "openai/gpt-4o:free:online",
        "openai/gpt-4.1-2025-04-14",
        "openai/gpt-4.1-2025-04-14:floor",
        "openrouter/auto",
        "openrouter/auto:nitro",
        "openrouter/not-listed",
        "~google/gemini-flash-latest",
        "@preset/mine",
        "openai/no-such-model@preset/mine",
        "gpt-4o@preset/mine",
    ] {
        assert_eq!(meaning(id, usual()), Meaning::Known, "{id}");
    }
}

#[test]
fn an_empty_list_says_nothing_about_an_id() {
    for id in ["gpt-4o", "a/b", ""] {
        assert_eq!(meaning(id, &catalogue(&[])), Meaning::Known, "{id}");
    }
}

#[test]
fn an_id_that_means_one_model_is_resolved() {
    let rows = [
        // Without the author.
        ("gpt-4o", "openai/gpt-4o"),
        ("gpt-4o-mini", "openai/gpt-4o-mini"),
        ("gpt-4.1-2025-04-14", "openai/gpt-4.1-2025-04-14"),
        ("claude-sonnet-latest", "~anthropic/claude-sonnet-latest"),
        ("r1-1776", "perplexity/r1-1776"),
        // Another spelling.
        ("anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4.5"),
        ("Anthropic/Claude-Sonnet-4.5", "anthropic/claude-sonnet-4.5"),
        ("OpenAI/gpt-4o", "openai/gpt-4o"),
        ("claude-3-5-sonnet", "anthropic/claude-3.5-sonnet"),
        ("anthropic/claude-sonnet-latest", "~anthropic/claude-sonnet-latest"),
        ("gpt-4o-20240806", "openai/gpt-4o-2024-08-06"),
        // A date, or `latest`.
        ("anthropic/claude-3-opus-20240229", "anthropic/claude-3-opus"),
        ("claude-3-opus-20240229", "anthropic/claude-3-opus"),
        ("claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4.5"),
        ("openai/gpt-4o-2024-05-13", "openai/gpt-4o"),
        ("claude-3-5-sonnet-latest", "anthropic/claude-3.5-sonnet"),
        ("CLAUDE-3.5-SONNET-LATEST", "anthropic/claude-3.5-sonnet"),
        ("gpt-4-0613", "openai/gpt-4"),
        ("openai/gpt-4.1-2504", "openai/gpt-4.1"),
        // The canonical slug.
        ("anthropic/claude-4.5-sonnet", "anthropic/claude-sonnet-4.5"),
        ("claude-4-sonnet-20250514", "anthropic/claude-sonnet-4"),
        ("claude-3-7-sonnet-20250219", "anthropic/claude-3-7-sonnet-20250219"),
        ("claude-3-7-sonnet-20990101", "anthropic/claude-3.7-sonnet"),
    ];
    for (id, expected) in rows {
        assert_eq!(resolved(id).0, expected, "{id}");
    }
}

#[test]
fn the_note_says_which_id_is_sent_and_why() {
    let rows = [
        (
            "gpt-4o",
            "the service does not list `gpt-4o`; sending `openai/gpt-4o`, the only model with this name",
        ),
        (
            "anthropic/claude-sonnet-4-5:nitro",
            "the service does not list `anthropic/claude-sonnet-4-5:nitro`; sending \
             `anthropic/claude-sonnet-4.5:nitro`, the same name in the service's spelling",
        ),
        (
            "claude-3-opus-20240229",
            "the service does not list `claude-3-opus-20240229`; sending `anthropic/claude-3-opus`, the same name \
             without `-20240229`",
        ),
        (
            "claude-4-sonnet",
            "the service does not list `claude-4-sonnet`; sending `anthropic/claude-sonnet-4`, also known as \
             `anthropic/claude-4-sonnet-20250522`",
        ),
        (
            "gpt-4-0613",
            "the service does not list `gpt-4-0613`; sending `openai/gpt-4`, the same name without `-0613`",
        ),
    ];
    for (id, expected) in rows {
        assert_eq!(resolved(id).1, expected);
    }
}

#[test]
fn the_callers_variant_is_kept() {
    let rows = [
        ("gpt-4o:extended", "openai/gpt-4o:extended"),
        ("gpt-4o:nitro", "openai/gpt-4o:nitro"),
        ("deepseek-r1", "deepseek/deepseek-r1"),
        ("deepseek-r1:free", "deepseek/deepseek-r1:free"),
        ("deepseek-r1:free:online", "deepseek/deepseek-r1:free:online"),
        ("DeepSeek/DeepSeek-R1:Free", "deepseek/deepseek-r1:free"),
        ("deepseek/deepseek-r1:Free", "deepseek/deepseek-r1:free"),
        ("hunyuan-a13b-instruct:free", "tencent/hunyuan-a13b-instruct:free"),
        ("claude-3-7-sonnet:thinking", "anthropic/claude-3.7-sonnet:thinking"),
        ("claude-3-opus-20240229:free", "anthropic/claude-3-opus:free"),
        // Only one of the two authors lists the variant.
        ("falcon-2.0:free", "acme/falcon-2.0:free"),
        // An id without a variant does not mean a variant.
        ("only-here", "acme/only-here"),
    ];
    for (id, expected) in rows {
        assert_eq!(resolved(id).0, expected, "{id}");
    }
}

#[test]
fn a_model_that_is_only_listed_as_free_is_suggested_but_not_sent() {
    let rows = [
        ("hunyuan-a13b-instruct", "tencent/hunyuan-a13b-instruct:free"),
        ("hunyuan-a13b-instruct:nitro", "tencent/hunyuan-a13b-instruct:free"),
        ("Tencent/Hunyuan-A13B-Instruct", "tencent/hunyuan-a13b-instruct:free"),
    ];
    for (id, expected) in rows {
        assert_eq!(suggestions(id), [expected], "{id}");
    }
}

#[test]
fn a_name_of_several_models_is_not_guessed() {
    let rows: [(&str, &[&str]); 6] = [
        ("falcon-2.0", &["acme/falcon-2.0", "tii/falcon-2.0"]),
        ("falcon-2-0", &["acme/falcon-2.0", "tii/falcon-2.0"]),
        ("falcon-2.0:nitro", &["acme/falcon-2.0:nitro", "tii/falcon-2.0:nitro"]),
        ("Falcon-2.0-20260101", &["acme/falcon-2.0", "tii/falcon-2.0"]),
        ("both", &["tii/both", "acme/both"]),
        // Both are only listed as variants.
        ("gift", &["acme/gift:free", "tii/gift:free"]),
    ];
    for (id, expected) in rows {
        assert_eq!(candidates(id), expected, "{id}");
    }
    let many: Vec<String> = (0..12).map(|n| format!("author-{n}/same")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|id| (id.as_str(), "")).collect();
    let Meaning::Ambiguous { candidates } = meaning("same", &catalogue(&many)) else {
        unreachable!("twelve models have this name")
    };
    assert_eq!(candidates.len(), 10);
    assert_eq!(candidates[0], "author-0/same");
}

#[test]
fn the_exact_name_beats_the_same_name_in_another_spelling() {
    assert_eq!(resolved("kite-1.5").0, "tii/kite-1.5");
    assert_eq!(resolved("kite-1-5").0, "acme/kite-1-5");
    assert_eq!(candidates("KITE-1.5"), ["tii/kite-1.5", "acme/kite-1-5"]);
    assert_eq!(resolved("gpt-4-0314").0, "openai/gpt-4-0314");
}

#[test]
fn a_dated_model_does_not_replace_one_of_another_date() {
    let dated = catalogue(&[("openai/gpt-4o-2024-08-06", ""), ("mistralai/mistral-large-2411", "")]);
    let rows = [
        ("gpt-4o-2024-05-13", "openai/gpt-4o-2024-08-06"),
        ("openai/gpt-4o", "openai/gpt-4o-2024-08-06"),
        ("mistral-large-2407", "mistralai/mistral-large-2411"),
        ("mistralai/mistral-large", "mistralai/mistral-large-2411"),
    ];
    for (id, suggested) in rows {
        let expected = Meaning::Unknown {
            suggestions: vec![suggested.to_owned()],
        };
        assert_eq!(meaning(id, &dated), expected, "{id}");
    }
}

#[test]
fn an_unknown_name_gets_the_nearest_ids() {
    let rows: [(&str, &[&str]); 17] = [
        ("antropic/claude-3-opus", &["anthropic/claude-3-opus"]),
        ("claude/claude-3-opus", &["anthropic/claude-3-opus"]),
        ("anthropic.claude-3-opus", &["anthropic/claude-3-opus"]),
        ("openai-gpt-4o-mini", &["openai/gpt-4o-mini"]),
        ("openai:gpt-4o-mini", &["openai/gpt-4o-mini"]),
        ("openai/gtp-4o-mini", &["openai/gpt-4o-mini"]),
        ("gtp-4.1", &["openai/gpt-4.1"]),
        (
            "claude-sonnet",
            &[
                "anthropic/claude-sonnet-4.5",
                "anthropic/claude-sonnet-4",
                "~anthropic/claude-sonnet-latest",
            ],
        ),
        ("meta-llama/llama-3.3-70b", &["meta-llama/llama-3.3-70b-instruct"]),
        (
            "meta-llama/llama-3.3-70b:free",
            &["meta-llama/llama-3.3-70b-instruct:free"],
        ),
        ("deepsek/deepseek-r1:free", &["deepseek/deepseek-r1:free"]),
        ("deepseek/deepseek-r2", &["deepseek/deepseek-r1"]),
        ("meta-llama/banana", &[]),
        ("nobody/nothing-alike", &[]),
        ("x", &[]),
        ("", &[]),
        (":free", &[]),
    ];
    for (id, expected) in rows {
        assert_eq!(suggestions(id), expected, "{id}");
    }
    assert_eq!(suggestions(&"claude-".repeat(100_000)), [""; 0]);
    assert_eq!(suggestions("anthropic/söñnet-四"), [""; 0]);
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
