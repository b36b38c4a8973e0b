//! The buckets of a histogram.

/// Buckets in the unit of the values. Bucket `n` is `first_width · growthⁿ` wide. The last one starts at `max` or
/// above and has no end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Buckets {
    pub first_width: f64,
    /// Above 1.
    pub growth: f64,
    pub max: f64,
}

impl Buckets {
    /// Where a bucket starts.
    pub fn start(&self, bucket: u16) -> f64 {
        self.first_width * (self.growth.powi(i32::from(bucket)) - 1.0) / (self.growth - 1.0)
    }

    /// The bucket of a value, with a fraction.
    fn position(&self, value: f64) -> f64 {
        (value * (self.growth - 1.0) / self.first_width + 1.0).ln() / self.growth.ln()
    }

    pub fn last(&self) -> u16 {
        self.position(self.max).ceil() as u16
    }

    pub fn bucket(&self, value: f64) -> u16 {
        if value < self.first_width {
            0
        } else {
            (self.position(value).floor() as u16).min(self.last())
        }
    }
}
