//! How long a training step and a forward pass take, one thread: ours, and candle-nn's on the same shapes.
//!
//! `RAYON_NUM_THREADS=1 cargo bench --bench engine [-- ours | candle | parts]` prints one JSON object a line, medians
//! in microseconds; `scripts/bench-engine` runs this and PyTorch in turn and prints ratios.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark may stop at the first surprise and tell about it"
)]

use candle_core::{DType, Device, Tensor};
use candle_nn::{Module, Optimizer, VarBuilder, VarMap, rnn::RNN};
use candlecast::nn::{
    AdamW, AdamWConfig, Cell, Linear, ParameterLayout, Parameters, Recurrent, RecurrentConfig, seeded,
};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// time, batch, features, hidden
const TRAINING: [[usize; 4]; 4] = [[60, 64, 8, 64], [20, 64, 8, 32], [20, 16, 4, 16], DEFAULT];
/// What the service trains by default.
const DEFAULT: [usize; 4] = [20, 128, 12, 16];
const FORWARD: [usize; 4] = [60, 1, 8, 64];

fn main() {
    let threads = std::env::var("RAYON_NUM_THREADS");
    assert!(threads.as_deref() == Ok("1"), "set RAYON_NUM_THREADS=1, or candle-nn's products run on every processor");
    let chosen = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let runs = |who: &str| chosen.as_deref().is_none_or(|chosen| chosen == who);
    for shape in TRAINING {
        if runs("ours") {
            report("ours", "train", shape, median(ours(shape)));
        }
        if runs("candle") {
            report("candle-nn", "train", shape, median(candle(shape)));
        }
        if runs("parts") {
            parts(shape);
        }
        // For two at a time.
        if chosen.as_deref() == Some("busy") && shape == TRAINING[0] {
            busy(ours(shape));
        }
    }
    if runs("ours") {
        report("ours", "forward", FORWARD, median(ours_forward(FORWARD)));
    }
    if runs("candle") {
        report("candle-nn", "forward", FORWARD, median(candle_forward(FORWARD)));
    }
    if runs("parts") {
        println!("{}", serde_json::json!({ "gemm_gflops": gemm_gflops() }));
    }
}

fn report(who: &str, what: &str, shape: [usize; 4], median_us: f64) {
    println!("{}", serde_json::json!({ "who": who, "what": what, "shape": shape, "median_us": median_us }));
}

/// Steps done in three seconds.
fn busy(mut step: impl FnMut()) {
    step();
    let (start, mut steps) = (Instant::now(), 0_u32);
    while start.elapsed() < Duration::from_secs(3) {
        step();
        steps += 1;
    }
    println!("{}", serde_json::json!({ "steps": steps, "seconds": start.elapsed().as_secs_f64() }));
}

/// The median over about a second, after a warm-up.
fn median(step: impl FnMut()) -> f64 {
    let taken = sorted(step);
    taken[taken.len() / 2]
}

/// The fastest over about a second: what others on the machine do to it is left out, so that differences mean something.
fn fastest(step: impl FnMut()) -> f64 {
    sorted(step)[0]
}

fn sorted(mut step: impl FnMut()) -> Vec<f64> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(200) {
        step();
    }
    let mut taken = Vec::new();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1000) || taken.len() < 5 {
        let before = Instant::now();
        step();
        taken.push(before.elapsed().as_secs_f64() * 1e6);
    }
    taken.sort_by(f64::total_cmp);
    taken
}

/// Numbers that look random, `[batch, time, features]`.
fn windows([time, batch, features, _]: [usize; 4]) -> Tensor {
    let count = batch * time * features;
    let numbers: Vec<f32> = (0..count).map(|idx| ((idx * 7919) % 2003) as f32 / 1001.5 - 1.0).collect();
    Tensor::from_vec(numbers, (batch, time, features), &Device::Cpu).unwrap()
}

fn targets([_, batch, ..]: [usize; 4]) -> Tensor {
    Tensor::arange(0, batch as u32, &Device::Cpu).unwrap().to_dtype(DType::F32).unwrap().reshape((batch, 1)).unwrap()
}

struct Ours {
    recurrent: Recurrent,
    head: Linear,
    parameters: Parameters,
}

impl Ours {
    fn new([_, _, input, hidden]: [usize; 4]) -> Self {
        let mut layout = ParameterLayout::default();
        let config = RecurrentConfig { cell: Cell::Lstm, input, hidden, layers: 1, dropout: 0.0 };
        let recurrent = Recurrent::new(config, &mut layout, "");
        let head = Linear::new(hidden, 1, &mut layout, "head.");
        let parameters = Parameters::init(layout, &mut seeded(1), &Device::Cpu).unwrap();
        Self { recurrent, head, parameters }
    }

    fn loss(&self, x: &Tensor, y: &Tensor) -> Tensor {
        let state = self.recurrent.encode(&self.parameters, x, None, None).unwrap();
        let forecast = self.head.forward(&self.parameters, state.last_hidden()).unwrap();
        (forecast - y).unwrap().sqr().unwrap().mean_all().unwrap()
    }
}

/// Forward, loss, backward, clipping and AdamW.
fn ours(shape: [usize; 4]) -> impl FnMut() {
    let network = Ours::new(shape);
    let (x, y) = (windows(shape), targets(shape));
    let mut optimizer = AdamW::new(AdamWConfig::default(), &network.parameters);
    move || {
        let gradients = network.loss(&x, &y).backward().unwrap();
        black_box(optimizer.step(&network.parameters, &gradients, 1e-3).unwrap());
    }
}

