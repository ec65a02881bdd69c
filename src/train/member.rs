//! One network of the ensemble: fitted on all windows but one stretch, stopped and scored on that stretch.

use std::ops::Range;
use std::time::Duration;

use candle_core::{DType, Device, Tensor};
use rand::seq::SliceRandom;

use super::base::Base;
use super::checkpoint::{DoneMember, Keeper, Standing};
use super::lean::Place;
use super::network::{Network, pinball};
use super::shape::{CORRECTIONS, Shape};
use super::{Topology, TrainConfig, TrainDevice, TrainError};
use crate::features::volatility::TooFewRows;
use crate::features::{Columns, FeatureMatrix, RegressorTable, Rows, Scaler};
use crate::nn::{AdamW, AdamWConfig, Generator, Parameters, seeded};

/// A fitted member.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) base: Base,
    pub(super) scaler: Scaler,
    pub(super) network: Network,
    pub(super) parameters: Parameters,
    pub(super) shape: Shape,
}

/// What all members read: one copy of every number, windows are cut from it by index.
pub(super) struct Material<'a> {
    pub(super) columns: &'a Columns,
    pub(super) table: RegressorTable,
    pub(super) features: FeatureMatrix,
    /// Cutoffs whose window and outcome are known, ascending.
    pub(super) cutoffs: Vec<usize>,
}

/// How a member did on its held-back stretch.
pub(super) struct Validation {
    /// The cutoffs held back.
    pub(super) cutoffs: Vec<usize>,
    /// Where the returns after them lie, `[cutoff][step]`.
    places: Vec<Vec<Place>>,
    /// Quantiles of the log return, `[cutoff][step][level]` flat.
    pub(super) quantiles: Vec<f64>,
    /// By how much the network's pinball loss was below the base's, in units of the scale, `[step][cutoff]`.
    pub(super) gains: Vec<Vec<f64>>,
    /// Mean pinball loss in units of the scale, of the base and of the network kept.
    pub(super) losses: (f64, f64),
    /// Epochs run.
    pub(super) epochs: usize,
}

/// What an epoch says.
pub(super) struct Epoch {
    pub(super) number: usize,
    pub(super) train_loss: f64,
    pub(super) validation_loss: f64,
    /// Time since the training began.
    pub(super) elapsed: Duration,
}

/// The cutoffs of member `member` to fit on and to hold back. Stretches go backward from the newest; windows
/// whose outcome overlaps the stretch's (`horizon` before and after it) belong to neither.
pub(super) fn split(n_cutoffs: usize, member: usize, config: &TrainConfig) -> (Vec<usize>, Range<usize>) {
    let n_stretches = (config.ensemble + 1).max(5);
    let place = n_stretches - 1 - member;
    let held = n_cutoffs * place / n_stretches..n_cutoffs * (place + 1) / n_stretches;
    let before = config.horizon.steps();
    // Aligned windows also train on the outcomes of their earlier bars.
    let after = before + if config.topology == Topology::ManyToManyAligned { config.lookback } else { 0 };
    let kept = (0..n_cutoffs).filter(|idx| idx + before < held.start || *idx >= held.end + after);
    (kept.collect(), held)
}

impl Member {
    /// Fits member number `member`, or what `keeper` has not of it; `report` hears of each epoch.
    pub(super) fn fit(
        material: &Material,
        config: &TrainConfig,
        member: usize,
        keeper: &mut Keeper,
        report: &dyn Fn(Epoch),
    ) -> Result<(Self, Validation), TrainError> {
        let (kept, held) = split(material.cutoffs.len(), member, config);
        let kept: Vec<usize> = kept.into_iter().map(|idx| material.cutoffs[idx]).collect();
        let held = material.cutoffs[held].to_vec();
        let (columns, n_steps) = (material.columns, config.horizon.steps());
        let base = Base::fit(columns, &material.table, &kept, n_steps, &config.levels)
            .map_err(|TooFewRows { needed, have }| TrainError::TooFewBars { needed, have })?;
        let scaler = material.features.fit_scaler(&kept);
        let (network, layout) = Network::new(config, material.features.width(), &format!("members.{member}."));
        let mut generator = seeded(config.seed.wrapping_mul(1_000_003).wrapping_add(member as u64));
        let parameters = network.init(layout, &mut generator)?;
        let shape = Shape::new(&base.quantiles, config.middle(), &Device::Cpu)?;
        let fitted = Self { base, scaler, network, parameters, shape };
        let places = fitted.base.places(columns, &material.table, &held);
        let inputs = material.features.scaled(&fitted.scaler);
        let (losses, epochs) = match keeper.done(member) {
            Some(DoneMember { weights, losses, epochs }) => {
                fitted.parameters.set(weights)?;
                (*losses, *epochs)
            }
            None => {
                let course = Course::new(&fitted, &inputs, material, config, keeper.device())?;
                let done = course.run(kept, &held, generator, keeper, report)?;
                fitted.parameters.set(&done.weights)?;
                let outcome = (done.losses, done.epochs);
                keeper.finish(done);
                outcome
            }
        };
        let mut validation =
            Validation { cutoffs: held, places, quantiles: Vec::new(), gains: Vec::new(), losses, epochs };
        fitted.forecast_held_back(&mut validation, material, config, &vec![1.0; n_steps])?;
        Ok((fitted, validation))
    }

