//! Back-propagation through a whole history, or in stretches of k steps that hand on the state but not the gradient.
//!
//! The task is an echo: at every step of a long stream, say what came eight steps before. The backward pass
//! needs everything the forward pass computed, so full back-propagation keeps a tape as long as the history;
//! truncated, as long as k. A stretch also ends in an optimizer step, so more is learned from one history.
//! The price: what lies further back than k is carried in the state but never credited. Where k is shorter than
//! the echo, it is not learned.
//!
//! Source: Williams & Peng (1990), "An Efficient Gradient-Based Algorithm …", Neural Computation 2.
//!
//! `cargo run --release --example truncated`
#![expect(clippy::print_stdout, reason = "an example shows its result")]

mod plot;

use std::time::Instant;

use candle_core::{Device, Result, Tensor};
use candlecast::nn::{
    AdamW, AdamWConfig, Cell, Generator, Linear, ParameterLayout, Parameters, Recurrent, RecurrentConfig, State, seeded,
};
use rand::RngExt;

const DELAY: usize = 8;
const TIME: usize = 4096;
const BATCH: usize = 8;
const HIDDEN: usize = 32;
const HISTORIES: usize = 40;
const LEARNING_RATE: f64 = 5e-3;

fn main() -> anyhow::Result<()> {
    println!("history {TIME} steps, echo after {DELAY}; guessing 0 has mse {:.3}", 1.0 / 3.0);
    println!("{:>6}{:>9}{:>12}{:>14}{:>20}", "k", "updates", "last mse", "s / history", "peak memory, MiB");
    let title = "Truncated back-propagation: an echo after 8 steps";
    let mut chart = plot::Chart::new(title, "histories walked", "mean squared error").log_y();
    // Ascending, because the system only tells the peak since the start of the process.
    for k in [4, 16, 64, TIME] {
        let started = Instant::now();
        let losses = learn(k)?;
        let seconds = started.elapsed().as_secs_f64() / HISTORIES as f64;
        let (updates, last) = (HISTORIES * (TIME / k), losses[HISTORIES - 1]);
        let memory = peak_memory_mib().map_or("unknown".to_owned(), |mib| format!("{mib:.0}"));
        println!("{k:>6}{updates:>9}{last:>12.5}{seconds:>14.2}{memory:>20}");
        let name = if k == TIME { "full".to_owned() } else { format!("k = {k}") };
        chart = chart.line(&name, (1..).map(f64::from).zip(losses));
    }
    chart.save("truncated")?;
    Ok(())
}

/// Walks fresh histories, `k` steps between two cuts; answers the mean loss over each.
fn learn(k: usize) -> anyhow::Result<Vec<f64>> {
    let mut layout = ParameterLayout::default();
    let config = RecurrentConfig { cell: Cell::Lstm, input: 1, hidden: HIDDEN, layers: 1, dropout: 0.0 };
    let recurrent = Recurrent::new(config, &mut layout, "");
    let head = Linear::new(HIDDEN, 1, &mut layout, "head.");
    let mut generator = seeded(1);
    let parameters = Parameters::init(layout, &mut generator, &Device::Cpu)?;
    let mut optimizer = AdamW::new(AdamWConfig { weight_decay: 0.0, ..AdamWConfig::default() }, &parameters);
    let mut losses = Vec::new();
    for _ in 0..HISTORIES {
        let (history, echo) = stream(&mut generator)?; // both [BATCH, TIME, 1]
        let mut carried: Option<State> = None;
        let mut sum = 0.0;
        for start in (0..TIME).step_by(k) {
            let (input, target) = (history.narrow(1, start, k)?, echo.narrow(1, start, k)?);
            let output = recurrent.forward(&parameters, &input, carried.as_ref(), None)?;
            let loss = (head.forward(&parameters, &output.sequence)? - target)?.sqr()?.mean_all()?;
            optimizer.step(&parameters, &loss.backward()?, LEARNING_RATE)?;
            sum += f64::from(loss.to_scalar::<f32>()?) * k as f64;
            carried = Some(output.state.detach()); // the cut: numbers go on, the gradient does not
        }
        losses.push(sum / TIME as f64);
    }
    Ok(losses)
}

/// Numbers uniform in [-1, 1), and the same numbers [`DELAY`] steps later.
fn stream(generator: &mut Generator) -> Result<(Tensor, Tensor)> {
    let (mut numbers, mut echoes) = (Vec::new(), Vec::new());
    for _ in 0..BATCH {
        let history: Vec<f32> = (0..TIME).map(|_| generator.random_range(-1.0..1.0)).collect();
        echoes.extend([0.0; DELAY].iter().chain(&history[..TIME - DELAY]));
        numbers.extend(history);
    }
    let tensor = |values| Tensor::from_vec(values, (BATCH, TIME, 1), &Device::Cpu);
    Ok((tensor(numbers)?, tensor(echoes)?))
}

/// The most memory this process has held; only Linux tells.
fn peak_memory_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}
