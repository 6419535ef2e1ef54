//! One answer: its events on the way to the screen, and what is said below it.

use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use plugin_api::{ChatEvent, ChatReply, ChatRequest, Error, ErrorKind, Message, ModelsRequest, Notice};
use serde_json::Value;
use tokio::time::Instant;

use crate::cli::Chat;
use crate::profile;
use crate::setup::Active;
use crate::talk::parameters::Parameters;
use crate::talk::structured::Schema;
use crate::terminal::exit::{Exit, Failure};
use crate::terminal::progress::{self, Wait};
use crate::terminal::{self, Cleaner, FAINT};

/// A request for these messages.
pub fn request(
    tier: Option<&str>,
    model: Option<&str>,
    messages: &[Message],
    parameters: &Parameters,
) -> Result<ChatRequest, Error> {
    let mut request = ChatRequest::new(messages)?;
    request.tier = tier.map(str::to_owned);
    request.model = model.map(str::to_owned);
    request.parameters.clone_from(parameters);
    Ok(request)
}

/// How an answer is shown.
#[derive(Clone, Copy)]
pub struct Manner {
    /// As it comes.
    pub is_streamed: bool,
    /// The text, on stdout.
    pub has_text: bool,
    /// One JSON object, on stdout.
    pub has_json: bool,
    /// The model's thoughts, on a terminal's stderr.
    pub has_thoughts: bool,
    /// The line about model, time and cost.
    pub has_footer: bool,
}

impl From<&Chat> for Manner {
    fn from(args: &Chat) -> Self {
        Self {
            is_streamed: !args.no_stream,
            has_text: !args.json,
            has_json: args.json,
            has_thoughts: !args.json && !args.quiet,
            has_footer: !args.quiet,
        }
    }
}

/// How long the list of models is waited for, where it could say which model was meant.
const SUGGESTION_LIMIT: Duration = Duration::from_secs(3);

/// Ctrl-C, as an event. It is listened to from the beginning: until then it would end the program.
pub struct Interrupts {
    #[cfg(unix)]
    signal: tokio::signal::unix::Signal,
    #[cfg(windows)]
    signal: tokio::signal::windows::CtrlC,
}

impl Interrupts {
    pub fn listen() -> Result<Self, Failure> {
        #[cfg(unix)]
        let signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt());
        #[cfg(windows)]
        let signal = tokio::signal::windows::ctrl_c();
        let failed = |cause| Failure::new(Exit::Internal, format!("Ctrl-C cannot be listened to: {cause}"));
        Ok(Self {
            signal: signal.map_err(failed)?,
        })
    }

    /// Runs `work` until it ends or Ctrl-C is pressed; `None` then.
    pub async fn or<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            outcome = work => Some(outcome),
            _ = self.signal.recv() => None,
        }
    }
}

/// An answer that is whole.
pub struct Answer {
    pub reply: ChatReply,
    /// Why it is not what was asked for, though it is an answer.
    pub mismatch: Option<Failure>,
}

/// Gets one answer and prints it in this manner.
///
/// - Errors: the plugin's. What had arrived is on the screen by then.
pub async fn answer(
    active: &Active,
    request: &ChatRequest,
    manner: Manner,
    schema: Option<&Schema>,
) -> Result<Answer, Error> {
    let mut screen = Screen::new(manner);
    let shown = if manner.is_streamed {
        streamed(active, request, &mut screen).await
    } else {
        let reply = active.plugin.chat(request).await;
        match &reply {
            Ok(reply) => screen.text(&reply.text),
            Err(error) => screen.text(error.details.partial_text.as_deref().unwrap_or_default()),
        }
        reply
    };
    screen.end_line();
    let reply = match shown {
        Ok(reply) => reply,
        Err(error) => return Err(with_suggestion(active, request, error).await),
    };
    let mismatches = match schema {
        // Of an answer that nobody reads to its end, the rest was not fetched.
        Some(schema) if !screen.is_gone => schema.mismatches(&reply.text),
        _ => Vec::new(),
    };
    if manner.has_json && !screen.is_gone {
        let mut object = flat(&reply);
        if schema.is_some() {
            object["mismatches"] = serde_json::to_value(&mismatches).unwrap_or_default();
        }
        screen.raw(&format!("{}\n", terminal::safe_json(&object.to_string())));
    }
    if let Some(cause) = screen.trouble {
        return Err(Error::new(
            ErrorKind::INTERNAL,
            format!("the answer cannot be written to stdout: {cause}"),
        ));
    }
    if screen.is_gone {
        // Nobody reads the answer, so nothing is to be said about it.
        return Ok(Answer { reply, mismatch: None });
    }
    for notice in reply.notices.iter().filter(|notice| !screen.told.contains(notice)) {
        terminal::say_styled(FAINT, &format!("note: {}", terminal::clean(&notice.message)));
    }
    if manner.has_footer {
        terminal::say_styled(FAINT, &terminal::footer(&reply.done));
    }
    let mismatch = schema
        .filter(|_| !mismatches.is_empty())
        .map(|schema| schema.failure(&mismatches));
    Ok(Answer { reply, mismatch })
}