    /// Forecasts the bars held back as this network is served: with the share `trust` of its corrections, one a step.
    pub(super) fn forecast_held_back(
        &self,
        validation: &mut Validation,
        material: &Material,
        config: &TrainConfig,
        trust: &[f64],
    ) -> candle_core::Result<()> {
        let (n_steps, levels) = (config.horizon.steps(), &config.levels);
        let inputs = material.features.scaled(&self.scaler);
        let scaled = self.scaled_quantiles(&inputs, &validation.cutoffs, config.batch_size, trust)?;
        // In the network's own numbers, so that what learned nothing gained nothing.
        let none = Tensor::zeros((1, n_steps, CORRECTIONS), DType::F32, &Device::Cpu)?;
        let base = self.shape.quantiles(&none)?.flatten_all()?.to_vec1::<f32>()?;
        let width = n_steps * levels.len();
        let gains = |step_idx: usize| {
            let gain = |((cutoff, places), network): ((&usize, &Vec<Place>), &[f32])| {
                let Place { scale, center } = places[step_idx];
                // Cutoffs are held back when their outcomes are known.
                let outcome = material.columns.future_return(*cutoff, step_idx + 1).unwrap_or(0.0) / scale - center;
                let loss = |quantiles: &[f32]| {
                    let of_step = quantiles[step_idx * levels.len()..].iter().zip(levels);
                    let error = |(quantile, level): (&f32, &f64)| {
                        let error = outcome - f64::from(*quantile);
                        (level * error).max((level - 1.0) * error)
                    };
                    of_step.map(error).sum::<f64>() / levels.len() as f64
                };
                loss(&base) - loss(network)
            };
            validation.cutoffs.iter().zip(&validation.places).zip(scaled.chunks(width)).map(gain).collect()
        };
        validation.gains = (0..n_steps).map(gains).collect();
        let all: Vec<f64> = validation.gains.iter().flatten().copied().collect();
        validation.losses.1 = validation.losses.0 - all.iter().sum::<f64>() / all.len().max(1) as f64;
        validation.quantiles = returns(&scaled, &validation.places);
        Ok(())
    }

