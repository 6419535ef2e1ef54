//! `agent-host models`: the service's models, searched, filtered and sorted.
//!
//! The plugin has the list and keeps it; everything here is a look at it. What a list does not say of a model is shown as unknown, and a
//! filter leaves out what is not known to pass it.

use std::cmp::Ordering;
use std::io::{self, IsTerminal};

use clap::ValueEnum;
use clap::builder::NonEmptyStringValueParser;
use plugin_api::{Model, ModelList, ModelsRequest, TierModel};

use super::output::Output;
use crate::setup::{Active, Global, Setup, tiers};
use crate::terminal::progress::{self, Wait};
use crate::terminal::{self, Exit, Failure, time};

/// List the service's models: search, filter, sort
#[derive(clap::Args)]
#[command(long_about = ABOUT)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What the id or the name contains, in any case; of several words, each
    pub query: Vec<String>,
    /// Those that cost nothing
    #[arg(long)]
    pub free: bool,
    /// Those that can call tools
    #[arg(long)]
    pub tools: bool,
    /// Those that can read pictures
    #[arg(long)]
    pub vision: bool,
    /// Those that can reason
    #[arg(long)]
    pub reasoning: bool,
    /// Those whose answers can be held to a schema
    #[arg(long)]
    pub structured: bool,
    /// Those with room for this many tokens, such as 200k or 1M
    #[arg(long, value_name = "TOKENS", value_parser = crate::commands::models::tokens)]
    pub min_context: Option<u64>,
    /// Those of which neither a million tokens of the prompt nor of the answer cost more than this, in US dollars
    #[arg(long, value_name = "USD", value_parser = crate::commands::models::usd)]
    pub max_price: Option<f64>,
    /// Those of this author: what stands before the `/` of an id
    #[arg(long, visible_alias = "provider", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub author: Option<String>,
    /// The order; without it, the service's
    #[arg(long, value_name = "BY", value_enum)]
    pub sort: Option<Order>,
    /// Ask the service although a list is at hand
    #[arg(long)]
    pub refresh: bool,
    /// Print one id in a line, also on a terminal
    #[arg(long, conflicts_with = "json")]
    pub ids: bool,
    #[command(flatten)]
    pub output: Output,
}

impl Args {
    pub fn wants_json(&self) -> bool {
        let shows_json = |command: &Command| match command {
            Command::Show { output, .. } => output.json,
        };
        self.output.json || self.command.as_ref().is_some_and(shows_json)
    }
}

#[derive(clap::Subcommand)]
pub enum Command {
    /// Show everything that is known about one model
    Show {
        /// Its id, or a tier such as small
        id: String,
        /// Ask the service although a list is at hand
        #[arg(long)]
        refresh: bool,
        #[command(flatten)]
        output: Output,
    },
}

/// The order of a list of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Order {
    Name,
    /// The cheapest first
    Price,
    /// The largest first
    Context,
    /// The newest first
    New,
}

const ABOUT: &str = "\
List the service's models: search, filter, sort

On a terminal a table; prices are US dollars for a million tokens. Elsewhere one id in a line.

  agent-host models claude --tools --min-context 200k --sort price
  agent-host models show openrouter/auto";

/// The most ids that are named where nothing was found.
const MAX_NEAR: usize = 3;
/// The widest line, in characters.
const MAX_LINE_CHARS: usize = 100;

