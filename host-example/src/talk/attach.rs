//! Files and addresses that go with a prompt, as parts of the message.
//!
//! The first bytes of a file decide its type, not its name. Pictures, sounds and documents become the parts that
//! OpenAI's protocol has for them; text goes as text, because every model reads that. Nothing is fetched:
//! an address is passed on.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plugin_api::Message;
use serde_json::{Value, json};

use crate::terminal::{self, Failure};

/// The limit for all files together, in bytes: base64 adds a third, and a request may have 30 MB.
const MAX_BYTES: u64 = 20 << 20;

/// The parts for these files and addresses, in order.
///
/// - In: `-` stands for standard input, once.
/// - Errors: name the file that cannot be read, is empty, too large or of an unsupported type.
pub fn parts(named: &[String]) -> Result<Vec<Value>, Failure> {
    let mut left_bytes = MAX_BYTES;
    let mut parts = Vec::new();
    for (index, name) in named.iter().enumerate() {
        if let Some(part) = part_of_address(name).map_err(|reason| refused(name, reason))? {
            parts.push(part);
            continue;
        }
        let is_stdin = name == "-";
        if is_stdin && named[..index].contains(name) {
            return Err(refused(name, "standard input can be read only once"));
        }
        if is_stdin && io::stdin().is_terminal() {
            return Err(refused(name, "it is a terminal; redirect a file into it: … - < FILE"));
        }
        let bytes = if is_stdin {
            read(io::stdin().lock(), left_bytes)
        } else {
            File::open(name).and_then(|file| {
                if file.metadata()?.is_dir() {
                    return Err(io::Error::other("it is a directory"));
                }
                read(file, left_bytes)
            })
        };
        let bytes = bytes.map_err(|cause| refused(name, &cause.to_string()))?;
        let Some(left) = left_bytes.checked_sub(bytes.len() as u64) else {
            let limit = MAX_BYTES >> 20;
            return Err(refused(
                name,
                &format!("expected at most {limit} MiB in all attachments, found more"),
            )
            .with_hint("pass the URL of a picture or document instead"));
        };
        left_bytes = left;
        let file_name = Path::new(name)
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .filter(|_| !is_stdin);
        parts.push(part_of_bytes(file_name.as_deref(), &bytes).map_err(|reason| refused(name, reason))?);
    }
    Ok(parts)
}

/// The files and addresses that a prompt mentions as `@FILE`, and the words that look like one of a file that is not
/// there.
pub fn mentioned(text: &str) -> (Vec<String>, Vec<String>) {
    let is_address = |name: &str| name.starts_with("https://") || name.starts_with("http://");
    let is_there = |name: &str| is_address(name) || Path::new(name).is_file();
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in text.split_whitespace().filter_map(|word| word.strip_prefix('@')) {
        let short = name.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '"', '\'']);
        match [name, short].into_iter().find(|name| is_there(name)) {
            Some(name) if found.iter().any(|known| known == name) => {}
            Some(name) => found.push(name.to_owned()),
            None if short.contains(['.', '/']) => missing.push(short.to_owned()),
            None => {}
        }
    }
    (found, missing)
}

/// The user's message with its attachments.
pub fn message(text: String, attached: Vec<Value>) -> Message {
    let mut message = Message::user("");
    message.content = content(text, attached);
    message
}

/// The content of a message: text, or with attachments parts.
fn content(text: String, attached: Vec<Value>) -> Value {
    if attached.is_empty() {
        return Value::String(text);
    }
    // Source: OpenRouter docs, `features/multimodal/images`: the text first, then what it is about.
    let text = (!text.is_empty()).then(|| json!({"type": "text", "text": text}));
    text.into_iter().chain(attached).collect()
}

fn refused(name: &str, reason: &str) -> Failure {
    let what = match name {
        "-" => "standard input".to_owned(),
        name => format!(
            "`{}`",
            terminal::clean_line(&name.chars().take(200).collect::<String>())
        ),
    };
    Failure::usage(format!("cannot attach {what}: {reason}"))
}

/// Reads one byte more than allowed, to notice a file that is too large.
fn read(file: impl Read, left_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(left_bytes + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The part for an address; `None` for anything else. Only its ending is known; without a known ending it counts as
/// a picture.
fn part_of_address(name: &str) -> Result<Option<Value>, &'static str> {
    let lower = name.to_ascii_lowercase();
    if lower.starts_with("data:image/") {
        return Ok(Some(json!({"type": "image_url", "image_url": {"url": name}})));
    }
    if !lower.starts_with("https://") && !lower.starts_with("http://") {
        return Ok(None);
    }
    let path = lower.split(['?', '#']).next().unwrap_or_default();
    let file_name = path.rsplit('/').next().unwrap_or_default();
    let ending = file_name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending {
        // Source: OpenRouter docs, `features/multimodal/audio`: addresses are not supported for audio.
        "wav" | "mp3" => Err("services accept no URLs for audio; download the file and attach it"),
        "pdf" => Ok(Some(
            json!({"type": "file", "file": {"filename": file_name, "file_data": name}}),
        )),
        _ => Ok(Some(json!({"type": "image_url", "image_url": {"url": name}}))),
    }
}

/// - In: `name`, that of the file; without it, the bytes come from standard input.
fn part_of_bytes(name: Option<&str>, bytes: &[u8]) -> Result<Value, &'static str> {
    if bytes.is_empty() {
        return Err("it is empty");
    }
    let data_url = |media_type: &str| format!("data:{media_type};base64,{}", STANDARD.encode(bytes));
    let document = |media_type: &str, fallback: &str| {
        json!({"type": "file", "file": {
            "filename": name.unwrap_or(fallback),
            "file_data": data_url(media_type),
        }})
    };
    if let Some(media_type) = media_type(bytes) {
        return Ok(match media_type {
            "audio/wav" => {
                json!({"type": "input_audio", "input_audio": {"data": STANDARD.encode(bytes), "format": "wav"}})
            }
            "audio/mpeg" => {
                json!({"type": "input_audio", "input_audio": {"data": STANDARD.encode(bytes), "format": "mp3"}})
            }
            "application/pdf" => document(media_type, "document.pdf"),
            picture => json!({"type": "image_url", "image_url": {"url": data_url(picture)}}),
        });
    }
    match (std::str::from_utf8(bytes), name) {
        (Ok(_), None) => Err("it is text, which is appended to the prompt anyway; drop the `-`"),
        // Source: OpenAI's guide to file inputs: in chat completions a `file` part is a PDF; text goes as text.
        (Ok(text), Some(name)) if !text.contains('\0') => Ok(json!({
            "type": "text",
            "text": format!("File {name}:\n\n{text}"),
        })),
        _ => Ok(document("application/octet-stream", "file")),
    }
}

/// What the first bytes of a file say.
pub(super) fn media_type(bytes: &[u8]) -> Option<&'static str> {
    let of_riff = |form: &[u8]| bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(form);
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        _ if of_riff(b"WEBP") => Some("image/webp"),
        _ if of_riff(b"WAVE") => Some("audio/wav"),
        [b'%', b'P', b'D', b'F', b'-', ..] => Some("application/pdf"),
        [b'I', b'D', b'3', ..] => Some("audio/mpeg"),
        // A frame of layer III: eleven bits of synchronisation, a version that is not reserved, the layer.
        [0xff, second, ..] if second & 0xe6 == 0xe2 && second & 0x18 != 0x08 => Some("audio/mpeg"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
