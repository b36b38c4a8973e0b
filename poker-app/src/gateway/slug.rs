//! A team's slug: derived from its name, with a random suffix that cannot be guessed.

use poker_core::limits::TEAM_SLUG_CHARS_MAX;

const RANDOM_CHARS: usize = 6;
/// One byte per character; its low five bits are used.
pub const RANDOM_BYTES: usize = RANDOM_CHARS;
/// Crockford's base 32: no letters that look like digits.
const BASE32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const NAME_CHARS_MAX: usize = TEAM_SLUG_CHARS_MAX - RANDOM_CHARS - 1;

/// `Größe & Co` gives `gr-e-co-7x2k9p`; a name without letters a-z or digits gives `team-…`.
pub fn from_name(name: &str, random: [u8; RANDOM_BYTES]) -> String {
    let lower = name.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric());
    let joined = words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-");
    let cut = joined[..joined.len().min(NAME_CHARS_MAX)].trim_end_matches('-');
    let readable = if cut.is_empty() { "team" } else { cut };
    let suffix: String = random
        .iter()
        .map(|byte| char::from(BASE32[usize::from(byte % 32)]))
        .collect();
    format!("{readable}-{suffix}")
}

#[cfg(test)]
mod tests {
    use poker_core::TeamSlug;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slugs_are_readable() {
        let cases = [
            ("Blue Team", "blue-team-000000"),
            ("  -- R&D / 2 ", "r-d-2-000000"),
            ("日本", "team-000000"),
        ];
        for (name, slug) in cases {
            assert_eq!(from_name(name, [0; RANDOM_BYTES]), slug);
        }
    }

    proptest! {
        #[test]
        fn every_name_gives_a_valid_slug(name in ".{0,90}", random: [u8; RANDOM_BYTES]) {
            prop_assert!(TeamSlug::parse(&from_name(&name, random)).is_ok());
        }
    }
}
