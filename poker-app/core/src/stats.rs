//! Statistics of a set of votes.

use crate::deck::Scale;
use crate::protocol::{CardCount, Deck, Stats};

/// `votes`: the card of each vote.
pub fn stats(deck: &Deck, votes: &[&str]) -> Stats {
    let scale = deck.scale();
    let mut positions: Vec<usize> = votes.iter().filter_map(|card| scale.position(card)).collect();
    positions.sort_unstable();
    let mean = mean(&scale, &positions);
    Stats {
        histogram: histogram(deck, votes),
        median: positions
            .get(positions.len() / 2)
            .map(|&position| String::from(scale.cards[position])),
        mean: mean.map(|mean| (mean * 100.0).round() / 100.0),
        agreement: agreement(&positions),
    }
}

fn histogram(deck: &Deck, votes: &[&str]) -> Vec<CardCount> {
    let count = |card: &String| votes.iter().filter(|voted| *voted == card).count();
    let counts = deck.cards.iter().map(|card| CardCount {
        card: card.clone(),
        count: count(card) as u32,
    });
    counts.filter(|entry| entry.count > 0).collect()
}

fn mean(scale: &Scale<'_>, positions: &[usize]) -> Option<f64> {
    let values = scale.values.as_ref()?;
    let sum: f64 = positions.iter().map(|&position| values[position]).sum();
    (!positions.is_empty()).then(|| sum / positions.len() as f64)
}

/// Share of the most frequent estimate in per cent, rounded; `positions` are sorted.
fn agreement(positions: &[usize]) -> u8 {
    let most = positions
        .chunk_by(|a, b| a == b)
        .map(<[usize]>::len)
        .max()
        .unwrap_or(0);
    let half = positions.len() / 2;
    (most * 100 + half).checked_div(positions.len()).unwrap_or(0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{DeckChoice, DeckKind};

    fn deck(kind: DeckKind, cards: &[&str]) -> Deck {
        let cards = Some(cards.iter().map(|&card| String::from(card)).collect());
        Deck::choose(&DeckChoice { kind, cards }).unwrap()
    }

    #[test]
    fn numeric_and_ordered_decks() {
        let fibonacci = deck(DeckKind::Fibonacci, &[]);
        let modified = deck(DeckKind::ModifiedFibonacci, &[]);
        let sizes = deck(DeckKind::TShirt, &[]);
        let words = deck(DeckKind::Custom, &["low", "mid", "high", "?"]);
        type Case<'a> = (&'a Deck, &'a [&'a str], Option<&'a str>, Option<f64>, u8);
        let cases: &[Case<'_>] = &[
            (&fibonacci, &[], None, None, 0),
            (&fibonacci, &["?", "☕"], None, None, 0),
            (&fibonacci, &["5"], Some("5"), Some(5.0), 100),
            (&fibonacci, &["5", "5", "?"], Some("5"), Some(5.0), 100),
            (&fibonacci, &["13", "3"], Some("13"), Some(8.0), 50),
            (&fibonacci, &["5", "8", "5"], Some("5"), Some(6.0), 67),
            (&fibonacci, &["3", "5"], Some("5"), Some(4.0), 50),
            (&fibonacci, &["1", "1", "8", "8"], Some("8"), Some(4.5), 50),
            (&fibonacci, &["1", "8", "1", "1", "☕"], Some("1"), Some(2.75), 75),
            (&modified, &["½", "½", "1"], Some("½"), Some(0.67), 67),
            (&sizes, &["XL", "S", "M"], Some("M"), None, 33),
            (&words, &["low", "high", "?"], Some("high"), None, 50),
        ];
        for (deck, cards, median, mean, agreement) in cases {
            let got = stats(deck, cards);
            assert_eq!(got.median.as_deref(), *median, "median of {cards:?}");
            assert_eq!(got.mean, *mean, "mean of {cards:?}");
            assert_eq!(got.agreement, *agreement, "agreement of {cards:?}");
        }
    }

    #[test]
    fn the_histogram_keeps_deck_order_and_every_card() {
        let got = stats(&deck(DeckKind::Fibonacci, &[]), &["?", "13", "3", "13"]).histogram;
        let got: Vec<(&str, u32)> = got
            .iter()
            .map(|entry| (entry.card.as_str(), entry.count))
            .collect();
        assert_eq!(got, [("3", 1), ("13", 2), ("?", 1)]);
    }
}