/// Runs `agent-host models`.
pub async fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let mut active = Setup::read(global)?.activate(false).await?;
    let wanted = ModelsRequest {
        force: args.refresh,
        raw: false,
    };
    if let Some(Command::Show { id, refresh, output }) = &args.command {
        let as_json = output.json || args.output.json;
        let wanted = ModelsRequest {
            force: *refresh || args.refresh,
            raw: as_json,
        };
        let list = listed(&mut active, wanted).await?;
        active.shut_down().await;
        let model = found(&list.models, &active.tiers, id)?;
        if as_json {
            terminal::print_json(model);
        } else {
            terminal::print(&description(model, &active.tiers));
        }
        return Ok(Exit::Ok);
    }
    let list = listed(&mut active, wanted).await?;
    active.shut_down().await;
    let mut models: Vec<&Model> = list.models.iter().filter(|model| fits(model, args)).collect();
    sort(&mut models, args.sort);
    if args.output.json {
        terminal::print_json(&models);
    } else if args.ids || !io::stdout().is_terminal() {
        let lines: Vec<String> = models
            .iter()
            .map(|model| format!("{}\n", terminal::clean_line(&model.id)))
            .collect();
        terminal::print(&lines.concat());
    } else if !models.is_empty() {
        terminal::print(&table(&models, &active.tiers));
    }
    if models.is_empty() {
        terminal::say(&terminal::clean_line(&nothing_found(
            &list.models,
            &args.query.join(" "),
        )));
    }
    terminal::say(&terminal::clean_line(&below(models.len(), &list)));
    Ok(Exit::Ok)
}

/// The list, and which tiers stand for which of its models.
async fn listed(active: &mut Active, wanted: ModelsRequest) -> Result<ModelList, Failure> {
    let id = active.plugin.manifest().id.clone();
    let wait = Wait {
        what: "asking for the list of models",
        resumes_at: None,
    };
    let list = progress::while_waiting(wait, active.plugin.models(wanted)).await;
    let list = list.map_err(|error| Failure::of_plugin(error, &id, "list its models"))?;
    // The list is worth having without the marks.
    if let Err(error) = active.read_tiers().await {
        tracing::warn!("the tiers are not marked: {error}");
    }
    Ok(list)
}

/// A number of tokens: `200000`, `200k`, `1M`, `1.5M`.
pub fn tokens(text: &str) -> Result<u64, String> {
    let wrong = || "expected a number of tokens, such as 32000, 200k or 1M".to_owned();
    let lower = text.trim().to_ascii_lowercase();
    let (digits, unit) = match lower.strip_suffix(['k', 'm']) {
        Some(digits) if lower.ends_with('k') => (digits, 1e3),
        Some(digits) => (digits, 1e6),
        None => (lower.as_str(), 1.0),
    };
    let is_number = digits.starts_with(|letter: char| letter.is_ascii_digit())
        && digits.chars().all(|letter| letter.is_ascii_digit() || letter == '.');
    let number: f64 = digits.parse().ok().filter(|_| is_number).ok_or_else(wrong)?;
    let count = (number * unit).round();
    if count > 1e15 {
        return Err(wrong());
    }
    Ok(count as u64)
}

/// A price: `3`, `0.15`, `$2`.
pub fn usd(text: &str) -> Result<f64, String> {
    let text = text.trim();
    text.strip_prefix('$')
        .unwrap_or(text)
        .parse()
        .ok()
        .filter(|price: &f64| price.is_finite() && *price >= 0.0)
        .ok_or_else(|| "expected US dollars for a million tokens, such as 3 or 0.15".to_owned())
}

fn price(text: &Option<String>) -> Option<f64> {
    text.as_deref()?.parse().ok().filter(|price: &f64| price.is_finite())
}

/// Both prices of a million tokens.
fn prices(model: &Model) -> Option<(f64, f64)> {
    Some((
        price(&model.prompt_usd_per_million)?,
        price(&model.completion_usd_per_million)?,
    ))
}

fn can(model: &Model, ability: &str) -> bool {
    model.abilities.iter().any(|known| known == ability)
}

/// Whether an answer can be held to a schema, which is more than being JSON.
fn can_structure(model: &Model) -> bool {
    if model.supported_parameters.is_empty() {
        return can(model, "json");
    }
    model
        .supported_parameters
        .iter()
        .any(|name| name == "structured_outputs")
}

/// What a search compares: dashes, dots and blanks make no difference.
fn folded(text: &str) -> String {
    text.to_lowercase()
        .chars()
        .map(|letter| {
            if matches!(letter, '-' | '_' | '.' | ' ') {
                ' '
            } else {
                letter
            }
        })
        .collect()
}

