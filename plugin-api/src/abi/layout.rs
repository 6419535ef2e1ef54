//! Compares the layout of everything that crosses with its committed description, `layout.txt`.
//!
//! Within a major version that file may only grow. A line that disappears or changes would break every plugin in use,
//! so not even `UPDATE_EXPECTED` overwrites one. New lines are methods and prefix fields appended after the last ones;
//! types that may grow like this have no size in the file.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write;

use abi_stable::StableAbi;
use abi_stable::type_layout::{TLField, TLFunction, TypeLayout};

use super::traits::RawModule_Ref;

const FILE: &str = "layout.txt";

/// One paragraph per type of plugin-api and async-ffi: a line for the type and one for each of its fields, in order.
fn described() -> String {
    let mut types = BTreeSet::new();
    let mut seen = HashSet::new();
    let mut queue: Vec<&'static TypeLayout> = vec![<RawModule_Ref as StableAbi>::LAYOUT];
    while let Some(layout) = queue.pop() {
        if !seen.insert(layout.get_utypeid()) {
            continue;
        }
        let fields = fields_of(layout);
        if ["plugin-api", "async-ffi"].contains(&layout.package().as_str()) {
            types.insert(paragraph(layout, &fields));
        }
        let phantom: Vec<_> = layout.phantom_fields().into_iter().collect();
        queue.extend(layout.shared_vars().type_layouts().iter().map(|layout| layout()));
        queue.extend(fields.iter().chain(&phantom).map(|field| field.layout()));
    }
    types.into_iter().collect()
}

fn paragraph(layout: &'static TypeLayout, fields: &[TLField]) -> String {
    let size = match layout.is_prefix_kind() {
        true => "growable".to_owned(),
        false => format!("size={}", layout.size()),
    };
    // The vtables of all traits have the same name, so the module is part of it.
    let mut text = format!(
        "{}::{} {size} align={} repr={:?}\n",
        layout.mod_path(),
        spelled(layout),
        layout.alignment(),
        layout.repr_attr()
    );
    for (index, field) in fields.iter().enumerate() {
        let functions: Vec<_> = field.function_range().iter().map(|f| signature(&f)).collect();
        let kind = match functions.is_empty() {
            true => spelled(field.layout()),
            false => functions.join(" and "),
        };
        writeln!(text, "  {index} {}: {kind}", field.name()).expect("writing to a String cannot fail");
    }
    text
}

fn fields_of(layout: &'static TypeLayout) -> Vec<TLField> {
    layout.get_fields().into_iter().flatten().collect()
}

/// A function's types, without the names of its parameters, which may change.
fn signature(function: &TLFunction) -> String {
    let parameters: Vec<_> = function
        .param_type_layouts
        .iter()
        .map(|layout| spelled(layout()))
        .collect();
    format!(
        "{}fn({}) -> {}",
        if function.fn_qualifs.is_unsafe() { "unsafe " } else { "" },
        parameters.join(", "),
        function
            .return_type_layout()
            .map_or("()".to_owned(), |layout| spelled(layout()))
    )
}

/// A type with its parameters. abi_stable knows them but omits them when it prints most of its own types.
fn spelled(layout: &'static TypeLayout) -> String {
    let fields = fields_of(layout);
    let field = |name| fields.iter().find(|field| field.name() == name);
    let phantom = |of: &'static TypeLayout| of.phantom_fields().into_iter().map(|field| field.layout()).collect();
    let parameters: Vec<&'static TypeLayout> = match layout.name() {
        "RResult" | "ROption" | "FfiPoll" | "ManuallyDrop" => fields.iter().map(|field| field.layout()).collect(),
        "RVec" | "RBox" => field("_marker").map_or_else(Vec::new, |marker| phantom(marker.layout())),
        "&" | "&mut" | "*const" | "*mut" | "PhantomData" => phantom(layout),
        "BorrowingFfiFuture" => {
            // It wraps the local future and adds `Send`.
            return spelled(fields[0].layout()).replacen("Local", "", 1);
        }
        // The parameter of a future is what its poll returns.
        "LocalBorrowingFfiFuture" => field("poll_fn")
            .and_then(|poll| poll.function_range().iter().next())
            .and_then(|poll| poll.return_type_layout())
            .map_or_else(Vec::new, |answer| {
                fields_of(answer()).iter().map(|field| field.layout()).collect()
            }),
        _ => return layout.full_type().to_string(),
    };
    let parameters: Vec<_> = parameters.into_iter().map(spelled).collect();
    format!("{}<{}>", layout.name(), parameters.join(", "))
}

