//! `agent-host models`: the service's models, searched, filtered and sorted.
//!
//! The plugin fetches and caches the list; everything here only reads it.
//! What the list does not say about a model is shown as unknown, and a filter drops a model that is not known to pass
//! it.

mod args;
mod values;
mod filter;

use plugin_api::{Model, ModelList, ModelsRequest, TierModel};

pub use self::args::{Args, Command};

use self::filter::{fits, sort};
use crate::near;
use crate::setup::candidates::keep_model_ids;
use crate::setup::{Active, Global, Setup, tiers};
use crate::terminal::{self, Exit, Failure, Page, counted, progress, time};
use crate::views::models::{description, table};

pub async fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let mut active = Setup::read(global)?.activate(false).await?;
    let mut wanted = ModelsRequest {
        force: args.refresh,
        raw: false,
    };
    if let Some(Command::Show { id, refresh, output }) = &args.command {
        let as_json = output.json || args.output.json;
        wanted.force |= refresh;
        wanted.raw = as_json;
        let list = listed(&mut active, wanted).await?;
        active.shut_down().await;
        let model = found(&list.models, &active.tiers, id)?;
        if as_json {
            terminal::print_json(model);
        } else {
            terminal::print(&description(model, &active.tiers, Page::of_stdout()));
        }
        return Ok(Exit::Ok);
    }
    let list = listed(&mut active, wanted).await?;
    active.shut_down().await;
    let mut models: Vec<&Model> = list.models.iter().filter(|model| fits(model, args)).collect();
    sort(&mut models, args.sort);
    if args.output.json {
        terminal::print_json(&models);
    } else if args.ids || !terminal::stdout_is_terminal() {
        let lines: Vec<String> = models
            .iter()
            .map(|model| format!("{}\n", terminal::clean_line(&model.id)))
            .collect();
        terminal::print(&lines.concat());
    } else if !models.is_empty() {
        terminal::print_table(&table(&models, &active.tiers, Page::of_stdout()));
    }
    if models.is_empty() {
        let line = nothing_found(&list.models, &args.query.join(" "));
        terminal::say(&terminal::clean_line(&line));
    }
    terminal::say(&terminal::clean_line(&below(models.len(), &list)));
    Ok(Exit::Ok)
}

/// The list, and which tiers stand for which of its models.
async fn listed(active: &mut Active, wanted: ModelsRequest) -> Result<ModelList, Failure> {
    let id = active.plugin.manifest().id.clone();
    let list = progress::while_waiting("fetching the model list", active.plugin.models(wanted)).await;
    let list = list.map_err(|error| Failure::of_plugin(active.used_key.explained(error), &id, "list its models"))?;
    if let Err(failure) = keep_model_ids(list.models.iter().map(|model| model.id.as_str())) {
        tracing::debug!("the ids are not kept for completions: {}", failure.message);
    }
    // The list is useful without tiers.
    if let Err(error) = active.read_tiers().await {
        tracing::warn!("tiers are not shown: {error}");
    }
    Ok(list)
}

/// The model with this id, in any case, or the one that a tier of this name stands for.
fn found<'a>(models: &'a [Model], known: &[TierModel], wanted: &str) -> Result<&'a Model, Failure> {
    let of_id = |id: &str| models.iter().find(|model| model.id.eq_ignore_ascii_case(id.trim()));
    let of_tier = || {
        let wire = &tiers::find(known, wanted)?.wire;
        of_id(wire).or_else(|| of_id(wire.split(':').next()?))
    };
    of_id(wanted).or_else(of_tier).ok_or_else(|| {
        let failure = Failure::usage(format!("model `{wanted}` is not listed"));
        let near = near::did_you_mean(wanted, ids(models)).or_else(|| tiers::did_you_mean(known, wanted));
        failure.with_hint(near.unwrap_or_else(|| "`agent-host models` lists all models".to_owned()))
    })
}

fn ids(models: &[Model]) -> impl Iterator<Item = &str> {
    models.iter().map(|model| model.id.as_str())
}

fn nothing_found(models: &[Model], query: &str) -> String {
    match near::did_you_mean(query, ids(models)) {
        Some(near) => format!("no model matches; {near}"),
        None => "no model matches".to_owned(),
    }
}

/// `7 of 341 models, list is 12 min old`
fn below(n_shown: usize, list: &ModelList) -> String {
    let n_all = list.models.len();
    let of_all = if n_shown == n_all {
        String::new()
    } else {
        format!("{n_shown} of ")
    };
    let mut text = format!(
        "{of_all}{}, list is {}",
        counted(n_all, "model"),
        time::age(list.age_ms)
    );
    if list.is_stale {
        let reason = list.problem.as_deref().unwrap_or("no newer list is available");
        text.push_str(&format!(", stale: {reason}"));
    } else if let Some(problem) = &list.problem {
        text.push_str(&format!("; {problem}"));
    }
    text
}

#[cfg(test)]
mod tests;
