//! The lecture's first example as a test: a network that must remember, trained until it is right everywhere.

use candle_core::{D, Device, Tensor};
use candle_nn::loss::cross_entropy;
use candlecast::nn::{
    AdamW, AdamWConfig, Cell, Linear, ParameterLayout, Parameters, Recurrent, RecurrentConfig, seeded,
};

/// `h e l l` to `e l l o`, letters as positions in "helo": the input `l` has two answers, so memory decides.
#[test]
fn every_cell_learns_to_spell_hello() {
    for cell in [Cell::Rnn, Cell::Gru, Cell::Lstm] {
        let mut layout = ParameterLayout::default();
        let config = RecurrentConfig { cell, input: 4, hidden: 8, layers: 1, dropout: 0.0 };
        let recurrent = Recurrent::new(config, &mut layout, "");
        let head = Linear::new(8, 4, &mut layout, "head.");
        let parameters = Parameters::init(layout, &mut seeded(1), &Device::Cpu).unwrap();
        let mut optimizer = AdamW::new(AdamWConfig { weight_decay: 0.0, ..AdamWConfig::default() }, &parameters);
        let input = Tensor::eye(4, candle_core::DType::F32, &Device::Cpu).unwrap();
        let input = input.index_select(&Tensor::new(&[0_u32, 1, 2, 2], &Device::Cpu).unwrap(), 0).unwrap();
        let input = input.unsqueeze(0).unwrap(); // [batch 1, time 4, letters 4]
        let target = Tensor::new(&[1_u32, 2, 2, 3], &Device::Cpu).unwrap();

        let mut said = Vec::new();
        for _ in 0..100 {
            let output = recurrent.forward(&parameters, &input, None, None).unwrap();
            let logits = head.forward(&parameters, &output.sequence).unwrap().squeeze(0).unwrap();
            said = logits.argmax(D::Minus1).unwrap().to_vec1::<u32>().unwrap();
            let loss = cross_entropy(&logits, &target).unwrap();
            optimizer.step(&parameters, &loss.backward().unwrap(), 0.03).unwrap();
        }
        assert_eq!(said, [1, 2, 2, 3], "{cell:?}");
    }
}
