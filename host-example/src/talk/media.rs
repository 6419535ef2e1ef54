//! Pictures, sounds and sources that come with an answer: the first two are saved, all are listed below the text.
//!
//! In: the other members of the answer's message. Only base64 is decoded, and nothing is fetched: a URL is printed.
//! No file is overwritten unless the user named it.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use clap::{Args, ValueHint};
use plugin_api::{ChatReply, Done};
use serde_json::Value;

use super::attach::media_type;
use crate::terminal::{self, Failure};

/// Where a picture or sound goes.
#[derive(Args, Clone, Default)]
pub struct Target {
    /// The file for the picture or sound in the answer, or else for its text; replaced if it exists. Without it, only
    /// pictures and sounds are saved, as new files in the working directory
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Whether its name was used; later pictures get names of their own.
    #[arg(skip)]
    is_used: Cell<bool>,
}

impl Target {
    /// Checks before the call that the file that the user named can be written.
    pub fn check(&self) -> Result<(), Failure> {
        let Some(path) = &self.output else { return Ok(()) };
        writable(path).map_err(|why| {
            let path = terminal::clean_line(&path.display().to_string());
            Failure::usage(format!("`{path}` cannot be written: {why}"))
                .with_hint("nothing was asked; choose another file with `--output`")
        })
    }

    /// Whether the user named a file that is not one of a picture or sound.
    fn takes_text(&self) -> bool {
        let ending = |path: &Path| {
            path.extension()
                .map(|ending| ending.to_string_lossy().to_ascii_lowercase())
        };
        let is_medium = |path: &Path| ending(path).is_some_and(|ending| ENDINGS.contains(&ending.as_str()));
        self.output
            .as_deref()
            .is_some_and(|path| !self.is_used.get() && !is_medium(path))
    }
}

/// Checks that a file can be written, and changes nothing. Its folder must be there.
///
/// - Errors: why not.
pub fn writable(path: &Path) -> Result<(), String> {
    let is_folder = path.as_os_str().to_string_lossy().ends_with(['/', MAIN_SEPARATOR]);
    match fs::metadata(path) {
        _ if is_folder => Err("expected a file, found a folder".to_owned()),
        Ok(found) if found.is_dir() => Err("expected a file, found a folder".to_owned()),
        Ok(found) if found.is_file() => {
            let opened = File::options().append(true).open(path);
            opened.map(drop).map_err(|cause| cause.to_string())
        }
        // Opening a pipe would wait for its reader.
        Ok(_) => Ok(()),
        Err(_) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            match folder.is_dir() {
                true => tempfile::tempfile_in(folder)
                    .map(drop)
                    .map_err(|cause| format!("its folder is not writable: {cause}")),
                false => Err(format!("there is no folder `{}`", folder.display())),
            }
        }
    }
}

/// How many names are tried for a new file.
const MAX_NAMES: u32 = 10_000;

