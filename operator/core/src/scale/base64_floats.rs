//! Serializes arrays of numbers as base64 of their little-endian bytes, so that a stored state is small and exact in
//! every format.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

/// A number with a fixed width in bytes.
pub trait Number: Sized + Copy {
    const BYTES: usize;
    fn put(self, bytes: &mut Vec<u8>);
    fn get(bytes: &[u8]) -> Option<Self>;
}

macro_rules! number {
    ($($kind:ty),*) => {$(
        impl Number for $kind {
            const BYTES: usize = size_of::<$kind>();
            fn put(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
            fn get(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(<$kind>::from_le_bytes)
            }
        }
    )*};
}
number!(u16, f32, f64);

pub fn serialize<T: Number, C, S>(numbers: &C, serializer: S) -> Result<S::Ok, S::Error>
where
    S: Serializer,
    for<'a> &'a C: IntoIterator<Item = &'a T>,
{
    let mut bytes = Vec::new();
    for number in numbers {
        number.put(&mut bytes);
    }
    serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
}

pub fn deserialize<'de, T: Number, C, D>(deserializer: D) -> Result<C, D::Error>
where
    D: Deserializer<'de>,
    C: FromIterator<T>,
{
    let text = String::deserialize(deserializer)?;
    let bytes = BASE64_STANDARD.decode(text).map_err(D::Error::custom)?;
    if bytes.len() % T::BYTES != 0 {
        return Err(D::Error::custom("the base64 array is truncated"));
    }
    Ok(bytes.chunks_exact(T::BYTES).filter_map(T::get).collect())
}

/// Serializes one number by its bits, because a decimal text does not always parse to the same number.
pub mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(number.to_bits())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        u64::deserialize(deserializer).map(f64::from_bits)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Serialize, Deserialize)]
    struct Stored {
        #[serde(with = "super")]
        wide: Vec<f64>,
        #[serde(with = "super")]
        narrow: Vec<u16>,
        #[serde(with = "super::bits")]
        one: f64,
    }

    fn bits(numbers: &[f64]) -> Vec<u64> {
        numbers.iter().map(|number| number.to_bits()).collect()
    }

    proptest! {
        #[test]
        fn numbers_survive_serialization_bit_by_bit(
            wide in vec(any::<u64>().prop_map(f64::from_bits), 0..20),
            narrow in vec(any::<u16>(), 0..20),
            one in any::<u64>().prop_map(f64::from_bits),
        ) {
            let stored = Stored { wide, narrow, one };
            let text = serde_json::to_string(&stored).unwrap();
            let back: Stored = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(bits(&back.wide), bits(&stored.wide));
            prop_assert_eq!(back.narrow, stored.narrow);
            prop_assert_eq!(back.one.to_bits(), stored.one.to_bits());
        }

        #[test]
        fn any_text_gives_whole_numbers_or_an_error(text in "[A-Za-z0-9+/=]{0,40}|.{0,20}") {
            let stored = serde_json::json!({"wide": text, "narrow": "", "one": 0});
            if let Ok(read) = serde_json::from_value::<Stored>(stored) {
                let padding = text.chars().rev().take_while(|c| *c == '=').count();
                prop_assert_eq!(read.wide.len() * 8, text.len() / 4 * 3 - padding);
            }
        }
    }
}
