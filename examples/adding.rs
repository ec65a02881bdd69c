//! The adding problem: who remembers two numbers over a hundred steps?
//!
//! Each step brings a random number in [0, 1) and a mark. Two steps are marked, one in each half; the sum
//! of their numbers is asked for after the last step. Whoever always answers 1 has a mean squared error of
//! 1/6 ≈ 0.167: the variance of a sum of two uniform numbers. To do better, a network must carry the first
//! marked number past dozens of steps that mean nothing.
//!
//! Source: Hochreiter & Schmidhuber (1997), "Long Short-Term Memory", Neural Computation 9, experiment 4,
//! with inputs in [0, 1) and a linear output as in Le, Jaitly & Hinton (2015), arXiv:1504.00941.
//!
//! `cargo run --release --example adding`
#![expect(clippy::print_stdout, reason = "an example shows its result")]

mod plot;

use std::time::Instant;

use candle_core::{Device, Result, Tensor};
use candlecast::nn::{
    AdamW, AdamWConfig, Cell, Generator, Linear, ParameterLayout, Parameters, Recurrent, RecurrentConfig, seeded,
};
use rand::RngExt;

const TIME: usize = 100;
const BATCH: usize = 64;
const HIDDEN: usize = 64;
const STEPS: usize = 3000;
const LEARNING_RATE: f64 = 3e-3;
/// Sequences that no training step has seen.
const TEST: usize = 1000;

fn main() -> anyhow::Result<()> {
    let mut chart = plot::Chart::new("The adding problem, T = 100", "step", "mean squared error, mean of 50").log_y();
    for (name, cell) in [("vanilla RNN", Cell::Rnn), ("GRU", Cell::Gru), ("LSTM", Cell::Lstm)] {
        let started = Instant::now();
        let (losses, test) = learn(cell)?;
        let below =
            losses.iter().find(|(_, loss)| *loss < 0.01).map(|(step, _)| format!("below 0.01 from step {step}"));
        let below = below.unwrap_or_else(|| "never below 0.01".to_owned());
        println!("{name:<12} test mse {test:.5}   {below:<26} {:.0} s", started.elapsed().as_secs_f64());
        chart = chart.line(name, losses);
    }
    chart.rule("always 1", 1.0 / 6.0).save("adding")?;
    Ok(())
}

/// Trains one network; answers its loss on the way, each the mean of 50 steps, and its error on new sequences.
fn learn(cell: Cell) -> anyhow::Result<(Vec<(f64, f64)>, f64)> {
    let mut layout = ParameterLayout::default();
    let config = RecurrentConfig { cell, input: 2, hidden: HIDDEN, layers: 1, dropout: 0.0 };
    let recurrent = Recurrent::new(config, &mut layout, "");
    let head = Linear::new(HIDDEN, 1, &mut layout, "head.");
    let mut generator = seeded(1);
    let parameters = Parameters::init(layout, &mut generator, &Device::Cpu)?;
    if cell == Cell::Lstm {
        remember_at_first(&parameters)?;
    }
    let mut optimizer = AdamW::new(AdamWConfig { weight_decay: 0.0, ..AdamWConfig::default() }, &parameters);
    let mean_squared_error = |(input, target): (Tensor, Tensor)| {
        let state = recurrent.forward(&parameters, &input, None, None)?.state;
        (head.forward(&parameters, state.last_hidden())? - target)?.sqr()?.mean_all()
    };
    let (mut losses, mut sum) = (Vec::new(), 0.0);
    for step in 1..=STEPS {
        let loss = mean_squared_error(sequences(BATCH, &mut generator)?)?;
        sum += f64::from(loss.to_scalar::<f32>()?);
        // Halfway down the rate falls to zero in a straight line: the last steps polish.
        let rate = LEARNING_RATE * (2.0 - 2.0 * step as f64 / STEPS as f64).min(1.0);
        optimizer.step(&parameters, &loss.backward()?, rate)?;
        if step % 50 == 0 {
            losses.push((step as f64, std::mem::take(&mut sum) / 50.0));
        }
    }
    let test = mean_squared_error(sequences(TEST, &mut generator)?)?;
    Ok((losses, f64::from(test.to_scalar::<f32>()?)))
}

/// Forget-gate bias 1: at first every unit keeps most of its cell, so that the gradient gets through to be learned from.
///
/// Source: Gers, Schmidhuber & Cummins (2000), "Learning to Forget", Neural Computation 12.
fn remember_at_first(parameters: &Parameters) -> Result<()> {
    let mut numbers = parameters.to_vec()?;
    let mut start = 0;
    for (name, shape) in parameters.layout().tensors() {
        if name == "bias_ih_l0" {
            numbers[start + HIDDEN..start + 2 * HIDDEN].fill(1.0); // gate order i f g o: the second block
        }
        start += shape.iter().product::<usize>();
    }
    parameters.set(&numbers)
}

/// Inputs `[count, TIME, 2]` (number, mark) and sums `[count, 1]`.
fn sequences(count: usize, generator: &mut Generator) -> Result<(Tensor, Tensor)> {
    let (mut inputs, mut sums) = (Vec::with_capacity(count * TIME * 2), Vec::with_capacity(count));
    for _ in 0..count {
        let marked = [generator.random_range(0..TIME / 2), generator.random_range(TIME / 2..TIME)];
        let mut sum = 0.0;
        for step in 0..TIME {
            let (number, mark) = (generator.random::<f32>(), f32::from(u8::from(marked.contains(&step))));
            sum += number * mark;
            inputs.extend([number, mark]);
        }
        sums.push(sum);
    }
    let inputs = Tensor::from_vec(inputs, (count, TIME, 2), &Device::Cpu)?;
    Ok((inputs, Tensor::from_vec(sums, (count, 1), &Device::Cpu)?))
}
