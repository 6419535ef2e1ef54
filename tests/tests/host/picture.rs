//! The picture in the README, drawn from what the demo prints.
//!
//! What differs from run to run (times, speeds, temporary folders) is replaced by what one run showed, so that the same
//! output gives the same file.

use std::env;
use std::fs;
use std::process::Command;

/// The steps of the demo that the picture shows.
const STEPS: [&str; 2] = [
    "── With a key it switches itself on",
    "── Swap a tier while a conversation runs",
];
/// The width of the terminal, in characters.
const COLUMNS: usize = 100;
const LINE_HEIGHT: usize = 20;

#[test]
fn the_picture_shows_what_the_demo_prints() {
    // Built before the demo starts, so that the limit is for what it shows.
    tests::openrouter_plugin();
    tests::agent_host();
    let mut demo = Command::new("sh");
    // Both streams in the order in which a terminal would show them.
    demo.args(["-c", "exec \"$0\" 2>&1", env!("CARGO_BIN_EXE_demo")]);
    let printed = tests::run(demo, None, tests::LIMIT).expect_success().stdout;
    let shown = STEPS.map(|title| {
        let (_, rest) = printed
            .split_once(title)
            .unwrap_or_else(|| panic!("the demo lacks `{title}`:\n{printed}"));
        let step = rest.split("\n── ").next().unwrap_or(rest);
        format!("{title}\n{}\n", step.trim())
    });
    let picture = picture_of(&shown.join("\n"));
    let file = tests::workspace().join("docs/demo.svg");
    if env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&file, &picture).expect("the picture is writable");
    }
    assert_eq!(
        fs::read_to_string(&file).unwrap_or_default(),
        picture,
        "to draw it again: UPDATE_EXPECTED=1 cargo test -p tests --test host picture"
    );
    assert!(picture.len() < 30_000, "the picture has {} bytes", picture.len());
}

fn picture_of(shown: &str) -> String {
    let mut text = String::new();
    let mut n_lines = 0;
    for line in shown.lines().map(masked) {
        let class = class_of(&line);
        for row in wrapped(&line) {
            n_lines += 1;
            let y = 50 + n_lines * LINE_HEIGHT;
            let row = row.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            text.push_str(&format!("<text x=\"20\" y=\"{y}\"{class}>{row}</text>\n"));
        }
    }
    let height = 80 + n_lines * LINE_HEIGHT;
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 880 {height}" width="880" height="{height}" role="img">
<title>cargo demo: the plugin switches itself on, and a tier is swapped while a conversation runs</title>
<style>
text {{ font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d0d7de; white-space: pre }}
.step {{ fill: #79c0ff; font-weight: bold }} .typed {{ fill: #7ee787 }} .faint {{ fill: #8b949e }} .swap {{ fill: #f2cc60 }}
</style>
<rect width="880" height="{height}" rx="10" fill="#0d1117"/>
<circle cx="26" cy="24" r="6" fill="#ff5f57"/><circle cx="46" cy="24" r="6" fill="#febc2e"/><circle cx="66" cy="24" r="6" fill="#28c840"/>
<text x="440" y="29" class="faint" text-anchor="middle">cargo demo</text>
{text}</svg>
"##
    )
}

/// The line in rows that fit, broken at blanks.
fn wrapped(line: &str) -> Vec<&str> {
    let mut rows = Vec::new();
    let mut rest = line;
    while let Some((end, _)) = rest.char_indices().nth(COLUMNS) {
        let (row, next) = rest[..end]
            .rsplit_once(' ')
            .map_or(rest.split_at(end), |(row, _)| (row, &rest[row.len() + 1..]));
        rows.push(row);
        rest = next;
    }
    rows.push(rest);
    rows
}

/// The colour of a line. The demo prints none, because its output is not a terminal here.
fn class_of(line: &str) -> &'static str {
    let is_swap = line.starts_with('↻') || line.trim_start().starts_with('[');
    match () {
        () if line.starts_with("── ") => " class=\"step\"",
        () if line.starts_with("$ ") || line.starts_with("TEXT_SMALL> ") => " class=\"typed\"",
        () if is_swap => " class=\"swap\"",
        () if line.contains(" · ") || line.starts_with("prompts go to ") => " class=\"faint\"",
        () => "",
    }
}

/// The line with the figures and the folder of one run.
fn masked(line: &str) -> String {
    // On a slow machine, a notice that somebody waits stood before the answer and was taken back.
    let answer = line.find("This is the sandbox").filter(|_| line.starts_with("… "));
    let line = &line[answer.unwrap_or(0)..];
    if let Some((_, source)) = line.split_once(" (").filter(|_| line.starts_with("prompts go to ")) {
        return format!("prompts go to http://127.0.0.1:8080 ({source}");
    }
    let parts = line.split(" · ").map(|part| match part {
        part if part.starts_with("first token ") => "first token 3 ms".to_owned(),
        part if part.ends_with(" tok/s") => "100 tok/s".to_owned(),
        part if part.starts_with("profile /") => "profile ~/profile.json".to_owned(),
        part => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join(" · ")
}
