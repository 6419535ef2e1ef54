//! Whether a model can use tools, before anything is sent to it.

use plugin_api::{Model, TierModel};

use super::definition::Definition;
use crate::setup::Active;
use crate::talk::choosing::{self, Who};
use crate::terminal::{Exit, Failure, clean_line, listed};

/// What a model that can use tools offers.
const TOOLS: &str = "tools";

/// Checks the model of an agent with tools, as far as its service's list says.
///
/// - Errors: it cannot use tools; three models that can, those of the tiers first.
pub async fn check(active: &mut Active, definition: &Definition) -> Result<(), Failure> {
    if definition.tools.is_empty() && definition.mcp_servers.is_empty() {
        return Ok(());
    }
    active.read_tiers().await?;
    let who = Who {
        tier: definition.tier.clone(),
        model: definition.model.clone(),
    };
    match (who.wire(&active.tiers), choosing::models(active).await) {
        (Some(id), Some(models)) => checked(&models, &active.tiers, id),
        _ => Ok(()),
    }
}

fn checked(models: &[Model], tiers: &[TierModel], id: &str) -> Result<(), Failure> {
    let find = |id: &str| {
        let base = id.split(':').next();
        models
            .iter()
            .find(|model| id == model.id || base == Some(model.id.as_str()))
    };
    let can = |model: &Model| model.abilities.iter().any(|ability| ability == TOOLS);
    // A list without parameters says nothing about any of them.
    let Some(model) = find(id).filter(|model| !model.supported_parameters.is_empty() && !can(model)) else {
        return Ok(());
    };
    let of_tiers = tiers.iter().filter_map(|tier| find(&tier.wire));
    let mut able: Vec<&str> = Vec::new();
    for model in of_tiers.chain(models).filter(|model| can(model)) {
        if able.len() < 3 && !able.contains(&model.id.as_str()) {
            able.push(&model.id);
        }
    }
    let failure = Failure::new(Exit::Refused, format!("`{}` cannot use tools", clean_line(&model.id)));
    Err(match able.is_empty() {
        true => failure.with_hint("no listed model can use tools"),
        false => failure.with_hint(format!("choose one that can, such as {}: -m ID", listed(able, "or"))),
    })
}
