//! What is compared: columns of made-up values, some of which have drifted.

use std::f64::consts::TAU;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

use crate::error::Error;

/// Values of the baseline that are kept: the crate's default.
pub const SAMPLE: usize = 10_000;

/// Two files of 64-bit floats, a column after the other: sorted samples of the baseline, and the current values. They are
/// deleted with it.
pub struct Columns {
    /// How many.
    pub count: usize,
    /// Current values in each.
    pub length: usize,
    folder: TempDir,
}

impl Columns {
    /// Makes them, from a fixed seed.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(lockstep: &Path, count: usize, length: usize) -> Result<Self, Error> {
        std::fs::create_dir_all(lockstep)?;
        let columns = Self { count, length, folder: tempfile::tempdir_in(lockstep)? };
        let mut baseline = BufWriter::new(File::create(columns.baseline())?);
        let mut current = BufWriter::with_capacity(1 << 20, File::create(columns.current())?);
        let mut random = ChaCha8Rng::seed_from_u64(6);
        for column in 0..count {
            let kind = Kind::of(column);
            let mut sample: Vec<f64> = (0..SAMPLE).map(|_| kind.value(&mut random)).collect();
            sample.sort_unstable_by(f64::total_cmp);
            for value in sample {
                baseline.write_all(&value.to_le_bytes())?;
            }
            // By so little that probabilities are not all 0, by so much that some columns drift.
            let shift = [0.0, 0.002, 0.2][column / 5 % 3];
            for _ in 0..length {
                current.write_all(&(kind.value(&mut random) + shift).to_le_bytes())?;
            }
        }
        baseline.flush()?;
        current.flush()?;
        Ok(columns)
    }

    /// The file of the samples.
    pub fn baseline(&self) -> PathBuf {
        self.folder.path().join("baseline.f64")
    }

    /// The file of the current values.
    pub fn current(&self) -> PathBuf {
        self.folder.path().join("current.f64")
    }
}

/// How a column's values are spread.
#[derive(Clone, Copy)]
enum Kind {
    Normal,
    LogNormal,
    Even,
    /// In steps of a tenth.
    Tied,
    /// Half of them 0.
    MostlyZero,
}

impl Kind {
    fn of(column: usize) -> Self {
        [Self::Normal, Self::LogNormal, Self::Even, Self::Tied, Self::MostlyZero][column % 5]
    }

    fn value(self, random: &mut ChaCha8Rng) -> f64 {
        match self {
            Self::Normal => normal(random),
            Self::LogNormal => normal(random).exp(),
            Self::Even => random.random(),
            Self::Tied => (10.0 * normal(random)).round() / 10.0,
            Self::MostlyZero if random.random() => 0.0,
            Self::MostlyZero => normal(random),
        }
    }
}

/// By Box and Muller's method.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (radius, angle): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - radius).ln()).sqrt() * (TAU * angle).cos()
}
