//! How much does a loss after 100 steps still feel an input from long ago?
//!
//! The norm of ∂ loss(T) / ∂ x(t), by lag T − t, for untrained networks. In the vanilla RNN every step back
//! multiplies by `diag(1 − h²) U`: below one in size and the gradient vanishes, above one and it explodes. In
//! the LSTM the cell is handed on by `c(t) = f c(t−1) + i g`, so that a step back multiplies by the forget gate:
//! half at first, and with a bias of 3 nearly one.
//!
//! Source: Bengio, Simard & Frasconi (1994), IEEE Transactions on Neural Networks 5; Hochreiter & Schmidhuber (1997).
//!
//! `cargo run --release --example gradient_by_lag`
#![expect(clippy::print_stdout, reason = "an example shows its result")]

mod plot;

use candle_core::{Device, Result, Var};
use candlecast::nn::{Cell, ParameterLayout, Parameters, Recurrent, RecurrentConfig, seeded};
use rand::RngExt;

const TIME: usize = 100;
const BATCH: usize = 64;
const HIDDEN: usize = 64;

/// A network and how its first weights are changed: by tensor name, the rows, and what becomes of a number.
struct Start {
    name: &'static str,
    cell: Cell,
    tensor: &'static str,
    rows: std::ops::Range<usize>,
    change: fn(f32) -> f32,
}

const ALL: std::ops::Range<usize> = 0..HIDDEN;
const FORGET: std::ops::Range<usize> = HIDDEN..2 * HIDDEN; // gate order i f g o

const STARTS: [Start; 4] = [
    Start { name: "RNN", cell: Cell::Rnn, tensor: "weight_hh_l0", rows: ALL, change: |u| u },
    Start { name: "RNN, U × 3", cell: Cell::Rnn, tensor: "weight_hh_l0", rows: ALL, change: |u| 3.0 * u },
    Start { name: "LSTM", cell: Cell::Lstm, tensor: "bias_ih_l0", rows: FORGET, change: |b| b },
    Start { name: "LSTM, forget bias 3", cell: Cell::Lstm, tensor: "bias_ih_l0", rows: FORGET, change: |_| 3.0 },
];

fn main() -> anyhow::Result<()> {
    println!("{:<22}{:>11}{:>11}{:>11}{:>11}{:>14}", "norm at lag", 0, 10, 50, 99, "per step back");
    let mut chart = plot::Chart::new("Gradient of the last loss to an input, by lag", "lag, steps", "norm").log_y();
    for start in &STARTS {
        let norms = norm_by_lag(start)?;
        let [now, ten, fifty, last] = [0, 10, 50, TIME - 1].map(|lag| norms[lag]);
        let rate = (fifty / ten).powf(1.0 / 40.0);
        println!("{:<22}{now:>11.1e}{ten:>11.1e}{fifty:>11.1e}{last:>11.1e}{rate:>14.3}", start.name);
        // Below 1e-30 a single-precision number is about to become zero.
        chart = chart.line(start.name, (0..).map(f64::from).zip(norms).filter(|(_, norm)| *norm > 1e-30));
    }
    chart.save("gradient_by_lag")?;
    Ok(())
}

/// Mean over the batch of the norm of the gradient to one step's input; position 0 is the newest step.
fn norm_by_lag(start: &Start) -> Result<Vec<f64>> {
    let mut layout = ParameterLayout::default();
    let config = RecurrentConfig { cell: start.cell, input: 1, hidden: HIDDEN, layers: 1, dropout: 0.0 };
    let recurrent = Recurrent::new(config, &mut layout, "");
    let mut generator = seeded(1);
    let parameters = Parameters::init(layout, &mut generator, &Device::Cpu)?;
    change(&parameters, start)?;

    let numbers: Vec<f32> = (0..BATCH * TIME).map(|_| generator.random_range(-1.0..1.0)).collect();
    let input = Var::from_vec(numbers, (BATCH, TIME, 1), &Device::Cpu)?;
    let last = recurrent.forward(&parameters, &input, None, None)?.state.last_hidden().clone(); // [BATCH, HIDDEN]
    let loss = (last - 1.0)?.sqr()?.sum_all()?; // any loss that reads the last step only
    let gradients = loss.backward()?;
    let Some(gradient) = gradients.get(&input) else {
        candle_core::bail!("the loss does not depend on the input");
    };
    let norms = gradient.abs()?.mean((0, 2))?.to_vec1::<f32>()?; // [TIME]; one feature: the norm is the size
    Ok(norms.into_iter().rev().map(f64::from).collect())
}

fn change(parameters: &Parameters, start: &Start) -> Result<()> {
    let mut numbers = parameters.to_vec()?;
    let mut offset = 0;
    for (name, shape) in parameters.layout().tensors() {
        let width: usize = shape[1..].iter().product();
        if name == start.tensor {
            let stretch = &mut numbers[offset + start.rows.start * width..offset + start.rows.end * width];
            stretch.iter_mut().for_each(|number| *number = (start.change)(*number));
        }
        offset += shape[0] * width;
    }
    parameters.set(&numbers)
}
