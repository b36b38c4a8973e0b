//! Arrays of numbers as base64 of their little-endian bytes, so that a stored state is small and
//! exact in every format.

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
        return Err(D::Error::custom("a packed array is cut off"));
    }
    Ok(bytes.chunks_exact(T::BYTES).filter_map(T::get).collect())
}

/// One number by its bits: a decimal text does not always come back as the same number.
pub mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(number.to_bits())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        u64::deserialize(deserializer).map(f64::from_bits)
    }
}
