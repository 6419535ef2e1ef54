//! The text of a new profile file, for people who have none.

use serde_json::Value;

/// A commented profile `name` for `provider`, which is valid as it is.
///
/// - In: `schema_ref`, the path or address of the schema for editors, if there is one; `options`, the schema of the
///   provider's options, whose examples become comments.
pub fn starter(name: &str, provider: &str, schema_ref: Option<&str>, options: &Value) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let schema = schema_ref.map_or(String::new(), |schema| format!("  \"$schema\": {},\n", quoted(schema)));
    let (name, provider) = (quoted(name), quoted(provider));
    let examples = examples(options);
    format!(
        r#"// Profiles of agent-host. Comments and trailing commas are allowed.
{{
{schema}  "auth": {{
    "profiles": {{
      // `default` is used unless another profile is selected.
      {name}: {{
        // The plugin that provides the models.
        "provider": {provider},

        // Where the key comes from, never the key itself. By default: the environment
        // variable that the plugin names.
        // "apiKey": {{ "env": "VARIABLE" }},
        // "apiKey": {{ "file": "~/.config/agent-host/key" }},
        // "apiKey": {{ "command": ["PROGRAM", "ARGUMENT"] }},

        // All other keys are options of the plugin, such as these:
{examples}      }},
    }},
  }},
}}
"#
    )
}

/// Each option that has an example, with what it means, as comments.
fn examples(options: &Value) -> String {
    let mut lines = Vec::new();
    for (name, option) in options["properties"].as_object().into_iter().flatten() {
        let Some(example) = option["examples"].get(0) else {
            continue;
        };
        let meaning = option["description"].as_str().unwrap_or_default().replace('\n', " ");
        let meaning = meaning.split_inclusive(". ").next().unwrap_or_default();
        lines.extend([String::new(), meaning.trim().to_owned()]);
        lines.extend(
            format!("{}: {example:#},", Value::from(name.as_str()))
                .lines()
                .map(str::to_owned),
        );
    }
    if lines.is_empty() {
        lines.push("\"model\": \"AUTHOR/MODEL\",".to_owned());
    }
    let commented = lines.iter().map(|line| match line.as_str() {
        "" => "\n".to_owned(),
        line => format!("        // {line}\n"),
    });
    commented.collect()
}
