//! The text of a new profile file, for people who have none.

use serde_json::Value;

/// A commented profile `name` for `provider`, which is valid as it is.
///
/// - In: `schema_ref`, the path or address of the schema for editors, if there is one.
pub fn starter(name: &str, provider: &str, schema_ref: Option<&str>) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let schema = schema_ref.map_or(String::new(), |schema| format!("  \"$schema\": {},\n", quoted(schema)));
    let (name, provider) = (quoted(name), quoted(provider));
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

        // All other keys are options of the plugin, such as a model:
        // "model": "AUTHOR/MODEL",
      }},
    }},
  }},
}}
"#
    )
}
