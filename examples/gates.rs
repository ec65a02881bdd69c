//! What an LSTM's gates do on prices: how long does each unit remember?
//!
//! An LSTM learns to forecast tomorrow's volatility on an invented market whose volatility has two memories: a
//! fast one (half gone after 1.4 sessions) and a slow one (46 sessions). Then the trained network is run once more,
//! step by step, with the equations written out, and the forget gates are read. A cell of which the gate keeps the
//! share `f` a session has lost half after `ln 0.5 / ln f` sessions.
//!
//! `cargo run --release --example gates`
#![expect(clippy::print_stdout, reason = "an example shows its result")]

mod plot;

use candle_core::{Device, IndexOp, Result, Tensor};
use candle_nn::ops::sigmoid;
use candlecast::domain::{Calendar, Series};
use candlecast::evaluate::synthetic;
use candlecast::nn::{
    AdamW, AdamWConfig, Cell, Linear, ParameterLayout, Parameters, Recurrent, RecurrentConfig, seeded,
};

const TICKERS: usize = 16;
const WINDOW: usize = 250;
const WINDOWS: usize = 8;
const BATCH: usize = 16;
const HIDDEN: usize = 16;
const EPOCHS: usize = 400;

fn main() -> anyhow::Result<()> {
    let mut layout = ParameterLayout::default();
    let config = RecurrentConfig { cell: Cell::Lstm, input: 2, hidden: HIDDEN, layers: 1, dropout: 0.0 };
    let recurrent = Recurrent::new(config, &mut layout, "");
    let head = Linear::new(HIDDEN, 1, &mut layout, "head.");
    let parameters = Parameters::init(layout, &mut seeded(1), &Device::Cpu)?;
    remember_two_sessions(&parameters)?;
    let mut optimizer = AdamW::new(AdamWConfig::default(), &parameters);

    let (input, target) = market()?; // [windows, WINDOW, 2], [windows, WINDOW, 1]
    let before = half_lives(&by_hand(&parameters, &input)?.forget)?;
    let mut losses = Vec::new();
    let n_batches = TICKERS * WINDOWS / BATCH;
    for epoch in 0..EPOCHS {
        let mut sum = 0.0;
        for start in (0..TICKERS * WINDOWS).step_by(BATCH) {
            let (windows, outcomes) = (input.narrow(0, start, BATCH)?, target.narrow(0, start, BATCH)?);
            let output = recurrent.forward(&parameters, &windows, None, None)?;
            let error = (head.forward(&parameters, &output.sequence)? - outcomes)?; // a forecast at every bar
            let loss = error.narrow(1, 20, WINDOW - 20)?.sqr()?.mean_all()?; // the first 20 bars only warm up
            let rate = 0.01 * (1.0 - epoch as f64 / EPOCHS as f64);
            optimizer.step(&parameters, &loss.backward()?, rate)?;
            sum += f64::from(loss.to_scalar::<f32>()?);
        }
        losses.push(sum / n_batches as f64);
    }
    println!("mse of tomorrow's log range, in variances: {:.3} -> {:.3}", losses[0], losses[EPOCHS - 1]);

    let run = by_hand(&parameters, &input)?;
    let same = recurrent.forward(&parameters, &input, None, None)?.sequence;
    let difference = (same - &run.hidden)?.abs()?.max_all()?.to_scalar::<f32>()?;
    println!("the equations by hand and the engine differ by at most {difference:.0e}");
    let after = half_lives(&run.forget)?;
    for (name, half_lives) in [("before", &before), ("after", &after)] {
        let [least, median, most] = [0, HIDDEN / 2, HIDDEN - 1].map(|idx| half_lives[idx]);
        println!("forget-gate half-life {name:<6} training: {least:.1} to {most:.1} sessions, median {median:.1}");
    }
    for (name, gate) in [("input", &run.input), ("forget", &run.forget), ("output", &run.output)] {
        let mean = gate.mean_all()?.to_scalar::<f32>()?;
        let spread = (gate - f64::from(mean))?.sqr()?.mean_all()?.to_scalar::<f32>()?.sqrt();
        println!("{name:<6} gate: mean {mean:.2}, standard deviation {spread:.2} over units and sessions");
    }
    plot::Chart::new("How long the units remember", "half-life, powers of two of sessions", "units")
        .bars("before training", 0.5, histogram(&before))
        .bars("after", 0.5, histogram(&after))
        .save("gates")?;
    Ok(())
}

/// Forget-gate bias 1: every unit starts with f ≈ σ(1) = 0.73, a half-life of 2.2 sessions, and training spreads them.
fn remember_two_sessions(parameters: &Parameters) -> Result<()> {
    let mut numbers = parameters.to_vec()?;
    let mut start = 0;
    for (name, shape) in parameters.layout().tensors() {
        match name {
            "bias_ih_l0" => numbers[start + HIDDEN..start + 2 * HIDDEN].fill(1.0),
            "bias_hh_l0" => numbers[start + HIDDEN..start + 2 * HIDDEN].fill(0.0),
            _ => {}
        }
        start += shape.iter().product::<usize>();
    }
    parameters.set(&numbers)
}

