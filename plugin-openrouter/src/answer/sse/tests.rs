//! Streams of every shape, split in every way.

use super::*;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Event(Vec<u8>, Vec<u8>),
    Comment(Vec<u8>),
    Left {
        name: Vec<u8>,
        data: Option<Vec<u8>>,
        line_ended: bool,
    },
    Overflow(Overflow),
}

fn event(data: impl AsRef<[u8]>) -> Seen {
    Seen::Event(Vec::new(), data.as_ref().to_vec())
}

fn named(name: &str, data: &str) -> Seen {
    Seen::Event(name.into(), data.into())
}

fn comment(text: &str) -> Seen {
    Seen::Comment(text.into())
}

fn left(data: Option<&str>, line_ended: bool) -> Seen {
    Seen::Left {
        name: Vec::new(),
        data: data.map(Into::into),
        line_ended,
    }
}

fn take(reader: &mut Reader, seen: &mut Vec<Seen>) {
    while let Some(frame) = reader.next_frame() {
        seen.push(match frame {
            Ok(Frame::Event { name, data }) => Seen::Event(name.to_vec(), data.to_vec()),
            Ok(Frame::Comment(text)) => Seen::Comment(text.to_vec()),
            Err(overflow) => Seen::Overflow(overflow),
        });
    }
}

fn read_with<'a>(limits: Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Seen> {
    let mut reader = Reader::new(limits);
    let mut seen = Vec::new();
    for piece in pieces {
        reader.push(piece);
        take(&mut reader, &mut seen);
    }
    match reader.finish() {
        None => {}
        Some(Ok(Unterminated { name, data, line_ended })) => seen.push(Seen::Left {
            name: name.to_vec(),
            data: data.map(<[u8]>::to_vec),
            line_ended,
        }),
        Some(Err(overflow)) => seen.push(Seen::Overflow(overflow)),
    }
    seen
}

fn read(stream: impl AsRef<[u8]>) -> Vec<Seen> {
    read_with(Limits::DEFAULT, [stream.as_ref()])
}

