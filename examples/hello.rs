//! The smallest recurrent network that must remember: after `h`, `e`, `l`, `l` it says `e`, `l`, `l`, `o`.
//!
//! The same input `l` has two right answers, `l` the first time and `o` the second. A network without
//! memory is at most 3 of 4 right; the hidden state tells the two apart.
//!
//! `cargo run --release --example hello`
#![expect(clippy::print_stdout, reason = "an example shows its result")]

mod plot;

use candle_core::{D, Device, Tensor};
use candle_nn::loss::cross_entropy;
use candlecast::nn::{
    AdamW, AdamWConfig, Cell, Linear, ParameterLayout, Parameters, Recurrent, RecurrentConfig, State, seeded,
};

const ALPHABET: [char; 4] = ['h', 'e', 'l', 'o'];
const INPUT: [char; 4] = ['h', 'e', 'l', 'l'];
const TARGET: [char; 4] = ['e', 'l', 'l', 'o'];
const HIDDEN: usize = 8;
const EPOCHS: usize = 60;

fn main() -> anyhow::Result<()> {
    let mut layout = ParameterLayout::default();
    let config = RecurrentConfig { cell: Cell::Rnn, input: ALPHABET.len(), hidden: HIDDEN, layers: 1, dropout: 0.0 };
    let recurrent = Recurrent::new(config, &mut layout, "");
    let head = Linear::new(HIDDEN, ALPHABET.len(), &mut layout, "head.");
    let parameters = Parameters::init(layout, &mut seeded(1), &Device::Cpu)?;
    let mut optimizer = AdamW::new(AdamWConfig { weight_decay: 0.0, ..AdamWConfig::default() }, &parameters);

    let input = one_hot(&INPUT)?; // [batch 1, time 4, letters 4]
    let target = Tensor::new(TARGET.map(position).as_slice(), &Device::Cpu)?; // [time 4]
    let mut losses = Vec::new();
    for epoch in 1..=EPOCHS {
        let output = recurrent.forward(&parameters, &input, None, None)?;
        let logits = head.forward(&parameters, &output.sequence)?.squeeze(0)?; // [time 4, letters 4]
        let loss = cross_entropy(&logits, &target)?;
        let said: String = logits.argmax(D::Minus1)?.to_vec1()?.into_iter().map(letter).collect();
        let right = said.chars().zip(TARGET).filter(|(a, b)| a == b).count();
        losses.push((epoch as f64, f64::from(loss.to_scalar::<f32>()?)));
        if epoch == 1 || epoch % 10 == 0 {
            println!("epoch {epoch:>2}: hell -> {said}   {:>3} %   loss {:.4}", 25 * right, losses[epoch - 1].1);
        }
        optimizer.step(&parameters, &loss.backward()?, 0.03)?;
    }

    // The trained network on its own: each letter it says is the next one it reads.
    let mut word = String::from("h");
    let mut state: Option<State> = None;
    while let Some(last) = word.chars().last().filter(|_| word.len() < 5) {
        let output = recurrent.forward(&parameters, &one_hot(&[last])?, state.as_ref(), None)?;
        let logits = head.forward(&parameters, output.state.last_hidden())?; // [1, letters 4]
        word.push(letter(logits.argmax(D::Minus1)?.to_vec1()?[0]));
        state = Some(output.state);
    }
    println!("started with h, it spells: {word}");

    plot::Chart::new("Learning to spell hello", "epoch", "cross-entropy, nats")
        .line("vanilla RNN, 8 units", losses)
        .rule("guessing: ln 4", 4_f64.ln())
        .save("hello")?;
    Ok(())
}

/// `[1, letters.len(), ALPHABET.len()]`: one 1 a row, at the letter's place.
fn one_hot(letters: &[char]) -> candle_core::Result<Tensor> {
    let mut rows = vec![0.0_f32; letters.len() * ALPHABET.len()];
    for (row, letter) in rows.chunks_mut(ALPHABET.len()).zip(letters) {
        row[position(*letter) as usize] = 1.0;
    }
    Tensor::from_vec(rows, (1, letters.len(), ALPHABET.len()), &Device::Cpu)
}

fn position(letter: char) -> u32 {
    ALPHABET.iter().position(|known| *known == letter).unwrap_or(0) as u32
}

fn letter(position: u32) -> char {
    ALPHABET[position as usize]
}
