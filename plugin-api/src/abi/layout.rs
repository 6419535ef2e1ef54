//! Holds the layout of everything that crosses against its committed description, `layout.txt`.
//!
//! Within a major version that file may only grow: a line that disappears or changes breaks every plugin that was ever
//! built. New lines are methods and prefix fields appended behind the last ones.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write;

use abi_stable::StableAbi;
use abi_stable::type_layout::TypeLayout;

use super::traits::RawModule_Ref;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/layout.txt");

/// One line for each type that is ours or async-ffi's, and one for each of its fields, in order.
fn described() -> String {
    let mut text = String::new();
    let mut seen = HashSet::new();
    let mut queue: Vec<&'static TypeLayout> = vec![<RawModule_Ref as StableAbi>::LAYOUT];
    while let Some(layout) = queue.pop() {
        // The tables of all traits have one name; their modules tell them apart.
        let name = format!("{}::{}", layout.mod_path(), layout.full_type());
        if !seen.insert(layout.get_utypeid()) {
            continue;
        }
        let fields: Vec<_> = layout.get_fields().into_iter().flatten().collect();
        if ["plugin-api", "async-ffi"].contains(&layout.package().as_str()) {
            writeln!(
                text,
                "{name} size={} align={} repr={:?}",
                layout.size(),
                layout.alignment(),
                layout.repr_attr()
            )
            .expect("a String takes everything");
            for (index, field) in fields.iter().enumerate() {
                writeln!(text, "  {index} {}: {}", field.name(), field.full_type()).expect("a String takes everything");
            }
        }
        let phantom: Vec<_> = layout.phantom_fields().into_iter().collect();
        queue.extend(layout.shared_vars().type_layouts().iter().map(|layout| layout()));
        queue.extend(fields.iter().chain(&phantom).map(|field| field.layout()));
    }
    let mut types: Vec<String> = split_types(&text);
    types.sort();
    types.dedup();
    types.concat()
}

fn split_types(text: &str) -> Vec<String> {
    let mut types: Vec<String> = Vec::new();
    for line in text.split_inclusive('\n') {
        match types.last_mut() {
            Some(last) if line.starts_with(' ') => last.push_str(line),
            _ => types.push(line.to_owned()),
        }
    }
    types
}

#[test]
fn the_layout_only_grows() {
    let now = described();
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(GOLDEN, &now).expect("layout.txt is writable");
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    let lines_now: BTreeSet<_> = now.lines().collect();
    let lost: Vec<_> = golden.lines().filter(|line| !lines_now.contains(line)).collect();
    assert!(
        lost.is_empty(),
        "the layout of the boundary changed; plugins in the field would break: {lost:#?}"
    );
    assert_eq!(
        now, golden,
        "the boundary has grown; if that is meant: UPDATE_EXPECTED=1 cargo test -p plugin-api the_layout_only_grows"
    );
}
