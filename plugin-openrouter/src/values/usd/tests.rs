use super::*;
use crate::kit::{rows, usd};

#[test]
fn an_amount_keeps_every_digit_down_to_a_pico_dollar_and_rounds_up() {
    let table = "
        0 | 0
        0.0 | 0
        1 | 1
        12.50 | 12.5
        .5 | 0.5
        5. | 5
        0.00000015 | 0.00000015
        0.000000000001 | 0.000000000001
        1.5e-7 | 0.00000015
        3E-5 | 0.00003
        25e+2 | 2500
        007 | 7
        18446744073709551616 | 18446744073709551616
        0.1000000000000 | 0.1
        0.0000000000000001 | 0.000000000001
        1e-300 | 0.000000000001
        0.000000000000999999999999999999999999999999999 | 0.000000000001
    ";
    for [written, printed] in rows(table) {
        assert_eq!(usd(written).to_string(), printed, "{written}");
    }
}

#[test]
fn anything_but_a_decimal_of_0_or_more_is_refused() {
    for text in [
        "", "-1", "-0.5", "+1", ".", "e5", "1e", "1e99999", "free", "1.2.3", " 1", "1 ", "NaN", "1_0", "٣",
    ] {
        assert_eq!(Usd::parse(text), None, "{text}");
    }
}

#[test]
fn arithmetic_saturates() {
    let most = usd("1e300");
    assert_eq!(most.plus(usd("1")), most);
    assert_eq!(most.times(u64::MAX), most);
    assert_eq!(most.rounded_down().minus(most), Usd::ZERO);
    assert_eq!(usd("1").minus(usd("2")), Usd::ZERO);
    assert_eq!(usd("0.00003").times(1_000_000), usd("30"));
    assert_eq!(most.holds(usd("1e-12")), Some(u64::MAX));
    let found = (usd("1").holds(usd("0.3")), Usd::ZERO.holds(usd("0.3")));
    assert_eq!(found, (Some(3), Some(0)));
    // A price of 0 fits without limit.
    assert_eq!(usd("1").holds(Usd::ZERO), None);
}

#[test]
fn amounts_are_rounded_to_three_digits_or_whole_cents() {
    let table = "
        0 | 0 | 0
        0.96 | 0.96 | 0.96
        0.9601 | 0.961 | 0.96
        0.001234567 | 0.00124 | 0.00123
        0.000000000001 | 0.000000000001 | 0.000000000001
        1.239 | 1.24 | 1.23
        123.4567 | 123.46 | 123.45
        12345.6789 | 12345.68 | 12345.67
    ";
    for [exact, up, down] in rows(table) {
        let rounded = [usd(exact).rounded_up(), usd(exact).rounded_down()];
        assert_eq!(rounded.map(|amount| amount.to_string()), [up, down], "{exact}");
    }
}

#[test]
fn a_decimal_keeps_every_digit() {
    let rows = [
        ("0", "0"),
        ("0.0", "0"),
        ("0.00014", "0.00014"),
        ("1.4e-4", "0.00014"),
        ("1.5E-05", "0.000015"),
        ("12", "12"),
        ("1.20", "1.2"),
        ("3e2", "300"),
        ("1.234e1", "12.34"),
        ("0.1234567890123456789", "0.1234567890123456789"),
        ("-0.5", "-0.5"),
        ("\"0.25\"", "0.25"),
    ];
    for (json, text) in rows {
        assert_eq!(decimal(json).as_deref(), Some(text), "{json}");
    }
    for nonsense in ["null", "\"\"", "{}", "1e999999999", "1e-2147483648", "\"free\"", "true"] {
        assert_eq!(decimal(nonsense), None, "{nonsense}");
    }
}

#[test]
fn dollars_show_whole_cents_and_never_round_up() {
    let rows = [
        ("0", "$0.00"),
        ("12", "$12.00"),
        ("0.5", "$0.50"),
        ("24.99986", "$24.99"),
        ("0.00014", "$0.00014"),
        ("-2.5", "-$2.50"),
    ];
    for (amount, expected) in rows {
        assert_eq!(dollars(amount), expected);
    }
}

#[test]
fn differences_are_exact() {
    let table = "
        100.5 | 25.75 | 74.75
        0.3 | 0.1 | 0.2
        25 | 0.00014 | 24.99986
        5 | 5.0 | 0
        1 | 3.5 | -2.5
        -0.5 | 0.25 | -0.75
        -0.5 | -0.75 | 0.25
    ";
    for [minuend, subtrahend, expected] in rows(table) {
        let difference = difference(minuend, subtrahend);
        assert_eq!(difference.as_deref(), Some(expected), "{minuend} - {subtrahend}");
    }
    for odd in ["free", "0.0000000000000000000000000000000000000000001"] {
        assert_eq!(difference("1", odd), None, "{odd}");
    }
}
