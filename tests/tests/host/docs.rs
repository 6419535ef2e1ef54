//! Holds `README.md` and `docs/` against the program: examples, commands, options, exit codes, links.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use tests::{Home, agent_host, workspace};

use crate::{Bench, assert_has};

/// The README, the changelog and the pages of the book, by their paths.
fn pages() -> BTreeMap<String, String> {
    let book = fs::read_dir(workspace().join("docs")).expect("the folder is there");
    let book = book.map(|entry| format!("docs/{}", entry.expect("readable").file_name().display()));
    let names = book.filter(|name| name.ends_with(".md"));
    let names = names.chain(["README.md".to_owned(), "CHANGELOG.md".to_owned()]);
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
fn every_profile_and_every_agent_in_the_docs_is_valid() {
    let bench = Bench::new();
    fs::create_dir(bench.home.path().join("notes")).expect("the home is writable");
    for page in pages().values() {
        for example in blocks(page, "json").into_iter().chain(blocks(page, "jsonc")) {
            match example.contains("\"tools\"") || example.contains("\"mcpServers\"") {
                true => assert_valid_agent(&bench, example),
                false => assert_valid(&bench, example),
            }
        }
    }
}

/// A file of MCP servers is an agent without tools.
fn assert_valid_agent(bench: &Bench, agent: &str) {
    let file = bench.home.path().join("work/example.json");
    fs::write(file, agent).expect("the home is writable");
    bench.ok(&["agent", "check", "./example.json"]);
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

/// Every option below this definition, with the figures and words that the schema has for it. What occurs in several
/// places counts where it is nearest to the root.
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
    let global = long_options(section(&page, "Options of every command"));
    let of_the_program = global.iter().chain(["--help", "--version"].iter()).copied();
    assert_eq!(options_in(&help("")), of_the_program.map(str::to_owned).collect());
    let mut commands = BTreeMap::new();
    let mut left = vec![String::new()];
    while let Some(command) = left.pop() {
        let help = help(&command);
        let mut options = options_in(&help);
        options.retain(|option| option != "--help" && !global.contains(option.as_str()));
        let list = help.split("Commands:\n").nth(1).unwrap_or_default();
        let rows = list.lines().take_while(|line| !line.is_empty());
        // What a command does may need a second line, which stands further in.
        let names = rows.filter_map(|row| Some(row.strip_prefix("  ")?.split_once(' ')?.0));
        let names: Vec<&str> = names.filter(|name| !["", "help"].contains(name)).collect();
        left.extend(names.iter().map(|name| format!("{command} {name}").trim().to_owned()));
        if !command.is_empty() && (names.is_empty() || !options.is_empty()) {
            commands.insert(command, options);
        }
    }
    let documented = reference(&page).into_iter();
    let documented = documented.map(|(name, text)| {
        (
            name.to_owned(),
            long_options(text).into_iter().map(str::to_owned).collect(),
        )
    });
    assert_eq!(documented.collect::<BTreeMap<String, BTreeSet<String>>>(), commands);
}

#[test]
fn the_commands_of_a_conversation_are_those_of_its_help() {
    let bench = Bench::new();
    let mut typist = bench.conversation();
    typist.types("/help");
    let help = typist.sees("Tab completes");
    let rows = help.lines().filter(|line| line.starts_with('/') && line.contains("  "));
    let rows = rows.filter_map(|row| row.split_once("  ")).map(|(usage, about)| {
        let about = about.trim();
        let (first, rest) = about.split_at(1);
        format!("| `{}` | {}{rest} |\n", usage.replace('|', "\\|"), first.to_uppercase())
    });
    let table = rows.collect::<String>();
    assert!(table.lines().count() > 10, "{help}");
    assert_has(&read("docs/commands.md"), &format!("|---|---|\n{table}\n"));
}

fn help(command: &str) -> String {
    let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
    Home::new().host(&arguments).run().expect_success().stdout
}

/// The options that a help lists, and their other names.
fn options_in(help: &str) -> BTreeSet<String> {
    let lines = help.lines().map(str::trim);
    let lines = lines.filter(|line| line.starts_with('-') || line.starts_with("[alias"));
    lines.flat_map(long_options).map(str::to_owned).collect()
}

/// Every `--option` of a text.
fn long_options(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_lowercase() && letter != '-');
    words
        .filter(|word| word.len() > 2 && word.starts_with("--") && !word.starts_with("---"))
        .collect()
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
    let pages = pages();
    for (name, page) in &pages {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        for target in links(page) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = workspace().join(folder).join(path);
            assert!(path.exists(), "{name}: there is no `{target}`");
            let other = fs::read_to_string(&path).unwrap_or_default();
            let text = if target.starts_with('#') { page } else { &other };
            let is_there = anchor.is_empty() || sections(text).any(|(heading, _)| anchor_of(heading) == anchor);
            assert!(is_there, "{name}: no heading for `{target}`");
        }
    }
    let summary: BTreeSet<&str> = links(&pages["docs/SUMMARY.md"]).collect();
    let book = pages.keys().filter_map(|name| name.strip_prefix("docs/"));
    assert_eq!(summary, book.filter(|name| *name != "SUMMARY.md").collect());
}

/// Where a page's links lead within this workspace.
fn links(page: &str) -> impl Iterator<Item = &str> {
    let targets = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://"))
}

/// The anchor of a heading, as GitHub and mdBook make it.
fn anchor_of(heading: &str) -> String {
    let letters = heading
        .chars()
        .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    letters.collect::<String>().to_lowercase().replace(' ', "-")
}
