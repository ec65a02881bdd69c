//! The kernels against the plainest form of the equations, in double precision: outputs directly,
//! gradients by finite differences.

use candlecast_kernels::{
    Cell, Gradients, InitialState, Isa, Layer, OutputGradient, Packed, Pass, Scratch, Sequence, StateGradient, Tape,
    Weights,
};
use proptest::prelude::*;

/// A layer, its numbers, and a linear loss `Σ by_output · outputs + Σ by_cell · last cell`.
#[derive(Debug, Clone)]
struct Case {
    layer: Layer,
    batch: usize,
    time: usize,
    /// weight_ih, weight_hh, bias_ih, bias_hh, input, first hidden state, first cell
    numbers: [Vec<f32>; 7],
    by_output: Vec<f32>,
    by_cell: Vec<f32>,
}

/// Numbers in [-1, 1) that look random, from a small congruential generator: no dependency, the same everywhere.
fn numbers(seed: &mut u64, len: usize) -> Vec<f32> {
    let mut next = || {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

impl Case {
    fn new(cell: Cell, [batch, time, input, hidden]: [usize; 4], mut seed: u64) -> Self {
        let layer = Layer::new(cell, input, hidden);
        let rows = cell.gates() * hidden;
        let state = batch * hidden;
        let sizes = [rows * input, rows * hidden, rows, rows, batch * time * input, state, state];
        let mut numbers_of = |len: usize| numbers(&mut seed, len);
        let mut case = Self {
            layer,
            batch,
            time,
            numbers: sizes.map(&mut numbers_of),
            by_output: numbers_of(batch * time * hidden),
            by_cell: numbers_of(state),
        };
        let bound = 1.0 / (hidden as f32).sqrt();
        case.numbers[..4].iter_mut().flatten().for_each(|weight| *weight *= bound);
        case
    }

    fn weights(&self) -> Weights<'_> {
        let [weight_ih, weight_hh, bias_ih, bias_hh, ..] = &self.numbers;
        Weights { weight_ih, weight_hh, bias_ih, bias_hh }
    }

    fn input(&self) -> Sequence<'_> {
        Sequence::batch_first(&self.numbers[4], self.time, self.layer.input)
    }

    fn initial(&self) -> InitialState<'_> {
        InitialState { hidden: Some(&self.numbers[5]), cell: Some(&self.numbers[6]) }
    }

    /// Outputs `[batch, time, hidden]` and the last cell `[batch, hidden]`, by the book.
    fn reference(&self, numbers: &[Vec<f64>; 7]) -> (Vec<f64>, Vec<f64>) {
        let Layer { cell, input, hidden, .. } = self.layer;
        let [weight_ih, weight_hh, bias_ih, bias_hh, x, h, c] = numbers;
        let (mut h, mut c) = (h.clone(), c.clone());
        let mut outputs = vec![0.0; self.by_output.len()];
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        for b in 0..self.batch {
            for t in 0..self.time {
                let x = &x[(b * self.time + t) * input..][..input];
                let before = h[b * hidden..][..hidden].to_vec();
                let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                for unit in 0..hidden {
                    let row = |gate: usize| gate * hidden + unit;
                    let from_input = |gate| dot(&weight_ih[row(gate) * input..][..input], x) + bias_ih[row(gate)];
                    let from_hidden =
                        |gate| dot(&weight_hh[row(gate) * hidden..][..hidden], &before) + bias_hh[row(gate)];
                    let sum = |gate| from_input(gate) + from_hidden(gate);
                    let at = b * hidden + unit;
                    h[at] = match cell {
                        Cell::Lstm => {
                            c[at] = sigmoid(sum(1)) * c[at] + sigmoid(sum(0)) * sum(2).tanh();
                            sigmoid(sum(3)) * c[at].tanh()
                        }
                        Cell::Gru => {
                            let n = (from_input(2) + sigmoid(sum(0)) * from_hidden(2)).tanh();
                            let z = sigmoid(sum(1));
                            (1.0 - z) * n + z * before[unit]
                        }
                        Cell::Rnn => sum(0).tanh(),
                    };
                    outputs[(b * self.time + t) * hidden + unit] = h[at];
                }
            }
        }
        (outputs, c)
    }

    /// The loss in double precision, at the case's numbers moved by `step` along `direction`.
    fn loss(&self, direction: &[Vec<f32>; 7], step: f64) -> f64 {
        let mut moved: [Vec<f64>; 7] = Default::default();
        for (to, (from, along)) in moved.iter_mut().zip(self.numbers.iter().zip(direction)) {
            *to = from.iter().zip(along).map(|(x, d)| f64::from(*x) + step * f64::from(*d)).collect();
        }
        let (outputs, cell) = self.reference(&moved);
        let dot = |a: &[f32], b: &[f64]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * b).sum::<f64>();
        let by_cell = if self.layer.cell.has_cell() { dot(&self.by_cell, &cell) } else { 0.0 };
        dot(&self.by_output, &outputs) + by_cell
    }

    fn forward(&self) -> Tape {
        let (mut packed, mut tape) = (Packed::default(), Tape::default());
        self.layer.pack(&self.weights(), &mut packed);
        self.layer.forward(&packed, self.input(), (self.batch, self.time), self.initial(), &mut tape, true);
        tape
    }

    /// Gradients by the seven kinds of numbers.
    fn backward(&self) -> [Vec<f32>; 7] {
        self.backward_in(&mut Scratch::default())
    }

    fn backward_in(&self, scratch: &mut Scratch) -> [Vec<f32>; 7] {
        let tape = self.forward();
        let mut gradients = self.numbers.clone().map(|numbers| vec![f32::NAN; numbers.len()]);
        let [weight_ih, weight_hh, bias_ih, bias_hh, input, hidden, cell] = &mut gradients;
        let has_cell = self.layer.cell.has_cell();
        if !has_cell {
            cell.fill(0.0);
        }
        self.layer.backward(
            Pass { weights: self.weights(), input: self.input(), tape: &tape },
            OutputGradient {
                sequence: Some(Sequence::batch_first(&self.by_output, self.time, self.layer.hidden)),
                hidden: None,
                cell: has_cell.then_some(&self.by_cell),
            },
            &mut Gradients { weight_ih, weight_hh, bias_ih, bias_hh },
            StateGradient { input: Some(input), hidden: Some(hidden), cell: has_cell.then_some(cell) },
            scratch,
        );
        gradients
    }

    fn outputs(&self) -> Vec<f32> {
        let tape = self.forward();
        let mut outputs = vec![0.0; self.by_output.len()];
        let hidden = self.layer.hidden;
        for t in 0..self.time {
            for (b, row) in tape.hidden_after(&self.layer, t).enumerate() {
                outputs[(b * self.time + t) * hidden..][..hidden].copy_from_slice(row);
            }
        }
        outputs
    }

    fn check(&self) {
        let wide = self.numbers.clone().map(|numbers| numbers.into_iter().map(f64::from).collect::<Vec<_>>());
        for (idx, (fused, plain)) in self.outputs().iter().zip(self.reference(&wide).0).enumerate() {
            assert!((f64::from(*fused) - plain).abs() < 2e-6, "output {idx} is {fused}, not {plain}");
        }
        let gradients = self.backward();
        let names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "input", "first hidden state", "first cell"];
        let mut seed = 99;
        for (kind, name) in names.iter().enumerate() {
            // Along random directions, so that every number of this kind is in every comparison.
            for _ in 0..2 {
                let mut direction: [Vec<f32>; 7] = std::array::from_fn(|k| vec![0.0; self.numbers[k].len()]);
                direction[kind] = numbers(&mut seed, self.numbers[kind].len());
                let step = 1e-5;
                let slope = (self.loss(&direction, step) - self.loss(&direction, -step)) / (2.0 * step);
                let pairs = gradients[kind].iter().zip(&direction[kind]);
                let (fused, size) = pairs.fold((0.0, 1.0), |(sum, size), (g, d)| {
                    let product = f64::from(*g) * f64::from(*d);
                    (sum + product, size + product * product)
                });
                let tolerance = 2e-6 * size.sqrt() * (self.batch * self.time) as f64;
                assert!((fused - slope).abs() < tolerance.max(2e-5), "{name}: slope {fused}, not {slope}");
            }
        }
    }
}

