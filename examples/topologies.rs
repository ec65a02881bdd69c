//! Five ways for sequences to go in and come out, each on a task that only it fits, all from the same parts.
//!
//! `cargo run --release --example topologies`
#![expect(clippy::print_stdout, reason = "an example shows its result")]

mod plot;

use candle_core::{Device, Result, Tensor};
use candlecast::nn::{
    AdamW, AdamWConfig, Cell, Generator, Linear, ParameterLayout, Parameters, Recurrent, RecurrentConfig, seeded,
};
use rand::RngExt;

const BATCH: usize = 32;
const TIME: usize = 10;
const HIDDEN: usize = 32;
const STEPS: usize = 600;

/// Encoder, decoder (many-to-many reads the input with one and writes with the other) and the head of both.
struct Network {
    encoder: Recurrent,
    decoder: Recurrent,
    head: Linear,
}

/// One of the five: how the parts are wired, and what is to be learned with it.
struct Lesson {
    name: &'static str,
    task: &'static str,
    /// Inputs `[batch, time in, 1]` to answers `[batch, time out, 1]`.
    forward: fn(&Network, &Parameters, &Tensor) -> Result<Tensor>,
    /// The right answers for one sequence of inputs.
    target: fn(&[f32]) -> Vec<f32>,
    time_in: usize,
}

const LESSONS: [Lesson; 5] = [
    Lesson { name: "one-to-one", task: "x -> x²", forward: last_only, target: |x| vec![x[0] * x[0]], time_in: 1 },
    Lesson { name: "one-to-many", task: "x -> x, x/2, x/4, …", forward: unrolled, target: halves, time_in: 1 },
    Lesson { name: "many-to-one", task: "mean of all", forward: last_only, target: |x| vec![mean(x)], time_in: TIME },
    Lesson { name: "many-to-many", task: "the last 4, backward", forward: decoded, target: reversed, time_in: TIME },
    Lesson { name: "many-to-many aligned", task: "mean so far", forward: aligned, target: running, time_in: TIME },
];

/// The last state answers: many-to-one, and with one step of input one-to-one.
fn last_only(network: &Network, parameters: &Parameters, input: &Tensor) -> Result<Tensor> {
    let output = network.encoder.forward(parameters, input, None, None)?;
    network.head.forward(parameters, &output.state.last_hidden().unsqueeze(1)?) // [batch, 1, 1]
}

/// One input, then silence: the state alone carries the answer on.
fn unrolled(network: &Network, parameters: &Parameters, input: &Tensor) -> Result<Tensor> {
    let silence = Tensor::zeros((input.dim(0)?, TIME - 1, 1), input.dtype(), input.device())?;
    let output = network.encoder.forward(parameters, &Tensor::cat(&[input, &silence], 1)?, None, None)?;
    network.head.forward(parameters, &output.sequence) // [batch, TIME, 1]
}

/// Read everything, then write: the encoder's last state is the decoder's first.
fn decoded(network: &Network, parameters: &Parameters, input: &Tensor) -> Result<Tensor> {
    let read = network.encoder.forward(parameters, input, None, None)?.state;
    let silence = Tensor::zeros((input.dim(0)?, 4, 1), input.dtype(), input.device())?;
    let written = network.decoder.forward(parameters, &silence, Some(&read), None)?;
    network.head.forward(parameters, &written.sequence) // [batch, 4, 1]
}

/// An answer at every step, from what was seen up to it.
fn aligned(network: &Network, parameters: &Parameters, input: &Tensor) -> Result<Tensor> {
    let output = network.encoder.forward(parameters, input, None, None)?;
    network.head.forward(parameters, &output.sequence) // [batch, TIME, 1]
}

fn halves(x: &[f32]) -> Vec<f32> {
    (0..TIME).map(|step| x[0] / 2_f32.powi(step as i32)).collect()
}

fn reversed(x: &[f32]) -> Vec<f32> {
    x.iter().rev().take(4).copied().collect()
}

fn running(x: &[f32]) -> Vec<f32> {
    (1..=x.len()).map(|seen| mean(&x[..seen])).collect()
}

fn mean(x: &[f32]) -> f32 {
    x.iter().sum::<f32>() / x.len() as f32
}

fn main() -> anyhow::Result<()> {
    println!("{:<22}{:<22}{:>14}{:>14}{:>12}{:>12}", "topology", "task", "input", "output", "first mse", "last mse");
    let mut chart = plot::Chart::new("Five topologies, one network each", "step", "mean squared error").log_y();
    for lesson in &LESSONS {
        let losses = learn(lesson)?;
        chart = chart.line(lesson.name, (0..).map(f64::from).zip(losses).step_by(5));
    }
    chart.save("topologies")?;
    Ok(())
}

fn learn(lesson: &Lesson) -> anyhow::Result<Vec<f64>> {
    let mut layout = ParameterLayout::default();
    let config = RecurrentConfig { cell: Cell::Lstm, input: 1, hidden: HIDDEN, layers: 1, dropout: 0.0 };
    let network = Network {
        encoder: Recurrent::new(config, &mut layout, ""),
        decoder: Recurrent::new(config, &mut layout, "decoder."),
        head: Linear::new(HIDDEN, 1, &mut layout, "head."),
    };
    let mut generator = seeded(1);
    let parameters = Parameters::init(layout, &mut generator, &Device::Cpu)?;
    let mut optimizer = AdamW::new(AdamWConfig { weight_decay: 0.0, ..AdamWConfig::default() }, &parameters);
    let mut losses = Vec::new();
    let mut shapes = (vec![], vec![]);
    for step in 0..STEPS {
        let (input, target) = batch(lesson, &mut generator)?;
        let answer = (lesson.forward)(&network, &parameters, &input)?;
        let loss = (&answer - &target)?.sqr()?.mean_all()?;
        let learning_rate = 0.01 * (1.0 - step as f64 / STEPS as f64);
        optimizer.step(&parameters, &loss.backward()?, learning_rate)?;
        losses.push(f64::from(loss.to_scalar::<f32>()?));
        shapes = (input.dims().to_vec(), answer.dims().to_vec());
    }
    let (shape_in, shape_out) = (format!("{:?}", shapes.0), format!("{:?}", shapes.1));
    let last = losses.iter().rev().take(20).sum::<f64>() / 20.0;
    println!("{:<22}{:<22}{shape_in:>14}{shape_out:>14}{:>12.4}{last:>12.6}", lesson.name, lesson.task, losses[0]);
    Ok(losses)
}

fn batch(lesson: &Lesson, generator: &mut Generator) -> Result<(Tensor, Tensor)> {
    let sequences = (0..BATCH).map(|_| (0..lesson.time_in).map(|_| generator.random_range(-1.0..1.0)).collect());
    let sequences: Vec<Vec<f32>> = sequences.collect();
    let targets: Vec<f32> = sequences.iter().flat_map(|sequence| (lesson.target)(sequence)).collect();
    let target = Tensor::from_vec(targets.clone(), (BATCH, targets.len() / BATCH, 1), &Device::Cpu)?;
    Ok((Tensor::from_vec(sequences.concat(), (BATCH, lesson.time_in, 1), &Device::Cpu)?, target))
}
