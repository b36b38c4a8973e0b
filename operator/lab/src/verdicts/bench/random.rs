//! Seeded random numbers.

/// SplitMix64 (Steele, Lea & Flood, OOPSLA 2014): fast, and every seed starts a good stream.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

/// Above this mean a Poisson number is drawn from the normal distribution: three deviations below the mean are still far
/// above zero.
const POISSON_NORMAL_MEAN_MIN: f64 = 200.0;

impl Random {
    /// The stream of one run of one scenario.
    pub fn new(seed: u64, scenario: &str, run: u64) -> Self {
        let mut random = Random { state: seed };
        for part in scenario.bytes().map(u64::from).chain([run]) {
            random.state = random.next() ^ part;
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `0..1`.
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// In `0..bound`; `bound` is 1 or more.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// A Poisson number with this mean.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean >= POISSON_NORMAL_MEAN_MIN {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u64;
        }
        // Knuth: the count of uniform numbers whose product stays above e^-mean.
        let (mut count, mut product, floor) = (0, self.uniform(), (-mean).exp());
        while product > floor {
            count += 1;
            product *= self.uniform();
        }
        count
    }

    /// A geometric number of 1 or more with this mean.
    pub fn geometric(&mut self, mean: f64) -> u64 {
        if mean <= 1.0 {
            return 1;
        }
        let failure = 1.0 - 1.0 / mean;
        1 + ((1.0 - self.uniform()).ln() / failure.ln()) as u64
    }

    /// Box & Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}
