use std::collections::HashMap;

use super::*;
use crate::kit::{raw, rows};

fn members(json: &str) -> Members {
    Members::parse(json.as_bytes()).expect("an object")
}

fn json_of(members: &Members) -> String {
    String::from_utf8(members.to_json()).expect("JSON is UTF-8")
}

#[test]
fn values_and_order_survive_byte_for_byte() {
    for json in [
        "{}",
        r#"{"b":1.50,"a":-0.0e+05,"n":123456789012345678901234567890,"big":1e400}"#,
        r#"{"text":"\u00e9\/\ud83d\ude00\n","list":[1 , 2,{"x" : null}],"é":"é"}"#,
        r#"{"":"","quote\"\\":true,"control\u0001":false}"#,
    ] {
        assert_eq!(json_of(&members(json)), json);
    }
    let found = json_of(&members(" {\n \"a\" : [ 1 ] ,\t\"b\":2 } "));
    assert_eq!(found, r#"{"a":[ 1 ],"b":2}"#);
}

#[test]
fn a_repeated_name_keeps_its_first_place_and_its_last_value() {
    for (json, once) in [
        (r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#),
        (r#"{"a":1,"a":2,"a":3,"b":4,"b":5}"#, r#"{"a":3,"b":5}"#),
        (r#"{"b":0,"a":1,"\u0061":null}"#, r#"{"b":0,"a":null}"#),
    ] {
        assert_eq!(json_of(&members(json)), once);
    }
}

#[test]
fn anything_but_an_object_is_refused_with_its_position_and_no_content() {
    let refusal = |json: &[u8]| {
        let error = Members::parse(json).expect_err("a refusal");
        assert_eq!(error.kind, ErrorKind::INVALID_REQUEST);
        error.message
    };
    let table = r#"
        [{"secret":1}] | a list at line 1 column 0
        "secret" | a string at line 1 column 8
        123456 | a number at line 1 column 6
        true | true or false at line 1 column 4
        null | null at line 1 column 4
        {"secret": secret} | invalid JSON: expected value at line 1 column 12
        {"secret":1}secret | invalid JSON: trailing characters at line 1 column 13
        {"secret":1,} | invalid JSON: trailing comma at line 1 column 13
        {"secret":[1} | invalid JSON: expected `,` or `]` at line 1 column 13
        {"secret": | invalid JSON: EOF while parsing a value at line 1 column 10
        {secret:1} | invalid JSON: key must be a string at line 1 column 2
        {"secret":01} | invalid JSON: invalid number at line 1 column 12
        {"secret":NaN} | invalid JSON: expected value at line 1 column 11
        {"secret\ud800":1} | invalid JSON: unexpected end of hex escape at line 1 column 15
    "#;
    for [json, found] in rows(table) {
        let message = format!("expected the body to be a JSON object, found {found}");
        assert_eq!(refusal(json.as_bytes()), message);
    }
    let message = "expected the body to be a JSON object, found invalid JSON: expected value at line 2 column 12";
    assert_eq!(refusal(b"{\n \"secret\": secret}"), message);
    let rest = b"|{\"a\":\"\0\"}|{\"a\":\"\xff\"}|{\"\xff\":1}|{\"a\":\"\xed\xa0\x80\"}|{\"a\":1}\0|\xef\xbb\xbf{}|{\"a\":\"\n\"}|\
        {'a':1}|{\"a\":1}//";
    for json in rest.split(|byte| *byte == b'|') {
        assert!(
            refusal(json).contains("found invalid JSON: "),
            "{}",
            json.escape_ascii()
        );
    }
}

#[test]
fn null_can_be_read_but_does_not_count_as_set() {
    let members = members(r#"{"a":null,"b":0,"c":"\u0063"}"#);
    let of = |name| {
        (
            members.get(name).map(RawValue::get),
            members.has(name),
            members.text(name),
        )
    };
    assert_eq!(of("a"), (Some("null"), false, None));
    assert_eq!(of("b"), (Some("0"), true, None));
    assert_eq!(of("c"), (Some(r#""\u0063""#), true, Some("c".to_owned())));
    assert_eq!(of("d"), (None, false, None));
}

#[test]
fn a_change_keeps_the_order_and_bytes_of_all_other_members() {
    let same = r#"{"a":1.0,"b":null,"c":"x"}"#;
    let unprintable = HashMap::from([(vec![1], 2)]);
    type Change<'a> = (&'a dyn Fn(&mut Members), &'a str);
    let changes: [Change<'_>; 9] = [
        (&|all| all.set("a", raw("[2.0]")), r#"{"a":[2.0],"b":null,"c":"x"}"#),
        (
            &|all| all.set_value("d", &"\"é"),
            r#"{"a":1.0,"b":null,"c":"x","d":"\"é"}"#,
        ),
        (&|all| all.set_value("a", &unprintable), same),
        (&|all| assert!(all.take("b").is_some()), r#"{"a":1.0,"c":"x"}"#),
        (&|all| assert!(all.take("d").is_none()), same),
        (&|all| assert!(all.rename("a", "d")), r#"{"d":1.0,"b":null,"c":"x"}"#),
        (&|all| assert!(all.rename("c", "b")), r#"{"a":1.0,"b":"x"}"#),
        (&|all| assert!(all.rename("c", "a")), r#"{"a":1.0,"b":null}"#),
        (&|all| assert!(!all.rename("d", "b")), same),
    ];
    for (change, expected) in changes {
        let mut changed = members(same);
        change(&mut changed);
        assert_eq!(json_of(&changed), expected);
    }
    let mut upper = members(r#"{"a":1,"b":null}"#);
    upper.lay_over(members(r#"{"c":2,"b":3,"a":4,"d":5}"#));
    assert_eq!(json_of(&upper), r#"{"a":1,"b":null,"c":2,"d":5}"#);
    let names: Vec<_> = upper.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
}

#[test]
fn a_value_may_be_nested_a_million_deep() {
    let depth = 1_000_000;
    let json = format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert_eq!(json_of(&members(&json)), json);
}

#[test]
fn debug_output_shows_only_the_number_of_members() {
    assert_eq!(format!("{:?}", members(r#"{"secret":"secret"}"#)), "Members(1)");
}