/// Streams send each piece of a sound with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A picture or sound of an answer.
#[derive(Debug, PartialEq)]
enum Medium {
    Url(String),
    /// How its file's name begins and ends, and its bytes.
    File(&'static str, String, Vec<u8>),
    /// Why it cannot be saved.
    Unreadable(String),
}

/// Whether there is a picture or a sound, readable or not.
pub fn has_any(done: &Done) -> bool {
    let sound = extra(done, "audio");
    let is_text = |name: &str| sound[name].as_str().is_some_and(|text| !text.is_empty());
    !list(&extra(done, "images")).is_empty() || is_text("data") || is_text("transcript")
}

/// The words of a sound, if the answer has no other text.
pub fn transcript(reply: &ChatReply) -> Option<String> {
    let sound = extra(&reply.done, "audio");
    let words = sound["transcript"].as_str().filter(|words| !words.trim().is_empty())?;
    reply.text.trim().is_empty().then(|| words.to_owned())
}

/// Prints what goes below the text of an answer: the path or URL of each picture and sound, and the sources.
///
/// - In: `is_json`, whether stdout has all of it as JSON; then only a file that the user named is written.
/// - Errors: the last of the files that cannot be written. Those before it are printed, and the rest is saved.
pub fn below(reply: &ChatReply, target: &Target, is_json: bool) -> Result<(), Failure> {
    if is_json && target.output.is_none() {
        return Ok(());
    }
    let done = &reply.done;
    if !has_any(done) && target.takes_text() && !reply.text.is_empty() {
        let text = terminal::clean(&reply.text);
        written(
            target,
            "text",
            "txt",
            format!("{}\n", text.trim_end_matches('\n')).as_bytes(),
        )?;
    }
    let print = if is_json { terminal::say } else { terminal::print_line };
    let saved = save(done, target, print);
    let sources = sources(done);
    if !is_json && !sources.is_empty() {
        terminal::print_line(&format!("\n{}", sources.join("\n")));
    }
    saved
}

/// Saves the pictures and sounds of an answer, and passes the path or URL of each to `print`.
fn save(done: &Done, target: &Target, print: fn(&str)) -> Result<(), Failure> {
    let media: Vec<Medium> = pictures(done).into_iter().chain(sound(done)).collect();
    let has_url = media.iter().any(|medium| matches!(medium, Medium::Url(_)));
    let is_only_urls = media.iter().all(|medium| matches!(medium, Medium::Url(_)));
    let mut failed: Option<Failure> = None;
    for medium in media {
        match medium {
            Medium::Url(url) => print(&terminal::clean_line(&url)),
            Medium::File(name, ending, bytes) => match written(target, name, &ending, &bytes) {
                Ok(path) => print(&terminal::clean_line(&path.display().to_string())),
                Err(failure) => {
                    if let Some(earlier) = failed.replace(failure) {
                        earlier.print(false);
                    }
                }
            },
            Medium::Unreadable(reason) => terminal::say(&terminal::clean_line(&format!("warning: {reason}"))),
        }
    }
    // Any other reason is already on the screen.
    if let Some(file) = target
        .output
        .as_deref()
        .filter(|_| is_only_urls && !target.is_used.get())
    {
        let found = if has_url {
            "only URLs, which are not fetched"
        } else {
            "nothing to save"
        };
        let file = file.display();
        terminal::say(&format!("note: the answer has {found}, so `{file}` is not written"));
    }
    failed.map_or(Ok(()), Err)
}

/// The sources that the answer cites, numbered: `1. Title: URL`.
fn sources(done: &Done) -> Vec<String> {
    let annotations = extra(done, "annotations");
    let mut sources: Vec<(&str, &str)> = Vec::new();
    for annotation in list(&annotations) {
        // Some services leave the inner object out.
        let citation = [&annotation["url_citation"], annotation]
            .into_iter()
            .find(|part| part["url"].is_string());
        let is_citation = annotation["type"].as_str().is_none_or(|kind| kind == "url_citation");
        let Some(citation) = citation.filter(|_| is_citation) else {
            continue;
        };
        let url = citation["url"].as_str().unwrap_or_default();
        if !url.is_empty() && sources.iter().all(|(known, _)| *known != url) {
            sources.push((url, citation["title"].as_str().unwrap_or_default()));
        }
    }
    let numbered = sources.into_iter().enumerate();
    numbered
        .map(|(index, (url, title))| match title.trim() {
            "" => terminal::clean_line(&format!("{}. {url}", index + 1)),
            title => terminal::clean_line(&format!("{}. {title}: {url}", index + 1)),
        })
        .collect()
}

/// A member of the answer's message; `null` without it.
fn extra(done: &Done, name: &str) -> Value {
    let member = done.extras.get(name);
    member
        .and_then(|json| serde_json::from_str(json.get()).ok())
        .unwrap_or_default()
}

/// The elements of a list. Any other value except `null` counts as a list of one.
fn list(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::Array(elements) => elements,
        only => std::slice::from_ref(only),
    }
}

fn pictures(done: &Done) -> Vec<Medium> {
    let images = extra(done, "images");
    let pictures = list(&images).iter().filter(|image| !image.is_null());
    pictures
        .map(|image| picture(image).unwrap_or_else(unreadable))
        .collect()
}

