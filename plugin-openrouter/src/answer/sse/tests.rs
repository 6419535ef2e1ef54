//! Streams of every shape, split in every way.

use super::*;

/// A frame as text: `[data]` or `name[data]`, `:comment`, or the overflow.
fn shown(frame: Result<Frame<'_>, Overflow>) -> String {
    match frame {
        Ok(Frame::Event { name, data }) => format!("{}[{}]", name.escape_ascii(), data.escape_ascii()),
        Ok(Frame::Comment(text)) => format!(":{}", text.escape_ascii()),
        Err(overflow) => overflow.to_string(),
    }
}

/// What a reader finds before the end of the stream.
fn take_all<'a>(reader: &mut Reader, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut seen = Vec::new();
    for piece in pieces {
        reader.push(piece);
        seen.extend(std::iter::from_fn(|| reader.next_frame().map(shown)));
    }
    seen
}

/// What a reader finds. An event without its end comes last, after `?`, or `!` if its last line is complete.
fn read_with<'a>(limits: Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut reader = Reader::new(limits);
    let mut seen = take_all(&mut reader, pieces);
    seen.extend(reader.finish().map(|end| match end {
        Ok(Unterminated { name, data, line_ended }) => {
            let mark = if line_ended { '!' } else { '?' };
            let data = data.map_or("-".to_owned(), |data| format!("[{}]", data.escape_ascii()));
            format!("{mark}{}{data}", name.escape_ascii())
        }
        Err(overflow) => overflow.to_string(),
    }));
    seen
}

