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

use self::args::Order;
use self::filter::{chosen, sort};
use crate::near;
use crate::setup::candidates::keep_model_ids;
use crate::setup::{Active, Global, Setup, tiers};
use crate::terminal::{self, Exit, Failure, Page, counted, progress, time};
use crate::views::credits;
use crate::views::models::{description, table};

pub async fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let wanted = wanted(args)?;
    let mut active = Setup::read(global)?.activate(false).await?;
    let list = listed(&mut active, &wanted).await?;
    let allowance = match args.free && args.command.is_none() && !args.offline {
        true => credits::allowance(&active.plugin).await,
        false => None,
    };
    active.shut_down().await;
    if let Some(Command::Show { id, output, .. }) = &args.command {
        let model = found(&list.models, &active.tiers, id)?;
        if output.json || args.output.json {
            terminal::print_json(model);
        } else {
            terminal::print(&description(model, &active.tiers, Page::of_stdout()));
        }
        return Ok(Exit::Ok);
    }
    let (mut models, is_almost) = chosen(&list.models, args);
    sort(&mut models, args.sort);
    print(&models, &active.tiers, args);
    let query = args.query.join(" ");
    if models.is_empty() {
        terminal::say(&terminal::clean_line(&nothing_found(&list.models, &query)));
    } else if is_almost {
        let line = format!("note: no model has `{query}` in its name; showing those that come close");
        terminal::say(&terminal::clean_line(&line));
    }
    terminal::say(&terminal::clean_line(&below(models.len(), &list)));
    if let Some(allowance) = allowance {
        terminal::say(&format!("free models: {allowance}"));
    }
    Ok(Exit::Ok)
}

fn print(models: &[&Model], known: &[TierModel], args: &Args) {
    if args.output.json {
        terminal::print_json(&models);
    } else if args.ids || !terminal::stdout_is_terminal() {
        let lines: Vec<String> = models
            .iter()
            .map(|model| format!("{}\n", terminal::clean_line(&model.id)))
            .collect();
        terminal::print(&lines.concat());
    } else if !models.is_empty() {
        terminal::print_table(&table(models, known, Page::of_stdout()));
    }
}

/// What the plugin is asked for.
fn wanted(args: &Args) -> Result<ModelsRequest, Failure> {
    let order = args.sort.and_then(Order::measured);
    if args.offline && order.is_some() {
        return Err(Failure::usage("only the service knows how fast its models are")
            .with_hint("leave `--offline` out, or sort by name, price, context or new"));
    }
    let (show_json, show_refresh, show_offline) = match &args.command {
        Some(Command::Show {
            refresh,
            offline,
            output,
            ..
        }) => (output.json || args.output.json, *refresh, *offline),
        None => (false, false, false),
    };
    Ok(ModelsRequest {
        force: args.refresh || show_refresh,
        raw: show_json,
        offline: args.offline || show_offline,
        zero_retention: args.zdr,
        provider: args.provider.clone(),
        order,
    })
}

/// The list, and which tiers stand for which of its models.
async fn listed(active: &mut Active, wanted: &ModelsRequest) -> Result<ModelList, Failure> {
    let list = progress::while_waiting("fetching the model list", active.plugin.models(wanted.clone())).await;
    let list = list.map_err(|error| active.failure(error, "list its models"))?;
    let is_selection = wanted.zero_retention || wanted.provider.is_some() || wanted.order.is_some();
    if is_selection && !list.is_selected {
        let id = &active.plugin.manifest().id;
        return Err(Failure::usage(format!(
            "the plugin `{id}` cannot select models by provider, zero data retention or speed"
        ))
        .with_hint("use a newer version of it, or leave `--provider`, `--zdr` and the order out"));
    }
    // A selection is not the list.
    let kept = match is_selection || wanted.offline {
        true => Ok(()),
        false => keep_model_ids(list.models.iter().map(|model| model.id.as_str())),
    };
    if let Err(failure) = kept {
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
