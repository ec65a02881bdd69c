//! A training between two batches, as bytes: whoever takes it up ends with the same model, bit for bit, as if
//! nobody had stopped.

use std::time::{Duration, Instant};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use sha2::{Digest, Sha256};

use super::{Control, ModelSpec, TrainConfig, TrainDevice, TrainError};
use crate::domain::Series;
use crate::nn::{AdamWMemory, Generator};

/// Where a training stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Of config, bars, code and device: what stands here means nothing for others.
    fingerprint: [u8; 32],
    /// Time spent so far, over all attempts.
    pub(super) elapsed: Duration,
    /// Members that are done, in order.
    pub(super) done: Vec<DoneMember>,
    /// The member under way.
    pub(super) standing: Option<Standing>,
}

/// What of a fitted member cannot be computed again at once.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DoneMember {
    pub(super) weights: Vec<f32>,
    /// Mean pinball loss on the held-back stretch, of the base and of the weights.
    pub(super) losses: (f64, f64),
    /// Epochs run.
    pub(super) epochs: usize,
}

/// A member's training between two batches.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Standing {
    /// Under way, from 1.
    pub(super) epoch: usize,
    /// Batches of it that are done.
    pub(super) n_batches: usize,
    /// Sum of their losses, each times its windows.
    pub(super) loss_sum: f64,
    /// Epochs since the best one.
    pub(super) since: usize,
    /// Of the base and of the best weights.
    pub(super) losses: (f64, f64),
    pub(super) best: Vec<f32>,
    pub(super) weights: Vec<f32>,
    pub(super) memory: AdamWMemory,
    /// Cutoffs in the order of this epoch; the next one shuffles it further.
    pub(super) order: Vec<usize>,
    pub(super) generator: Generator,
}

/// Why bytes are no checkpoint; a training then begins anew.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Cut off, or changed.
    #[error("the checkpoint is damaged")]
    Damaged,
    /// Whole, but not of this layout.
    #[error("the checkpoint cannot be read: {0}")]
    Layout(#[from] safetensors::SafeTensorError),
}

/// Bytes of the SHA-256 before the tensors: safetensors has no checksum.
const DIGEST: usize = 32;
/// Numbers of a member under way beside its tensors.
const COUNTS: usize = 8;

impl Checkpoint {
    /// As it is kept.
    ///
    /// # Errors
    /// When the tensors cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CheckpointError> {
        let mut parts = vec![
            Part::bytes("fingerprint", self.fingerprint.to_vec()),
            Part::numbers("elapsed_ms", [self.elapsed.as_millis() as u64]),
        ];
        for (idx, DoneMember { weights, losses, epochs }) in self.done.iter().enumerate() {
            parts.push(Part::floats(&format!("done.{idx}.weights"), weights));
            let numbers = [losses.0.to_bits(), losses.1.to_bits(), *epochs as u64];
            parts.push(Part::numbers(&format!("done.{idx}.numbers"), numbers));
        }
        if let Some(standing) = &self.standing {
            standing.push(&mut parts);
        }
        let views = parts.iter().map(|part| {
            let shape = vec![part.bytes.len() / (part.dtype.bitsize() / 8)];
            TensorView::new(part.dtype, shape, &part.bytes).map(|view| (part.name.as_str(), view))
        });
        let tensors = safetensors::serialize(views.collect::<Result<Vec<_>, _>>()?, None)?;
        Ok([Sha256::digest(&tensors).as_slice(), &tensors].concat())
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// When the bytes are damaged or of another layout.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let (digest, tensors) = bytes.split_at_checked(DIGEST).ok_or(CheckpointError::Damaged)?;
        if Sha256::digest(tensors).as_slice() != digest {
            return Err(CheckpointError::Damaged);
        }
        let parts = Parts(SafeTensors::deserialize(tensors)?);
        let mut done = Vec::new();
        while parts.has(&format!("done.{}.weights", done.len())) {
            let [base, best, epochs] = parts.numbers(&format!("done.{}.numbers", done.len()))?;
            let weights = parts.floats(&format!("done.{}.weights", done.len()))?;
            let losses = (f64::from_bits(base), f64::from_bits(best));
            done.push(DoneMember { weights, losses, epochs: epochs as usize });
        }
        let fingerprint = parts.bytes("fingerprint")?.try_into().map_err(|_| CheckpointError::Damaged)?;
        let [elapsed_ms] = parts.numbers("elapsed_ms")?;
        let standing = parts.has("standing.weights").then(|| Standing::read(&parts)).transpose()?;
        Ok(Self { fingerprint, elapsed: Duration::from_millis(elapsed_ms), done, standing })
    }
}

