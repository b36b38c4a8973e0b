//! What a set of votes says.

use crate::deck::Scale;
use crate::protocol::{CardCount, Deck, Stats};

/// One revealed vote: the voter's name and the card.
pub type NamedVote<'a> = (&'a str, &'a str);

pub fn stats(deck: &Deck, votes: &[NamedVote<'_>]) -> Stats {
    let scale = deck.scale();
    let mut positions: Vec<usize> = votes
        .iter()
        .filter_map(|(_, card)| scale.position(card))
        .collect();
    positions.sort_unstable();
    let mean = mean(&scale, &positions);
    Stats {
        histogram: histogram(deck, votes),
        median: positions
            .get(positions.len() / 2)
            .map(|&position| String::from(scale.cards[position])),
        mean: mean.map(|mean| (mean * 100.0).round() / 100.0),
        agreement: agreement(&positions),
        nearest: mean.and_then(|mean| nearest(&scale, mean)),
        summary: summary(&scale, votes, &positions),
    }
}

fn histogram(deck: &Deck, votes: &[NamedVote<'_>]) -> Vec<CardCount> {
    let count = |card: &String| votes.iter().filter(|(_, voted)| voted == card).count();
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

fn nearest(scale: &Scale<'_>, mean: f64) -> Option<String> {
    let distance = |value: &f64| (value - mean).abs();
    // From large to small: of two cards equally near, the first one seen, the higher, stays.
    let best = scale
        .values
        .as_ref()?
        .iter()
        .enumerate()
        .rev()
        .min_by(|a, b| distance(a.1).total_cmp(&distance(b.1)));
    best.map(|(position, _)| String::from(scale.cards[position]))
}

/// Share of the most frequent estimate in per cent, to the nearest; `positions` are sorted.
fn agreement(positions: &[usize]) -> u8 {
    let most = positions
        .chunk_by(|a, b| a == b)
        .map(<[usize]>::len)
        .max()
        .unwrap_or(0);
    let half = positions.len() / 2;
    (most * 100 + half).checked_div(positions.len()).unwrap_or(0) as u8
}

/// Who should talk first: those with the highest and the lowest estimate, when they are far apart.
fn summary(scale: &Scale<'_>, votes: &[NamedVote<'_>], positions: &[usize]) -> Option<String> {
    let (&lowest, &highest) = (positions.first()?, positions.last()?);
    if positions.len() < 2 {
        return None;
    }
    let (low, high) = (scale.cards[lowest], scale.cards[highest]);
    Some(match highest - lowest {
        0 => format!("Everyone {high}: agreed"),
        1 => format!("Between {low} and {high}: nearly agreed"),
        _ => format!(
            "{} {high}, {} {low}: talk first",
            voters(votes, high),
            voters(votes, low)
        ),
    })
}

fn voters(votes: &[NamedVote<'_>], card: &str) -> String {
    let names: Vec<&str> = votes
        .iter()
        .filter(|(_, voted)| *voted == card)
        .map(|&(name, _)| name)
        .collect();
    match names[..] {
        [] => String::new(),
        [one] => String::from(one),
        [one, two] => format!("{one} and {two}"),
        [first, ref others @ ..] => format!("{first} and {} others", others.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{DeckChoice, DeckKind};

    fn deck(kind: DeckKind, cards: &[&str]) -> Deck {
        let cards = Some(cards.iter().map(|&card| String::from(card)).collect());
        Deck::choose(&DeckChoice { kind, cards }).unwrap()
    }

    fn of(deck: &Deck, cards: &[&str]) -> Stats {
        let names = ["Ada", "Ben", "Cy", "Di", "Eva"];
        let votes: Vec<NamedVote<'_>> = names.into_iter().zip(cards.iter().copied()).collect();
        stats(deck, &votes)
    }

    #[test]
    fn numeric_and_ordered_decks() {
        let fibonacci = deck(DeckKind::Fibonacci, &[]);
        let modified = deck(DeckKind::ModifiedFibonacci, &[]);
        let sizes = deck(DeckKind::TShirt, &[]);
        let words = deck(DeckKind::Custom, &["low", "mid", "high", "?"]);
        type Case<'a> = (
            &'a Deck,
            &'a [&'a str],
            Option<&'a str>,
            Option<f64>,
            u8,
            Option<&'a str>,
            Option<&'a str>,
        );
        let cases: &[Case<'_>] = &[
            (&fibonacci, &[], None, None, 0, None, None),
            (&fibonacci, &["?", "☕"], None, None, 0, None, None),
            (&fibonacci, &["5"], Some("5"), Some(5.0), 100, Some("5"), None),
            (
                &fibonacci,
                &["5", "5", "?"],
                Some("5"),
                Some(5.0),
                100,
                Some("5"),
                Some("Everyone 5: agreed"),
            ),
            (
                &fibonacci,
                &["13", "3"],
                Some("13"),
                Some(8.0),
                50,
                Some("8"),
                Some("Ada 13, Ben 3: talk first"),
            ),
            (
                &fibonacci,
                &["5", "8", "5"],
                Some("5"),
                Some(6.0),
                67,
                Some("5"),
                Some("Between 5 and 8: nearly agreed"),
            ),
            (
                &fibonacci,
                &["3", "5"],
                Some("5"),
                Some(4.0),
                50,
                Some("5"),
                Some("Between 3 and 5: nearly agreed"),
            ),
            (
                &fibonacci,
                &["1", "1", "8", "8"],
                Some("8"),
                Some(4.5),
                50,
                Some("5"),
                Some("Cy and Di 8, Ada and Ben 1: talk first"),
            ),
            (
                &fibonacci,
                &["1", "8", "1", "1", "☕"],
                Some("1"),
                Some(2.75),
                75,
                Some("3"),
                Some("Ben 8, Ada and 2 others 1: talk first"),
            ),
            (
                &modified,
                &["½", "½", "1"],
                Some("½"),
                Some(0.67),
                67,
                Some("½"),
                Some("Between ½ and 1: nearly agreed"),
            ),
            (
                &sizes,
                &["XL", "S", "M"],
                Some("M"),
                None,
                33,
                None,
                Some("Ada XL, Ben S: talk first"),
            ),
            (
                &words,
                &["low", "high", "?"],
                Some("high"),
                None,
                50,
                None,
                Some("Ben high, Ada low: talk first"),
            ),
        ];
        for (deck, cards, median, mean, agreement, nearest, summary) in cases {
            let got = of(deck, cards);
            assert_eq!(got.median.as_deref(), *median, "median of {cards:?}");
            assert_eq!(got.mean, *mean, "mean of {cards:?}");
            assert_eq!(got.agreement, *agreement, "agreement of {cards:?}");
            assert_eq!(got.nearest.as_deref(), *nearest, "nearest of {cards:?}");
            assert_eq!(got.summary.as_deref(), *summary, "summary of {cards:?}");
        }
    }

    #[test]
    fn the_histogram_keeps_deck_order_and_every_card() {
        let got = of(&deck(DeckKind::Fibonacci, &[]), &["?", "13", "3", "13"]).histogram;
        let got: Vec<(&str, u32)> = got
            .iter()
            .map(|entry| (entry.card.as_str(), entry.count))
            .collect();
        assert_eq!(got, [("3", 1), ("13", 2), ("?", 1)]);
    }
}