/// Every gate at every step, each `[batch, time, hidden]`.
struct Run {
    input: Tensor,
    forget: Tensor,
    output: Tensor,
    hidden: Tensor,
}

/// The LSTM as its equations say, from the weights by PyTorch's names; the rows of each are the gates i f g o.
fn by_hand(parameters: &Parameters, sequence: &Tensor) -> Result<Run> {
    let named = |name: &str| parameters.tensor(name)?.ok_or_else(|| candle_core::Error::Msg(format!("no {name}")));
    let (weight_ih, weight_hh) = (named("weight_ih_l0")?.t()?, named("weight_hh_l0")?.t()?);
    let bias = (named("bias_ih_l0")? + named("bias_hh_l0")?)?;
    let (batch, time, _) = sequence.dims3()?;
    let mut h = Tensor::zeros((batch, HIDDEN), sequence.dtype(), sequence.device())?;
    let mut c = h.clone();
    let mut steps: [Vec<Tensor>; 4] = Default::default();
    for t in 0..time {
        let x = sequence.i((.., t))?.contiguous()?; // [batch, 2]
        let rows = (x.matmul(&weight_ih)? + h.matmul(&weight_hh)?)?.broadcast_add(&bias)?; // [batch, 4 HIDDEN]
        let gate = |idx: usize| rows.narrow(1, idx * HIDDEN, HIDDEN);
        let (i, f, g, o) = (sigmoid(&gate(0)?)?, sigmoid(&gate(1)?)?, gate(2)?.tanh()?, sigmoid(&gate(3)?)?);
        c = ((&f * &c)? + (&i * g)?)?; // what is kept, and what is new
        h = (&o * c.tanh()?)?; // what is shown
        steps.iter_mut().zip([i, f, o, h.clone()]).for_each(|(all, one)| all.push(one.detach()));
        (h, c) = (h.detach(), c.detach());
    }
    let [input, forget, output, hidden] = steps.map(|all| Tensor::stack(&all, 1));
    Ok(Run { input: input?, forget: forget?, output: output?, hidden: hidden? })
}

/// Sessions after which half is forgotten, one a unit, ascending; from the geometric mean of the unit's gate.
fn half_lives(forget: &Tensor) -> Result<Vec<f64>> {
    let mean_log = forget.log()?.mean((0, 1))?.to_vec1::<f32>()?; // [HIDDEN]
    let mut sessions: Vec<f64> = mean_log.into_iter().map(|log| 0.5_f64.ln() / f64::from(log)).collect();
    sessions.sort_by(f64::total_cmp);
    Ok(sessions)
}

/// How many units in each half octave of sessions.
fn histogram(half_lives: &[f64]) -> Vec<(f64, f64)> {
    let bins = -4..10;
    let bin = |sessions: f64| (2.0 * sessions.log2()).floor() as i32;
    bins.map(|at| (f64::from(at) / 2.0 + 0.25, half_lives.iter().filter(|s| bin(**s) == at).count() as f64)).collect()
}

/// Windows of the invented market: inputs `[…, 2]` (return, log range), targets `[…, 1]` (tomorrow's log range), standardised.
fn market() -> anyhow::Result<(Tensor, Tensor)> {
    let last = "2024-12-31".parse()?;
    let market = synthetic::market(1, &synthetic::tickers(TICKERS), WINDOW * WINDOWS + 2, &Calendar::Weekdays, last);
    let (mut inputs, mut targets) = (Vec::new(), Vec::new());
    for (_, series) in &market {
        let (returns, ranges) = (standardised(returns(series)), standardised(log_ranges(series)));
        let rows = returns.iter().zip(&ranges).zip(&ranges[1..]).take(WINDOW * WINDOWS);
        for ((move_today, range_today), range_tomorrow) in rows {
            inputs.extend([*move_today, *range_today]);
            targets.push(*range_tomorrow);
        }
    }
    let windows = TICKERS * WINDOWS;
    let inputs = Tensor::from_vec(inputs, (windows, WINDOW, 2), &Device::Cpu)?;
    Ok((inputs, Tensor::from_vec(targets, (windows, WINDOW, 1), &Device::Cpu)?))
}

fn returns(series: &Series) -> Vec<f64> {
    series.bars().windows(2).map(|pair| (pair[1].close() / pair[0].close()).ln()).collect()
}

/// Log of the day's log range, the simplest measure of a day's volatility; from the second bar, as the returns.
fn log_ranges(series: &Series) -> Vec<f64> {
    series.bars()[1..].iter().map(|bar| (bar.high() / bar.low()).ln().max(1e-4).ln()).collect()
}

fn standardised(values: Vec<f64>) -> Vec<f32> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
    values.into_iter().map(|value| ((value - mean) / variance.sqrt()) as f32).collect()
}