impl Standing {
    fn push(&self, parts: &mut Vec<Part>) {
        let Self { epoch, n_batches, loss_sum, since, losses, best, weights, memory, order, generator } = self;
        let counts: [u64; COUNTS] = [
            *epoch as u64,
            *n_batches as u64,
            loss_sum.to_bits(),
            *since as u64,
            losses.0.to_bits(),
            losses.1.to_bits(),
            u64::from(memory.steps),
            // A generator gives 2⁶⁴ words at most before a training ends.
            generator.get_word_pos() as u64,
        ];
        parts.push(Part::numbers("standing.counts", counts));
        parts.push(Part::bytes("standing.seed", generator.get_seed().to_vec()));
        parts.push(Part::numbers("standing.order", order.iter().map(|cutoff| *cutoff as u64)));
        for (name, numbers) in
            [("best", best), ("weights", weights), ("mean", &memory.mean), ("square", &memory.square)]
        {
            parts.push(Part::floats(&format!("standing.{name}"), numbers));
        }
    }

    fn read(parts: &Parts) -> Result<Self, CheckpointError> {
        let [epoch, n_batches, loss_sum, since, base, best, steps, word] =
            parts.numbers::<COUNTS>("standing.counts")?;
        let seed: [u8; 32] = parts.bytes("standing.seed")?.try_into().map_err(|_| CheckpointError::Damaged)?;
        let mut generator = <Generator as rand::SeedableRng>::from_seed(seed);
        generator.set_word_pos(u128::from(word));
        let floats = |name: &str| parts.floats(&format!("standing.{name}"));
        let steps = u32::try_from(steps).map_err(|_| CheckpointError::Damaged)?;
        Ok(Self {
            epoch: epoch as usize,
            n_batches: n_batches as usize,
            loss_sum: f64::from_bits(loss_sum),
            since: since as usize,
            losses: (f64::from_bits(base), f64::from_bits(best)),
            best: floats("best")?,
            weights: floats("weights")?,
            memory: AdamWMemory { steps, mean: floats("mean")?, square: floats("square")? },
            order: parts.words("standing.order")?.map(|cutoff| cutoff as usize).collect(),
            generator,
        })
    }
}

/// A tensor to write, of one dimension.
struct Part {
    name: String,
    dtype: Dtype,
    bytes: Vec<u8>,
}

impl Part {
    fn bytes(name: &str, bytes: Vec<u8>) -> Self {
        Self { name: name.to_owned(), dtype: Dtype::U8, bytes }
    }

    fn numbers(name: &str, numbers: impl IntoIterator<Item = u64>) -> Self {
        let bytes = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
        Self { name: name.to_owned(), dtype: Dtype::U64, bytes }
    }

    fn floats(name: &str, numbers: &[f32]) -> Self {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        Self { name: name.to_owned(), dtype: Dtype::F32, bytes }
    }
}

/// A file being read.
struct Parts<'a>(SafeTensors<'a>);

impl Parts<'_> {
    fn has(&self, name: &str) -> bool {
        self.0.tensor(name).is_ok()
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, CheckpointError> {
        Ok(self.0.tensor(name)?.data().to_vec())
    }

    fn words(&self, name: &str) -> Result<impl Iterator<Item = u64>, CheckpointError> {
        let words: Vec<[u8; 8]> = self.0.tensor(name)?.data().as_chunks().0.to_vec();
        Ok(words.into_iter().map(u64::from_le_bytes))
    }

    fn numbers<const N: usize>(&self, name: &str) -> Result<[u64; N], CheckpointError> {
        self.words(name)?.collect::<Vec<_>>().try_into().map_err(|_| CheckpointError::Damaged)
    }

    fn floats(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let view = self.0.tensor(name)?;
        Ok(view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }
}

/// Keeps checkpoints of one training as its [`Control`] asks for them.
pub(super) struct Keeper<'a> {
    pub(super) control: &'a Control<'a>,
    /// The newest state of what is done.
    checkpoint: Checkpoint,
    begun: Instant,
    kept: Instant,
}

impl<'a> Keeper<'a> {
    /// Begins anew, or where the checkpoint of `control` stands if that is one of the same bars and config.
    pub(super) fn new(control: &'a Control<'a>, series: &Series, config: &TrainConfig) -> Self {
        let fingerprint = fingerprint(series, config, &control.device);
        let resumed = control.resume.filter(|earlier| earlier.fingerprint == fingerprint).cloned();
        let anew = Checkpoint { fingerprint, elapsed: Duration::ZERO, done: Vec::new(), standing: None };
        let now = Instant::now();
        Self { control, checkpoint: resumed.unwrap_or(anew), begun: now, kept: now }
    }

    /// Time spent, over all attempts.
    pub(super) fn elapsed(&self) -> Duration {
        self.checkpoint.elapsed + self.begun.elapsed()
    }

