//! Command lines and what they become.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn of(line: &[&str]) -> Result<HttpRequest, String> {
    let line = Line::try_parse_from([&["api"], line].concat()).map_err(|error| error.to_string())?;
    let read = |name: &str| Ok(format!("<{name}>").into_bytes());
    request(&line.args, read).map_err(|failure| failure.to_string())
}

fn shown(line: &[&str]) -> String {
    let request = of(line).unwrap_or_else(|error| panic!("{error}"));
    let body = request.body.map(|body| String::from_utf8_lossy(&body).into_owned());
    let headers = request.headers.iter().map(|(name, value)| format!("{name}={value}"));
    let headers: Vec<String> = headers.collect();
    let (method, path, headers) = (request.method, request.path, headers.join(","));
    format!("{method} {path} {headers} {}", body.unwrap_or_default())
}

#[test]
fn a_request_is_what_the_command_line_says() {
    let table = r#"
/models?x=1 → GET /models?x=1
delete /keys/1 → DELETE /keys/1
/x --data {"a":␠1.0} → POST /x content-type=application/json {"a": 1.0}
PUT /x -d @body.bin -H Content-Type:␠audio/wav -H x-a:b:␠c → PUT /x Content-Type=audio/wav,x-a=b: c <body.bin>
/x --data - → POST /x content-type=application/json <->
"#;
    for (line, expected) in table.lines().filter_map(|row| row.split_once(" → ")) {
        let words: Vec<String> = line.split(' ').map(|word| word.replace('␠', " ")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert_eq!(shown(&words).trim_end(), expected.trim_end(), "{line}");
    }
}

#[test]
fn a_bad_request_line_is_refused_with_what_is_expected() {
    let table: &[(&[&str], &str)] = &[
        (&["models"], "expected a path that begins with `/`, found `models`"),
        (&["GET", "//evil.example/x"], "expected a path that begins with `/`"),
        (&["GET", "/a b"], "expected a path that begins with `/`"),
        (&["G T", "/x"], "expected a method such as GET or POST, found `G T`"),
        (&["/x", "--data", "{a}"], "--data: expected JSON: "),
        (&["/x", "-H", "nothing"], "-H: expected `name: value`, found no colon"),
        (&["/x", "-H", "a b: c"], "-H: expected a header name"),
        (&["/x", "-H", "a: b\r\nc: d"], "-H: expected a value on one line"),
        (&["/x", "-H", "Authorization: x"], "-H: the plugin adds the key itself"),
        (&["GET", "/x", "/y"], "unexpected value '/y'"),
        (&[], "METHOD"),
    ];
    for (line, expected) in table {
        let error = of(line).err().unwrap_or_else(|| panic!("{line:?} was taken"));
        assert!(error.contains(expected), "{line:?}: {error}");
    }
}

#[test]
fn stream_is_added_only_to_a_body_without_it() {
    let of = |body: &str| String::from_utf8(streaming(body.as_bytes().to_vec())).expect("text");
    assert_eq!(of(r#" { "a": 1.00 }"#), r#" {"stream":true, "a": 1.00 }"#);
    assert_eq!(of("{}"), r#"{"stream":true}"#);
    for body in [r#"{"stream":false}"#, r#"{"stream":null}"#, "[1]", "no JSON"] {
        assert_eq!(of(body), body);
    }
}

#[test]
fn a_head_is_a_line_for_the_status_and_one_for_each_header() {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let head = Head { status: 404, headers };
    assert_eq!(head_text(&head), "HTTP 404\ncontent-type: application/json\n\n");
}