/// The lines of `golden` that are missing in `now`, each with the type it belongs to.
fn lost(golden: &str, now: &str) -> Vec<String> {
    fn qualified(text: &str) -> Vec<String> {
        let mut of = "";
        text.lines()
            .map(|line| match line.starts_with(' ') {
                true => format!("{of}{line}"),
                false => {
                    of = line.rsplitn(4, ' ').last().unwrap_or(line);
                    line.to_owned()
                }
            })
            .collect()
    }
    let now: BTreeSet<_> = qualified(now).into_iter().collect();
    let golden = qualified(golden);
    golden.into_iter().filter(|line| !now.contains(line)).collect()
}

/// The committed description with this name in the package's folder.
pub fn golden(file: &str) -> String {
    std::fs::read_to_string(path_of(file)).unwrap_or_default()
}

fn path_of(file: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// Asserts that `now` has every line of the committed description, and no new ones, unless they are to be committed.
#[track_caller]
pub fn assert_only_grows(file: &str, now: &str, test: &str) {
    let golden = golden(file);
    let lines = |from: &str, to: &str, sign| lost(from, to).into_iter().map(move |line| format!("\n  {sign} {line}"));
    let (gone, new): (Vec<_>, Vec<_>) = (lines(&golden, now, '-').collect(), lines(now, &golden, '+').collect());
    assert!(
        gone.is_empty(),
        "what crosses the boundary changed, and plugins and hosts in use would break\n`{file}` says:{}\n\
         the code says:{}\nhint: undo the change, and add something new beside the old; or raise the major version of \
         plugin-api, and delete `{file}` to start a new one",
        gone.concat(),
        new.concat()
    );
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(path_of(file), now).expect("the package's folder is writable");
        return;
    }
    assert!(
        now == golden,
        "the boundary has grown, and `{file}` does not have it yet:{}\n\
         hint: if that is intended: UPDATE_EXPECTED=1 cargo test -p plugin-api {test}",
        new.concat()
    );
}

#[test]
fn the_layout_only_grows() {
    assert_only_grows(FILE, &described(), "the_layout_only_grows");
}

#[test]
fn appended_lines_are_growth_and_changed_lines_are_a_loss() {
    let golden = "\
        a::Table growable align=8 repr=C\n  0 end: fn(u64) -> ()\n\
        b::Table growable align=8 repr=C\n  0 end: fn(u64) -> ()\n\
        b::Value size=8 align=8 repr=C\n  0 number: u64\n";
    let with = |old: &str, new: &str| lost(golden, &golden.replacen(old, new, 1));
    let appended = with("()\nb::Table", "()\n  1 more: fn() -> ()\nb::Table");
    assert_eq!(appended, [""; 0]);
    // The same line of another type does not replace the missing one.
    assert_eq!(with("u64", "u32"), ["a::Table  0 end: fn(u64) -> ()"]);
    assert_eq!(with("size=8", "size=16"), ["b::Value size=8 align=8 repr=C"]);
    assert_eq!(
        with("b::Value size=8 align=8 repr=C\n  0 number: u64\n", ""),
        ["b::Value size=8 align=8 repr=C", "b::Value  0 number: u64"]
    );
}
