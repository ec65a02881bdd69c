//! The network of the common Keras tutorial, and each of its defects as a switch.
//!
//! What the tutorial does: min-max scaling; windows of 20 rows of open, high, low and volume; `LSTM(16)` and
//! `Dense(1)`; the close of the row after the window as target; Adam on the mean squared error, batches of 16, 200
//! epochs, patience 5 on 20 % of the windows, best weights kept; the last 200 rows of the file as test.
//! Two things are ours: the LSTM's output is a tanh (the tutorial sets `activation='relu'`), and first weights are
//! PyTorch's.

use candle_core::{Device, Result, Tensor};
use candlecast::domain::Bar;
use candlecast::nn::{
    AdamW, AdamWConfig, Cell, Generator, Linear, ParameterLayout, Parameters, Recurrent, RecurrentConfig, seeded,
};
use rand::seq::SliceRandom;

pub(crate) const WINDOW: usize = 20;
pub(crate) const TEST_ROWS: usize = 200;
const HIDDEN: usize = 16;
const EPOCHS: usize = 200;
const BATCH: usize = 16;
const PATIENCE: usize = 5;
const VALIDATION_SHARE: f64 = 0.2;
const LEARNING_RATE: f64 = 1e-3;

/// Which defects are repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Repairs {
    /// Minimum and maximum are those of the training rows, not of all.
    pub(crate) scaler: bool,
    /// Validated on the newest training windows with a gap before them, not on a random fifth that overlaps the rest.
    pub(crate) validation: bool,
    /// The network says the return from the last close, not the level of the next.
    pub(crate) target: bool,
    /// Past closes are among the inputs.
    pub(crate) input: bool,
}

/// A forecast of one row's close, the close before it, and what came: prices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) last: f64,
    pub(crate) forecast: f64,
    pub(crate) close: f64,
}

/// What one training gave.
pub(crate) struct Run {
    /// On the windows that decided when to stop.
    pub(crate) validation: Vec<Point>,
    /// On the last 200 rows, of which the first 20 only fill the first window.
    pub(crate) test: Vec<Point>,
}

/// Trains on all rows but the last 200 and forecasts these; `rows` in the order in which they are read.
pub(crate) fn run(rows: &[Bar], repairs: Repairs, seed: u64) -> Result<Run> {
    let split = rows.len() - TEST_ROWS;
    let scaler = Scaler::fit(if repairs.scaler { &rows[..split] } else { rows });
    let (train, test) = (windows(0..split), windows(split..rows.len()));
    let mut generator = seeded(seed);
    let (fit, validation) = divide(train, repairs.validation, &mut generator);
    let deviation = deviation_of_returns(&rows[..split]);
    let data = Data { rows, scaler, deviation, repairs };
    let network = Network::train(&data, &fit, &validation, &mut generator)?;
    Ok(Run { validation: network.points(&data, &validation)?, test: network.points(&data, &test)? })
}

/// The rows that windows inside `span` forecast.
fn windows(span: std::ops::Range<usize>) -> Vec<usize> {
    (span.start + WINDOW..span.end).collect()
}

/// Windows to fit on and to validate on.
fn divide(mut targets: Vec<usize>, in_order: bool, generator: &mut Generator) -> (Vec<usize>, Vec<usize>) {
    let n_fit = targets.len() - (targets.len() as f64 * VALIDATION_SHARE) as usize;
    if !in_order {
        targets.shuffle(generator);
    }
    let validation = targets.split_off(n_fit);
    if in_order {
        // No row of a validation window, nor its outcome, was fitted on.
        targets.truncate(n_fit - WINDOW);
    }
    (targets, validation)
}

/// The standard deviation of the log returns: the unit of the repaired target.
fn deviation_of_returns(rows: &[Bar]) -> f64 {
    let squares = rows.windows(2).map(|pair| (pair[1].close() / pair[0].close()).ln().powi(2));
    (squares.sum::<f64>() / (rows.len() - 1) as f64).sqrt()
}

/// Open, high, low, volume and close, each from 0 at its least to 1 at its greatest.
struct Scaler([(f64, f64); 5]);

fn columns(row: &Bar) -> [f64; 5] {
    [row.open(), row.high(), row.low(), row.volume().unwrap_or(0.0), row.close()]
}

impl Scaler {
    fn fit(rows: &[Bar]) -> Self {
        let mut ends = [(f64::INFINITY, f64::NEG_INFINITY); 5];
        for row in rows {
            for ((low, high), value) in ends.iter_mut().zip(columns(row)) {
                (*low, *high) = (low.min(value), high.max(value));
            }
        }
        Self(ends)
    }

