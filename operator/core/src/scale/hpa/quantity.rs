//! The format of a number in the status.

/// The suffixes of a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuantityFormat {
    DecimalSi,
    BinarySi,
}

impl QuantityFormat {
    pub fn name(self) -> &'static str {
        match self {
            QuantityFormat::DecimalSi => "DecimalSI",
            QuantityFormat::BinarySi => "BinarySI",
        }
    }
}

/// A value in thousandths and its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity {
    pub milli: i64,
    pub format: QuantityFormat,
}

impl Quantity {
    /// Memory uses powers of two, everything else powers of ten.
    pub fn of_resource(resource: &str, milli: i64) -> Quantity {
        let format = if resource == "memory" {
            QuantityFormat::BinarySi
        } else {
            QuantityFormat::DecimalSi
        };
        Quantity { milli, format }
    }

    pub fn decimal(milli: i64) -> Quantity {
        Quantity {
            milli,
            format: QuantityFormat::DecimalSi,
        }
    }
}
