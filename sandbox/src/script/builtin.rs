//! The models whose id names their script, so that the binary is useful without a script file.
//!
//! The table is `builtin.json`: the id after `sandbox/`, what the model does, and its script.

use serde::Deserialize;

use super::Script;

#[derive(Deserialize)]
struct Row {
    id: String,
    does: String,
    script: Script,
}

/// Every built-in model: its id, what it does, its script.
pub(crate) fn scripts() -> impl Iterator<Item = (String, String, Script)> {
    let rows: Vec<Row> = serde_json::from_str(include_str!("builtin.json")).expect("a test reads the same table");
    rows.into_iter()
        .map(|row| (format!("sandbox/{}", row.id), row.does, row.script))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::failure::DOCUMENTED;

    #[test]
    fn ids_are_unique_and_every_documented_status_has_one() {
        let ids: Vec<String> = scripts().map(|(id, ..)| id).collect();
        let unique: BTreeSet<&String> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len());
        for (status, ..) in DOCUMENTED {
            assert!(unique.contains(&format!("sandbox/status-{status}")), "{status}");
        }
    }
}
