//! Runs the sandbox until it is interrupted.
//!
//! stdout gets one line that says where it listens; stderr gets hints for people and one line for each request.

use std::{
    collections::BTreeMap,
    error::Error,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    iter,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use sandbox::{DEFAULT_KEY, Outcome, Recorded, Sandbox, Script, built_in_models};

/// A local sandbox in place of the OpenRouter service. It listens on 127.0.0.1 only, and every reply says what it is.
#[derive(Parser)]
#[command(name = "sandbox", version)]
struct Arguments {
    /// Port of 127.0.0.1; 0 takes any free one.
    #[arg(long, default_value_t = 4010)]
    port: u16,
    /// A JSON file with an object that maps model ids to scripts.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// A key to accept; repeat it for several keys.
    #[arg(long, value_name = "KEY", default_value = DEFAULT_KEY, hide_default_value = true)]
    key: Vec<String>,
    /// Makes the keys management keys, which read the credits and cannot chat; with KEY, accepts that one beside them.
    #[arg(long, value_name = "KEY", num_args = 0..=1)]
    management_key: Option<Option<String>>,
    /// Appends a JSON line for each request, with everything received and sent.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Number of threads that serve.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Prints only the base URL.
    #[arg(long)]
    print_base_url: bool,
    /// Lists the built-in models and exits.
    #[arg(long)]
    list_models: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let chain = iter::successors(Some(&*error), |error| (*error).source());
            let chain: Vec<String> = chain.map(ToString::to_string).collect();
            eprintln!("error: {}", chain.join(": "));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    if arguments.list_models {
        for (id, does) in built_in_models() {
            // A reader such as `head` may have seen enough.
            if writeln!(io::stdout(), "{id:<36} {does}").is_err() {
                break;
            }
        }
        return Ok(());
    }
    let mut builder = Sandbox::builder()
        .port(arguments.port)
        .threads(arguments.threads)
        .forgetful();
    if arguments.record.is_none() {
        builder = builder.without_replies();
    }
    for key in &arguments.key {
        builder = builder.key(key);
    }
    match &arguments.management_key {
        Some(Some(key)) => builder = builder.also_management_key(key),
        Some(None) => builder = builder.management_key(),
        None => {}
    }
    if let Some(path) = &arguments.script {
        for (id, script) in scripts_from(path)? {
            builder = builder.script(id, script);
        }
    }
    let record = arguments.record.as_deref().map(opened).transpose()?;
    let quiet = arguments.print_base_url;
    let sandbox = builder.on_finished(move |recorded| {
        if !quiet {
            eprintln!("{}", line_from(recorded));
        }
        if let Some(Err(error)) = record.as_ref().map(|file| append(file, recorded)) {
            eprintln!("warning: cannot write the record: {error}");
        }
    });
    let sandbox = sandbox.start()?;

    let (base_url, key) = (sandbox.base_url(), sandbox.key());
    if arguments.print_base_url {
        println!("{base_url}");
    } else {
        println!("OPENROUTER_BASE_URL={base_url} OPENROUTER_API_KEY={key}");
        eprintln!(
            "This is a local sandbox, not openrouter.ai. Prefix a command with the line above, or `export` both variables."
        );
        eprintln!("It serves some real model ids, and ids that fail on purpose: --list-models. Press Ctrl-C to stop.");
    }
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(tokio::signal::ctrl_c())?;
    Ok(())
}

fn scripts_from(path: &Path) -> Result<BTreeMap<String, Script>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("scripts `{}`: {error}", path.display()))
}

fn opened(path: &Path) -> Result<File, String> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}

fn append(mut file: &File, recorded: &Recorded) -> io::Result<()> {
    let mut line = serde_json::to_vec(recorded)?;
    line.push(b'\n');
    file.write_all(&line)
}

/// One line for a request, never with its body.
fn line_from(recorded: &Recorded) -> String {
    let Recorded {
        number,
        status,
        method,
        path,
        ..
    } = recorded;
    let model = recorded.body["model"].as_str().unwrap_or("-");
    let outcome = match recorded.outcome {
        Outcome::InFlight => "in flight".to_owned(),
        Outcome::Completed => "completed".to_owned(),
        Outcome::ClientLeft { after_chunks } => format!("the client left after {after_chunks} chunks"),
    };
    format!("{number:>5} {status} {method} {path} {model} {outcome}")
}
