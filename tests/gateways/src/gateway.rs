//! The gateways: how each is configured and started.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hyper::StatusCode;
use serde_json::json;
use tokio::time::sleep;

use crate::client::{Connection, Failure, Target, status_of, text_of};
use crate::load::{ANSWER, ANSWER_TEXT, ECHO, STREAM, request, scripts};
use crate::process::{Process, cpu_time};

/// The key that the sandbox accepts; long enough for gateways that check its length.
const KEY: &str = "sk-or-v1-sandbox-benchmark";
/// The token of those gateways that have one.
const TOKEN: &str = "sk-token-of-the-benchmark";

const START_LIMIT: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(50);

/// How a gateway is run.
pub enum How {
    Direct,
    Ours,
    Portkey,
    Litellm {
        provider: &'static str,
        more: &'static [&'static str],
    },
}

const fn litellm_with(provider: &'static str, more: &'static [&'static str]) -> How {
    How::Litellm { provider, more }
}

/// Every name that `--only` accepts, what it stands for, and how to run it.
pub const GATEWAYS: [(&str, &str, How); 7] = [
    ("direct", "the sandbox itself", How::Direct),
    ("ours", "`agent-host serve` with the plugin", How::Ours),
    (
        "litellm",
        "LiteLLM's proxy with 2 workers, as many as cores",
        litellm_with("openrouter", &["--num_workers", "2"]),
    ),
    ("portkey", "Portkey's gateway", How::Portkey),
    (
        "litellm-1",
        "LiteLLM's proxy with 1 worker, its default",
        litellm_with("openrouter", &[]),
    ),
    (
        "litellm-granian",
        "LiteLLM's proxy with 2 workers on Granian, a server in Rust",
        litellm_with("openrouter", &["--num_workers", "2", "--run_granian"]),
    ),
    (
        "litellm-openai",
        "as litellm, with its provider `openai/` instead of `openrouter/`",
        litellm_with("openai", &["--num_workers", "2"]),
    ),
];
/// Where the programs are.
pub struct Places {
    /// The programs of the workspace.
    pub release: PathBuf,
    /// The third-party gateways.
    pub peers: PathBuf,
    /// The files of this run.
    pub folder: PathBuf,
}

impl Places {
    pub fn new(folder: PathBuf, programs: Option<PathBuf>) -> Self {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
        let target = workspace.expect("this package is two folders below").join("target");
        Self {
            release: programs.unwrap_or_else(|| target.join("release")),
            peers: target.join("gateways"),
            folder,
        }
    }

    /// A command with a home of its own, which inherits nothing of the environment but `PATH`.
    fn command(&self, program: &Path, name: &str) -> Result<Command, Failure> {
        if !program.exists() {
            return Err(format!("`{}` is missing", program.display()).into());
        }
        let home = self.folder.join(name);
        fs::create_dir_all(&home)?;
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &home)
            .current_dir(&home);
        Ok(command)
    }
}

/// A running gateway, or the sandbox itself.
pub struct Gateway {
    pub name: &'static str,
    /// What the name stands for.
    pub is: &'static str,
    pub target: Target,
    /// `None` for the sandbox itself.
    pub process: Option<Process>,
}

impl Gateway {
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }
}

/// The sandbox, which stands for the service.
pub struct Sandbox {
    pub process: Process,
    base_url: String,
}

impl Sandbox {
    pub async fn start(places: &Places, threads: usize) -> Result<Self, Failure> {
        let file = places.folder.join("scripts.json");
        fs::write(&file, scripts().to_string())?;
        let mut command = places.command(&places.release.join("sandbox"), "sandbox")?;
        command
            .args(["--port", "0", "--print-base-url", "--key", KEY])
            .args(["--threads", &threads.to_string(), "--script"])
            .arg(file);
        let mut process = Process::start(&mut command, "sandbox", &places.folder)?;
        let base_url = told(&mut process, "").await?;
        Ok(Self { process, base_url })
    }
}

/// Starts a gateway in front of the sandbox, waits until it is healthy, and tries whole answers and streams.
pub async fn start(
    (name, is, how): &(&'static str, &'static str, How),
    sandbox: &Sandbox,
    places: &Places,
) -> Result<Gateway, Failure> {
    let (target, process) = match how {
        How::Direct => (Target::new(&sandbox.base_url, KEY, &[]), None),
        How::Ours => ours(sandbox, places).await?,
        How::Portkey => portkey(sandbox, places).await?,
        How::Litellm { provider, more } => litellm(name, provider, more, sandbox, places).await?,
    };
    let gateway = Gateway {
        name,
        is,
        target,
        process,
    };
    let mut connection = Connection::new(&gateway.target);
    for (model, is_stream) in [(ANSWER, false), (ANSWER, true), (STREAM, true), (ECHO, true)] {
        connection
            .ask(&request(model, is_stream, 0), Instant::now(), || {})
            .await
            .map_err(|error| format!("{model}, stream {is_stream}: {error}"))?;
        let text = text_of(&connection.body, is_stream)?;
        if text.is_empty() || model == ANSWER && text != ANSWER_TEXT {
            return Err(format!("{model}, stream {is_stream}: unexpected text `{text}`").into());
        }
    }
    Ok(gateway)
}

type Started = (Target, Option<Process>);