/// Streams and their frames.
fn golden() -> Vec<(&'static [u8], Vec<Seen>)> {
    vec![
        (b"", vec![]),
        (
            b"data: {\"a\":1}\n\ndata: [DONE]\n\n",
            vec![event("{\"a\":1}"), event("[DONE]")],
        ),
        (b"data: a\r\rdata: b\r\r", vec![event("a"), event("b")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", vec![event("a"), event("b")]),
        (
            b"data: a\r\n\ndata: b\r\r\ndata: c\n\r",
            vec![event("a"), event("b"), event("c")],
        ),
        (b"\xEF\xBB\xBFdata: a\n\n\xEF\xBB\xBFdata: b\n\n", vec![event("a")]),
        (b"\xEF\xBBdata: a\n\ndata: b\n\n", vec![event("b")]),
        (
            b": OPENROUTER PROCESSING\n\n:\n:  x\ndata: a\n: in the middle\n\n",
            vec![
                comment("OPENROUTER PROCESSING"),
                comment(""),
                comment(" x"),
                comment("in the middle"),
                event("a"),
            ],
        ),
        (
            b"data: one\ndata:two\ndata:  three\ndata\n\n",
            vec![event("one\ntwo\n three\n")],
        ),
        (
            b"event: error\nid: 7\nretry: 10\ndata: a\nunknown: b\n\ndata: c\n\n",
            vec![named("error", "a"), event("c")],
        ),
        (b"event: lost\n\ndata: a\n\n", vec![event("a")]),
        // The example of the standard: an empty event, one line feed, an unterminated event.
        (
            b"data\n\ndata\ndata\n\ndata:",
            vec![event(""), event("\n"), left(Some(""), false)],
        ),
        (
            "data: grüße 🦀\n\ndata: \u{FEFF}x\n\n".as_bytes(),
            vec![event("grüße 🦀"), event("\u{FEFF}x")],
        ),
        (b"data: a\xFF\xC3\n\ndata: b\n\n", vec![event(b"a\xFF\xC3"), event("b")]),
        (b"data: a\n\ndata: b\n", vec![event("a"), left(Some("b"), true)]),
        (b"data: a\r\n\r\ndata: b\r", vec![event("a"), left(Some("b"), true)]),
        (b"data: a\ndata: {\"b", vec![left(Some("a\n{\"b"), false)]),
        (b"data: a\n\n: cut", vec![event("a"), left(None, false)]),
        (b"\xEF\xBB", vec![left(None, false)]),
        (b"dat: a\ndatax: b\n data: c\nData: d\n\n\n\n", vec![]),
        (b"data:{\"a\":\"x: y\\n\"}\n\n", vec![event("{\"a\":\"x: y\\n\"}")]),
    ]
}

#[test]
fn every_way_of_splitting_a_stream_gives_the_same_frames() {
    for (stream, expected) in golden() {
        let name = text(stream);
        assert_eq!(read(stream), expected, "{name:?} whole");
        for at in 0..=stream.len() {
            let (head, tail) = stream.split_at(at);
            let seen = read_with(Limits::DEFAULT, [head, tail]);
            assert_eq!(seen, expected, "{name:?} split at {at}");
        }
        let seen = read_with(Limits::DEFAULT, stream.chunks(1));
        assert_eq!(seen, expected, "{name:?} byte by byte");
        let with_empty = stream.chunks(1).flat_map(|byte| [byte, b"".as_slice()]);
        let seen = read_with(Limits::DEFAULT, with_empty);
        assert_eq!(seen, expected, "{name:?} with empty pieces");
    }
}

#[test]
fn a_stream_cut_at_any_byte_keeps_the_events_before_the_cut() {
    for (stream, expected) in golden() {
        for at in 0..stream.len() {
            let mut seen = read(&stream[..at]);
            if matches!(seen.last(), Some(Seen::Left { .. })) {
                seen.pop();
            }
            assert!(expected.starts_with(&seen), "{:?} cut at {at}", text(stream));
        }
    }
}

/// The standard's algorithm, written the slow and obvious way for the whole input.
fn reference(stream: &[u8]) -> Vec<Seen> {
    let stream = stream.strip_prefix(BYTE_ORDER_MARK).unwrap_or(stream);
    let (mut lines, mut line, mut position) = (Vec::new(), Vec::new(), 0);
    while position < stream.len() {
        match stream[position] {
            b'\r' | b'\n' => {
                if stream[position..].starts_with(b"\r\n") {
                    position += 1;
                }
                lines.push(std::mem::take(&mut line));
            }
            byte => line.push(byte),
        }
        position += 1;
    }
    let (mut seen, mut name, mut data) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines {
        if line.is_empty() {
            let name = std::mem::take(&mut name);
            if data.pop().is_some() {
                seen.push(Seen::Event(name, std::mem::take(&mut data)));
            }
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = match colon {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (&line[..], &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"" => seen.push(Seen::Comment(value.to_vec())),
            b"data" => data.extend(value.iter().chain(b"\n")),
            b"event" => name = value.to_vec(),
            _ => {}
        }
    }
    seen
}

#[test]
fn the_reader_agrees_with_the_standard_on_random_streams() {
    const PARTS: [&[u8]; 16] = [
        b"\n",
        b"\n",
        b"\n",
        b"\r",
        b"\r\n",
        b"data",
        b"data:",
        b"data: ",
        b"event: ",
        b":",
        b" ",
        b"x",
        b"id: 1",
        b"\xEF\xBB\xBF",
        b"\xC3",
        b"{\"a\":1}",
    ];
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for _ in 0..20_000 {
        let stream: Vec<u8> = (0..random(24))
            .flat_map(|_| PARTS[random(PARTS.len())])
            .copied()
            .collect();
        let pieces = stream.chunks(1 + random(7));
        let mut seen = read_with(Limits::DEFAULT, pieces);
        if matches!(seen.last(), Some(Seen::Left { .. })) {
            seen.pop();
        }
        assert_eq!(seen, reference(&stream), "{:?}", text(&stream));
    }
}

const SMALL: Limits = Limits {
    line_bytes: 10,
    event_bytes: 12,
};

#[test]
fn a_line_up_to_the_limit_passes_and_one_byte_more_is_refused() {
    let expected = vec![event("1234"), Seen::Overflow(Overflow::Line { limit_bytes: 10 })];
    let stream = b"data: 1234\n\ndata: 12345\n\ndata: 1\n\n";
    assert_eq!(read_with(SMALL, [stream.as_slice()]), expected);
    assert_eq!(read_with(SMALL, stream.chunks(1)), expected);
    assert_eq!(
        read_with(SMALL, [b"data: 12345".as_slice()]),
        [Seen::Overflow(Overflow::Line { limit_bytes: 10 })],
    );
}

#[test]
fn the_lines_of_one_event_together_are_limited() {
    let overflow = Seen::Overflow(Overflow::Event { limit_bytes: 12 });
    let fits = b"data:12345\ndata:12345\ndata:\n\n".as_slice();
    assert_eq!(read_with(SMALL, fits.chunks(1)), [event("12345\n12345\n")]);
    let too_long = b"data:12345\ndata:12345\ndata:1\n\ndata:1\n\n".as_slice();
    assert_eq!(read_with(SMALL, [too_long]), std::slice::from_ref(&overflow));
    assert_eq!(read_with(SMALL, too_long.chunks(1)), std::slice::from_ref(&overflow));
    let unterminated = b"data:12345\ndata:12345\ndata:1".as_slice();
    assert_eq!(read_with(SMALL, [unterminated]), std::slice::from_ref(&overflow));
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
fn overflows_name_the_limit() {
    assert_eq!(
        Overflow::Line { limit_bytes: 1_048_576 }.to_string(),
        "a line of the event stream is longer than 1048576 bytes",
    );
    assert_eq!(
        Overflow::Event { limit_bytes: 4_194_304 }.to_string(),
        "an event of the stream holds more than 4194304 bytes of data",
    );
}

#[test]
fn megabytes_without_a_line_end_cost_no_more_than_the_limit() {
    let endless = vec![b'x'; 24 * 1024 * 1024];
    for piece_bytes in [1024, endless.len()] {
        let mut reader = Reader::default();
        let mut seen = Vec::new();
        for piece in endless.chunks(piece_bytes) {
            reader.push(piece);
            take(&mut reader, &mut seen);
        }
        let limit_bytes = Limits::DEFAULT.line_bytes;
        assert_eq!(seen, [Seen::Overflow(Overflow::Line { limit_bytes })]);
        assert!(reader.touched_bytes <= limit_bytes + 1, "{}", reader.touched_bytes);
    }
}

#[test]
fn a_long_line_in_small_pieces_is_searched_once() {
    let limits = Limits {
        line_bytes: 8 << 20,
        event_bytes: 8 << 20,
    };
    let mut stream = b"data: ".to_vec();
    stream.resize(2 << 20, 0xFF);
    stream.extend_from_slice(b"\n\ndata: next\n\n");
    for piece_bytes in [7, 1024] {
        let mut reader = Reader::new(limits);
        let mut seen = Vec::new();
        for piece in stream.chunks(piece_bytes) {
            reader.push(piece);
            take(&mut reader, &mut seen);
        }
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[1], event("next"));
        assert!(reader.touched_bytes <= 2 * stream.len(), "{}", reader.touched_bytes);
    }
}

#[test]
fn many_small_events_in_one_piece_are_moved_at_most_once() {
    let stream = b"data: {\"a\":1}\n\n".repeat(100_000);
    for piece_bytes in [1000, 16 * 1024, stream.len()] {
        let mut reader = Reader::default();
        let mut seen = Vec::new();
        for piece in stream.chunks(piece_bytes) {
            reader.push(piece);
            take(&mut reader, &mut seen);
        }
        assert_eq!(seen.len(), 100_000);
        assert!(reader.touched_bytes <= 2 * stream.len(), "{}", reader.touched_bytes);
    }
}

#[test]
fn the_buffers_shrink_after_a_large_event() {
    let mut reader = Reader::default();
    let mut seen = Vec::new();
    let large = [b"data: ".as_slice(), &vec![b'x'; 900_000], b"\ndata: y\n\n"].concat();
    reader.push(&large);
    take(&mut reader, &mut seen);
    reader.push(b"data: z\n\n");
    take(&mut reader, &mut seen);
    assert_eq!(seen.len(), 2);
    assert!(reader.buffer.capacity() <= KEPT_BYTES);
    assert!(reader.joined.capacity() <= KEPT_BYTES);
}

#[test]
fn skipped_lines_within_an_event_do_not_fill_the_buffer() {
    let mut reader = Reader::default();
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
fn an_invalid_byte_affects_only_its_own_event() {
    let seen = read(b"data: ok\n\ndata: {\"t\":\"\xFF\"}\n\ndata: also ok\n\n");
    assert_eq!(seen, [event("ok"), event(b"{\"t\":\"\xFF\"}"), event("also ok")]);
    assert_eq!(text(b"{\"t\":\"\xFF\"}"), "{\"t\":\"\u{FFFD}\"}");
    assert!(matches!(text("grüße".as_bytes()), Cow::Borrowed("grüße")));
}

#[test]
fn a_cr_ends_its_line_at_once() {
    let mut reader = Reader::default();
    reader.push(b"data: a\r\r");
    assert_eq!(reader.next_frame(), Some(Ok(Frame::Event { name: b"", data: b"a" })));
    reader.push(b"\ndata: b\r\n\r");
    assert_eq!(reader.next_frame(), Some(Ok(Frame::Event { name: b"", data: b"b" })));
    assert_eq!(reader.finish(), None);
}

#[test]
fn finish_is_final() {
    let mut reader = Reader::default();
    reader.push(b"data: {}\n");
    let end = reader
        .finish()
        .expect("an unterminated event")
        .expect("within the limits");
    assert_eq!(
        end,
        Unterminated {
            name: b"",
            data: Some(b"{}"),
            line_ended: true
        }
    );
    reader.push(b"\n");
    assert_eq!(reader.next_frame(), None);
    assert_eq!(reader.finish(), None);
}

#[test]
fn debug_output_holds_no_content() {
    let mut reader = Reader::default();
    reader.push(b"event: secret\ndata: secret\n\n: secret\ndata: secret");
    let shown = format!(
        "{:?} {:?} {:?} {:?}",
        format!("{:?}", reader.next_frame()),
        format!("{:?}", reader.next_frame()),
        format!("{:?}", reader.finish()),
        reader,
    );
    assert!(!shown.contains("secret"), "{shown}");
    assert!(shown.contains("Event(6 bytes)"), "{shown}");
}