    /// Quantiles of return / scale at the bars `cutoffs`, `[cutoff][step][level]` flat; of at most `batch_size` windows
    /// at a time, so that no history, however long, needs more memory than training on it. Of the network's corrections
    /// the share `trust` is made, one a step.
    pub(super) fn scaled_quantiles(
        &self,
        inputs: &Rows,
        cutoffs: &[usize],
        batch_size: usize,
        trust: &[f64],
    ) -> candle_core::Result<Vec<f32>> {
        let window = self.network.window();
        let trust: Vec<f32> = trust.iter().map(|share| *share as f32).collect();
        let trust = Tensor::from_slice(&trust, (1, trust.len(), 1), &Device::Cpu)?;
        let mut quantiles = Vec::new();
        for batch in cutoffs.chunks(batch_size) {
            let windows = inputs.gather(batch, window);
            let windows = Tensor::from_vec(windows, (batch.len(), window, inputs.width()), &Device::Cpu)?;
            let corrections = self.network.newest(&self.network.forward(&self.parameters, &windows, None)?)?;
            let corrections = corrections.broadcast_mul(&trust)?;
            quantiles.extend(self.shape.quantiles(&corrections)?.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(quantiles)
    }
}

/// `[cutoff][step][level]` quantiles of return / scale, less the center, to quantiles of returns.
pub(super) fn returns(quantiles: &[f32], places: &[Vec<Place>]) -> Vec<f64> {
    let places: Vec<Place> = places.iter().flatten().copied().collect();
    let n_levels = quantiles.len() / places.len().max(1);
    let of_return = |(idx, value): (usize, &f32)| {
        let Place { scale, center } = places[idx / n_levels];
        scale * (center + f64::from(*value))
    };
    quantiles.iter().enumerate().map(of_return).collect()
}

/// A training under way, on whichever device.
struct Course<'a> {
    network: &'a Network,
    config: &'a TrainConfig,
    device: &'a Device,
    /// Of their own: the member's stay on the processor, where it forecasts.
    parameters: Parameters,
    shape: Shape,
    inputs: &'a Rows,
    /// Returns over scales, one a step.
    targets: Rows,
    levels: Tensor,
}

/// What moves while a member is trained, beside its weights; see [`Standing`].
struct Pass {
    epoch: usize,
    n_batches: usize,
    loss_sum: f64,
    since: usize,
    losses: (f64, f64),
    best: Vec<f32>,
    order: Vec<usize>,
    generator: Generator,
    optimizer: AdamW,
}

impl Pass {
    fn first(
        order: Vec<usize>,
        base_loss: f64,
        generator: Generator,
        config: &TrainConfig,
        parameters: &Parameters,
    ) -> candle_core::Result<Self> {
        let (best, optimizer) = (parameters.to_vec()?, AdamW::new(optimizer(config), parameters));
        let losses = (base_loss, base_loss);
        Ok(Self { epoch: 1, n_batches: 0, loss_sum: 0.0, since: 0, losses, best, order, generator, optimizer })
    }

    fn resume(from: Standing, config: &TrainConfig, parameters: &Parameters) -> candle_core::Result<Self> {
        let Standing { epoch, n_batches, loss_sum, since, losses, best, weights, memory, order, generator } = from;
        parameters.set(&weights)?;
        let optimizer = AdamW::resume(optimizer(config), memory);
        Ok(Self { epoch, n_batches, loss_sum, since, losses, best, order, generator, optimizer })
    }

    fn standing(&self, parameters: &Parameters) -> candle_core::Result<Standing> {
        Ok(Standing {
            epoch: self.epoch,
            n_batches: self.n_batches,
            loss_sum: self.loss_sum,
            since: self.since,
            losses: self.losses,
            best: self.best.clone(),
            weights: parameters.to_vec()?,
            memory: self.optimizer.memory().clone(),
            order: self.order.clone(),
            generator: self.generator.clone(),
        })
    }
}

fn optimizer(config: &TrainConfig) -> AdamWConfig {
    AdamWConfig { weight_decay: config.weight_decay, clip_norm: Some(config.clip_norm), ..AdamWConfig::default() }
}

impl<'a> Course<'a> {
    fn new(
        member: &'a Member,
        inputs: &'a Rows,
        material: &Material,
        config: &'a TrainConfig,
        device: &'a TrainDevice,
    ) -> Result<Self, TrainError> {
        let TrainDevice(device) = device;
        let (columns, first) = (material.columns, material.table.first());
        let every: Vec<usize> = (first..columns.len()).collect();
        let places = member.base.places(columns, &material.table, &every);
        let mut targets = Vec::with_capacity(every.len() * config.horizon.steps());
        for (bar_idx, places) in every.iter().zip(&places) {
            for (step_idx, Place { scale, center }) in places.iter().enumerate() {
                // Windows whose outcome has not come are never cut: a 0 here is read by nobody.
                let future = columns.future_return(*bar_idx, step_idx + 1).unwrap_or(0.0);
                targets.push((future / scale - center) as f32);
            }
        }
        let levels: Vec<f32> = config.levels.iter().map(|level| *level as f32).collect();
        Ok(Self {
            network: &member.network,
            config,
            device,
            parameters: member.parameters.on(device)?,
            shape: Shape::new(&member.base.quantiles, config.middle(), device)?,
            inputs,
            targets: Rows::new(first, config.horizon.steps(), targets),
            levels: Tensor::from_vec(levels, config.levels.len(), device)?,
        })
    }

