//! Expressions and their exact values.

use super::*;

#[test]
fn arithmetic_is_exact() {
    let rows = "2+2 = 4;  1 + 2 * 3  = 7; (1+2)*3 = 9; 0.1+0.2 = 0.3; 10-4-3 = 3; 100/8 = 12.5; 12/3/2 = 2; 2^10 = 1024; \
        2^3^2 = 512; -2^2 = -4; (-2)^2 = 4; 2^-2 = 0.25; -(-3) = 3; --3 = 3; 2*-3 = -6; 1 − 0.75 × 2 ÷ 4 = 0.625; \
        1/3 = ≈ 0.33333333333333333333 (exactly 1/3); -2/3 = ≈ -0.66666666666666666666 (exactly -2/3); 1/3*3 = 1; \
        .5 + 5. = 5.5; 0^0 = 1; 1^1000000000 = 1; (-1)^1000000001 = -1; (-1)^1000000000 = 1; 0^1000000000 = 0; \
        2^126 = 85070591730234615865843651857942052864; 123456789*987654321 = 121932631112635269; \
        1/2^40 = 0.0000000000009094947017729282379150390625";
    for (expression, value) in rows.split("; ").filter_map(|row| row.split_once(" = ")) {
        assert_eq!(calculate(expression).as_deref(), Ok(value), "{expression}");
    }
}

#[test]
fn a_bad_expression_is_an_error_that_says_why() {
    let deep = format!("{}1{}", "(".repeat(100), ")".repeat(100));
    let long = "1+".repeat(600) + "1";
    for (expression, reason) in [
        ("", "expected a number, found the end"),
        ("2+", "expected a number, found the end"),
        ("two", "expected a number, found `t`"),
        ("2 2", "expected an operator or the end, found `2`"),
        ("1.2.3", "expected an operator or the end, found `.`"),
        (".", "expected a number, found `.`"),
        ("(1", "expected `)`, found the end or something else"),
        ("1)", "expected an operator or the end, found `)`"),
        ("10%3", "expected an operator or the end, found `%`"),
        ("1/0", BY_ZERO),
        ("1/(2-2)", BY_ZERO),
        ("0^-1", BY_ZERO),
        ("2^0.5", "expected a whole number as the exponent, found 0.5"),
        ("2^127", TOO_LARGE),
        ("9^9^9", TOO_LARGE),
        ("10^38*10^38", TOO_LARGE),
        ("999999999999999999999999999999999999999999", TOO_LARGE),
        (&deep, "expected at most 64 nested parentheses and signs"),
        (&long, "expected at most 1000 characters"),
    ] {
        assert_eq!(calculate(expression), Err(reason.to_owned()), "{expression}");
    }
}