    /// Where the training computes.
    pub(super) fn device(&self) -> &'a TrainDevice {
        &self.control.device
    }

    /// A member that an earlier attempt finished.
    pub(super) fn done(&self, member: usize) -> Option<&DoneMember> {
        self.checkpoint.done.get(member)
    }

    /// Where an earlier attempt at the member that is next to be done stood.
    pub(super) fn resume(&mut self) -> Option<Standing> {
        self.checkpoint.standing.take()
    }

    /// Notes that the next member is done.
    pub(super) fn finish(&mut self, member: DoneMember) {
        self.checkpoint.done.push(member);
    }

    /// Whether to go on. When not because of a cancel, and now and then, says where the training stands.
    pub(super) fn between_batches(
        &mut self,
        standing: impl FnOnce() -> candle_core::Result<Standing>,
    ) -> Result<(), TrainError> {
        let may_go_on = self.control.check();
        let Some(keep) = &self.control.keep else { return may_go_on };
        if matches!(may_go_on, Err(TrainError::Canceled)) || self.kept.elapsed() >= keep.every {
            let (elapsed, standing) = (self.elapsed(), Some(standing()?));
            (keep.checkpoint)(Checkpoint { elapsed, standing, ..self.checkpoint.clone() });
            self.kept = Instant::now();
        }
        may_go_on
    }
}

/// Of all that decides a training's result.
fn fingerprint(series: &Series, config: &TrainConfig, device: &TrainDevice) -> [u8; 32] {
    let device = device.0.location();
    let code = (env!("CARGO_PKG_VERSION"), ModelSpec::FORMAT);
    let mut hasher = Sha256::new_with_prefix(format!("{code:?} {device:?} {config:?}"));
    for value in series.numbers() {
        hasher.update(value.to_le_bytes());
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::domain::bar::RawBar;
    use crate::domain::{Bar, BarTime, Interval};
    use crate::nn::seeded;
    use crate::train::{Keep, Preset, train};

    #[test]
    fn bytes_give_back_the_same_checkpoint_and_one_flipped_bit_is_seen() {
        let mut generator = seeded(3);
        generator.set_word_pos(12_345);
        let memory = AdamWMemory { steps: 7, mean: vec![0.1, -0.2], square: vec![1e-30, 2.0] };
        let standing = Standing {
            epoch: 2,
            n_batches: 3,
            loss_sum: 0.1 + 0.2,
            since: 1,
            losses: (0.3, 0.25),
            best: vec![1.0, 2.0],
            weights: vec![1.5, 2.5],
            memory,
            order: vec![60, 41, 50],
            generator,
        };
        let done = vec![DoneMember { weights: vec![9.0], losses: (0.5, 0.4), epochs: 4 }];
        let elapsed = Duration::from_millis(1_500);
        let checkpoint = Checkpoint { fingerprint: [7; 32], elapsed, done, standing: Some(standing) };
        let bytes = checkpoint.to_bytes().expect("tensors");
        assert_eq!(Checkpoint::from_bytes(&bytes).expect("its own"), checkpoint);
        for place in (0..bytes.len()).step_by(5) {
            let mut flipped = bytes.clone();
            flipped[place] ^= 4;
            assert!(matches!(Checkpoint::from_bytes(&flipped), Err(CheckpointError::Damaged)), "byte {place}");
        }
        assert!(Checkpoint::from_bytes(&bytes[..20]).is_err());
    }

    #[test]
    fn a_training_that_diverges_names_its_step() {
        let bar = |idx: usize| {
            let (x, close) = (idx as f64, |x: f64| 100.0 + 3.0 * (x / 7.0).sin() + 1.5 * (x * 1.7).sin());
            let (open, close) = (close(x - 0.5), close(x));
            let (high, low) = (open.max(close) + 0.5, open.min(close) - 0.4);
            let at = BarTime::from_seconds(86_400 * idx as i64);
            Bar::new(RawBar { at, open, high, low, close, volume: None }).expect("high above low")
        };
        let series = Series::new(Interval::Day, (0..300).map(bar).collect()).expect("ascending");
        let config = TrainConfig { batch_size: 40, ..TrainConfig::preset(Preset::Fast) };
        let kept = Mutex::new(None);
        let keep = |checkpoint: Checkpoint| {
            let at = checkpoint.standing.as_ref().map(|standing| (standing.epoch, standing.n_batches));
            if at == Some((2, 1)) {
                *kept.lock().expect("no panic") = Some(checkpoint);
            }
        };
        let every_batch = Keep { checkpoint: &keep, every: Duration::ZERO };
        train(&series, &config, &Control { keep: Some(every_batch), ..Control::quiet() }).expect("trained");
        // No bars that are valid get this far: what the network reads of them is bounded.
        let mut broken = kept.into_inner().expect("no panic").expect("a second batch of the second epoch");
        broken.standing.as_mut().expect("under way").weights[0] = f32::NAN;
        let outcome = train(&series, &config, &Control { resume: Some(&broken), ..Control::quiet() });
        let refusal = outcome.expect_err("a NaN is no weight").to_string();
        assert_eq!(refusal, "training diverged at step 2 of epoch 2: try a lower learning_rate");
    }
}
