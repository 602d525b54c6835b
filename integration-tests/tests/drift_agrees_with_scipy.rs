//! PSI and KS are numpy's and scipy's figures, to 1e-9, on random, tied, constant, tiny and huge samples.

#![allow(clippy::unwrap_used, reason = "in a test file every function is a test or its part")]

use std::{
    io::{Read as _, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use drift::{
    Counts, Grid,
    ks::{self, Method},
    psi,
};
use integration_tests::root;
use local::{
    Silent,
    python::{Environment, SCIPY},
};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// How far the figures may lie apart.
const TOLERANCE: f64 = 1e-9;
/// What is computed on each case: PSI, then D and p by both methods.
const FIGURES: [&str; 5] = ["PSI", "D", "p", "D (asymptotic)", "p (asymptotic)"];

/// One process of Python that answers case after case.
struct Reference {
    process: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Reference {
    fn start() -> Self {
        let lockstep = root().join(".lockstep");
        let made = Environment::prepare(&lockstep, SCIPY, &Silent);
        let environment = tokio::runtime::Runtime::new().unwrap().block_on(made).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drift_reference.py");
        let mut process = Command::new(environment.python())
            .arg("-I")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Self { process, input, output }
    }

    fn figures(&mut self, case: &Case) -> [f64; 5] {
        let mut bytes = Vec::new();
        for size in [case.baseline.len(), case.current.len(), case.bins] {
            bytes.extend((size as u32).to_le_bytes());
        }
        for value in case.baseline.iter().chain(&case.current) {
            bytes.extend(value.to_le_bytes());
        }
        self.input.write_all(&bytes).unwrap();
        self.input.flush().unwrap();
        let mut answer = [0; 40];
        self.output.read_exact(&mut answer).unwrap();
        std::array::from_fn(|index| f64::from_le_bytes(answer[8 * index..8 * index + 8].try_into().unwrap()))
    }

    fn end(self) {
        drop(self.input);
        let mut process = self.process;
        assert!(process.wait().unwrap().success());
    }
}

/// Two samples and the bins to compare them by.
struct Case {
    baseline: Vec<f64>,
    current: Vec<f64>,
    bins: usize,
}

impl Case {
    /// What this crate says, from counts as it takes them in service.
    fn figures(&self) -> [f64; 5] {
        let mut sample = self.baseline.clone();
        sample.sort_unstable_by(f64::total_cmp);
        let edges = psi::quantile_edges(&sample, self.bins);
        let grid = Grid::new(sample.iter().chain(&edges).copied());
        let count = |values: &[f64]| {
            let mut counts = Counts::new(&grid);
            counts.add(&grid, values);
            counts
        };
        let current = count(&self.current);
        let before = psi::bin_counts(&edges, &grid, &count(&sample));
        let index = psi::of_counts(&before, &psi::bin_counts(&edges, &grid, &current));
        let [exact, asymptotic] = [Method::Auto, Method::Asymptotic]
            .map(|method| ks::of_counts(&sample, &grid, &current, method).unwrap());
        [index, exact.d, exact.p, asymptotic.d, asymptotic.p]
    }

    fn assert_agrees(&self, reference: &mut Reference, name: &str) {
        let theirs = reference.figures(self);
        for ((own, other), figure) in self.figures().into_iter().zip(theirs).zip(FIGURES) {
            let (one, two, bins) = (self.baseline.len(), self.current.len(), self.bins);
            assert!(
                (own - other).abs() <= TOLERANCE,
                "{name}: {figure} of {one} and {two} values in {bins} bins: {own:e}, and {other:e} by scipy"
            );
        }
    }
}

/// What a case's values are like.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Normal,
    Shifted,
    LogNormal,
    Tied,
    Constant,
    Wide,
    Mixed,
    Same,
}

const KINDS: [Kind; 8] = [
    Kind::Normal,
    Kind::Shifted,
    Kind::LogNormal,
    Kind::Tied,
    Kind::Constant,
    Kind::Wide,
    Kind::Mixed,
    Kind::Same,
];

/// By the polar method's cousin, Box and Muller's.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (radius, angle): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

fn value(random: &mut ChaCha8Rng, kind: Kind, drifts: bool) -> f64 {
    let shift = f64::from(drifts);
    match kind {
        Kind::Normal | Kind::Same => normal(random),
        Kind::Shifted => normal(random) + 0.4 * shift,
        Kind::LogNormal => (2.0 * normal(random) + 0.3 * shift).exp(),
        Kind::Tied => f64::from(random.random_range(-3..4 + i32::from(drifts))),
        Kind::Constant => 7.0 + shift * f64::from(random.random_range(0..2)) * 1e-9,
        Kind::Wide => normal(random) * 10_f64.powi(random.random_range(-150..150)),
        Kind::Mixed if random.random_bool(0.4) => 0.0,
        Kind::Mixed => normal(random).max(-1.0) + 0.2 * shift,
    }
}

fn sample(random: &mut ChaCha8Rng, kind: Kind, drifts: bool, size: usize) -> Vec<f64> {
    (0..size).map(|_| value(random, kind, drifts)).collect()
}

/// Mostly small, evenly over the orders of magnitude.
fn size(random: &mut ChaCha8Rng, most: f64) -> usize {
    most.powf(random.random::<f64>()).round() as usize
}

fn case(random: &mut ChaCha8Rng, kind: Kind, sizes: (usize, usize)) -> Case {
    let drifts = random.random();
    // One value each: scipy's asymptotic method answers NaN.
    let least = if sizes.1 == 1 || matches!(kind, Kind::Same) { 2 } else { 1 };
    let baseline = sample(random, kind, false, sizes.0.max(least));
    let current = match kind {
        Kind::Same => baseline.clone(),
        _ => sample(random, kind, drifts, sizes.1),
    };
    Case { baseline, current, bins: random.random_range(1..25) }
}

#[test]
fn ten_thousand_random_samples_have_scipys_figures() {
    let mut reference = Reference::start();
    let mut random = ChaCha8Rng::seed_from_u64(6);
    for index in 0..10_000 {
        let kind = KINDS[index % KINDS.len()];
        let mut sizes = (size(&mut random, 1_500.0), size(&mut random, 1_500.0));
        if index % 3 == 0 {
            sizes.1 = sizes.0;
        }
        case(&mut random, kind, sizes).assert_agrees(&mut reference, &format!("case {index}, {kind:?}"));
    }
    reference.end();
}

#[test]
fn samples_around_every_change_of_method_have_scipys_figures() {
    let mut reference = Reference::start();
    let mut random = ChaCha8Rng::seed_from_u64(61);
    let sizes = [
        (1, 10_000),
        (2, 10_001),
        (140, 20_000),
        (283, 279),
        (9_999, 10_000),
        (10_000, 10_000),
        (10_000, 10_001),
        (9_973, 7_919),
        (10_000, 100_000),
        (200_000, 200_001),
        (10_000, 1_000_000),
        (2_000_000, 2_000_000),
    ];
    for sizes in sizes {
        for kind in KINDS {
            case(&mut random, kind, sizes).assert_agrees(&mut reference, &format!("{sizes:?}, {kind:?}"));
        }
    }
    reference.end();
}
