//! Files and addresses as parts of a message.

use super::*;

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
    let part = |name, bytes| part_of_bytes(name, bytes).unwrap_or_else(|reason| panic!("{reason}"));
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/"}});
    assert_eq!(part(Some("x.txt"), b"\xff\xd8\xff"), image);
    let audio = json!({"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}});
    assert_eq!(part(Some("a.mp3"), b"ID3"), audio);
    let text = json!({"type": "text", "text": "File a.rs:\n\nfn é() {}"});
    assert_eq!(part(Some("a.rs"), "fn é() {}".as_bytes()), text);
    let file = |name: &str, data: &str| json!({"type": "file", "file": {"filename": name, "file_data": data}});
    assert_eq!(
        part(None, b"%PDF-1"),
        file("document.pdf", "data:application/pdf;base64,JVBERi0x")
    );
    let binary = file("a.bin", "data:application/octet-stream;base64,AAH/");
    assert_eq!(part(Some("a.bin"), &[0, 1, 0xff]), binary);
    assert_eq!(part_of_bytes(Some("a"), b""), Err("it is empty"));
    assert!(part_of_bytes(None, b"text").is_err_and(|reason| reason.starts_with("it is text, which is appended")));
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
    let address = "https://example.com/a/Paper.pdf#page=2";
    let file = json!({"type": "file", "file": {"filename": "paper.pdf", "file_data": address}});
    assert_eq!(part_of_address(address), Ok(Some(file)));
    assert!(part_of_address("https://example.com/a.mp3").is_err());
    assert_eq!(part_of_address("picture.png"), Ok(None));
}

#[test]
fn a_bad_attachment_is_reported_with_its_reason() {
    let error = |name: &str| match parts(&[name.to_owned()]) {
        Ok(_) => panic!("{name} was taken"),
        Err(failure) => failure.to_string(),
    };
    let missing = error("/no/such/file.png");
    assert!(
        missing.starts_with("error: cannot attach `/no/such/file.png`: "),
        "{missing}"
    );
    assert_eq!(error("/"), "error: cannot attach `/`: it is a directory");
}

#[test]
fn a_message_without_attachments_stays_text() {
    assert_eq!(content("hello".to_owned(), Vec::new()), json!("hello"));
    let part = json!({"type": "image_url"});
    let parts = json!([{"type": "text", "text": "what?"}, part]);
    assert_eq!(content("what?".to_owned(), vec![part]), parts);
}

#[test]
fn a_prompt_mentions_files_that_are_there() {
    let (found, missing) =
        mentioned("@Cargo.toml, (@src/main.rs) @Cargo.toml me@Cargo.toml @ada @no.txt? @https://a.b/c.png");
    assert_eq!(found, ["Cargo.toml", "https://a.b/c.png"]);
    assert_eq!(missing, ["no.txt"]);
}
