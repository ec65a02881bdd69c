//! On a GPU: the same weights, the same results to tolerance. Only in a build with the feature `cuda` or `metal`, and
//! then a machine without the GPU fails them.

use candle_core::{Device, Tensor, Var};
use candlecast::nn::{
    AdamW, AdamWConfig, Cell, FixedMatrix, Linear, ParameterLayout, Parameters, Recurrent, RecurrentConfig, seeded,
};
use candlecast::train::{Control, DeviceName, Topology, TrainConfig, train};

use super::train::{learning, swings};

const NAME: DeviceName = if cfg!(feature = "cuda") { DeviceName::Cuda(0) } else { DeviceName::Metal(0) };

fn gpu() -> Device {
    let opened = if cfg!(feature = "cuda") { Device::new_cuda(0) } else { Device::new_metal(0) };
    opened.expect("a build for a GPU is tested where there is one")
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().expect("view").to_vec1().expect("f32")
}

fn waves(shape: (usize, usize, usize), device: &Device) -> Var {
    let numbers: Vec<f32> = (0..shape.0 * shape.1 * shape.2).map(|idx| (idx as f32 * 0.7).sin()).collect();
    Var::from_vec(numbers, shape, device).expect("a device")
}

/// Farther apart than `tolerance`, in parts of the largest number where that is above 1.
fn assert_near(here: &[f32], there: &[f32], tolerance: f32, what: &str) {
    assert_eq!(here.len(), there.len(), "{what}");
    let largest = here.iter().fold(1.0_f32, |largest, value| largest.max(value.abs()));
    let farthest = here.iter().zip(there).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(farthest < tolerance * largest, "{what}: {farthest} apart, of {largest}");
}

#[test]
fn outputs_gradients_and_steps_are_the_processors() {
    for (cell, layers, batch, time) in
        [(Cell::Lstm, 1, 3, 7), (Cell::Lstm, 2, 1, 1), (Cell::Gru, 2, 4, 9), (Cell::Rnn, 3, 2, 12)]
    {
        let mut layout = ParameterLayout::default();
        let config = RecurrentConfig { cell, input: 5, hidden: 18, layers, dropout: 0.0 };
        let recurrent = Recurrent::new(config, &mut layout, "");
        let head = Linear::new(18, 4, &mut layout, "head.");
        let parameters = Parameters::init(layout, &mut seeded(4), &Device::Cpu).expect("cpu");
        let fixed = FixedMatrix::new((0..12).map(|idx| (idx as f32 * 0.3).cos()).collect(), 4);
        let [here, there] = [Device::Cpu, gpu()].map(|device| {
            let parameters = parameters.on(&device).expect("a device");
            let mut optimizer = AdamW::new(AdamWConfig { clip_norm: Some(1.0), ..Default::default() }, &parameters);
            let (first, second) = (waves((batch, time, 5), &device), waves((batch, 2, 5), &device));
            let loss = || {
                let before = recurrent.forward(&parameters, &first, None, None).expect("forward");
                let state = recurrent.encode(&parameters, &second, Some(&before.state), None).expect("forward");
                let last = fixed.apply(&head.forward(&parameters, state.last_hidden()).expect("head")).expect("4 wide");
                let loss = (before.sequence.sqr().expect("f32").mean_all().expect("mean")
                    + last.sqr().expect("f32").sum_all().expect("sum"))
                .expect("scalars");
                (before.sequence, last, loss)
            };
            let (sequence, last, scalar) = loss();
            let gradients = scalar.backward().expect("backward");
            let slopes = [parameters.flat(), &first].map(|var| numbers(gradients.get(var).expect("reached")));
            for _ in 0..5 {
                optimizer.step(&parameters, &loss().2.backward().expect("backward"), 1e-2).expect("step");
            }
            let frozen = recurrent.freeze(&parameters).expect("numbers");
            let mut carried = frozen.start(batch);
            let served = frozen.advance(&numbers(&first), &mut carried).to_vec();
            let [by_weights, by_input] = slopes;
            [numbers(&sequence), numbers(&last), by_weights, by_input, parameters.to_vec().expect("numbers"), served]
        });
        let what = ["outputs", "head", "gradient of weights", "gradient of input", "weights after 5 steps", "served"];
        let tolerance = [1e-5, 1e-5, 1e-4, 1e-4, 1e-4, 1e-4];
        for ((here, there), (what, tolerance)) in here.iter().zip(&there).zip(what.iter().zip(tolerance)) {
            assert_near(here, there, tolerance, &format!("{cell:?}, {layers} layers: {what}"));
        }
    }
}

#[test]
fn trainings_side_by_side_are_what_one_alone_is() {
    let (series, device) = (swings(400), NAME.open().expect("a build for a GPU is tested where there is one"));
    let forecast = || {
        let control = Control { device: device.clone(), ..Control::quiet() };
        let trained = train(&series, &learning(), &control).expect("400 bars");
        let forecast = trained.model.forecast(&series).expect("400 bars");
        forecast.iter().flat_map(|step| step.values().iter().map(|value| *value as f32 * 100.0)).collect::<Vec<_>>()
    };
    let alone = forecast();
    let beside = std::thread::scope(|scope| {
        let running = [scope.spawn(forecast), scope.spawn(forecast)];
        running.map(|thread| thread.join().expect("no panic"))
    });
    for beside in &beside {
        assert_near(&alone, beside, 1e-3, "in percent");
    }
}

#[test]
fn a_training_gives_the_processors_forecasts() {
    let series = swings(400);
    let topologies = [
        Topology::ManyToOne,
        Topology::OneToOne,
        Topology::OneToMany,
        Topology::ManyToMany,
        Topology::ManyToManyAligned,
    ];
    for topology in topologies {
        let config = TrainConfig { topology, tbptt_steps: Some(8), ..learning() };
        let [here, there] = [DeviceName::Cpu, NAME].map(|name| {
            let device = name.open().expect("a build for a GPU is tested where there is one");
            let trained = train(&series, &config, &Control { device, ..Control::quiet() }).expect("400 bars");
            assert!(trained.metrics.network_trust[0] > 0.5, "{topology:?}: the networks speak");
            let forecast = trained.model.forecast(&series).expect("400 bars");
            let percents = forecast.iter().flat_map(|step| step.values().iter().map(|value| *value as f32 * 100.0));
            percents.chain([trained.metrics.validation_loss as f32]).collect::<Vec<_>>()
        });
        assert_near(&here, &there, 1e-3, &format!("{topology:?}, in percent"));
    }
}
