//! A whole host in one short file, to copy: `minimal FOLDER PROMPT [OPTIONS]`.
//!
//! Prints a verdict on each file of the plugin folder, then streams an answer from the first plugin that works.
//! OPTIONS is JSON, as in a profile. The answer goes to stdout, everything else to stderr.

use std::io::{self, Write};
use std::{env, error::Error, path::Path, process::ExitCode, sync::Arc};

use plugin_api::{ChatEvent, ChatRequest, Config, LogOnly, Message, Plugin, loader};

type Fallible<T> = Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    if let Err(error) = run().await {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn run() -> Fallible<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, prompt, rest @ ..] = arguments.as_slice() else {
        return Err("expected FOLDER PROMPT [OPTIONS]".into());
    };
    let options = serde_json::from_str(rest.first().map_or("{}", String::as_str))?;
    let mut working = None;
    for file in loader::scan(Path::new(folder))? {
        match start(&file) {
            Ok((plugin, config)) => {
                eprintln!("plugin `{}` works: {}", plugin.manifest().id, file.display());
                working.get_or_insert((plugin, config));
            }
            Err(error) => eprintln!("error: {error}"),
        }
    }
    let (plugin, config) = working.ok_or_else(|| format!("no plugin in `{folder}` works"))?;
    let problems = plugin.check(&options).await?;
    for problem in &problems {
        eprintln!("at {}: {}", problem.pointer, problem.message);
    }
    if !problems.iter().all(|problem| problem.warning) {
        return Err("the options cannot be used".into());
    }
    plugin.configure(&Config { options, ..config }).await?;
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

/// Loads a plugin and makes an instance of it, which sees only the variables that its manifest asks for.
fn start(file: &Path) -> Fallible<(Plugin, Config)> {
    let module = loader::load(file)?;
    let manifest = module.manifest();
    let config = manifest.config_from_environment()?;
    let plugin = module.create(Arc::new(LogOnly::new(manifest.id.as_str())), &config)?;
    Ok((plugin, config))
}
