//! Which call a piece belongs to. The streams of `answer::golden` cover the forms of pieces.

use super::*;
use crate::kit::rows;

/// The calls of these deltas, each as its name and its arguments.
fn assembled(deltas: &[&str]) -> Result<String, Error> {
    let (mut tools, mut odd) = (Assembler::default(), Odd::default());
    for delta in deltas {
        tools.take(delta, "", &mut odd)?;
    }
    let calls = tools.finish(&Ending::Calls)?;
    let calls: Vec<String> = calls.into_iter().map(|(call, _)| call.name + &call.arguments).collect();
    Ok(calls.join(" "))
}

#[test]
fn a_piece_belongs_to_the_call_that_it_continues() {
    let table = r#"
        a name in pieces         | [{"name":"get_"}] + [{"name":"x"}] + [{"arguments":"{}"}] | get_x{}
        a type begins a call     | [{"type":"function","name":"f"}] + [{"type":"function","name":"g"}] | f{} g{}
        so do arguments          | [{"name":"f","arguments":""}] + [{"name":"g"}] | f{} g{}
        and an id                | [{"id":"a","name":"f"}] + [{"name":"g"}] | f{} g{}
        the name once more       | [{"name":"f","arguments":"[1]"}] + [{"name":"f","arguments":""}] | f[1]
        another name             | [{"name":"f","arguments":"[1]"}] + [{"name":"g","arguments":""}] | f[1] g{}
        all once more            | [{"name":"f","arguments":"[1]"}] + [{"name":"f","arguments":"[1]"}] | f[1]
        under another name       | [{"name":"f","arguments":"[1]"}] + [{"name":"g","arguments":"[1]"}] | f[1] g[1]
        all twice at once        | [{"name":"f","arguments":"[1]"},{"name":"f","arguments":"[1]"}] | f[1] f[1]
        more without an index    | [{"name":"f","arguments":{"a":1}}] + [{"name":"f","arguments":{"a":1,"b":2}}] | f{"a":1} f{"a":1,"b":2}
        more with an index       | [{"index":0,"name":"f","arguments":{"a":1}}] + [{"index":0,"name":"f","arguments":{"a":1,"b":2}}] | f{"a":1,"b":2}
        an empty object ahead    | [{"name":"f","arguments":"{}"}] + [{"name":"f","arguments":{"a":1}}] | f{"a":1}
        an empty object beside   | [{"name":"f","arguments":"{}"},{"name":"f","arguments":{"a":1}}] | f{} f{"a":1}
        an index and a name      | [{"name":"f"}] + [{"index":1,"name":"g","arguments":"{}"}] | f{} g{}
        an index without a name  | [{"name":"f"}] + [{"index":1,"arguments":"[1]"}] | f[1]
    "#;
    for [what, deltas, calls] in rows(table) {
        let deltas: Vec<&str> = deltas.split(" + ").collect();
        assert_eq!(assembled(&deltas).as_deref(), Ok(calls), "{what}");
    }
    let nameless = [r#"[{"index":0,"name":"f"}]"#, r#"[{"index":1,"arguments":"[1]"}]"#];
    assert_eq!(
        assembled(&nameless).map_err(|error| error.kind),
        Err(ErrorKind::TOOL_CALL)
    );
}

#[test]
fn of_a_further_member_that_is_sent_again_only_the_last_counts() {
    let piece = |name: &str, n_bytes: usize| {
        let value = "x".repeat(n_bytes - name.len() - "\"\"".len());
        format!(r#"[{{"index":0,"name":"f","{name}":"{value}"}}]"#)
    };
    let kept = |pieces: &[(&str, usize)]| {
        let pieces: Vec<String> = pieces.iter().map(|(name, n_bytes)| piece(name, *n_bytes)).collect();
        assembled(&pieces.iter().map(String::as_str).collect::<Vec<_>>()).map_err(|error| error.kind)
    };
    let most = MAX_EXTRA_BYTES;
    let all = Ok("f{}".to_owned());
    assert_eq!(kept(&[("x", most), ("x", most - 1), ("x", most)]), all);
    assert_eq!(kept(&[("x", most / 2), ("y", most / 2)]), all);
    for pieces in [
        &[("x", most + 1)][..],
        &[("x", most), ("y", 10)],
        &[("x", 10), ("y", 10), ("x", most - 9)],
    ] {
        assert_eq!(kept(pieces), Err(ErrorKind::TOO_LARGE));
    }
}

#[test]
fn an_id_and_a_name_have_at_most_4_kib() {
    for member in ["id", "name"] {
        let of = |n_bytes: usize| {
            let call = format!(r#"[{{"name":"f","{member}":"{}"}}]"#, "x".repeat(n_bytes));
            assembled(&[&call]).map(|_| ()).map_err(|error| error.kind)
        };
        assert_eq!(of(MAX_NAME_BYTES), Ok(()), "{member}");
        assert_eq!(of(MAX_NAME_BYTES + 1), Err(ErrorKind::TOO_LARGE), "{member}");
    }
}
