//! What every case needs: source, sink, the function, Python, and the rows so far.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::content::Weights;
use super::line::Line;
use super::measured::Measured;
use super::ours::Run;
use super::peer::{PayloadSigning, Peer};
use super::sink::Sink;
use super::source::{Content, Model, ModelFile, Source};
use crate::error::Error;
use crate::screen::say;
use crate::summary::Row;

/// 2^30 bytes.
pub const GIB: u64 = 1 << 30;
/// 2^20 bytes.
pub const MIB: u64 = 1 << 20;

/// The laboratory.
pub struct Lab {
    /// Rounds of each measurement.
    pub rounds: u32,
    /// Whether only the working counts.
    pub quick: bool,
    /// The function's binary.
    pub binary: PathBuf,
    /// The Hub.
    pub source: Source,
    /// S3.
    pub sink: Sink,
    /// Python.
    pub peer: Peer,
    /// What was measured so far.
    pub rows: Vec<Row>,
    /// The function's processor seconds per GiB, unthrottled, once they are known.
    pub cpu_per_gib: Vec<f64>,
}

impl Lab {
    /// Opens it.
    ///
    /// # Errors
    /// When there is no port, or no Python.
    pub async fn open(binary: PathBuf, rounds: u32, quick: bool) -> Result<Self, Error> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let lockstep = root.parent().unwrap_or(root).join(".lockstep");
        say("preparing Python with requests and boto3 (pinned)");
        let peer = Peer::prepare(&lockstep).await?;
        let (source, sink) = (Source::start()?, Sink::start()?);
        let (rows, cpu_per_gib) = (Vec::new(), Vec::new());
        Ok(Self { rounds, quick, binary, source, sink, peer, rows, cpu_per_gib })
    }

    /// Ours, once. The model is offered over the line to nobody else meanwhile.
    ///
    /// # Errors
    /// When the function refuses.
    pub async fn ours(&self, model: &Arc<Model>, line: Line) -> Result<Measured, Error> {
        self.offer(model, line);
        let run = Run::resolve(&self.binary, &self.source, &self.sink, model).await?;
        let measured = run.fetch().await?;
        report("ours", model, measured);
        Ok(measured)
    }

    /// Python, once.
    ///
    /// # Errors
    /// When the program fails.
    pub async fn peer(
        &self,
        model: &Arc<Model>,
        line: Line,
        signing: PayloadSigning,
    ) -> Result<Measured, Error> {
        self.offer(model, line);
        let measured = self.peer.fetch(&self.source, &self.sink, model, signing).await?;
        let name = match signing {
            PayloadSigning::Default => "Python, boto3's default",
            PayloadSigning::Off => "Python, signing off",
        };
        report(name, model, measured);
        Ok(measured)
    }

    /// Whether both store what the source sends, byte for byte. Not measured, since the sink hashes too.
    ///
    /// # Errors
    /// When one of them does not.
    pub async fn check(&self, model: &Arc<Model>) -> Result<(), Error> {
        say("  checking that both store the same bytes (not measured)");
        self.sink.reset(true);
        self.source.offer(model, Line::unlimited());
        Run::resolve(&self.binary, &self.source, &self.sink, model).await?.fetch().await?;
        self.sink.verify(model)?;
        self.sink.reset(true);
        self.peer.fetch(&self.source, &self.sink, model, PayloadSigning::Off).await?;
        self.sink.verify(model)?;
        Ok(())
    }

    fn offer(&self, model: &Arc<Model>, line: Line) {
        self.sink.reset(false);
        self.source.offer(model, line);
    }
}

fn report(name: &str, model: &Model, Measured { wall, cpu, peak_rss_mib }: Measured) {
    let rate = model.size() as f64 / 1e6 / wall;
    say(&format!("  {name}: {wall:.2} s ({rate:.0} MB/s), {cpu:.2} s CPU, {peak_rss_mib:.0} MiB"));
}

/// A model of one file of this many bytes.
///
/// # Errors
/// When the bytes cannot be made.
pub fn weights(size: u64) -> io::Result<Arc<Model>> {
    let weights = Weights { size };
    // The digest is computed here, and not while somebody is measured.
    weights.digest()?;
    Ok(model("model.safetensors", |_| Content::Weights(weights), 1))
}

/// A model of this many small files.
pub fn texts(count: usize, size: usize) -> Arc<Model> {
    let text = |index| {
        let mut text = format!("{{\"shard\": {index}, \"text\": \"");
        while text.len() + 2 < size {
            text.push(char::from(b'a' + u8::try_from(text.len() % 26).unwrap_or(0)));
        }
        text.push_str("\"}");
        Content::Text(Arc::new(text.into_bytes()))
    };
    model("shards/{}.json", text, count)
}

/// A repository of its own each time, so that nothing of an earlier one is found again.
fn model(path: &str, content: impl Fn(usize) -> Content, count: usize) -> Arc<Model> {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let repo = format!("lockstep/bench-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let files = (0..count)
        .map(|index| ModelFile { path: path.replace("{}", &format!("{index:04}")), content: content(index) })
        .collect();
    Arc::new(Model { repo, files })
}

/// `2 GiB` or `256 MiB`.
pub fn size_name(size: u64) -> String {
    if size.is_multiple_of(GIB) { format!("{} GiB", size / GIB) } else { format!("{} MiB", size / MIB) }
}

/// One figure of each round.
pub fn each(rounds: &[Measured], figure: impl Fn(&Measured) -> f64) -> Vec<f64> {
    rounds.iter().map(figure).collect()
}
