//! Files and addresses that go with a prompt, as parts of the message.
//!
//! What a file is, its first bytes say, not its name. Pictures, sounds and documents go as the parts that OpenAI's protocol has for
//! them; text goes as text, because every model reads that. Nothing is fetched: an address is passed on.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use serde_json::{Value, json};

use crate::terminal::{self, Exit, Failure};

/// The most that all files together may have, in bytes: what a request of 30 MB has room for, when base64 adds a third.
const MAX_BYTES: u64 = 20 << 20;

/// The parts for these files and addresses, in order.
///
/// - In: `-` stands for standard input, once.
/// - Errors: what cannot be read, is empty, too large or of no use, with its name.
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
            return Err(refused(name, "standard input can be read once only"));
        }
        if is_stdin && io::stdin().is_terminal() {
            return Err(refused(name, "it is a terminal; put a file there: … - < FILE"));
        }
        let bytes = if is_stdin {
            read(io::stdin().lock(), left_bytes)
        } else {
            File::open(name).and_then(|file| {
                if file.metadata()?.is_dir() {
                    return Err(io::Error::other("it is a folder"));
                }
                read(file, left_bytes)
            })
        };
        let bytes = bytes.map_err(|cause| refused(name, &format!("it cannot be read: {cause}")))?;
        let Some(left) = left_bytes.checked_sub(bytes.len() as u64) else {
            let limit = MAX_BYTES >> 20;
            return Err(refused(
                name,
                &format!("expected at most {limit} MiB in all attachments, found more"),
            )
            .with_hint("pictures and documents may be named by their address instead"));
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

/// Whether standard input is one of them.
pub fn takes_stdin(named: &[String]) -> bool {
    named.iter().any(|name| name == "-")
}

/// The content of a message: text, or with attachments parts.
pub fn content(text: String, attached: Vec<Value>) -> Value {
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
    Failure::new(Exit::Usage, format!("{what} cannot be attached: {reason}"))
}

/// One byte more than is allowed tells that there is more.
fn read(file: impl Read, left_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(left_bytes + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What an address stands for; `None` if it is none. Its ending is all that is known of it; without one that says more it is taken for
/// a picture's.
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
        "wav" | "mp3" => Err("services take no address of a sound; download it and name the file"),
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
    let data_url = |media_type: &str| format!("data:{media_type};base64,{}", base64(bytes));
    let document = |media_type: &str, fallback: &str| {
        json!({"type": "file", "file": {
            "filename": name.unwrap_or(fallback),
            "file_data": data_url(media_type),
        }})
    };
    if let Some(media_type) = media_type(bytes) {
        return Ok(match media_type {
            "audio/wav" => json!({"type": "input_audio", "input_audio": {"data": base64(bytes), "format": "wav"}}),
            "audio/mpeg" => json!({"type": "input_audio", "input_audio": {"data": base64(bytes), "format": "mp3"}}),
            "application/pdf" => document(media_type, "document.pdf"),
            picture => json!({"type": "image_url", "image_url": {"url": data_url(picture)}}),
        });
    }
    match (std::str::from_utf8(bytes), name) {
        (Ok(_), None) => Err("it is text, and text on standard input is put behind the prompt anyway: leave `-` out"),
        // Source: OpenAI's guide to file inputs: in chat completions a `file` part is a PDF; text goes as text.
        (Ok(text), Some(name)) if !text.contains('\0') => Ok(json!({
            "type": "text",
            "text": format!("File {name}:\n\n{text}"),
        })),
        _ => Ok(document("application/octet-stream", "file")),
    }
}

/// What the first bytes of a file say.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
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

/// Base64 with padding.
// By hand: no crate for it is among this program's dependencies, and encoding is these few lines.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * index) & 63) as usize];
            text.push(if index <= group.len() { letter.into() } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        // Source: RFC 4648, section 10.
        let table = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, text) in table {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn the_first_bytes_say_what_a_file_is() {
        let table: &[(&[u8], Option<&str>)] = &[
            (b"\x89PNG\r\n\x1a\n\0\0", Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"GIF89a", Some("image/gif")),
            (b"GIF87a..", Some("image/gif")),
            (b"RIFF\x10\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"RIFF\x10\0\0\0WAVEfmt ", Some("audio/wav")),
            (b"RIFF\x10\0\0\0AVI ", None),
            (b"RIFF", None),
            (b"%PDF-1.7", Some("application/pdf")),
            (b"ID3\x04", Some("audio/mpeg")),
            (b"\xff\xfb\x90", Some("audio/mpeg")),
            (b"\xff\xf3\x90", Some("audio/mpeg")),
            // UTF-16 with a mark of its order is no sound.
            (b"\xff\xfeh\0", None),
            (b"hello", None),
            (b"", None),
        ];
        for (bytes, expected) in table {
            assert_eq!(media_type(bytes), *expected, "{bytes:?}");
        }
    }

    #[test]
    fn each_kind_of_file_is_the_part_that_the_protocol_has_for_it() {
        let part =
            |name: Option<&str>, bytes: &[u8]| part_of_bytes(name, bytes).unwrap_or_else(|reason| panic!("{reason}"));
        assert_eq!(
            part(Some("x.txt"), b"\xff\xd8\xff"),
            json!({"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/"}})
        );
        assert_eq!(
            part(Some("a.mp3"), b"ID3"),
            json!({"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}})
        );
        assert_eq!(
            part(None, b"%PDF-1"),
            json!({"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"}})
        );
        assert_eq!(
            part(Some("a.rs"), "fn é() {}".as_bytes()),
            json!({"type": "text", "text": "File a.rs:\n\nfn é() {}"})
        );
        assert_eq!(
            part(Some("a.bin"), &[0, 1, 0xff]),
            json!({"type": "file", "file": {"filename": "a.bin", "file_data": "data:application/octet-stream;base64,AAH/"}})
        );
        assert_eq!(part_of_bytes(Some("a"), b""), Err("it is empty"));
        assert!(part_of_bytes(None, b"text").is_err_and(|reason| reason.starts_with("it is text, and text on")));
    }

    #[test]
    fn an_address_is_passed_on_and_never_fetched() {
        let url = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
        for address in [
            "https://example.com/A.PNG?size=2",
            "http://example.com/picture",
            "data:image/png;base64,AAAA",
        ] {
            assert_eq!(part_of_address(address), Ok(Some(url(address))));
        }
        assert_eq!(
            part_of_address("https://example.com/a/Paper.pdf#page=2"),
            Ok(Some(json!({"type": "file", "file": {
                "filename": "paper.pdf", "file_data": "https://example.com/a/Paper.pdf#page=2"}})))
        );
        assert!(part_of_address("https://example.com/a.mp3").is_err());
        assert_eq!(part_of_address("picture.png"), Ok(None));
    }

    #[test]
    fn what_cannot_be_attached_is_named_with_its_reason() {
        let error = |name: &str| match parts(&[name.to_owned()]) {
            Ok(_) => panic!("{name} was taken"),
            Err(failure) => failure.to_string(),
        };
        assert!(
            error("/no/such/file.png")
                .starts_with("error: `/no/such/file.png` cannot be attached: it cannot be read: "),
            "{}",
            error("/no/such/file.png")
        );
        assert_eq!(
            error("/"),
            "error: `/` cannot be attached: it cannot be read: it is a folder"
        );
    }

    #[test]
    fn a_message_without_attachments_stays_text() {
        assert_eq!(content("hello".to_owned(), Vec::new()), json!("hello"));
        let part = json!({"type": "image_url"});
        assert_eq!(
            content("what?".to_owned(), vec![part.clone()]),
            json!([{"type": "text", "text": "what?"}, part])
        );
    }
}
