//! A sample of a stream whose length is not known.

/// Keeps at most so many of the values it sees, each with the same chance (J. S. Vitter, *Random sampling with a reservoir*,
/// 1985, algorithm R). The same values in the same order give the same sample: its chance comes from the name it is
/// made with.
#[derive(Clone, Debug)]
pub struct Reservoir {
    values: Vec<f64>,
    most: usize,
    seen: u64,
    state: u64,
}

impl Reservoir {
    /// An empty one for at most `most` values.
    pub fn new(name: &str, most: usize) -> Self {
        // FNV-1a, so that features do not all keep the same rows.
        let state = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self { values: Vec::new(), most, seen: 0, state }
    }

    /// Sees a value.
    pub fn see(&mut self, value: f64) {
        self.seen += 1;
        if self.values.len() < self.most {
            self.values.push(value);
            return;
        }
        // The high half of the product is even to within one part in 2^64 / seen.
        let place = (u128::from(self.next()) * u128::from(self.seen)) >> 64;
        if let Some(kept) = self.values.get_mut(place as usize) {
            *kept = value;
        }
    }

    /// SplitMix64 (G. Steele, D. Lea and C. Flood, 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The sample, sorted.
    pub fn sorted(mut self) -> Vec<f64> {
        self.values.sort_unstable_by(f64::total_cmp);
        self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str, of: u32, most: usize) -> Vec<f64> {
        let mut reservoir = Reservoir::new(name, most);
        (0..of).for_each(|value| reservoir.see(f64::from(value)));
        reservoir.sorted()
    }

    #[test]
    fn a_short_stream_is_kept_whole_and_a_long_one_is_sampled_again_as_before() {
        assert_eq!(sample("a", 5, 10), [0.0, 1.0, 2.0, 3.0, 4.0]);
        let once = sample("a", 10_000, 100);
        assert_eq!((once.len(), &once), (100, &sample("a", 10_000, 100)));
        assert_ne!(once, sample("b", 10_000, 100));
    }

    #[test]
    fn early_and_late_values_have_the_same_chance() {
        // Of 1000 samples of 50 of 1000 values, each tenth of the stream gets 5000; four deviations are 270.
        let mut tenths = [0_u32; 10];
        for name in 0..1000 {
            for value in sample(&name.to_string(), 1000, 50) {
                tenths[value as usize / 100] += 1;
            }
        }
        assert!(tenths.iter().all(|&count| count.abs_diff(5000) < 270), "{tenths:?}");
    }
}
