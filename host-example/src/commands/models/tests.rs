//! A small list of models, searched, sorted and shown.

use clap::Parser;

use super::values::{tokens, usd};
use super::*;
use crate::views::models::size;

fn model(id: &str, context_length: u64, prices: Option<(&str, &str)>, abilities: &[&str]) -> Model {
    Model {
        id: id.to_owned(),
        name: format!("Name of {id}"),
        context_length: Some(context_length).filter(|length| *length > 0),
        prompt_usd_per_million: prices.map(|(prompt, _)| prompt.to_owned()),
        completion_usd_per_million: prices.map(|(_, completion)| completion.to_owned()),
        abilities: abilities.iter().map(|ability| (*ability).to_owned()).collect(),
        ..Model::default()
    }
}

fn models() -> Vec<Model> {
    let mut models = vec![
        model(
            "acme/large-4.5",
            200_000,
            Some(("3", "15")),
            &["vision", "tools", "json"],
        ),
        model("Beta/tiny", 8192, Some(("0", "0")), &["free", "json"]),
        model("beta/mid", 1_048_576, Some(("0.15", "0.6")), &["tools", "reasoning"]),
        model("router/auto", 0, None, &[]),
    ];
    models[0].supported_parameters = vec!["structured_outputs".to_owned()];
    models[2].supported_parameters = vec!["response_format".to_owned()];
    (models[1].created_s, models[2].created_s) = (Some(20), Some(30));
    models
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    _global: Global,
    #[command(flatten)]
    args: Args,
}

fn args(line: &str) -> Args {
    let words = ["models"].into_iter().chain(line.split_whitespace());
    let line = Line::try_parse_from(words);
    line.unwrap_or_else(|error| panic!("{error}")).args
}

fn ids(line: &str) -> String {
    let args = args(line);
    let models = models();
    let (mut shown, _) = chosen(&models, &args);
    sort(&mut shown, args.sort);
    let ids: Vec<&str> = shown.iter().map(|model| model.id.as_str()).collect();
    ids.join(" ")
}

#[test]
fn each_filter_drops_models_not_known_to_pass_it() {
    for (line, expected) in [
        ("", "acme/large-4.5 Beta/tiny beta/mid router/auto"),
        ("LARGE 4 5", "acme/large-4.5"),
        ("beta mid", "beta/mid"),
        ("of router", "router/auto"),
        ("--free", "Beta/tiny"),
        ("--tools", "acme/large-4.5 beta/mid"),
        ("--tools --vision", "acme/large-4.5"),
        ("--reasoning", "beta/mid"),
        ("--structured", "acme/large-4.5 Beta/tiny"),
        ("--min-context 200k", "acme/large-4.5 beta/mid"),
        ("--min-context 200001", "beta/mid"),
        ("--max-price 1", "Beta/tiny beta/mid"),
        ("--max-price 3", "Beta/tiny beta/mid"),
        ("--author beta", "Beta/tiny beta/mid"),
        ("--author ACME/", "acme/large-4.5"),
        ("nothing", ""),
        ("large4.5", "acme/large-4.5"),
        ("lrage", "acme/large-4.5"),
        ("beta tinny", "Beta/tiny"),
        ("--sort name", "acme/large-4.5 beta/mid Beta/tiny router/auto"),
        ("--sort price", "Beta/tiny beta/mid acme/large-4.5 router/auto"),
        ("--sort context", "beta/mid acme/large-4.5 Beta/tiny router/auto"),
        ("--sort new", "beta/mid Beta/tiny acme/large-4.5 router/auto"),
    ] {
        assert_eq!(ids(line), expected, "{line}");
    }
}

#[test]
fn show_is_a_command_and_any_other_word_a_query() {
    for line in ["show acme/large", "--profile p show acme/large", "--refresh show a/b"] {
        assert!(args(line).command.is_some(), "{line}");
    }
    assert!(args("--refresh show acme/large").refresh);
    assert_eq!(args("large --json").query, ["large"]);
    assert_eq!(args("claude sonnet").query, ["claude", "sonnet"]);
}