fn fits(model: &Model, args: &Args) -> bool {
    let text = folded(&format!("{}\n{}", model.id, model.name));
    let is_meant = args.query.iter().all(|word| text.contains(folded(word).trim()));
    let author = || model.id.split('/').next().unwrap_or_default();
    is_meant
        && (!args.free || can(model, "free"))
        && (!args.tools || can(model, "tools"))
        && (!args.vision || can(model, "vision"))
        && (!args.reasoning || can(model, "reasoning"))
        && (!args.structured || can_structure(model))
        && args
            .min_context
            .is_none_or(|least| model.context_length.is_some_and(|length| length >= least))
        && args
            .max_price
            .is_none_or(|most| prices(model).is_some_and(|(prompt, completion)| prompt <= most && completion <= most))
        && args
            .author
            .as_deref()
            .is_none_or(|wanted| author().eq_ignore_ascii_case(wanted.trim_end_matches('/')))
}

/// Sorts; what is unknown comes last, and what is equal stays in the service's order.
fn sort(models: &mut [&Model], order: Option<Order>) {
    match order {
        None => {}
        Some(Order::Name) => models.sort_by_key(|model| (model.name.to_lowercase(), model.id.clone())),
        Some(Order::Price) => {
            let sum = |model: &Model| prices(model).map(|(prompt, completion)| prompt + completion);
            models.sort_by(|one, other| match (sum(one), sum(other)) {
                (Some(one), Some(other)) => one.total_cmp(&other),
                (one, other) => known_first(one.is_some(), other.is_some()),
            });
        }
        Some(Order::Context) => largest_first(models, |model| model.context_length),
        Some(Order::New) => largest_first(models, |model| model.created_s),
    }
}

fn largest_first(models: &mut [&Model], number: impl Fn(&Model) -> Option<u64>) {
    models.sort_by(|one, other| match (number(one), number(other)) {
        (Some(one), Some(other)) => other.cmp(&one),
        (one, other) => known_first(one.is_some(), other.is_some()),
    });
}

fn known_first(one: bool, other: bool) -> Ordering {
    other.cmp(&one)
}

/// The model of this id, in any case, or the one that a tier of this name stands for.
fn found<'a>(models: &'a [Model], known: &[TierModel], wanted: &str) -> Result<&'a Model, Failure> {
    let of_id = |id: &str| models.iter().find(|model| model.id.eq_ignore_ascii_case(id.trim()));
    let of_tier = || {
        let wire = &tiers::find(known, wanted)?.wire;
        of_id(wire).or_else(|| of_id(wire.split(':').next()?))
    };
    of_id(wanted).or_else(of_tier).ok_or_else(|| {
        let failure = Failure::new(Exit::Usage, format!("no model `{wanted}` is listed"));
        match near(models, wanted).as_slice() {
            [] => failure.with_hint("`agent-host models` lists them all"),
            near => failure.with_hint(format!("did you mean {}?", either(near))),
        }
    })
}

/// The ids that are most like what was written, the nearest first.
fn near<'a>(models: &'a [Model], wanted: &str) -> Vec<&'a str> {
    let wanted = folded(wanted.trim());
    if wanted.is_empty() || wanted.len() > 200 {
        return Vec::new();
    }
    let n_chars = wanted.chars().count();
    let distance = |id: &str| {
        let id = folded(id);
        let name = id.split_once('/').map_or(id.as_str(), |(_, name)| name);
        // What is only the beginning of an id is near it too, but less so.
        let begun = |text: &str| strsim::osa_distance(&wanted, &text.chars().take(n_chars).collect::<String>()) + 1;
        let whole = |text: &str| strsim::osa_distance(&wanted, text);
        [whole(&id), whole(name), begun(&id), begun(name)]
            .into_iter()
            .min()
            .unwrap_or(usize::MAX)
    };
    let mut near: Vec<(usize, &str)> = models
        .iter()
        .map(|model| (distance(&model.id), model.id.as_str()))
        .filter(|(edits, _)| *edits <= n_chars.div_ceil(3))
        .collect();
    near.sort_by_key(|(edits, _)| *edits);
    near.into_iter().take(MAX_NEAR).map(|(_, id)| id).collect()
}