/// Streams and their frames.
const GOLDEN: [(&[u8], &[&str]); 20] = [
    (b"", &[]),
    (b"data: {\"a\":1}\n\ndata: c\n\n", &[r#"[{\"a\":1}]"#, "[c]"]),
    (b"data: a\r\rdata: b\r\r", &["[a]", "[b]"]),
    (b"data: a\r\n\r\ndata: b\r\n\r\n", &["[a]", "[b]"]),
    (b"data: a\r\n\ndata: b\r\r\ndata: c\n\r", &["[a]", "[b]", "[c]"]),
    (b"\xEF\xBB\xBFdata: a\n\n\xEF\xBB\xBFdata: b\n\n", &["[a]"]),
    (b"\xEF\xBBdata: a\n\ndata: b\n\n", &["[b]"]),
    (
        b": OPENROUTER\n\n:\n:  x\ndata: a\n: b c\n\n",
        &[":OPENROUTER", ":", ": x", ":b c", "[a]"],
    ),
    (
        b"data: one\ndata:two\ndata:  three\ndata\n\n",
        &[r"[one\ntwo\n three\n]"],
    ),
    (
        b"event: e\nid: 7\nretry: 10\ndata: a\nunknown: b\n\ndata: c\n\n",
        &["e[a]", "[c]"],
    ),
    (b"event: lost\n\ndata: a\n\n", &["[a]"]),
    // The example of the standard: an empty event, one line feed, an unterminated event.
    (b"data\n\ndata\ndata\n\ndata:", &["[]", r"[\n]", "?[]"]),
    (
        b"data: \xC3\xA9\n\ndata: \xEF\xBB\xBFx\n\n",
        &[r"[\xc3\xa9]", r"[\xef\xbb\xbfx]"],
    ),
    (b"data: a\xFF\xC3\n\ndata: b\n\n", &[r"[a\xff\xc3]", "[b]"]),
    (b"data: a\n\nevent: e\ndata: b\n", &["[a]", "!e[b]"]),
    (b"data: a\r\n\r\ndata: b\r", &["[a]", "![b]"]),
    (b"data: a\ndata: {\"b", &[r#"?[a\n{\"b]"#]),
    (b"data: a\n\n: cut", &["[a]", "?-"]),
    (b"\xEF\xBB", &["?-"]),
    (b"dat: a\ndatax: b\n data: c\nData: d\n\n\n\n", &[]),
];

#[test]
fn every_way_of_splitting_a_stream_gives_the_same_frames() {
    for (stream, expected) in GOLDEN {
        let name = text(stream);
        for at in 0..=stream.len() {
            let (head, tail) = stream.split_at(at);
            let seen = read_with(LARGE, [head, tail]);
            assert_eq!(seen, expected, "{name:?} split at {at}");
        }
        let with_empty = stream.chunks(1).flat_map(|byte| [byte, b"".as_slice()]);
        for seen in [read_with(LARGE, stream.chunks(1)), read_with(LARGE, with_empty)] {
            assert_eq!(seen, expected, "{name:?} byte by byte");
        }
    }
}

#[test]
fn a_stream_cut_at_any_byte_keeps_the_events_before_the_cut() {
    for (stream, expected) in GOLDEN {
        for at in 0..stream.len() {
            let mut seen = read_with(LARGE, [&stream[..at]]);
            seen.retain(|frame| !frame.starts_with(['?', '!']));
            assert_eq!(seen, expected[..seen.len()], "{:?} cut at {at}", text(stream));
        }
    }
}

const LARGE: Limits = Limits::both(8 << 20);

const SMALL: Limits = Limits {
    line_bytes: 10,
    event_bytes: 12,
};

#[test]
fn one_byte_more_than_the_limit_of_a_line_or_an_event_is_refused() {
    let line = "a line of the event stream is longer than 10 bytes";
    let event = "an event of the stream holds more than 12 bytes of data";
    let rows: [(&[u8], &[&str]); 5] = [
        (b"data: 1234\n\ndata: 12345\n\ndata: 1\n\n", &["[1234]", line]),
        (b"data: 12345", &[line]),
        (b"data:12345\ndata:12345\ndata:\n\n", &[r"[12345\n12345\n]"]),
        (b"data:12345\ndata:12345\ndata:1\n\ndata:1\n\n", &[event]),
        (b"data:12345\ndata:12345\ndata:1", &[event]),
    ];
    for (stream, expected) in rows {
        for piece_bytes in [1, stream.len()] {
            let seen = read_with(SMALL, stream.chunks(piece_bytes));
            assert_eq!(seen, expected, "{:?} in pieces of {piece_bytes}", text(stream));
        }
    }
}

#[test]
fn nothing_follows_an_overflow_and_no_memory_is_kept() {
    let mut reader = Reader::new(SMALL);
    reader.push(b"data: 12345678");
    assert_eq!(reader.next_frame(), Some(Err(Overflow::Line { limit_bytes: 10 })));
    reader.push(b"\n\ndata: 1\n\n");
    assert_eq!(reader.next_frame(), None);
    assert_eq!(reader.finish(), None);
    assert_eq!(reader.buffer.capacity(), 0);
}

#[test]
fn megabytes_without_a_line_end_cost_no_more_than_the_limit() {
    let endless = vec![b'x'; 24 * 1024 * 1024];
    let limit_bytes = LARGE.line_bytes;
    for piece_bytes in [1024, endless.len()] {
        let mut reader = Reader::new(LARGE);
        let seen = take_all(&mut reader, endless.chunks(piece_bytes));
        assert_eq!(seen, [Overflow::Line { limit_bytes }.to_string()]);
        assert!(reader.touched_bytes <= limit_bytes + 1, "{}", reader.touched_bytes);
    }
}

#[test]
fn every_byte_is_searched_and_moved_at_most_once() {
    let long_line = [b"data: ".as_slice(), &[0xFF].repeat(2 << 20), b"\n\ndata: next\n\n"].concat();
    let small_events = b"data: {\"a\":1}\n\n".repeat(100_000);
    for (stream, n_events) in [(long_line, 2), (small_events, 100_000)] {
        for piece_bytes in [7, 1000, 16 * 1024, stream.len()] {
            let mut reader = Reader::new(LARGE);
            let seen = take_all(&mut reader, stream.chunks(piece_bytes));
            assert_eq!(seen.len(), n_events, "in pieces of {piece_bytes}");
            assert!(reader.touched_bytes <= 2 * stream.len(), "{}", reader.touched_bytes);
        }
    }
}

#[test]
fn the_buffers_shrink_after_a_large_event() {
    let mut reader = Reader::new(LARGE);
    let large = [b"data: ".as_slice(), &vec![b'x'; 900_000], b"\ndata: y\n\n"].concat();
    assert_eq!(take_all(&mut reader, [&*large, b"data: z\n\n"]).len(), 2);
    assert!(reader.buffer.capacity() <= KEPT_BYTES && reader.joined.capacity() <= KEPT_BYTES);
}

#[test]
fn skipped_lines_within_an_event_do_not_fill_the_buffer() {
    let mut reader = Reader::new(LARGE);
    reader.push(b"data: a\n");
    for _ in 0..100_000 {
        reader.push(b"id: 12345678901234567890\n");
        assert_eq!(reader.next_frame(), None);
    }
    assert!(reader.buffer.capacity() <= KEPT_BYTES, "{}", reader.buffer.capacity());
    reader.push(b"\n");
    assert_eq!(reader.next_frame(), Some(Ok(Frame::Event { name: b"", data: b"a" })));
}

#[test]
fn a_cr_ends_its_line_at_once() {
    let mut reader = Reader::new(LARGE);
    reader.push(b"data: a\r\r");
    assert_eq!(reader.next_frame(), Some(Ok(Frame::Event { name: b"", data: b"a" })));
    reader.push(b"\ndata: b\r\n\r");
    assert_eq!(reader.next_frame(), Some(Ok(Frame::Event { name: b"", data: b"b" })));
    assert_eq!(reader.finish(), None);
}

#[test]
fn finish_is_final() {
    let mut reader = Reader::new(LARGE);
    reader.push(b"data: {}\n");
    let (name, data, line_ended) = (&b""[..], Some(&b"{}"[..]), true);
    assert_eq!(reader.finish(), Some(Ok(Unterminated { name, data, line_ended })));
    reader.push(b"\n");
    assert_eq!(reader.next_frame(), None);
    assert_eq!(reader.finish(), None);
}

#[test]
fn debug_output_holds_no_content() {
    let mut reader = Reader::new(LARGE);
    reader.push(b"event: secret\ndata: secret\n\n: secret\ndata: secret");
    let frames = [
        format!("{:?}", reader.next_frame()),
        format!("{:?}", reader.next_frame()),
    ];
    let shown = format!("{frames:?} {:?} {reader:?}", format!("{:?}", reader.finish()));
    assert!(!shown.contains("secret"), "{shown}");
    assert!(shown.contains("Event(6 bytes)"), "{shown}");
}
