//! Kubernetes quantities, written as a string or as a plain integer.

use std::borrow::Cow;
use std::fmt;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as RawQuantity;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

/// The pattern of a quantity in the schema: what the parser of the API server accepts, without a sign, because no
/// quantity in the spec is negative.
pub const PATTERN: &str = r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)(([KMGTPE]i)|[numkMGTPE]|([eE][+-]?[0-9]+))?$";

/// A fixed-point number such as `500m`, `64Mi` or `100`.
///
/// It keeps the text of the user, and two quantities are equal if their texts are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Quantity(pub String);

impl Quantity {
    /// The value in thousandths, rounded up as in Kubernetes. `None` if the text is not a quantity or does not
    /// fit into an `i128`.
    pub fn milli(&self) -> Option<i128> {
        let split = self
            .0
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .unwrap_or(self.0.len());
        let (digits, suffix) = self.0.split_at(split);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
        let (numerator, denominator) = scale(suffix)?;
        let denominator = denominator.checked_mul(power(10, fraction.len())?)?;
        let scaled = mantissa.checked_mul(numerator)?.checked_mul(1_000)?;
        Some(scaled / denominator + i128::from(scaled % denominator != 0))
    }

    /// The value in whole units (bytes for memory), rounded up.
    pub fn ceil(&self) -> Option<i128> {
        let milli = self.milli()?;
        Some(milli / 1_000 + i128::from(milli % 1_000 != 0))
    }
}

/// The factor of a suffix as a fraction.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    Some(match suffix {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1_000),
        "k" => (power(10, 3)?, 1),
        "M" => (power(10, 6)?, 1),
        "G" => (power(10, 9)?, 1),
        "T" => (power(10, 12)?, 1),
        "P" => (power(10, 15)?, 1),
        "E" => (power(10, 18)?, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        exponent => {
            let digits = exponent.strip_prefix(['e', 'E'])?;
            let exponent: i32 = digits.parse().ok()?;
            let power = power(10, usize::try_from(exponent.unsigned_abs()).ok()?)?;
            if exponent < 0 { (1, power) } else { (power, 1) }
        }
    })
}

fn power(base: i128, exponent: usize) -> Option<i128> {
    base.checked_pow(u32::try_from(exponent).ok()?)
}

impl From<&str> for Quantity {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<&Quantity> for RawQuantity {
    fn from(quantity: &Quantity) -> Self {
        Self(quantity.0.clone())
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity such as 500m, 64Mi or 100")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
                Ok(Quantity(text.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "x-kubernetes-int-or-string": true, "pattern": PATTERN })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,30}|[0-9.]{0,40}[a-zA-Z]{0,2}[+-]?[0-9]{0,12}") {
            let quantity = Quantity(text);
            prop_assert_eq!(quantity.milli().is_some(), quantity.ceil().is_some());
        }

        #[test]
        fn milli_is_exact(milli in 0_i64..) {
            let of = |text: String| Quantity(text).milli();
            prop_assert_eq!(of(format!("{milli}m")), Some(i128::from(milli)));
            prop_assert_eq!(of(milli.to_string()), Some(1_000 * i128::from(milli)));
            prop_assert_eq!(of(format!("{milli}Ki")), Some(1_024_000 * i128::from(milli)));
        }
    }

    #[test]
    fn milli_rounds_up_and_supports_every_suffix() {
        let table = [
            ("0", Some(0)),
            ("1", Some(1_000)),
            ("1.5", Some(1_500)),
            ("500m", Some(500)),
            ("100u", Some(1)),
            ("1n", Some(1)),
            ("2k", Some(2_000_000)),
            ("64Mi", Some(64 * 1024 * 1024 * 1_000)),
            ("1e3", Some(1_000_000)),
            ("1E-1", Some(100)),
            (".5", Some(500)),
            ("", None),
            ("ten", None),
            ("1e99", None),
        ];
        for (text, milli) in table {
            assert_eq!(Quantity::from(text).milli(), milli, "{text}");
        }
    }

    #[test]
    fn an_integer_equals_its_text() {
        let quantity: Quantity = serde_json::from_str("100").unwrap();
        assert_eq!(quantity, Quantity::from("100"));
    }
}