async fn ours(sandbox: &Sandbox, places: &Places) -> Result<Started, Failure> {
    let program = places.release.join("agent-host");
    let plugin = places.release.join(format!(
        "{}plugin_openrouter{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    ));
    let installed = places
        .command(&program, "ours")?
        .args(["plugins", "install"])
        .arg(plugin)
        .stdin(Stdio::null())
        .output()?;
    if !installed.status.success() {
        let told = String::from_utf8_lossy(&installed.stderr).replace('\n', " ");
        return Err(format!("cannot install the plugin: {told}").into());
    }
    let mut command = places.command(&program, "ours")?;
    command
        .args(["serve", "--port", "0", "--token", TOKEN])
        .env("OPENROUTER_API_KEY", KEY)
        .env("OPENROUTER_BASE_URL", &sandbox.base_url);
    let mut process = Process::start(&mut command, "ours", &places.folder)?;
    let base_url = told(&mut process, "listening on ").await?;
    let target = Target::new(&base_url, TOKEN, &[]);
    healthy(&mut process, &target.address, "/health").await?;
    Ok((target, Some(process)))
}

async fn litellm(
    name: &str,
    provider: &str,
    more: &[&str],
    sandbox: &Sandbox,
    places: &Places,
) -> Result<Started, Failure> {
    let models = [ANSWER, STREAM, ECHO].map(|model| {
        json!({"model_name": model, "litellm_params": {
            "model": format!("{provider}/{model}"), "api_base": sandbox.base_url, "api_key": KEY,
        }})
    });
    // The settings of LiteLLM's own page on benchmarks. JSON is valid YAML.
    let config = json!({
        "model_list": models,
        "litellm_settings": {"callbacks": [], "num_retries": 0, "request_timeout": 600, "telemetry": false},
        "general_settings": {"master_key": TOKEN},
    });
    let file = places.folder.join(format!("{name}.yaml"));
    fs::write(&file, config.to_string())?;
    let port = free_port()?;
    let mut command = places.command(&places.peers.join("litellm/bin/litellm"), name)?;
    command
        .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--config"])
        .arg(file)
        .args(more)
        .env("LITELLM_MODE", "PRODUCTION")
        .env("LITELLM_LOG", "ERROR")
        .env("LITELLM_TELEMETRY", "False")
        // Otherwise it downloads the prices of models from GitHub at the start.
        .env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    let mut process = Process::start(&mut command, name, &places.folder)?;
    let target = Target::new(&format!("http://127.0.0.1:{port}/v1"), TOKEN, &[]);
    healthy(&mut process, &target.address, "/health/liveliness").await?;
    settled(&mut process).await?;
    Ok((target, Some(process)))
}

async fn portkey(sandbox: &Sandbox, places: &Places) -> Result<Started, Failure> {
    let script = places
        .peers
        .join("portkey/node_modules/@portkey-ai/gateway/build/start-server.js");
    if !script.exists() {
        return Err(format!("`{}` is missing", script.display()).into());
    }
    let port = free_port()?;
    let mut command = places.command(Path::new("/usr/bin/env"), "portkey")?;
    command
        .arg("node")
        .arg(script)
        .args([&format!("--port={port}"), "--headless"])
        .env("NODE_ENV", "production");
    let mut process = Process::start(&mut command, "portkey", &places.folder)?;
    let headers = [
        ("x-portkey-provider", "openai".to_owned()),
        ("x-portkey-custom-host", sandbox.base_url.clone()),
    ];
    let target = Target::new(&format!("http://127.0.0.1:{port}/v1"), KEY, &headers);
    healthy(&mut process, &target.address, "/").await?;
    Ok((target, Some(process)))
}

/// A port that is free at this moment.
fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Waits for a line on stdout that starts with `beginning`; returns the rest of it.
async fn told(process: &mut Process, beginning: &str) -> Result<String, Failure> {
    let deadline = Instant::now() + START_LIMIT;
    loop {
        if let Some(line) = process.line(beginning).filter(|line| !line.is_empty()) {
            return Ok(line);
        }
        wait_for(process, deadline).await?;
    }
}

async fn healthy(process: &mut Process, address: &str, path: &str) -> Result<(), Failure> {
    let deadline = Instant::now() + START_LIMIT;
    while !matches!(status_of(address, path).await, Ok(StatusCode::OK)) {
        wait_for(process, deadline).await?;
    }
    Ok(())
}

/// Waits until every worker is up. One that answers proves nothing about the others, but they use much CPU until then.
async fn settled(process: &mut Process) -> Result<(), Failure> {
    const WINDOW: Duration = Duration::from_millis(500);
    let deadline = Instant::now() + START_LIMIT;
    let mut before = cpu_time(process.id());
    loop {
        sleep(WINDOW).await;
        let now = cpu_time(process.id());
        if now.saturating_sub(before) < WINDOW / 20 {
            return Ok(());
        }
        before = now;
        wait_for(process, deadline).await?;
    }
}

/// Waits for one polling interval.
///
/// - Errors: the deadline has passed, or the process has ended.
async fn wait_for(process: &mut Process, deadline: Instant) -> Result<(), Failure> {
    process.check_alive()?;
    if Instant::now() > deadline {
        return Err(format!("not up in time: {}", process.told()).into());
    }
    sleep(POLL).await;
    Ok(())
}
