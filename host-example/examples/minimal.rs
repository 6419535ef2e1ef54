//! A whole host in one short file, to copy: `minimal FOLDER PROMPT [OPTIONS]`.
//!
//! Prints a verdict on each file of the plugin folder, checks the options (JSON, as in a profile) with the first plugin
//! that works, and streams its answer to stdout. Everything else goes to stderr. A bad file is reported and skipped.

use std::env;
use std::error::Error as StdError;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use plugin_api::loader::{self, Refusal};
use plugin_api::{ChatEvent, ChatRequest, Config, Error, LogOnly, Message, Plugin};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Err(error) = run().await else {
        return ExitCode::SUCCESS;
    };
    report(&*error);
    ExitCode::FAILURE
}

async fn run() -> Result<(), Box<dyn StdError>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, prompt, rest @ ..] = arguments.as_slice() else {
        return Err("expected FOLDER PROMPT [OPTIONS]".into());
    };
    let options: Value = serde_json::from_str(rest.first().map_or("{}", String::as_str))?;
    let mut started = None;
    for file in loader::scan(Path::new(folder))? {
        match start(&file) {
            Ok(works) => {
                eprintln!("plugin `{}` works: {}", works.0.manifest().id, file.display());
                started = started.or(Some(works));
            }
            Err(error) => report(&*error),
        }
    }
    let (plugin, mut config) = started.ok_or_else(|| format!("no plugin in `{folder}` works"))?;
    let problems = plugin.check(&options).await?;
    for problem in &problems {
        eprintln!("at {}: {}", problem.pointer, problem.message);
    }
    if problems.iter().any(|problem| !problem.warning) {
        return Err("the options have problems".into());
    }
    config.options = options;
    plugin.configure(&config).await?;
    let request = ChatRequest::new(&[Message::user(prompt.as_str())])?;
    let mut answer = plugin.stream(&request).await?;
    while let Some(event) = answer.next().await {
        if let ChatEvent::Text(text) = event? {
            io::stdout().write_all(text.as_str().as_bytes())?;
            io::stdout().flush()?;
        }
    }
    println!();
    Ok(())
}

/// Loads a plugin and makes an instance of it. It gets the variables that its manifest asks for, and no others.
fn start(file: &Path) -> Result<(Plugin, Config), Box<dyn StdError>> {
    let module = loader::load(file)?;
    let manifest = module.manifest();
    let variables = manifest.environment.iter().filter_map(|variable| {
        let value = env::var(&variable.name).ok().filter(|value| !value.trim().is_empty())?;
        Some((variable.name.clone(), value))
    });
    let config = Config {
        options: json!({}),
        environment: variables.collect(),
    };
    let plugin = module.create(Arc::new(LogOnly::new(manifest.id.as_str())), &config)?;
    Ok((plugin, config))
}

/// Prints an error, and what to do about it where plugin or loader know.
fn report(error: &(dyn StdError + 'static)) {
    eprintln!("error: {error}");
    let plugins = error.downcast_ref::<Error>().and_then(Error::hint);
    let loaders = error
        .downcast_ref::<Refusal>()
        .and_then(|refusal| refusal.hint.as_deref());
    if let Some(hint) = plugins.or(loaders) {
        eprintln!("hint: {hint}");
    }
}