/// A picture, in any of the forms in which services send one.
fn picture(image: &Value) -> Option<Medium> {
    let text = |pointers: &[&str]| {
        let found = pointers.iter().filter_map(|pointer| image.pointer(pointer)?.as_str());
        found.filter(|text| !text.is_empty()).map(str::to_owned).next()
    };
    if let Some(url) = text(&["/image_url/url", "/image_url", "/url", ""]) {
        return Some(of_url(url));
    }
    let data = text(&[
        "/b64_json",
        "/source/data",
        "/inline_data/data",
        "/inlineData/data",
        "/data",
        "/result",
    ])?;
    let kind = text(&[
        "/source/media_type",
        "/inline_data/mime_type",
        "/inlineData/mimeType",
        "/media_type",
        "/mime_type",
        "/output_format",
    ]);
    Some(of_base64("picture", &data, kind.as_deref().unwrap_or("png")))
}

fn unreadable() -> Medium {
    Medium::Unreadable("a picture is not saved: expected an http URL or base64, found another form".to_owned())
}

fn of_url(url: String) -> Medium {
    let lower = url.get(..8).unwrap_or(&url).to_ascii_lowercase();
    if lower.starts_with("http://") || lower.starts_with("https://") {
        return Medium::Url(url);
    }
    let rest = url.get(5..).filter(|_| lower.starts_with("data:"));
    let Some((head, data)) = rest.and_then(|rest| rest.split_once(',')) else {
        return unreadable();
    };
    match head.to_ascii_lowercase().strip_suffix(";base64") {
        Some(kind) => of_base64("picture", data, kind.split(';').next().unwrap_or_default()),
        None => unreadable(),
    }
}

fn sound(done: &Done) -> Option<Medium> {
    let audio = extra(done, "audio");
    let data = audio["data"].as_str().filter(|data| !data.is_empty())?;
    // Streams carry raw samples without a header that would name their format.
    let kind = audio["format"].as_str().unwrap_or("pcm");
    Some(of_base64("sound", data, kind))
}

/// - In: `kind`, a media type or a format, for bytes that do not say what they are.
fn of_base64(name: &'static str, data: &str, kind: &str) -> Medium {
    let letters = data
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .map(|letter| match letter {
            '-' => '+',
            '_' => '/',
            other => other,
        });
    let letters: String = letters.collect();
    // Services may have padded each piece separately.
    let mut bytes = Vec::new();
    for piece in letters.split('=').filter(|piece| !piece.is_empty()) {
        if BASE64.decode_vec(piece, &mut bytes).is_err() {
            return Medium::Unreadable(format!("a {name} is not saved: its base64 is damaged"));
        }
    }
    if bytes.is_empty() {
        return Medium::Unreadable(format!(
            "a {name} is not saved: expected its bytes in base64, found none"
        ));
    }
    let kind = media_type(&bytes).unwrap_or(kind);
    Medium::File(name, ending_of(kind), bytes)
}

/// The endings of pictures and sounds.
const ENDINGS: [&str; 16] = [
    "png", "jpg", "gif", "webp", "avif", "svg", "bmp", "tiff", "mp3", "wav", "opus", "ogg", "flac", "aac", "pcm", "pdf",
];

/// The ending of a file for a media type or a format: `image/svg+xml` is `svg`, `pcm16` is `pcm`.
fn ending_of(kind: &str) -> String {
    let name = kind.rsplit('/').next().unwrap_or(kind).to_ascii_lowercase();
    let name = name
        .split(['+', ';'])
        .next()
        .unwrap_or_default()
        .trim_start_matches("x-");
    match name {
        "jpeg" => "jpg".to_owned(),
        "mpeg" => "mp3".to_owned(),
        "wave" => "wav".to_owned(),
        "pcm16" => "pcm".to_owned(),
        name if ENDINGS.contains(&name) => name.to_owned(),
        // The service chooses the type, and must not turn the file into a program.
        _ => "bin".to_owned(),
    }
}