fn ours_forward(shape: [usize; 4]) -> impl FnMut() {
    let network = Ours::new(shape);
    let bars = windows(shape).flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let frozen = network.recurrent.freeze(&network.parameters).unwrap();
    let mut carried = frozen.start(shape[1]);
    move || {
        carried.reset();
        black_box(frozen.advance(&bars, &mut carried));
    }
}

struct Candle {
    lstm: candle_nn::LSTM,
    head: candle_nn::Linear,
    weights: VarMap,
}

impl Candle {
    fn new([_, _, input, hidden]: [usize; 4]) -> Self {
        let weights = VarMap::new();
        let builder = VarBuilder::from_varmap(&weights, DType::F32, &Device::Cpu);
        let lstm = candle_nn::lstm(input, hidden, Default::default(), builder.clone()).unwrap();
        let head = candle_nn::linear(hidden, 1, builder.pp("head")).unwrap();
        Self { lstm, head, weights }
    }
}

/// The same with candle-nn's layers and optimizer; it has no clipping.
fn candle(shape: [usize; 4]) -> impl FnMut() {
    let network = Candle::new(shape);
    let (x, y) = (windows(shape), targets(shape));
    let mut optimizer = candle_nn::AdamW::new_lr(network.weights.all_vars(), 1e-3).unwrap();
    move || {
        let states = network.lstm.seq(&x).unwrap();
        let forecast = network.head.forward(states[states.len() - 1].h()).unwrap();
        let loss = (forecast - &y).unwrap().sqr().unwrap().mean_all().unwrap();
        optimizer.backward_step(&loss).unwrap();
    }
}

fn candle_forward(shape: [usize; 4]) -> impl FnMut() {
    let network = Candle::new(shape);
    let x = windows(shape);
    move || {
        black_box(network.lstm.seq(&x).unwrap());
    }
}

/// Where a training step of ours goes. Products are what grows with the features read, all else (gates, states,
/// packing) does not: the time of a network that reads [`MORE`] features more gives the products' speed and share.
fn parts(shape: [usize; 4]) {
    let [time, batch, input, hidden] = shape;
    let (x, y) = (windows(shape), targets(shape));
    let network = Ours::new(shape);
    let (forward, backward) = layer_us(shape);
    let (wider_forward, wider_backward) = layer_us([time, batch, input + MORE, hidden]);
    let with_head = fastest(|| drop(black_box(network.loss(&x, &y).backward().unwrap())));
    let mut optimizer = AdamW::new(AdamWConfig::default(), &network.parameters);
    let gradients = network.loss(&x, &y).backward().unwrap();
    let optimizer = fastest(|| {
        black_box(optimizer.step(&network.parameters, &gradients, 0.0).unwrap());
    });
    // Each feature is read once on the way there and once for its weights' gradient; hidden units are read once more,
    // for the gradient by the step before.
    let products = (wider_forward - forward) / MORE as f64 * (input + hidden) as f64
        + (wider_backward - backward) / MORE as f64 * (input + 2 * hidden) as f64;
    let whole = with_head + optimizer;
    let gflop = 2e-3 * (time * batch * 4 * hidden) as f64; // GFLOP/s from microseconds, a feature or unit
    println!(
        "{}",
        serde_json::json!({
            "shape": shape, "forward_us": forward, "backward_us": backward, "head_and_loss_us": with_head - forward - backward,
            "optimizer_us": optimizer, "products_share": products / whole,
            "gates_states_packing_share": (forward + backward - products) / whole,
            "head_and_loss_share": (with_head - forward - backward) / whole, "optimizer_share": optimizer / whole,
            "forward_gflops": gflop * (input + hidden) as f64 / forward,
            "backward_gflops": gflop * (input + 2 * hidden) as f64 / backward,
            "products_gflops": gflop * (2 * input + 3 * hidden) as f64 / products,
        })
    );
}

/// Features added to see what one costs.
const MORE: usize = 64;

/// A layer forward, and backward to its weights from its last state, in microseconds.
fn layer_us(shape: [usize; 4]) -> (f64, f64) {
    let (network, x) = (Ours::new(shape), windows(shape));
    let encode = || network.recurrent.encode(&network.parameters, &x, None, None).unwrap();
    let forward = fastest(|| drop(black_box(encode())));
    let both = fastest(|| drop(black_box(encode().last_hidden().sum_all().unwrap().backward().unwrap())));
    (forward, both - forward)
}

/// What this machine's general matrix product does on one thread, 512³: the measure for the kernels.
fn gemm_gflops() -> f64 {
    let n = 512;
    let (a, b, mut c) = (vec![0.5_f32; n * n], vec![0.25_f32; n * n], vec![0.0_f32; n * n]);
    let rows = n as isize;
    let taken = fastest(|| {
        #[expect(unsafe_code, reason = "the crate's only interface")]
        // SAFETY: three square matrices of n rows, row after row.
        unsafe {
            gemm::gemm(
                n,
                n,
                n,
                c.as_mut_ptr(),
                1,
                rows,
                false,
                a.as_ptr(),
                1,
                rows,
                b.as_ptr(),
                1,
                rows,
                0.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
        black_box(&c);
    });
    2e-3 * (n * n * n) as f64 / taken
}
