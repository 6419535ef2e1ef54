use super::*;

/// A letter for each piece, and its text.
fn cut(text: &str, step: usize) -> Vec<String> {
    let mut pieces = Pieces::default();
    let letters: Vec<char> = text.chars().collect();
    let mut finished: Vec<Piece> = Vec::new();
    for part in letters.chunks(step) {
        finished.extend(pieces.add(&part.iter().collect::<String>()));
    }
    finished.extend(pieces.end());
    let shown = finished.into_iter().map(|piece| match piece {
        Piece::Block { markdown, number: None } => format!("B {markdown}"),
        Piece::Block {
            markdown,
            number: Some(number),
        } => format!("B{number} {markdown}"),
        Piece::Gap => "G".to_owned(),
        Piece::CodeBegins { fence, language } => format!("F {fence} [{language}]"),
        Piece::Code(line) => format!("C {line}"),
        Piece::CodeEnds(fence) => format!("E {fence}"),
    });
    shown.collect()
}

#[test]
fn blocks_items_and_lines_of_code_are_finished_one_by_one() {
    for (text, expected) in [
        (
            "\n\none\ntwo  \n\n\n\n# three\nfour",
            &["B one\ntwo", "G", "B # three", "B four"][..],
        ),
        ("Head\n-\nmore\n- item", &["B Head\n-", "B more", "B - item"]),
        (
            "a\n1. b\n1. c\n   - d\n\n1. e\n\nf",
            &["B a", "B1 1. b", "B2 1. c\n   - d", "G", "B3 1. e", "G", "B f"],
        ),
        ("7) a\n8) b\n1. c", &["B7 7) a", "B8 8) b", "B1 1. c"]),
        (
            "x\n```rust,ignore\nfn\n\n  ```\nend",
            &["B x", "F ```rust,ignore [rust]", "C fn", "C ", "E ```", "B end"],
        ),
        (
            "  ~~~~ py\n    a\n~~~\n~~~~ x\n\n~~~~~",
            &["F ~~~~ py [py]", "C   a", "C ~~~", "C ~~~~ x", "C ", "E ~~~~~"],
        ),
        ("- a\n  ```\n  b\n  ```\n- c", &["B - a\n  ```\n  b\n  ```", "B - c"]),
        (
            "a | b\n--|--\n1 | 2\n\n> q\nlazy\n\n---",
            &["B a | b\n--|--\n1 | 2", "G", "B > q\nlazy", "G", "B ---"],
        ),
        ("[a]: http://x\n\nsee [a]", &["B [a]: http://x", "G", "B see [a]"]),
        ("```\nopen", &["F ``` []", "C open"]),
        ("   \n\t\n", &[]),
    ] {
        for step in [1, 2, 5, 1000] {
            assert_eq!(cut(text, step), expected, "{text:?} by {step}");
        }
    }
}

#[test]
fn a_block_that_never_ends_is_cut_at_a_line() {
    let long = "a line of many\n".repeat(3000);
    let pieces = cut(&long, 700);
    assert!(pieces.len() > 2, "{}", pieces.len());
    assert!(pieces.iter().all(|piece| piece.len() < 2 * MAX_BLOCK_BYTES));
    let text: String = pieces.iter().map(|piece| piece[2..].to_owned() + "\n").collect();
    assert_eq!(text, long);
}
