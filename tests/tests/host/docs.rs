//! Holds `README.md` and `docs/` against the program: examples, commands, options, exit codes, links.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use tests::{Home, agent_host, workspace};

use crate::Bench;

/// The README, the changelog and the pages of the book, by their paths.
fn pages() -> BTreeMap<String, String> {
    let book = fs::read_dir(workspace().join("docs")).expect("the folder is there");
    let names = book.map(|entry| format!("docs/{}", entry.expect("readable").file_name().display()));
    let names = names.filter(|name| name.ends_with(".md"));
    let names = ["README.md", "CHANGELOG.md"]
        .map(str::to_owned)
        .into_iter()
        .chain(names);
    names.map(|name| (name.clone(), read(&name))).collect()
}

fn read(name: &str) -> String {
    fs::read_to_string(workspace().join(name)).unwrap_or_else(|cause| panic!("{name}: {cause}"))
}

/// The code blocks of this language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let starts = page.split(fence.as_str()).skip(1);
    starts.filter_map(|rest| rest.split("```").next()).collect()
}

/// Each heading, and the text below it up to the next one.
fn sections(page: &str) -> impl Iterator<Item = (&str, &str)> {
    // A line of code that begins with `#` would make a section too; that makes a check stricter, never laxer.
    let parts = page.split("\n#").filter_map(|part| part.split_once('\n'));
    parts.map(|(heading, text)| (heading.trim_start_matches('#').trim(), text))
}

fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let found = sections(page).find(|section| section.0 == heading);
    found.unwrap_or_else(|| panic!("no section `{heading}`")).1
}

/// The sections whose headings are code, such as the name of an option, by that code.
fn reference(page: &str) -> BTreeMap<&str, &str> {
    let named = |(heading, text)| Some((str::strip_suffix(str::strip_prefix(heading, '`')?, '`')?, text));
    sections(page).filter_map(named).collect()
}

#[test]
fn the_first_block_of_the_readme_is_the_demo_and_the_tests() {
    let readme = read("README.md");
    let commands = blocks(&readme, "sh")[0].lines();
    let commands: Vec<_> = commands
        .filter_map(|line| Some(line.split('#').next()?.trim()))
        .collect();
    assert_eq!(commands, ["cargo demo", "cargo test --workspace"]);
}

#[test]
fn every_profile_in_the_docs_is_valid() {
    let bench = Bench::new();
    for page in pages().values() {
        for example in blocks(page, "json").into_iter().chain(blocks(page, "jsonc")) {
            assert_valid(&bench, example);
        }
    }
}

#[test]
fn every_option_has_a_valid_example() {
    let page = read("docs/configuration.md");
    // One profile for each option, named after it, so that one run checks them all.
    let profiles = reference(&page).into_iter().map(|(option, text)| {
        let example = text
            .lines()
            .find_map(|line| line.strip_prefix("Example: `")?.strip_suffix('`'));
        let mut members = example
            .unwrap_or_else(|| panic!("`{option}` lacks an example"))
            .to_owned();
        for parent in option.split('.').rev().skip(1) {
            let parent = if parent == "*" { "TEXT_SMALL" } else { parent };
            members = format!("\"{parent}\": {{{members}}}");
        }
        let provider = if option == "provider" {
            ""
        } else {
            "\"provider\": \"openrouter\", "
        };
        format!("\"{option}\": {{{provider}{members}}}")
    });
    let profiles: Vec<String> = profiles.collect();
    assert_valid(
        &Bench::new(),
        &format!("{{\"auth\": {{\"profiles\": {{\n{}\n}}}}}}", profiles.join(",\n")),
    );
}

/// Warnings are as unwelcome as errors: nobody would know that an example is not meant that way.
fn assert_valid(bench: &Bench, profiles: &str) {
    bench.home.write_profile(profiles);
    let ran = bench.host(&["profile", "check", "--json"]).run();
    let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!((ran.code, &report["problems"]), (Some(0), &json!([])), "{profiles}");
}

#[test]
fn every_option_is_documented_with_its_range_and_default() {
    let schema: Value = serde_json::from_str(&read("schemas/profile.schema.json")).expect("JSON");
    let page = read("docs/configuration.md");
    let documented = reference(&page);
    let options = options_of(&schema["definitions"], "provider.openrouter");
    let names: BTreeSet<&str> = options.keys().map(String::as_str).collect();
    assert_eq!(names, documented.keys().copied().collect());
    for (option, facts) in &options {
        for fact in facts {
            assert!(
                documented[&**option].contains(fact.as_str()),
                "`{option}` lacks `{fact}`"
            );
        }
    }
}

/// Every option below this definition, with the figures and words that the schema has for it. What occurs in several places counts
/// where it is nearest to the root.
fn options_of(definitions: &Value, root: &str) -> BTreeMap<String, Vec<String>> {
    let mut options: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut met = BTreeSet::new();
    let mut left = VecDeque::from([(String::new(), &definitions[root])]);
    while let Some((path, schema)) = left.pop_front() {
        let facts = options.entry(path.clone()).or_default();
        for name in ["minimum", "maximum", "maxItems", "maxLength", "const", "default"] {
            match &schema[name] {
                Value::String(text) => facts.push(text.clone()),
                Value::Number(number) => facts.push(number.to_string().trim_end_matches(".0").to_owned()),
                Value::Bool(value) => facts.push(value.to_string()),
                _ => {}
            }
        }
        let definition = schema["$ref"]
            .as_str()
            .and_then(|name| name.strip_prefix("#/definitions/"));
        if let Some(name) = definition.filter(|name| met.insert(*name)) {
            left.push_back((path.clone(), &definitions[name]));
        }
        let alternatives = ["allOf", "anyOf", "oneOf"]
            .into_iter()
            .filter_map(|name| schema[name].as_array());
        left.extend(alternatives.flatten().map(|schema| (path.clone(), schema)));
        if schema["additionalProperties"].is_object() {
            left.push_back((format!("{path}.*"), &schema["additionalProperties"]));
        }
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            left.push_back((format!("{path}.{name}").trim_start_matches('.').to_owned(), schema));
        }
    }
    options.retain(|path, _| !path.is_empty() && !path.ends_with('*'));
    options
}

