//! `agent-host api`: any request to the service, and its answer byte for byte.
//!
//! The plugin adds address, key and retries. The bytes change only on a terminal: control sequences
//! are removed there.

use std::fs;
use std::io::{self, Read};

use plugin_api::{ChatEvent, Done, Error, Head, HttpRequest, Notice};

use crate::history::{self, Asker, Open};
use crate::setup::{Active, Global, Setup};
use crate::terminal::{self, Cleaner, Exit, FAINT, Failure, Interrupts, progress, stopped};

/// Send any request to the service and print the response unchanged
#[derive(clap::Args)]
#[command(long_about = ABOUT, override_usage = "agent-host api [OPTIONS] [METHOD] <PATH>")]
pub struct Args {
    /// An optional method and a path under the service's base URL, such as /models;
    /// the default method is GET, or POST with --data
    #[arg(value_name = "METHOD PATH", num_args = 1..=2, required = true)]
    pub target: Vec<String>,
    /// The body: JSON, or @FILE, or - for standard input
    #[arg(short, long, value_name = "JSON|@FILE|-")]
    pub data: Option<String>,
    /// A header; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// Stream the answer; adds `"stream": true` to JSON that has no `stream`
    #[arg(long)]
    pub stream: bool,
    /// Print the status and the headers first
    #[arg(short, long)]
    pub include: bool,
}

const ABOUT: &str = "\
Send any request to the service and print the response unchanged

The plugin adds the key. The response body goes to standard output byte for byte, even if it is an error; the exit code \
says which kind.

  agent-host api /models/count
  agent-host api POST /chat/completions --data @request.json --stream";

/// The largest body of a request, in bytes.
const MAX_DATA_BYTES: u64 = 64 << 20;

pub async fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let request = request(args, read)?;
    let mut interrupts = Interrupts::listen()?;
    let active = Setup::read(global)?.activate(true).await?;
    active.say_address();
    let outcome = interrupts.or(answer(&active, request, args)).await;
    active.shut_down().await;
    outcome.unwrap_or_else(|| Err(stopped()))
}

/// The request that the command line describes.
///
/// - In: `read`, which returns the bytes of `@FILE` or `-`.
/// - Errors: no method, no path, no JSON, no header.
fn request(args: &Args, read: impl Fn(&str) -> Result<Vec<u8>, Failure>) -> Result<HttpRequest, Failure> {
    let (method, path) = match args.target.as_slice() {
        [path] if args.data.is_none() => ("GET", path),
        [path] => ("POST", path),
        [method, path] => (method.as_str(), path),
        _ => return Err(Failure::usage("expected METHOD PATH or PATH")),
    };
    if method.is_empty() || !method.bytes().all(|letter| letter.is_ascii_alphabetic()) {
        return Err(Failure::usage(format!(
            "expected a method such as GET or POST, found `{method}`"
        )));
    }
    let is_path = path.starts_with('/') && !path.starts_with("//");
    if !is_path || path.contains(|letter: char| letter.is_control() || letter == ' ') {
        return Err(
            Failure::usage(format!("expected a path that begins with `/`, found `{path}`"))
                .with_hint("give a path under the service's base URL: agent-host api /models"),
        );
    }
    let mut request = HttpRequest::new(&method.to_ascii_uppercase(), path.as_str());
    for header in &args.headers {
        request.headers.push(header_of(header)?);
    }
    if let Some(data) = &args.data {
        let mut body = match data.strip_prefix('@') {
            Some(file) => read(file)?,
            None if data == "-" => read("-")?,
            None => {
                serde_json::from_str::<serde::de::IgnoredAny>(data).map_err(|cause| {
                    Failure::usage(format!("--data: expected JSON: {cause}")).with_hint("to send a file, write @FILE")
                })?;
                data.clone().into_bytes()
            }
        };
        if args.stream {
            body = streaming(body);
        }
        request.body = Some(body.into());
        if request.header("content-type").is_none() {
            let json = ("content-type".to_owned(), "application/json".to_owned());
            request.headers.push(json);
        }
    }
    Ok(request)
}