    fn scaled(&self, row: &Bar) -> [f64; 5] {
        let values = columns(row);
        std::array::from_fn(|idx| (values[idx] - self.0[idx].0) / (self.0[idx].1 - self.0[idx].0))
    }

    fn close(&self, scaled: f64) -> f64 {
        let (low, high) = self.0[4];
        low + scaled * (high - low)
    }
}

struct Data<'a> {
    rows: &'a [Bar],
    scaler: Scaler,
    deviation: f64,
    repairs: Repairs,
}

impl Data<'_> {
    fn width(&self) -> usize {
        if self.repairs.input { 5 } else { 4 }
    }

    /// Inputs `[targets, WINDOW, width]` and what the network should say, `[targets, 1]`.
    fn batch(&self, targets: &[usize]) -> Result<(Tensor, Tensor)> {
        let width = self.width();
        let rows = targets.iter().flat_map(|target| &self.rows[target - WINDOW..*target]);
        let inputs = rows.flat_map(|row| self.scaler.scaled(row).into_iter().take(width).map(|value| value as f32));
        let inputs = Tensor::from_vec(inputs.collect(), (targets.len(), WINDOW, width), &Device::Cpu)?;
        let wanted: Vec<f32> = targets.iter().map(|target| self.wanted(*target) as f32).collect();
        Ok((inputs, Tensor::from_vec(wanted, (targets.len(), 1), &Device::Cpu)?))
    }

    fn wanted(&self, target: usize) -> f64 {
        let (last, close) = (self.rows[target - 1].close(), self.rows[target].close());
        match self.repairs.target {
            true => (close / last).ln() / self.deviation,
            false => self.scaler.scaled(&self.rows[target])[4],
        }
    }

    fn point(&self, target: usize, said: f64) -> Point {
        let (last, close) = (self.rows[target - 1].close(), self.rows[target].close());
        let forecast = match self.repairs.target {
            true => last * (said * self.deviation).exp(),
            false => self.scaler.close(said),
        };
        Point { last, forecast, close }
    }
}

struct Network {
    recurrent: Recurrent,
    head: Linear,
    parameters: Parameters,
}

impl Network {
    fn train(data: &Data, fit: &[usize], validation: &[usize], generator: &mut Generator) -> Result<Self> {
        let mut layout = ParameterLayout::default();
        let config = RecurrentConfig { cell: Cell::Lstm, input: data.width(), hidden: HIDDEN, layers: 1, dropout: 0.0 };
        let recurrent = Recurrent::new(config, &mut layout, "");
        let head = Linear::new(HIDDEN, 1, &mut layout, "head.");
        let parameters = Parameters::init(layout, generator, &Device::Cpu)?;
        let network = Self { recurrent, head, parameters };
        // Without weight decay this is the tutorial's Adam.
        let adam = AdamWConfig { weight_decay: 0.0, clip_norm: None, ..AdamWConfig::default() };
        let mut optimizer = AdamW::new(adam, &network.parameters);
        let (mut order, mut best, mut since_best) = (fit.to_vec(), (f64::INFINITY, network.parameters.to_vec()?), 0);
        for _ in 0..EPOCHS {
            order.shuffle(generator);
            for targets in order.chunks(BATCH) {
                let loss = network.loss(data, targets)?;
                optimizer.step(&network.parameters, &loss.backward()?, LEARNING_RATE)?;
            }
            let loss = f64::from(network.loss(data, validation)?.to_scalar::<f32>()?);
            since_best += 1;
            if loss < best.0 {
                (best, since_best) = ((loss, network.parameters.to_vec()?), 0);
            }
            if since_best == PATIENCE {
                break;
            }
        }
        network.parameters.set(&best.1)?;
        Ok(network)
    }

    /// `[batch, WINDOW, width]` to `[batch, 1]`.
    fn forward(&self, inputs: &Tensor) -> Result<Tensor> {
        let output = self.recurrent.forward(&self.parameters, inputs, None, None)?;
        self.head.forward(&self.parameters, output.state.last_hidden())
    }

    fn loss(&self, data: &Data, targets: &[usize]) -> Result<Tensor> {
        let (inputs, wanted) = data.batch(targets)?;
        (self.forward(&inputs)? - wanted)?.sqr()?.mean_all()
    }

    fn points(&self, data: &Data, targets: &[usize]) -> Result<Vec<Point>> {
        let said: Vec<f32> = self.forward(&data.batch(targets)?.0)?.squeeze(1)?.to_vec1()?;
        Ok(targets.iter().zip(said).map(|(target, said)| data.point(*target, f64::from(said))).collect())
    }
}