/// `` `a`, `b` or `c` ``
fn either(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

fn nothing_found(models: &[Model], query: &str) -> String {
    match near(models, query).as_slice() {
        [] => "no model matches".to_owned(),
        near => format!("no model matches; did you mean {}?", either(near)),
    }
}

/// `7 of 341 models, list is 12 min old`
fn below(n_shown: usize, list: &ModelList) -> String {
    let n_all = list.models.len();
    let noun = if n_all == 1 { "model" } else { "models" };
    let count = if n_shown == n_all {
        format!("{n_all} {noun}")
    } else {
        format!("{n_shown} of {n_all} {noun}")
    };
    let mut text = format!("{count}, list is {}", time::age(list.age_ms));
    if list.is_stale {
        let reason = list.problem.as_deref().unwrap_or("a newer one could not be had");
        text.push_str(&format!(" and stale: {reason}"));
    } else if let Some(problem) = &list.problem {
        text.push_str(&format!("; {problem}"));
    }
    text
}

/// The short names of the tiers that stand for a model: `small`.
fn tiers_of(model: &Model, known: &[TierModel]) -> Vec<String> {
    let is_this = |wire: &str| wire == model.id || wire.split(':').next() == Some(model.id.as_str());
    known
        .iter()
        .filter(|tier| is_this(&tier.wire))
        .map(|tier| {
            let name = tier.tier.strip_prefix("TEXT_").unwrap_or(&tier.tier);
            name.to_ascii_lowercase()
        })
        .collect()
}

fn table(models: &[&Model], known: &[TierModel]) -> String {
    let has_tiers = models.iter().any(|model| !tiers_of(model, known).is_empty());
    let mut head = vec!["MODEL", "CONTEXT", "$/M IN", "$/M OUT", "ABILITIES"];
    if has_tiers {
        head.insert(1, "TIER");
    }
    let rows = models.iter().map(|model| {
        let mut row = vec![
            model.id.clone(),
            model.context_length.map_or_else(|| "-".to_owned(), size),
            shown_price(&model.prompt_usd_per_million),
            shown_price(&model.completion_usd_per_million),
            // That it is free, its prices say.
            listed_words(model.abilities.iter().filter(|ability| *ability != "free")),
        ];
        if has_tiers {
            row.insert(1, tiers_of(model, known).join(", "));
        }
        row
    });
    terminal::table(&head, &rows.collect::<Vec<_>>())
}

fn listed_words<'a>(words: impl Iterator<Item = &'a String>) -> String {
    let words: Vec<&str> = words.map(String::as_str).collect();
    if words.is_empty() {
        return "-".to_owned();
    }
    words.join(" ")
}

fn shown_price(text: &Option<String>) -> String {
    match (text, price(text)) {
        (_, Some(0.0)) => "free".to_owned(),
        (Some(text), _) => text.clone(),
        (None, _) => "-".to_owned(),
    }
}

/// A number of tokens for people: `128k`, `1M`, `1.04M`.
fn size(count: u64) -> String {
    match count {
        0..1000 => count.to_string(),
        1000..1_000_000 => format!("{}k", count / 1000),
        _ => {
            let hundredths = format!("{:.2}", (count / 10_000) as f64 / 100.0);
            format!("{}M", hundredths.trim_end_matches('0').trim_end_matches('.'))
        }
    }
}

