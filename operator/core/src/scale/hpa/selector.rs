//! Label selectors as in the status of a scale: `a=b,c!=d,e in (f,g),!h,i`. They come from a `LabelSelector`, which has
//! no `>` and `<`.

use std::collections::BTreeMap;

use thiserror::Error;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("couldn't parse the selector at {0:?}; write it like `app=demo,tier in (a,b)`")]
pub struct SelectorError(String);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

/// A parsed selector. All rules must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector(Vec<Rule>);

impl Selector {
    /// # Errors
    /// The text is not a selector.
    pub fn parse(text: &str) -> Result<Selector, SelectorError> {
        split_rules(text)
            .into_iter()
            .map(|rule| parse_rule(rule.trim()))
            .collect::<Result<_, _>>()
            .map(Selector)
    }

    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|rule| match rule {
            Rule::In(key, values) => labels.get(key).is_some_and(|v| values.contains(v)),
            Rule::NotIn(key, values) => !labels.get(key).is_some_and(|v| values.contains(v)),
            Rule::Exists(key) => labels.contains_key(key),
            Rule::Absent(key) => !labels.contains_key(key),
        })
    }
}

/// Splits at commas outside parentheses.
fn split_rules(text: &str) -> Vec<&str> {
    let (mut rules, mut start, mut depth) = (Vec::new(), 0, 0_u32);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                rules.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    rules.push(&text[start..]);
    rules
}

fn parse_rule(rule: &str) -> Result<Rule, SelectorError> {
    let error = || SelectorError(rule.to_owned());
    if let Some(key) = rule.strip_prefix('!') {
        return Ok(Rule::Absent(
            word(key).filter(|k| !k.is_empty()).ok_or_else(error)?,
        ));
    }
    for (sign, negated) in [("!=", true), ("==", false), ("=", false)] {
        if let Some((key, value)) = rule.split_once(sign) {
            let key = word(key).filter(|k| !k.is_empty()).ok_or_else(error)?;
            let values = vec![word(value).ok_or_else(error)?];
            return Ok(if negated {
                Rule::NotIn(key, values)
            } else {
                Rule::In(key, values)
            });
        }
    }
    if let Some((head, tail)) = rule.split_once('(') {
        let list = tail.trim_end().strip_suffix(')').ok_or_else(error)?;
        let values: Vec<String> = list
            .split(',')
            .map(word)
            .collect::<Option<_>>()
            .ok_or_else(error)?;
        let mut words = head.split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(key), Some("in"), None) => Ok(Rule::In(key.to_owned(), values)),
            (Some(key), Some("notin"), None) => Ok(Rule::NotIn(key.to_owned(), values)),
            _ => Err(error()),
        };
    }
    Ok(Rule::Exists(
        word(rule).filter(|k| !k.is_empty()).ok_or_else(error)?,
    ))
}

/// One label key or value without surrounding space.
fn word(text: &str) -> Option<String> {
    let text = text.trim();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    text.chars().all(allowed).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,60}|[a-c!=(), in]{0,40}") {
            let _ = Selector::parse(&text);
        }

        #[test]
        fn rules_match_by_their_operator(
            key in "[a-z][a-z0-9./-]{0,8}",
            values in prop::collection::vec("[a-z0-9]{1,5}", 1..4),
            label in "[a-z0-9]{1,5}",
        ) {
            let labels = BTreeMap::from([(key.clone(), label.clone())]);
            let matches = |text: String| Selector::parse(&text).unwrap().matches(&labels);
            let list = values.join(", ");
            let is_listed = values.contains(&label);
            prop_assert_eq!(matches(format!("{key} in ({list})")), is_listed);
            prop_assert_eq!(matches(format!("{key} notin ({list})")), !is_listed);
            prop_assert_eq!(matches(format!("{key}={}", values[0])), values[0] == label);
            let absent = matches(format!("!{key}"));
            prop_assert!(matches(key) && !absent);
        }
    }
}