#[test]
fn numbers_of_tokens_are_read_with_their_unit() {
    let counts = "32000=32000 200k=200000 128K=128000 1M=1000000 1.5m=1500000 0=0";
    for (text, count) in counts.split(' ').filter_map(|pair| pair.split_once('=')) {
        let expected = count.parse::<u64>().expect("a number");
        assert_eq!(tokens(text), Ok(expected), "{text}");
    }
    for text in ["", "k", "-1", "1g", "1e3", "1.2.3", "inf", "99999999999M"] {
        assert!(tokens(text).is_err(), "{text}");
    }
    assert_eq!((usd("$2.5"), usd("0")), (Ok(2.5), Ok(0.0)));
    assert!(usd("-1").is_err() && usd("NaN").is_err() && usd("much").is_err());
}

#[test]
fn sizes_are_short() {
    let sizes = "512=512 8192=8k 200000=200k 1000000=1M 1048576=1.04M 2500000=2.5M";
    for (count, shown) in sizes.split(' ').filter_map(|pair| pair.split_once('=')) {
        assert_eq!(size(count.parse().expect("a number")), shown);
    }
}

#[test]
fn the_table_marks_the_tiers_and_says_what_is_unknown() {
    let models = models();
    let shown: Vec<&Model> = models.iter().collect();
    let tiers = [
        ("TEXT_SMALL", "beta/mid:nitro"),
        ("TEXT_LARGE", "beta/mid"),
        ("X", "not/listed"),
    ];
    let tiers = tiers.map(|(tier, wire)| {
        let (tier, wire) = (tier.to_owned(), wire.to_owned());
        TierModel {
            tier,
            wire,
            ..TierModel::default()
        }
    });
    assert_eq!(
        table(&shown, &tiers, Page::PIPE).text,
        "\
MODEL           TIER          CONTEXT  $/M IN  $/M OUT  ABILITIES
acme/large-4.5                200k     3       15       vision tools json
Beta/tiny                     8k       free    free     json
beta/mid        small, large  1.04M    0.15    0.6      tools reasoning
router/auto                   -        -       -        -
"
    );
    assert!(!table(&shown, &[], Page::PIPE).text.contains("TIER"));
    let small = found(&models, &tiers, "small").ok();
    assert_eq!(small.map(|model| model.id.as_str()), Some("beta/mid"));
}

#[test]
fn a_model_is_shown_with_all_that_is_known_and_no_escape_sequence() {
    let mut model = model("acme/x", 1000, Some(("3", "0")), &["tools"]);
    model.description = Some("Bold \u{1b}[2J\nand long".to_owned());
    model.created_s = Some(1_771_459_200);
    assert_eq!(
        description(&model, &[], Page::PIPE),
        "\
id              acme/x
name            Name of acme/x
context         1000 tokens
maximum answer  unknown
prompt          $3 per million tokens
answer          free
reads           unknown
writes          unknown
abilities       tools
listed since    2026-02-19
about           Bold  and long
"
    );
}

#[test]
fn an_unknown_model_gets_suggestions() {
    let models = models();
    for (written, near) in [
        ("acme/lrage-4.5", "acme/large-4.5"),
        ("tiyn", "Beta/tiny"),
        ("amce/large", "acme/large-4.5"),
    ] {
        let expected = format!("no model matches; did you mean `{near}`?");
        assert_eq!(nothing_found(&models, written), expected);
    }
    assert_eq!(nothing_found(&models, ""), "no model matches");
    let failure = found(&models, &[], "beta/mit").err().map(|failure| failure.to_string());
    let expected = "error: model `beta/mit` is not listed\nhint: did you mean `beta/mid` or `Beta/tiny`?";
    assert_eq!(failure.as_deref(), Some(expected));
}

#[test]
fn the_line_below_says_how_old_the_list_is_and_why() {
    let mut list = ModelList::default();
    (list.models, list.age_ms) = (models(), 720_000);
    assert_eq!(below(4, &list), "4 models, list is 12 min old");
    list.is_stale = true;
    list.problem = Some("the service cannot be reached".to_owned());
    let expected = "1 of 4 models, list is 12 min old, stale: the service cannot be reached";
    assert_eq!(below(1, &list), expected);
}