/// Everything that is known about a model, in lines.
fn description(model: &Model, known: &[TierModel]) -> String {
    let usd = |text: &Option<String>, unit: &str| match (text, price(text)) {
        (_, Some(0.0)) => Some("free".to_owned()),
        (Some(text), _) => Some(format!("${text} {unit}")),
        (None, _) => None,
    };
    let tokens = |count: Option<u64>| count.map(|count| format!("{count} tokens"));
    let words = |words: &[String]| (!words.is_empty()).then(|| words.join(", "));
    let unknown = Some("unknown".to_owned());
    let lines = [
        ("id", Some(model.id.clone())),
        ("name", Some(model.name.clone()).filter(|name| !name.is_empty())),
        ("tiers", words(&tiers_of(model, known))),
        ("context", tokens(model.context_length).or(unknown.clone())),
        (
            "longest answer",
            tokens(model.max_completion_tokens).or(unknown.clone()),
        ),
        (
            "prompt",
            usd(&model.prompt_usd_per_million, "for a million tokens").or(unknown.clone()),
        ),
        (
            "answer",
            usd(&model.completion_usd_per_million, "for a million tokens").or(unknown.clone()),
        ),
        (
            "request",
            usd(&model.request_usd, "each").filter(|price| price != "free"),
        ),
        ("reads", words(&model.input_modalities).or(unknown.clone())),
        ("writes", words(&model.output_modalities).or(unknown)),
        ("abilities", words(&model.abilities)),
        ("parameters", words(&model.supported_parameters)),
        ("listed since", model.created_s.map(time::day)),
        ("may be gone after", model.expiration_date.clone()),
        ("about", model.description.clone()),
    ];
    let shown = lines.iter().filter(|(_, value)| value.is_some());
    let width = shown.map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in lines {
        let Some(value) = value else { continue };
        let line = format!("{name:<width$}  {}", terminal::clean_line(&value));
        text.push_str(&terminal::wrapped(&line, MAX_LINE_CHARS, width + 2));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

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
        models[1].created_s = Some(20);
        models[2].created_s = Some(30);
        models
    }

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn args(line: &[&str]) -> Args {
        let line = Line::try_parse_from([&["models"], line].concat());
        line.unwrap_or_else(|error| panic!("{error}")).args
    }

    fn ids(line: &[&str]) -> Vec<String> {
        let args = args(line);
        let models = models();
        let mut shown: Vec<&Model> = models.iter().filter(|model| fits(model, &args)).collect();
        sort(&mut shown, args.sort);
        shown.iter().map(|model| model.id.clone()).collect()
    }

    #[test]
    fn each_filter_leaves_out_what_is_not_known_to_pass_it() {
        let table: &[(&[&str], &[&str])] = &[
            (&[], &["acme/large-4.5", "Beta/tiny", "beta/mid", "router/auto"]),
            (&["LARGE 4 5"], &["acme/large-4.5"]),
            (&["beta", "mid"], &["beta/mid"]),
            (&["of", "router"], &["router/auto"]),
            (&["--free"], &["Beta/tiny"]),
            (&["--tools"], &["acme/large-4.5", "beta/mid"]),
            (&["--tools", "--vision"], &["acme/large-4.5"]),
            (&["--reasoning"], &["beta/mid"]),
            (&["--structured"], &["acme/large-4.5", "Beta/tiny"]),
            (&["--min-context", "200k"], &["acme/large-4.5", "beta/mid"]),
            (&["--min-context", "200001"], &["beta/mid"]),
            (&["--max-price", "1"], &["Beta/tiny", "beta/mid"]),
            (&["--max-price", "3"], &["Beta/tiny", "beta/mid"]),
            (&["--author", "beta"], &["Beta/tiny", "beta/mid"]),
            (&["--provider", "ACME/"], &["acme/large-4.5"]),
            (&["nothing"], &[]),
            (
                &["--sort", "name"],
                &["acme/large-4.5", "beta/mid", "Beta/tiny", "router/auto"],
            ),
            (
                &["--sort", "price"],
                &["Beta/tiny", "beta/mid", "acme/large-4.5", "router/auto"],
            ),
            (
                &["--sort", "context"],
                &["beta/mid", "acme/large-4.5", "Beta/tiny", "router/auto"],
            ),
            (
                &["--sort", "new"],
                &["beta/mid", "Beta/tiny", "acme/large-4.5", "router/auto"],
            ),
        ];
        for (line, expected) in table {
            assert_eq!(ids(line), *expected, "{line:?}");
        }
    }

    #[test]
    fn show_is_a_command_and_any_other_word_a_query() {
        assert!(args(&["show", "acme/large"]).command.is_some());
        assert_eq!(args(&["large", "--json"]).query, ["large"]);
        assert!(args(&["--profile", "p", "show", "acme/large"]).command.is_some());
        assert!(args(&["--refresh", "show", "acme/large"]).refresh);
        assert_eq!(args(&["claude", "sonnet"]).query, ["claude", "sonnet"]);
    }

    #[test]
    fn numbers_of_tokens_are_read_with_their_unit() {
        for (text, count) in [
            ("32000", 32_000),
            ("200k", 200_000),
            ("128K", 128_000),
            ("1M", 1_000_000),
            ("1.5m", 1_500_000),
            ("0", 0),
        ] {
            assert_eq!(tokens(text), Ok(count), "{text}");
        }
        for text in ["", "k", "-1", "1g", "1e3", "1.2.3", "inf", "99999999999M"] {
            assert!(tokens(text).is_err(), "{text}");
        }
        assert_eq!((usd("$2.5"), usd("0")), (Ok(2.5), Ok(0.0)));
        assert!(usd("-1").is_err() && usd("NaN").is_err() && usd("much").is_err());
    }

    #[test]
    fn sizes_are_short() {
        let sizes = [
            (512, "512"),
            (8192, "8k"),
            (200_000, "200k"),
            (1_000_000, "1M"),
            (1_048_576, "1.04M"),
            (2_500_000, "2.5M"),
        ];
        for (count, shown) in sizes {
            assert_eq!(size(count), shown);
        }
    }

    #[test]
    fn the_table_marks_the_tiers_and_says_what_is_unknown() {
        let models = models();
        let shown: Vec<&Model> = models.iter().collect();
        let tier = |tier: &str, wire: &str| TierModel {
            tier: tier.to_owned(),
            wire: wire.to_owned(),
            ..TierModel::default()
        };
        let tiers = [
            tier("TEXT_SMALL", "beta/mid:nitro"),
            tier("TEXT_LARGE", "beta/mid"),
            tier("X", "not/listed"),
        ];
        assert_eq!(
            table(&shown, &tiers),
            "\
MODEL           TIER          CONTEXT  $/M IN  $/M OUT  ABILITIES
acme/large-4.5                200k     3       15       vision tools json
Beta/tiny                     8k       free    free     json
beta/mid        small, large  1.04M    0.15    0.6      tools reasoning
router/auto                   -        -       -        -
"
        );
        assert!(!table(&shown, &[]).contains("TIER"));
        assert_eq!(
            found(&models, &tiers, "small").map(|model| model.id.as_str()).ok(),
            Some("beta/mid")
        );
    }

    #[test]
    fn a_model_is_shown_with_all_that_is_known_and_no_escape_sequence() {
        let mut model = model("acme/x", 1000, Some(("3", "0")), &["tools"]);
        model.description = Some("Bold \u{1b}[2J\nand long".to_owned());
        model.created_s = Some(1_771_459_200);
        assert_eq!(
            description(&model, &[]),
            "\
id              acme/x
name            Name of acme/x
context         1000 tokens
longest answer  unknown
prompt          $3 for a million tokens
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
    fn what_is_not_found_is_answered_with_what_is_near() {
        let models = models();
        assert_eq!(
            nothing_found(&models, "acme/lrage-4.5"),
            "no model matches; did you mean `acme/large-4.5`?"
        );
        assert_eq!(
            nothing_found(&models, "tiyn"),
            "no model matches; did you mean `Beta/tiny`?"
        );
        assert_eq!(nothing_found(&models, ""), "no model matches");
        assert_eq!(
            nothing_found(&models, "amce/large"),
            "no model matches; did you mean `acme/large-4.5`?"
        );
        let failure = found(&models, &[], "beta/mit").err().map(|failure| failure.to_string());
        assert_eq!(
            failure.as_deref(),
            Some("error: no model `beta/mit` is listed\nhint: did you mean `beta/mid` or `Beta/tiny`?")
        );
    }

    #[test]
    fn the_line_below_says_how_old_the_list_is_and_why() {
        let mut list = ModelList {
            models: models(),
            age_ms: 720_000,
            ..ModelList::default()
        };
        assert_eq!(below(4, &list), "4 models, list is 12 min old");
        list.is_stale = true;
        list.problem = Some("the service cannot be reached".to_owned());
        assert_eq!(
            below(1, &list),
            "1 of 4 models, list is 12 min old and stale: the service cannot be reached"
        );
    }
}