fn any_cell() -> impl Strategy<Value = Cell> {
    prop_oneof![Just(Cell::Lstm), Just(Cell::Gru), Just(Cell::Rnn)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_shape_matches_the_equations_and_their_slopes(
        cell in any_cell(), batch in 1..9_usize, time in 1..8_usize, input in 1..20_usize, hidden in 1..40_usize, seed: u64,
    ) {
        Case::new(cell, [batch, time, input, hidden], seed).check();
    }
}

#[test]
fn corner_shapes_match_the_equations_and_their_slopes() {
    for cell in [Cell::Lstm, Cell::Gru, Cell::Rnn] {
        // batch, time, input, hidden: ones, exact blocks, one past a block, a panel of four and one of one,
        // more steps than deltas are kept for
        for shape in [[1, 1, 1, 1], [2, 3, 16, 16], [7, 2, 17, 33], [1, 2, 65, 70], [100, 5, 2, 3], [1, 200, 1, 2]] {
            Case::new(cell, shape, 7).check();
        }
    }
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    for cell in [Cell::Lstm, Cell::Gru, Cell::Rnn] {
        for shape in [[13, 9, 5, 21], [64, 4, 8, 64], [1, 6, 70, 100]] {
            let on = |isa| {
                let mut case = Case::new(cell, shape, 3);
                case.layer.isa = isa;
                (case.outputs(), case.backward())
            };
            let plain = on(Isa::Scalar);
            for isa in Isa::available() {
                assert!(on(isa) == plain, "{isa:?} differs on {cell:?} {shape:?}");
            }
        }
    }
}

#[test]
fn a_tape_that_keeps_only_the_newest_step_ends_in_the_same_state() {
    for cell in [Cell::Lstm, Cell::Gru, Cell::Rnn] {
        for time in [1, 2, 7] {
            let case = Case::new(cell, [3, time, 4, 18], 5);
            let (mut packed, mut tape) = (Packed::default(), Tape::default());
            case.layer.pack(&case.weights(), &mut packed);
            case.layer.forward(&packed, case.input(), (3, time), case.initial(), &mut tape, false);
            let kept = case.forward();
            assert!(tape.last_hidden(&case.layer).eq(kept.last_hidden(&case.layer)));
            assert!(!cell.has_cell() || tape.last_cell(&case.layer).eq(kept.last_cell(&case.layer)));
        }
    }
}

#[test]
fn memory_lent_again_leaves_no_trace() {
    let (big, small) = (Case::new(Cell::Lstm, [9, 7, 30, 50], 1), Case::new(Cell::Lstm, [2, 3, 5, 20], 2));
    let (mut packed, mut tape) = (Packed::default(), Tape::default());
    for case in [&big, &small] {
        case.layer.pack(&case.weights(), &mut packed);
        case.layer.forward(&packed, case.input(), (case.batch, case.time), case.initial(), &mut tape, true);
    }
    assert!(tape.last_hidden(&small.layer).eq(small.forward().last_hidden(&small.layer)));
    let mut scratch = Scratch::default();
    for case in [&big, &small, &big] {
        assert_eq!(case.backward_in(&mut scratch), case.backward());
    }
}