/// The same error, with the listed model that is much like the one that nobody has.
async fn with_suggestion(active: &Active, request: &ChatRequest, error: Error) -> Error {
    let is_suggested = || error.hint().is_some_and(|hint| hint.starts_with("did you mean"));
    let Some(model) = request
        .model
        .as_deref()
        .filter(|_| error.kind == ErrorKind::NOT_FOUND && !is_suggested())
    else {
        return error;
    };
    let listed = active.plugin.models(ModelsRequest::default());
    let Ok(Ok(list)) = tokio::time::timeout(SUGGESTION_LIMIT, listed).await else {
        return error;
    };
    match profile::closest(model, list.models.iter().map(|model| model.id.as_str())) {
        Some(closest) => error.with_hint(format!("did you mean `{closest}`?")),
        None => error,
    }
}

/// A reply as one flat object, for programs.
fn flat(reply: &ChatReply) -> Value {
    let mut object = serde_json::to_value(reply).unwrap_or_default();
    if let Some(members) = object.as_object_mut()
        && let Some(Value::Object(done)) = members.shift_remove("done")
    {
        members.extend(done);
    }
    object
}

async fn streamed(active: &Active, request: &ChatRequest, screen: &mut Screen) -> Result<ChatReply, Error> {
    let mut reply = ChatReply::default();
    let mut events = screen
        .while_waiting("waiting for the service", active.plugin.stream(request))
        .await?;
    while let Some(event) = screen.while_waiting("waiting for the model", events.next()).await {
        let event = match event {
            Ok(event) => event,
            Err(mut error) => {
                if error.details.partial_text.is_none() && !reply.text.is_empty() {
                    error.details.partial_text = Some(reply.text);
                }
                return Err(error);
            }
        };
        match &event {
            ChatEvent::Text(text) => screen.text(text),
            ChatEvent::Reasoning(text) => screen.reasoning(text),
            ChatEvent::Notice(notice) => screen.notice(notice),
            _ => {}
        }
        reply.add(event);
        if screen.is_gone {
            break;
        }
    }
    Ok(reply)
}

/// Where an answer appears: the text on stdout, the reasoning on a terminal's stderr.
struct Screen {
    text: Cleaner,
    thoughts: Cleaner,
    shows_text: bool,
    shows_thoughts: bool,
    shows_progress: bool,
    /// The notices that were said when they came.
    told: Vec<Notice>,
    /// How many attempts failed so far.
    failed_attempts: usize,
    /// When the plugin goes on, where it said that it waits.
    resumes_at: Option<Instant>,
    /// The last thing written did not end a line.
    line_open: bool,
    thinking: bool,
    /// Nobody reads stdout any more.
    is_gone: bool,
    /// Why, where it is not that the reader went away.
    trouble: Option<io::Error>,
}

impl Screen {
    fn new(manner: Manner) -> Self {
        Self {
            text: Cleaner::default(),
            thoughts: Cleaner::default(),
            shows_text: manner.has_text,
            shows_thoughts: manner.has_thoughts && terminal::stderr_is_terminal(),
            shows_progress: terminal::stderr_has_cursor(),
            told: Vec::new(),
            failed_attempts: 0,
            resumes_at: None,
            line_open: false,
            thinking: false,
            is_gone: false,
            trouble: None,
        }
    }

    fn text(&mut self, text: &str) {
        if !self.shows_text {
            return;
        }
        if self.thinking {
            self.thinking = false;
            terminal::say("");
        }
        let clean = self.text.clean(text);
        if let Some(last) = clean.chars().last() {
            self.line_open = last != '\n';
            self.raw(&clean);
        }
    }

    fn reasoning(&mut self, text: &str) {
        if self.shows_thoughts {
            self.thinking = true;
            let clean = self.thoughts.clean(text);
            // Without a line end: the next piece goes on where this one ended.
            let _ = write!(anstream::stderr(), "{FAINT}{clean}{FAINT:#}");
        }
    }

