//! Formats numbers and counts for messages.

use poker_operator_api::Component;

/// A number with thousands separators and at most three decimal places.
pub fn number(value: f64) -> String {
    let rounded = format!("{:.3}", value.abs());
    let (whole, fraction) = rounded.split_once('.').unwrap_or((&rounded, ""));
    let mut grouped = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let fraction = fraction.trim_end_matches('0');
    let sign = if value < 0.0 && (grouped != "0" || !fraction.is_empty()) {
        "-"
    } else {
        ""
    };
    if fraction.is_empty() {
        format!("{sign}{grouped}")
    } else {
        format!("{sign}{grouped}.{fraction}")
    }
}

/// A value in thousandths as a number.
pub fn milli(value: i64) -> String {
    number(value as f64 / 1000.0)
}

/// `1 shard`, `3 shards`.
pub fn count(component: Component, replicas: i32) -> String {
    let plural = if replicas == 1 { "" } else { "s" };
    format!("{} {}{plural}", number(f64::from(replicas)), component.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_separators_and_few_decimals() {
        let table = [
            (0.0, "0"),
            (1310.0, "1,310"),
            (1_234_567.5, "1,234,567.5"),
            (0.1, "0.1"),
            (999.9999, "1,000"),
            (-2.5, "-2.5"),
            (-0.0001, "0"),
        ];
        for (value, text) in table {
            assert_eq!(number(value), text);
        }
    }
}
