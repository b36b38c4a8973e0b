//! Decks and the values of their cards.

use std::collections::BTreeSet;

use crate::error::{ErrorCode, Refusal};
use crate::limits::{CARD_CHARS_MAX, DECK_CARDS_MAX, DECK_CARDS_MIN};
use crate::protocol::{Card, Deck, DeckChoice, DeckKind};
use crate::text;

const FIBONACCI: &[&str] = &[
    "0", "1", "2", "3", "5", "8", "13", "21", "34", "55", "89", "?", "☕",
];
const MODIFIED_FIBONACCI: &[&str] = &[
    "0", "½", "1", "2", "3", "5", "8", "13", "20", "40", "100", "?", "☕",
];
const T_SHIRT: &[&str] = &["XS", "S", "M", "L", "XL", "XXL", "?", "☕"];
const POWERS_OF_TWO: &[&str] = &["0", "1", "2", "4", "8", "16", "32", "64", "?", "☕"];
/// Cards of a deck without numbers that are not estimates.
const NO_ESTIMATE: &[&str] = &["?", "☕", "∞"];

impl Deck {
    /// The built-in cards, or the validated custom ones.
    pub fn choose(choice: &DeckChoice) -> Result<Self, Refusal> {
        let cards = match choice.kind {
            DeckKind::Fibonacci => built_in(FIBONACCI),
            DeckKind::ModifiedFibonacci => built_in(MODIFIED_FIBONACCI),
            DeckKind::TShirt => built_in(T_SHIRT),
            DeckKind::PowersOfTwo => built_in(POWERS_OF_TWO),
            DeckKind::Custom => custom(choice.cards.as_deref().unwrap_or_default())?,
        };
        Ok(Self {
            kind: choice.kind,
            cards,
        })
    }

    pub fn has(&self, card: &str) -> bool {
        self.cards.iter().any(|own| own == card)
    }

    /// The cards that are estimates, in ascending order. In a deck with numbers only the numbers are estimates; a deck
    /// without numbers keeps its own order.
    pub fn scale(&self) -> Scale<'_> {
        let mut numeric: Vec<(&str, f64)> = self
            .cards
            .iter()
            .filter_map(|card| Some((card.as_str(), value(card)?)))
            .collect();
        if numeric.is_empty() {
            let cards = self.cards.iter().map(String::as_str);
            return Scale {
                cards: cards.filter(|card| !NO_ESTIMATE.contains(card)).collect(),
                values: None,
            };
        }
        numeric.sort_by(|(_, a), (_, b)| a.total_cmp(b));
        let (cards, values) = numeric.into_iter().unzip();
        Scale {
            cards,
            values: Some(values),
        }
    }
}

/// Estimates in ascending order, with their values if they are numbers.
#[derive(Debug, PartialEq)]
pub struct Scale<'a> {
    pub cards: Vec<&'a str>,
    pub values: Option<Vec<f64>>,
}

impl Scale<'_> {
    pub fn position(&self, card: &str) -> Option<usize> {
        self.cards.iter().position(|&own| own == card)
    }
}

/// The value of a numeric card: "13", "0.5", "0,5", "½".
fn value(card: &str) -> Option<f64> {
    match card {
        "¼" => return Some(0.25),
        "½" => return Some(0.5),
        "¾" => return Some(0.75),
        _ => {}
    }
    let digits = card.replace(',', ".");
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    digits.parse().ok().filter(|_| plain)
}

fn built_in(cards: &[&str]) -> Vec<Card> {
    cards.iter().map(|&card| String::from(card)).collect()
}

fn custom(cards: &[Card]) -> Result<Vec<Card>, Refusal> {
    if !(DECK_CARDS_MIN..=DECK_CARDS_MAX).contains(&cards.len()) {
        let message = format!(
            "a deck has {DECK_CARDS_MIN} to {DECK_CARDS_MAX} cards; this one has {}",
            cards.len()
        );
        return Err(Refusal::new(ErrorCode::InvalidDeck, message));
    }
    let mut seen = BTreeSet::new();
    let mut cleaned = Vec::with_capacity(cards.len());
    for card in cards {
        let card = text::clean(card, CARD_CHARS_MAX, ErrorCode::InvalidDeck, "a card")?;
        if !seen.insert(card.clone()) {
            let message = format!("the card {card} is in the deck twice; remove one");
            return Err(Refusal::new(ErrorCode::InvalidDeck, message));
        }
        cleaned.push(card);
    }
    Ok(cleaned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn custom_deck(cards: &[&str]) -> Result<Deck, Refusal> {
        Deck::choose(&DeckChoice {
            kind: DeckKind::Custom,
            cards: Some(built_in(cards)),
        })
    }

    #[test]
    fn numeric_cards_have_values() {
        let cases = [
            ("0", Some(0.0)),
            ("13", Some(13.0)),
            ("½", Some(0.5)),
            ("0.5", Some(0.5)),
            ("0,5", Some(0.5)),
            ("?", None),
            ("☕", None),
            ("XL", None),
            ("inf", None),
            ("NaN", None),
            ("1e9", None),
            ("-1", None),
            ("1.2.3", None),
            (".", None),
        ];
        for (card, expected) in cases {
            assert_eq!(value(card), expected, "{card}");
        }
    }

    #[test]
    fn scales_are_ascending() {
        let numeric = custom_deck(&["8", "?", "1", "½", "XL"]).unwrap();
        assert_eq!(
            numeric.scale(),
            Scale {
                cards: vec!["½", "1", "8"],
                values: Some(vec![0.5, 1.0, 8.0])
            }
        );
        let sizes = Deck::choose(&DeckChoice {
            kind: DeckKind::TShirt,
            cards: None,
        })
        .unwrap();
        assert_eq!(
            sizes.scale(),
            Scale {
                cards: vec!["XS", "S", "M", "L", "XL", "XXL"],
                values: None
            }
        );
    }

    #[test]
    fn custom_decks_are_validated() {
        assert_eq!(custom_deck(&[" 1 ", "zwei"]).unwrap().cards, ["1", "zwei"]);
        let many: Vec<String> = (0..=DECK_CARDS_MAX).map(|card| card.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for bad in [
            &["1"][..],
            &[],
            &["1", "1 "],
            &["1", ""],
            &["1", "123456789"],
            &["1", "a\u{7}"],
            &many,
        ] {
            assert_eq!(
                custom_deck(bad).unwrap_err().code,
                ErrorCode::InvalidDeck,
                "{bad:?}"
            );
        }
    }
}
