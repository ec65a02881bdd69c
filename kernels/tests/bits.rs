//! The promise of the crate: whatever the vectors of the processor, a training ends with these very bits.

use candlecast_kernels::{
    AdamWStep, Cell, Gradients, InitialState, Isa, Layer, Linear, LinearGradients, OutputGradient, Packed, Pass,
    Scratch, Sequence, StateGradient, Tape, Weights, norm,
};

/// Series of the batch, steps, features, units, numbers answered: none a multiple of a vector.
const SHAPE: [usize; 5] = [13, 9, 5, 37, 3];

/// Numbers in [-1, 1) that look random, the same everywhere.
fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Weights after twenty steps of layer, head, squared error, clipping and AdamW, every kernel of the crate on `isa`.
fn trained(cell: Cell, isa: Isa) -> Vec<f32> {
    let [batch, time, input, hidden, outputs] = SHAPE;
    let layer = Layer { isa, ..Layer::new(cell, input, hidden) };
    let head = Linear { isa, ..Linear::new(hidden, outputs) };
    let rows = cell.gates() * hidden;
    // weight_ih, weight_hh, bias_ih, bias_hh, then the head's weight and bias
    let sizes = [rows * input, rows * hidden, rows, rows, outputs * hidden, outputs];
    let count = sizes.iter().sum();
    let mut all = numbers(1, count);
    all.iter_mut().for_each(|weight| *weight *= 0.25);
    let (mut gradient, mut mean, mut square) = (vec![0.0; count], vec![0.0; count], vec![0.0; count]);
    let (x, truths) = (numbers(2, batch * time * input), numbers(3, batch * outputs));
    let input = Sequence::batch_first(&x, time, input);
    let mut powers = (1.0, 1.0); // of the betas; `powi` may round otherwise elsewhere
    for _ in 0..20 {
        let [weight_ih, weight_hh, bias_ih, bias_hh, head_weight, head_bias] = split(&all, sizes);
        let weights = Weights { weight_ih, weight_hh, bias_ih, bias_hh };
        let (mut packed, mut tape) = (Packed::default(), Tape::default());
        layer.pack(&weights, &mut packed);
        layer.forward(&packed, input, (batch, time), InitialState::default(), &mut tape, true);
        let last = tape.last_hidden(&layer).flatten().copied().collect::<Vec<_>>();
        let mut answers = vec![0.0; batch * outputs];
        head.forward(head_weight, head_bias, &last, &mut answers);
        let by_answer: Vec<f32> = answers.iter().zip(&truths).map(|(answer, truth)| 2.0 * (answer - truth)).collect();

        let mut by_last = vec![0.0; batch * hidden];
        let mut rest = gradient.as_mut_slice();
        let [weight_ih, weight_hh, bias_ih, bias_hh, weight, bias] = sizes.map(|len| {
            let (first, others) = std::mem::take(&mut rest).split_at_mut(len);
            rest = others;
            first
        });
        head.backward(head_weight, &last, &by_answer, LinearGradients { weight, bias, input: Some(&mut by_last) });
        layer.backward(
            Pass { weights, input, tape: &tape },
            OutputGradient { sequence: None, hidden: Some(&by_last), cell: None },
            &mut Gradients { weight_ih, weight_hh, bias_ih, bias_hh },
            StateGradient { input: None, hidden: None, cell: None },
            &mut Scratch::default(),
        );
        let length = norm(isa, &gradient);
        powers = (powers.0 * 0.9, powers.1 * 0.999);
        let adamw = AdamWStep {
            scale: if length > 1.0 { (1.0 / length) as f32 } else { 1.0 },
            betas: (0.9, 0.999),
            complements: (0.1, 0.001),
            keep: 0.9999,
            rate: (1e-2 / (1.0 - powers.0)) as f32,
            correction: (1.0 / (1.0_f64 - powers.1).sqrt()) as f32,
            epsilon: 1e-8,
        };
        adamw.apply(isa, &mut all, &gradient, &mut mean, &mut square);
    }
    all
}

fn split(all: &[f32], sizes: [usize; 6]) -> [&[f32]; 6] {
    let mut rest = all;
    sizes.map(|len| {
        let (first, others) = rest.split_at(len);
        rest = others;
        first
    })
}

/// FNV-1a over the bits.
fn sum_of_bits(numbers: &[f32]) -> u64 {
    let bytes = numbers.iter().flat_map(|number| number.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Where another order of sums is meant, the test prints the new ones.
#[test]
fn a_training_ends_with_these_very_bits_on_every_instruction_set() {
    for isa in Isa::available() {
        let sums = [Cell::Lstm, Cell::Gru, Cell::Rnn].map(|cell| format!("{:016x}", sum_of_bits(&trained(cell, isa))));
        assert_eq!(sums, ["870e791e28deb661", "8177d57b8c109ff5", "82bc5f0b5bf9e8ff"], "{isa:?}");
    }
}