    /// Says at once what concerns the wait for an answer: a retry, another model. Within a line of the answer it would be
    /// in the way, and is said at the end as other notices are.
    fn notice(&mut self, notice: &Notice) {
        let is_about_the_wait = notice.wait_ms.is_some()
            || notice.attempt.is_some()
            || ["retry", "fallback"].contains(&notice.code.as_str());
        if !is_about_the_wait || self.line_open {
            return;
        }
        if self.thinking {
            self.thinking = false;
            terminal::say("");
        }
        self.failed_attempts += usize::from(notice.attempt.is_some());
        terminal::say_styled(FAINT, &wait_line(notice, self.failed_attempts));
        self.resumes_at = notice.wait_ms.map(|ms| Instant::now() + Duration::from_millis(ms));
        self.told.push(notice.clone());
    }

    /// Waits for `work`, and says so on a terminal where nothing has been said yet and the wait is not short.
    async fn while_waiting<T>(&mut self, what: &str, work: impl Future<Output = T>) -> T {
        if !self.shows_progress || self.line_open || self.thinking {
            return work.await;
        }
        let wait = Wait {
            what,
            resumes_at: self.resumes_at.take(),
        };
        progress::while_waiting(wait, work).await
    }

    fn raw(&mut self, text: &str) {
        let Err(cause) = terminal::try_print(text) else { return };
        // A reader that went away, as `head` does, ends the answer and is no error.
        self.is_gone = true;
        if cause.kind() != io::ErrorKind::BrokenPipe {
            self.trouble = Some(cause);
        }
    }

    fn end_line(&mut self) {
        if self.thinking {
            self.thinking = false;
            terminal::say("");
        }
        if self.line_open {
            self.line_open = false;
            self.raw("\n");
        }
    }
}

/// `… rate limited by Acme, trying again (in 8 s; attempt 1: 429)`
fn wait_line(notice: &Notice, n_attempts: usize) -> String {
    let message = notice.message.trim_end().trim_end_matches('.');
    let mut asides = Vec::new();
    if let Some(wait_ms) = notice.wait_ms {
        asides.push(format!("in {}", terminal::seconds(wait_ms)));
    }
    if let Some(attempt) = &notice.attempt {
        let status = attempt.status.map(|status| status.to_string());
        let outcome = status.as_deref().or(attempt.code.as_deref()).unwrap_or("no answer");
        asides.push(if message.contains(outcome) {
            format!("attempt {n_attempts}")
        } else {
            format!("attempt {n_attempts}: {outcome}")
        });
    }
    let aside = if asides.is_empty() {
        String::new()
    } else {
        format!(" ({})", asides.join("; "))
    };
    format!("… {}", terminal::clean_line(&format!("{message}{aside}")))
}

/// What a failed call leaves. That a part of an answer stands above is said at once.
pub fn report(error: Error, manner: Manner) -> Failure {
    if error.details.partial_text.is_some() && manner.has_text {
        terminal::say("the answer above is not complete");
    }
    let failure = Failure::from(error);
    if manner.has_footer { failure } else { failure.briefly() }
}

/// What a call leaves that Ctrl-C stopped.
pub fn stopped() -> Failure {
    // The terminal has shown `^C` behind what had been written.
    if io::stdout().is_terminal() {
        terminal::say("");
    }
    Failure::new(
        Exit::Interrupted,
        "stopped by Ctrl-C; what had arrived is not the whole answer",
    )
}

#[cfg(test)]
mod tests {
    use plugin_api::Attempt;

    use super::*;

    #[test]
    fn a_retry_is_one_line_with_its_reason_its_wait_and_its_attempt() {
        let mut notice = Notice::new("retry", "rate limited by Acme:\ntrying again\u{1b}[2J.");
        assert_eq!(wait_line(&notice, 0), "… rate limited by Acme: trying again");
        notice.wait_ms = Some(8000);
        notice.attempt = Some(Box::new(Attempt {
            status: Some(429),
            code: Some("rate_limit".to_owned()),
            ..Attempt::default()
        }));
        assert_eq!(
            wait_line(&notice, 1),
            "… rate limited by Acme: trying again (in 8.0 s; attempt 1: 429)"
        );
        notice.message = "Acme answered 429; trying again.".to_owned();
        assert_eq!(
            wait_line(&notice, 1),
            "… Acme answered 429; trying again (in 8.0 s; attempt 1)"
        );
        notice.message = "rate limited by Acme: trying again".to_owned();
        notice.wait_ms = None;
        notice.attempt = Some(Box::default());
        assert_eq!(
            wait_line(&notice, 2),
            "… rate limited by Acme: trying again (attempt 2: no answer)"
        );
    }
}