#[test]
fn every_command_line_in_the_docs_is_understood() {
    let home = Home::new();
    let pages = pages();
    let lines = pages.values().flat_map(|page| blocks(page, "sh")).flat_map(str::lines);
    let commands = lines.flat_map(|line| line.split(" #").next().unwrap_or_default().split('|'));
    let commands: BTreeSet<&str> = commands
        .filter_map(|command| command.trim().strip_prefix("agent-host "))
        .collect();
    assert!(commands.len() > 30, "were the others found? {commands:?}");
    for command in commands {
        // With `--help` behind it, a line is parsed and not obeyed.
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("exec \"$0\" {command} --help")])
            .arg(agent_host())
            .current_dir(home.path());
        let ran = tests::run(shell, None, tests::LIMIT);
        assert_eq!(ran.code, Some(0), "{command}: {}", ran.stderr);
    }
}

#[test]
fn every_command_is_documented_with_its_options() {
    let page = read("docs/commands.md");
    let documented: BTreeMap<_, _> = reference(&page)
        .into_iter()
        .map(|(name, text)| (name.to_owned(), long_options(text)))
        .collect();
    let (_, every) = help(&[]);
    let every = long_options(&every);
    let mut commands = BTreeMap::new();
    let mut left = vec![Vec::new()];
    while let Some(command) = left.pop() {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let (subcommands, options) = help(&words);
        let own: BTreeSet<_> = long_options(&options).difference(&every).cloned().collect();
        if subcommands.is_empty() || !own.is_empty() {
            commands.insert(command.join(" "), own);
        }
        left.extend(
            subcommands
                .into_iter()
                .map(|name| [command.clone(), vec![name]].concat()),
        );
    }
    assert_eq!(documented, commands);
    assert_eq!(long_options(section(&page, "Options of every command")), every);
}

/// The subcommands of a command, and the lines of its help that name options.
fn help(command: &[&str]) -> (Vec<String>, String) {
    let arguments = [command, &["--help"]].concat();
    let help = Home::new().host(&arguments).run().expect_success().stdout;
    let list = help.split("Commands:\n").nth(1).unwrap_or_default();
    let rows = list.lines().take_while(|line| !line.is_empty());
    // What a command does may need a second line, which stands further in.
    let rows = rows.filter_map(|row| row.strip_prefix("  ")?.split_once(' '));
    let names = rows.map(|(name, _)| name).filter(|name| !["", "help"].contains(name));
    let options = help.lines().map(str::trim);
    let options = options.filter(|line| line.starts_with('-') || line.starts_with("[alias"));
    let options = options.filter(|line| !line.ends_with("--help") && !line.ends_with("--version"));
    (
        names.map(str::to_owned).collect(),
        options.collect::<Vec<_>>().join("\n"),
    )
}

/// Every `--option` of a text.
fn long_options(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_lowercase() && letter != '-');
    let options = words.filter(|word| {
        word.strip_prefix("--")
            .is_some_and(|name| name.starts_with(char::is_alphabetic))
    });
    options.map(str::to_owned).collect()
}

#[test]
fn the_exit_codes_are_those_of_the_help() {
    let page = read("docs/commands.md");
    let rows = section(&page, "Exit codes")
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    let help = Home::new().host(&["--help"]).run().expect_success().stdout;
    let codes = help.split("Exit codes:\n").nth(1).expect("a table").lines();
    let codes = codes.filter_map(|line| line.trim().split_once("  "));
    assert_eq!(rows.skip(1).collect::<Vec<_>>(), codes.collect::<Vec<_>>());
}

#[test]
fn every_link_in_the_docs_leads_somewhere() {
    for (name, page) in pages() {
        let folder = workspace()
            .join(&name)
            .parent()
            .expect("a page is in a folder")
            .to_owned();
        let targets = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let text = if path.is_empty() {
                page.clone()
            } else {
                assert!(folder.join(path).exists(), "{name}: `{path}` is not there");
                fs::read_to_string(folder.join(path)).unwrap_or_default()
            };
            assert!(
                anchor.is_empty() || anchors(&text).contains(anchor),
                "{name}: no heading for `{target}`"
            );
        }
    }
}

/// The anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for (heading, _) in sections(page) {
        let letters = heading
            .chars()
            .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        let anchor = letters.collect::<String>().to_lowercase().replace(' ', "-");
        let numbered = (1..).map(|number| format!("{anchor}-{number}"));
        let free = [anchor.clone()]
            .into_iter()
            .chain(numbered)
            .find(|anchor| !anchors.contains(anchor));
        anchors.extend(free);
    }
    anchors
}

#[test]
fn every_page_of_the_book_is_in_its_summary() {
    let summary = read("docs/SUMMARY.md");
    for name in pages().keys().filter_map(|name| name.strip_prefix("docs/")) {
        assert!(
            name == "SUMMARY.md" || summary.contains(&format!("]({name})")),
            "{name}"
        );
    }
}