/// Writes the first file under the name that the user gave, if any, and every other one under a new name.
fn written(target: &Target, name: &str, ending: &str, bytes: &[u8]) -> Result<PathBuf, Failure> {
    let failed = |path: &Path, cause: io::Error| {
        let path = path.display();
        Failure::internal(format!("the {name} cannot be saved: cannot write `{path}`: {cause}"))
            .with_hint("choose another file with `--output`")
    };
    if let Some(path) = target.output.as_deref().filter(|_| !target.is_used.get()) {
        target.is_used.set(true);
        fs::write(path, bytes).map_err(|cause| failed(path, cause))?;
        return Ok(path.to_owned());
    }
    let named = target.output.as_deref().and_then(Path::file_stem);
    let stem = named.map_or_else(|| name.to_owned(), |stem| stem.to_string_lossy().into_owned());
    let folder = target.output.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    for number in 1..=MAX_NAMES {
        let path = folder.join(format!("{stem}-{number}.{ending}"));
        match File::create_new(&path) {
            Ok(mut file) => {
                file.write_all(bytes).map_err(|cause| failed(&path, cause))?;
                return Ok(path);
            }
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {}
            Err(cause) => return Err(failed(&path, cause)),
        }
    }
    Err(failed(
        Path::new(&format!("{stem}-{MAX_NAMES}.{ending}")),
        ErrorKind::AlreadyExists.into(),
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn done(extras: Value) -> Done {
        serde_json::from_value(json!({"finish_reason": "stop", "duration_ms": 1, "extras": extras})).expect("a Done")
    }

    #[test]
    fn pictures_are_read_in_every_form_that_services_send() {
        let file = |ending: &str, bytes: &[u8]| Some(Medium::File("picture", ending.to_owned(), bytes.to_vec()));
        let url = || Some(Medium::Url("https://example.com/a.png".to_owned()));
        for (image, expected) in [
            (
                json!({"type": "image_url", "image_url": {"url": "data:image/webp;base64,QUJD"}}),
                file("webp", b"ABC"),
            ),
            (
                json!({"image_url": "DATA:image/svg+xml;charset=utf-8;base64,QUJD"}),
                file("svg", b"ABC"),
            ),
            // The bytes decide.
            (json!({"url": "data:image/png;base64,R0lGODlh"}), file("gif", b"GIF89a")),
            (json!({"type": "image", "b64_json": "QUJ\nD"}), file("png", b"ABC")),
            (
                json!({"source": {"media_type": "image/jpeg", "data": "QUI="}}),
                file("jpg", b"AB"),
            ),
            (
                json!({"inlineData": {"mimeType": "image/avif", "data": "_-8"}}),
                file("avif", &[0xff, 0xef]),
            ),
            (
                json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}),
                url(),
            ),
            (json!("https://example.com/a.png"), url()),
            (json!({"type": "image_url"}), None),
        ] {
            assert_eq!(picture(&image), expected, "{image}");
        }
        for image in [
            "file:///etc/passwd",
            "data:image/svg+xml,%3Csvg%3E",
            "data:image/png;base64,%%%",
            "data:image/png;base64,",
            "data:image/png;base64,==",
            "picture.png",
        ] {
            let found = picture(&json!({"image_url": {"url": image}}));
            assert!(matches!(found, Some(Medium::Unreadable(_))), "{image}: {found:?}");
        }
    }

    #[test]
    fn a_sound_may_come_in_pieces_that_are_padded_one_by_one() {
        let sound = |audio: Value| sound(&done(json!({"audio": audio})));
        let file = |ending: &str, bytes: &[u8]| Some(Medium::File("sound", ending.to_owned(), bytes.to_vec()));
        assert_eq!(sound(json!({"data": "QQ==QkM="})), file("pcm", b"ABC"));
        assert_eq!(sound(json!({"data": "QUJD", "format": "opus"})), file("opus", b"ABC"));
        assert_eq!(sound(json!({"data": "SUQzBA", "format": "x"})), file("mp3", b"ID3\x04"));
        assert_eq!(sound(json!({"transcript": "Hi"})), None);
    }

    #[test]
    fn sources_are_numbered_and_each_is_listed_once() {
        let cited =
            |url: &str, title: &str| json!({"type": "url_citation", "url_citation": {"url": url, "title": title}});
        let done = done(json!({"annotations": [
            cited("https://example.com/a", "One\u{1b}[2J"),
            cited("https://example.com/a", "One again"),
            {"type": "url_citation", "url": "https://example.com/b"},
            {"type": "file", "file": {"name": "x"}},
        ]}));
        assert_eq!(
            sources(&done),
            ["1. One: https://example.com/a", "2. https://example.com/b"]
        );
    }
}