fn header_of(text: &str) -> Result<(String, String), Failure> {
    let wrong = |message: &str| Failure::usage(format!("-H: {message}"));
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| wrong("expected `name: value`, found no colon"))?;
    let is_token = |letter: char| letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter);
    if name.is_empty() || !name.chars().all(is_token) {
        return Err(wrong("expected a header name before the colon"));
    }
    if name.eq_ignore_ascii_case("authorization") {
        return Err(wrong("the plugin adds the key itself"));
    }
    let value = value.trim();
    if value.contains(|letter: char| letter.is_control() && letter != '\t') {
        return Err(wrong("expected a value on one line"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// Adds `"stream": true` to a JSON object that has no `stream`. Everything else stays as it was written.
fn streaming(body: Vec<u8>) -> Vec<u8> {
    let members = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&body);
    let (Ok(members), Some(brace)) = (members, body.iter().position(|byte| *byte == b'{')) else {
        return body;
    };
    if members.contains_key("stream") {
        return body;
    }
    let comma: &[u8] = if members.is_empty() { b"" } else { b"," };
    [&body[..=brace], b"\"stream\":true", comma, &body[brace + 1..]].concat()
}

/// Whether the body itself asks for a stream.
fn says_stream(request: &HttpRequest) -> bool {
    #[derive(serde::Deserialize)]
    struct Said {
        stream: Option<bool>,
    }
    let body = request.body.as_deref().unwrap_or_default();
    serde_json::from_slice::<Said>(body).is_ok_and(|said| said.stream == Some(true))
}

fn read(name: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let done = match name {
        "-" => io::stdin().lock().take(MAX_DATA_BYTES + 1).read_to_end(&mut bytes),
        file => fs::File::open(file).and_then(|file| file.take(MAX_DATA_BYTES + 1).read_to_end(&mut bytes)),
    };
    let what = if name == "-" {
        "standard input".to_owned()
    } else {
        format!("`{name}`")
    };
    done.map_err(|cause| Failure::usage(format!("cannot read {what}: {cause}")))?;
    if bytes.len() as u64 > MAX_DATA_BYTES {
        let limit = MAX_DATA_BYTES >> 20;
        return Err(Failure::usage(format!(
            "{what}: expected at most {limit} MiB, found more"
        )));
    }
    Ok(bytes)
}

async fn answer(active: &Active, request: HttpRequest, args: &Args) -> Result<Exit, Failure> {
    let mut output = Output {
        has_head: args.include,
        cleaner: terminal::stdout_is_terminal().then(Cleaner::default),
        ..Output::default()
    };
    let outcome = match args.stream || says_stream(&request) {
        true => streamed(active, request, &mut output).await,
        false => whole(active, request, &mut output).await,
    };
    if let Err(error) = outcome {
        if let Some(answer) = error.details.answer.as_deref().filter(|_| !error.details.is_told) {
            output.head(&Head {
                status: answer.status,
                headers: answer.headers.clone(),
            });
            output.body(answer.body.as_bytes());
        }
        output.end()?;
        return Err(active.failure(error, "send custom requests"));
    }
    output.end()?;
    Ok(Exit::Ok)
}

async fn whole(active: &Active, request: HttpRequest, output: &mut Output) -> Result<(), Error> {
    let mut row = row_of(active, &request);
    let answer = progress::while_waiting("waiting for the service", active.plugin.raw(request)).await;
    record(&mut row, answer.as_ref().ok().map(|answer| &answer.done));
    let answer = answer?;
    answer.notices.iter().for_each(print_notice);
    output.head(&answer.head);
    output.body(&answer.body);
    Ok(())
}

/// The row of a request that may ask a model.
fn row_of(active: &Active, request: &HttpRequest) -> Option<Open> {
    (request.method == "POST").then(|| Asker::of(active).begins(history::client(), None, None))
}

/// Records a request if a model has answered.
fn record(row: &mut Option<Open>, done: Option<&Done>) {
    let Some(row) = row else { return };
    match done.filter(|done| done.usage.is_some()) {
        Some(done) => row.complete(done),
        None => row.forget(),
    }
}

async fn streamed(active: &Active, request: HttpRequest, output: &mut Output) -> Result<(), Error> {
    let mut row = row_of(active, &request);
    let mut events = progress::while_waiting("waiting for the service", active.plugin.raw_stream(request)).await?;
    while let Some(event) = events.next().await {
        // A plugin that is always ready would starve other tasks, such as Ctrl-C, so they get a turn now and then.
        tokio::task::consume_budget().await;
        match event? {
            ChatEvent::Head(head) => output.head(&head),
            ChatEvent::Raw(piece) => output.body(piece.as_bytes()),
            ChatEvent::Notice(notice) => print_notice(&notice),
            ChatEvent::Done(done) => record(&mut row, Some(&done)),
            _ => {}
        }
        if output.trouble.is_some() {
            break;
        }
    }
    Ok(())
}

fn print_notice(notice: &Notice) {
    terminal::say_styled(FAINT, &format!("note: {}", terminal::clean_line(&notice.message)));
}

/// Where the answer goes.
#[derive(Default)]
struct Output {
    has_head: bool,
    /// On a terminal: removes control sequences.
    cleaner: Option<Cleaner>,
    /// The type of the answer's content.
    content_type: String,
    /// The last thing written did not end a line.
    line_open: bool,
    /// Why nothing more can be written.
    trouble: Option<io::Error>,
}

impl Output {
    fn head(&mut self, head: &Head) {
        self.content_type = head.header("content-type").unwrap_or_default().to_owned();
        if self.has_head {
            self.body(head_text(head).as_bytes());
        }
    }

    fn body(&mut self, bytes: &[u8]) {
        let Some(cleaner) = &mut self.cleaner else {
            return self.write(bytes);
        };
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                let clean = cleaner.clean(text);
                self.write(clean.as_bytes());
            }
            Err(_) => {
                let kind = match self.content_type.as_str() {
                    "" => String::new(),
                    content_type => format!(" ({})", terminal::clean_line(content_type)),
                };
                terminal::say(&format!(
                    "{} bytes of binary data{kind} are not printed on a terminal; redirect them to a file: … > FILE",
                    bytes.len()
                ));
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        if bytes.is_empty() || self.trouble.is_some() {
            return;
        }
        self.line_open = !bytes.ends_with(b"\n");
        self.trouble = terminal::try_write(bytes).err();
    }

    /// - Errors: the output could not be written, and not because its reader closed the pipe.
    fn end(&mut self) -> Result<(), Failure> {
        if self.cleaner.is_some() && self.line_open {
            self.write(b"\n");
        }
        match &self.trouble {
            Some(cause) if cause.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::internal(format!("cannot write the answer to stdout: {cause}")))
            }
            _ => Ok(()),
        }
    }
}

/// `HTTP 200`, the headers, an empty line.
fn head_text(head: &Head) -> String {
    let mut text = format!("HTTP {}\n", head.status);
    for (name, value) in &head.headers {
        text.push_str(&format!("{name}: {value}\n"));
    }
    text + "\n"
}

#[cfg(test)]
mod tests;