    /// Trains to the best weights, from the first batch or from where `keeper` knows it to stand.
    fn run(
        &self,
        kept: Vec<usize>,
        held: &[usize],
        generator: Generator,
        keeper: &mut Keeper,
        report: &dyn Fn(Epoch),
    ) -> Result<DoneMember, TrainError> {
        let (config, parameters) = (self.config, &self.parameters);
        let mut pass = match keeper.resume() {
            Some(standing) => Pass::resume(standing, config, parameters)?,
            None => Pass::first(kept, self.validate(held)?, generator, config, parameters)?,
        };
        loop {
            self.epoch(&mut pass, keeper)?;
            let validation_loss = self.validate(held)?;
            let train_loss = pass.loss_sum / pass.order.len() as f64;
            report(Epoch { number: pass.epoch, train_loss, validation_loss, elapsed: keeper.elapsed() });
            if validation_loss < pass.losses.1 {
                (pass.best, pass.losses.1, pass.since) = (parameters.to_vec()?, validation_loss, 0);
            } else {
                pass.since += 1;
            }
            if pass.since >= config.patience || pass.epoch >= config.epochs {
                break;
            }
            (pass.epoch, pass.n_batches, pass.loss_sum) = (pass.epoch + 1, 0, 0.0);
        }
        Ok(DoneMember { weights: pass.best, losses: pass.losses, epochs: pass.epoch })
    }

    /// The batches of an epoch that are not done yet.
    fn epoch(&self, pass: &mut Pass, keeper: &mut Keeper) -> Result<(), TrainError> {
        let (config, parameters) = (self.config, &self.parameters);
        let n_batches = pass.order.len().div_ceil(config.batch_size);
        while pass.n_batches < n_batches {
            keeper.between_batches(|| pass.standing(parameters))?;
            if pass.n_batches == 0 {
                pass.order.shuffle(&mut pass.generator);
            }
            let start = pass.n_batches * config.batch_size;
            let batch = &pass.order[start..pass.order.len().min(start + config.batch_size)];
            let done = ((pass.epoch - 1) * n_batches + pass.n_batches) as f64 / (config.epochs * n_batches) as f64;
            let loss = self.loss(batch, Some(&mut pass.generator))?;
            let value = f64::from(loss.to_scalar::<f32>()?);
            let rate = config.learning_rate * schedule(done);
            let norm = pass.optimizer.step(parameters, &loss.backward()?, rate)?;
            if !value.is_finite() || !norm.is_finite() {
                return Err(TrainError::Diverged { epoch: pass.epoch, step: pass.n_batches + 1 });
            }
            pass.loss_sum += value * batch.len() as f64;
            pass.n_batches += 1;
        }
        Ok(())
    }

    /// Mean pinball loss of windows that end with `cutoffs`: of every position in training (when `dropout` draws
    /// masks), else of the newest bar.
    fn loss(&self, cutoffs: &[usize], dropout: Option<&mut Generator>) -> candle_core::Result<Tensor> {
        let (network, device) = (self.network, self.device);
        let (window, n_steps) = (network.window(), self.targets.width());
        let positions = if dropout.is_some() { network.positions() } else { 1 };
        let shape = (cutoffs.len(), window, self.inputs.width());
        let windows = Tensor::from_vec(self.inputs.gather(cutoffs, window), shape, device)?;
        let targets = self.targets.gather(cutoffs, positions);
        let targets = Tensor::from_vec(targets, (cutoffs.len() * positions, n_steps), device)?;
        let mut corrections = network.forward(&self.parameters, &windows, dropout)?;
        if positions != network.positions() {
            corrections = network.newest(&corrections)?;
        }
        pinball(&self.shape.quantiles(&corrections)?, &targets, &self.levels)
    }

    fn validate(&self, held: &[usize]) -> candle_core::Result<f64> {
        let mut sum = 0.0;
        for batch in held.chunks(self.config.batch_size) {
            sum += f64::from(self.loss(batch, None)?.to_scalar::<f32>()?) * batch.len() as f64;
        }
        Ok(sum / held.len() as f64)
    }
}

/// Share of the highest learning rate: up over the first tenth, then down a cosine to a twentieth.
fn schedule(done: f64) -> f64 {
    let warm = (done / 0.1).min(1.0) * 0.9 + 0.1;
    warm * (0.05 + 0.95 * 0.5 * (1.0 + (std::f64::consts::PI * done).cos()))
}
