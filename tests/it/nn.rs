//! The networks as `train` and `forecast` use them, and against PyTorch's numbers.

use candle_core::{DType, Device, Tensor};
use candlecast::nn::{
    AdamW, AdamWConfig, Cell, Linear, ParameterLayout, Parameters, Recurrent, RecurrentConfig, State, seeded,
};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const CELLS: [Cell; 3] = [Cell::Lstm, Cell::Gru, Cell::Rnn];

fn config(cell: Cell, input: usize, hidden: usize, layers: usize) -> RecurrentConfig {
    RecurrentConfig { cell, input, hidden, layers, dropout: 0.0 }
}

fn network(config: RecurrentConfig, outputs: usize, seed: u64) -> (Recurrent, Linear, Parameters) {
    let mut layout = ParameterLayout::default();
    let recurrent = Recurrent::new(config, &mut layout, "");
    let head = Linear::new(config.hidden, outputs, &mut layout, "head.");
    let parameters = Parameters::init(layout, &mut seeded(seed), &Device::Cpu).expect("cpu");
    (recurrent, head, parameters)
}

/// Numbers in [-1, 1), `[batch, time, input]`.
fn windows(batch: usize, time: usize, input: usize) -> Tensor {
    let numbers: Vec<f32> = (0..batch * time * input).map(|idx| ((idx * 7919) % 2003) as f32 / 1001.5 - 1.0).collect();
    Tensor::from_vec(numbers, (batch, time, input), &Device::Cpu).expect("cpu")
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().expect("view").to_vec1().expect("f32")
}

fn farthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

// ---- against PyTorch; `scripts/parity.py --write` made the files

#[test]
fn outputs_and_gradients_are_pytorchs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/pytorch");
    assert_eq!(check_cases(&folder), 9, "three cells, one to three layers");
}

#[test]
#[ignore = "scripts/parity.py runs it, where torch is installed"]
fn live_parity() {
    let folder = std::env::var("CANDLECAST_PARITY").expect("scripts/parity.py names the folder");
    println!("{} networks agree with PyTorch", check_cases(Path::new(&folder)));
    check_adamw(Path::new(&folder));
}

/// Every case of a folder; leaves beside each what we saved and answered.
fn check_cases(folder: &Path) -> usize {
    let (mut cases, mut worst) = (0, [0.0_f32; 3]);
    for entry in fs::read_dir(folder).expect("the folder is there").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(stem) = name.strip_suffix(".safetensors").filter(|stem| stem.split('-').count() == 6) {
            let off = check_case(&entry.path(), stem, std::env::var_os("CANDLECAST_PARITY").is_some());
            worst.iter_mut().zip(off).for_each(|(worst, off)| *worst = worst.max(off));
            cases += 1;
        }
    }
    let [output, input, weights] = worst;
    println!("at most {output:.1e} off in outputs, {input:.1e} in gradients by the input, {weights:.1e} by weights");
    cases
}

/// How far outputs, gradients by the input and gradients by weights (of the largest, where that is above 1) are off.
fn check_case(path: &Path, stem: &str, leave: bool) -> [f32; 3] {
    let parts: Vec<&str> = stem.split('-').collect();
    let cell: Cell = serde_json::from_value(parts[0].into()).expect("a cell");
    let size = |idx: usize| parts[idx].parse::<usize>().expect("a number");
    let mut layout = ParameterLayout::default();
    let recurrent = Recurrent::new(config(cell, size(4), size(5), size(1)), &mut layout, "net.");
    let bytes = fs::read(path).expect("readable");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let read = |name: &str| {
        let view = file.tensor(name).expect("the tensor is there");
        let numbers: Vec<f32> =
            view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        Tensor::from_vec(numbers, view.shape(), &Device::Cpu).expect("cpu")
    };
    let weights: Vec<_> = file.tensors().into_iter().filter(|(name, _)| name.starts_with("net.")).collect();
    let weights = safetensors::serialize(weights, None).expect("tensors");
    let parameters = Parameters::from_safetensors(layout, &weights, &Device::Cpu).expect("PyTorch's names and layouts");

    let input = candle_core::Var::from_tensor(&read("input")).expect("cpu");
    let output = recurrent.forward(&parameters, &input, None, None).expect("forward").sequence;
    let off_output = farthest(&numbers(&output), &numbers(&read("output")));
    assert!(off_output < 1e-5, "{stem}: outputs differ by {off_output}");

    let loss = (&output * read("by_output")).expect("same shape").sum_all().expect("sum");
    let gradients = loss.backward().expect("backward");
    let by_input = gradients.get(&input).expect("the input was watched");
    let off_input = farthest(&numbers(by_input), &numbers(&read("gradient.input")));
    assert!(off_input < 1e-4, "{stem}: gradient by the input differs by {off_input}");
    let flat = numbers(gradients.get(parameters.flat()).expect("the loss depends on the parameters"));
    let (mut start, mut off_weights) = (0, 0.0_f32);
    for (name, shape) in parameters.layout().tensors() {
        let len = shape.iter().product::<usize>();
        let torch = numbers(&read(&format!("gradient.{name}")));
        let largest = torch.iter().fold(1.0_f32, |largest, g| largest.max(g.abs()));
        let off = farthest(&flat[start..start + len], &torch) / largest;
        assert!(off < 1e-4, "{stem}: gradient by {name} differs by {off}");
        off_weights = off_weights.max(off);
        start += len;
    }
    if leave {
        leave_ours(&path.with_file_name(format!("ours-{stem}.safetensors")), &parameters, &input, &output);
    }
    [off_output, off_input, off_weights]
}

/// Our own file, with an input and what we answer to it, for PyTorch to load.
fn leave_ours(path: &Path, parameters: &Parameters, input: &Tensor, output: &Tensor) {
    let ours = parameters.to_safetensors().expect("cpu");
    let mut tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)> = SafeTensors::deserialize(&ours)
        .expect("ours")
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, (view.shape().to_vec(), view.data().to_vec())))
        .collect();
    for (name, tensor) in [("input", input), ("output", output)] {
        let bytes = numbers(tensor).iter().flat_map(|number| number.to_le_bytes()).collect();
        tensors.insert(name.into(), (tensor.dims().to_vec(), bytes));
    }
    let view = |(shape, bytes): &'_ (Vec<usize>, Vec<u8>)| (shape.clone(), bytes.clone());
    let owned: Vec<_> = tensors.iter().map(|(name, tensor)| (name.clone(), view(tensor))).collect();
    let views = owned.iter().map(|(name, (shape, bytes))| {
        (name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes).expect("as long as its shape"))
    });
    fs::write(path, safetensors::serialize(views, None).expect("tensors")).expect("writable");
}

#[test]
fn adamw_with_clipping_is_pytorchs_to_1e_6_over_100_steps() {
    check_adamw(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/pytorch"));
}

fn check_adamw(folder: &Path) {
    let bytes = fs::read(folder.join("adamw.safetensors")).expect("readable");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let read = |name: &str| -> Vec<f32> {
        let view = file.tensor(name).expect("the tensor is there");
        view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let (before, steps, after) = (read("before"), read("gradients"), read("after"));
    // A network of exactly 37 numbers: a head of 36 inputs and one output.
    let mut layout = ParameterLayout::default();
    Linear::new(before.len() - 1, 1, &mut layout, "");
    let parameters = Parameters::from_vec(layout, before, &Device::Cpu).expect("37 numbers");
    let config = AdamWConfig { weight_decay: 0.05, ..AdamWConfig::default() };
    let mut optimizer = AdamW::new(config, &parameters);
    for gradient in steps.chunks_exact(after.len()) {
        let gradient = Tensor::from_slice(gradient, after.len(), &Device::Cpu).expect("cpu");
        let loss = (parameters.flat().as_tensor() * gradient).expect("same shape").sum_all().expect("sum");
        optimizer.step(&parameters, &loss.backward().expect("backward"), 3e-3).expect("step");
    }
    let worst = farthest(&parameters.to_vec().expect("cpu"), &after);
    assert!(worst < 1e-6, "after 100 steps {worst} away");
}

// ---- what a network promises

#[test]
fn a_network_overfits_one_batch() {
    for cell in CELLS {
        let (recurrent, head, parameters) = network(config(cell, 3, 16, 2), 1, 5);
        let (x, y) = (windows(8, 6, 3), windows(8, 1, 1).squeeze(2).expect("one"));
        let mut optimizer = AdamW::new(AdamWConfig { weight_decay: 0.0, ..Default::default() }, &parameters);
        let loss = || {
            let state = recurrent.encode(&parameters, &x, None, None).expect("forward");
            let error = (head.forward(&parameters, state.last_hidden()).expect("head") - &y).expect("same shape");
            error.sqr().expect("f32").mean_all().expect("mean")
        };
        let first = loss().to_scalar::<f32>().expect("scalar");
        for _ in 0..400 {
            optimizer.step(&parameters, &loss().backward().expect("backward"), 1e-2).expect("step");
        }
        let last = loss().to_scalar::<f32>().expect("scalar");
        assert!(last < 1e-2 * first, "{cell:?}: {first} to {last}");
    }
}

#[test]
fn the_shorter_way_to_the_final_state_gives_the_same_numbers_and_gradients() {
    for cell in CELLS {
        let (recurrent, _, parameters) = network(config(cell, 3, 20, 2), 1, 6);
        let x = windows(4, 5, 3);
        let full = recurrent.forward(&parameters, &x, None, None).expect("forward");
        let short = recurrent.encode(&parameters, &x, None, None).expect("forward");
        let last = full.sequence.narrow(1, 4, 1).expect("step").squeeze(1).expect("one");
        for hidden in [full.state.last_hidden(), short.last_hidden()] {
            assert_eq!(numbers(hidden), numbers(&last));
        }
        let slope = |tensor: &Tensor| {
            let gradients = tensor.sqr().expect("f32").sum_all().expect("sum").backward().expect("backward");
            numbers(gradients.get(parameters.flat()).expect("reached"))
        };
        assert_eq!(slope(full.state.last_hidden()), slope(short.last_hidden()));
        assert_eq!(slope(&last), slope(short.last_hidden()));
    }
}

#[test]
fn a_network_trained_at_one_lookback_serves_at_another() {
    for cell in CELLS {
        let (recurrent, _, parameters) = network(config(cell, 3, 16, 2), 1, 7);
        let long = windows(2, 30, 3);
        let short = long.narrow(1, 0, 10).expect("the first ten");
        let all = recurrent.forward(&parameters, &long, None, None).expect("forward").sequence;
        let first = recurrent.forward(&parameters, &short, None, None).expect("forward").sequence;
        // The same weights at every step: the longer run begins with the shorter one, bit for bit.
        assert_eq!(numbers(&all.narrow(1, 0, 10).expect("view")), numbers(&first), "{cell:?}");
    }
}

#[test]
fn a_new_bar_costs_one_step_and_gives_what_the_full_pass_gives() {
    for cell in CELLS {
        let (recurrent, _, parameters) = network(config(cell, 3, 21, 2), 1, 8);
        let x = windows(2, 40, 3);
        let full = recurrent.forward(&parameters, &x, None, None).expect("forward").sequence;
        let frozen = recurrent.freeze(&parameters).expect("cpu");
        let mut carried = frozen.start(2);
        for t in 0..40 {
            let bar = numbers(&x.narrow(1, t, 1).expect("bar"));
            let hidden = frozen.advance(&bar, &mut carried).to_vec();
            let whole = numbers(&full.narrow(1, t, 1).expect("step"));
            assert_eq!(hidden, whole, "{cell:?}, bar {t}");
        }
        let mut at_once = frozen.start(2);
        assert_eq!(frozen.advance(&numbers(&x), &mut at_once), carried.last_hidden());
    }
}

#[test]
fn carried_state_continues_a_sequence_and_detaching_cuts_the_gradient() {
    for cell in CELLS {
        let (recurrent, _, parameters) = network(config(cell, 3, 16, 2), 1, 9);
        let x = windows(3, 12, 3);
        let (first, second) = (x.narrow(1, 0, 7).expect("view"), x.narrow(1, 7, 5).expect("view"));
        let whole = recurrent.encode(&parameters, &x, None, None).expect("forward");
        let before = recurrent.encode(&parameters, &first, None, None).expect("forward");
        let through = recurrent.encode(&parameters, &second, Some(&before), None).expect("forward");
        let cut = recurrent.encode(&parameters, &second, Some(&before.detach()), None).expect("forward");
        assert_eq!(numbers(whole.last_hidden()), numbers(through.last_hidden()), "{cell:?}");
        assert_eq!(numbers(whole.last_hidden()), numbers(cut.last_hidden()), "{cell:?}");
        let slope = |state: &State| {
            let gradients = state.last_hidden().sum_all().expect("sum").backward().expect("backward");
            numbers(gradients.get(parameters.flat()).expect("reached"))
        };
        assert!(farthest(&slope(&whole), &slope(&through)) < 1e-5, "{cell:?}: the gradient passes the cut in two");
        assert!(farthest(&slope(&whole), &slope(&cut)) > 1e-3, "{cell:?}: detached, it does not");
    }
}

#[test]
fn dropout_repeats_with_its_seed_and_is_absent_when_serving() {
    let with_dropout = RecurrentConfig { dropout: 0.5, ..config(Cell::Lstm, 3, 16, 2) };
    let (recurrent, _, parameters) = network(with_dropout, 1, 10);
    let x = windows(2, 5, 3);
    let masked = |seed| {
        let mut generator = seeded(seed);
        numbers(&recurrent.forward(&parameters, &x, None, Some(&mut generator)).expect("forward").sequence)
    };
    let plain = numbers(&recurrent.forward(&parameters, &x, None, None).expect("forward").sequence);
    assert_eq!(masked(1), masked(1));
    assert_ne!(masked(1), masked(2));
    assert_ne!(masked(1), plain);
}

#[test]
fn trainings_side_by_side_give_the_same_bits_as_one_alone() {
    let train = || {
        let (recurrent, head, parameters) = network(config(Cell::Gru, 4, 24, 2), 3, 11);
        let x = windows(16, 12, 4);
        let mut optimizer = AdamW::new(AdamWConfig::default(), &parameters);
        for _ in 0..20 {
            let state = recurrent.encode(&parameters, &x, None, None).expect("forward");
            let loss = head.forward(&parameters, state.last_hidden()).expect("head").sqr().expect("f32");
            let gradients = loss.mean_all().expect("mean").backward().expect("backward");
            optimizer.step(&parameters, &gradients, 1e-2).expect("step");
        }
        parameters.to_vec().expect("cpu")
    };
    let alone = train();
    let beside: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(train)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(beside.iter().all(|weights| *weights == alone));
}

/// The same bits in debug and release, with any vector unit, on one thread or several: a kernel that sums in another
/// order changes these. Where that is meant, the test prints the new ones.
#[test]
fn a_small_training_ends_with_these_very_bits() {
    let sums = CELLS.map(|cell| {
        let with_dropout = RecurrentConfig { dropout: 0.25, ..config(cell, 5, 19, 2) };
        let (recurrent, head, parameters) = network(with_dropout, 3, 14);
        let (x, mut generator) = (windows(7, 11, 5), seeded(15));
        let mut optimizer = AdamW::new(AdamWConfig::default(), &parameters);
        for _ in 0..30 {
            let output = recurrent.forward(&parameters, &x, None, Some(&mut generator)).expect("forward");
            let loss = head.forward(&parameters, &output.sequence).expect("head").sqr().expect("f32");
            let gradients = loss.mean_all().expect("mean").backward().expect("backward");
            optimizer.step(&parameters, &gradients, 1e-2).expect("step");
        }
        let bytes: Vec<u8> = parameters.to_vec().expect("cpu").iter().flat_map(|x| x.to_le_bytes()).collect();
        Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>()
    });
    assert_eq!(sums, ["f8e3024f261a4dea", "0edc46bdbd89cac2", "88619fde5942cfff"]);
}

#[test]
fn wrong_shapes_are_errors_not_panics() {
    let (recurrent, head, parameters) = network(config(Cell::Lstm, 3, 16, 1), 1, 12);
    let error = |x: &Tensor| recurrent.encode(&parameters, x, None, None).expect_err("refused").to_string();
    assert!(error(&windows(2, 5, 4)).contains("reads 3 features, the input has 4"));
    assert!(error(&windows(2, 0, 3)).contains("an empty sequence"));
    assert!(error(&windows(2, 5, 3).to_dtype(DType::F64).expect("cast")).contains("dtype"));
    let of_three = recurrent.zero_state(&parameters, 3).expect("cpu");
    let refused = recurrent.encode(&parameters, &windows(2, 5, 3), Some(&of_three), None);
    assert!(refused.expect_err("refused").to_string().contains("not one of 2 series"));
    assert!(head.forward(&parameters, &windows(2, 5, 3)).is_err());
}

#[test]
fn a_gradient_that_is_not_finite_changes_nothing() {
    let (_, head, parameters) = network(config(Cell::Rnn, 3, 16, 1), 1, 13);
    let before = parameters.to_vec().expect("cpu");
    let mut optimizer = AdamW::new(AdamWConfig::default(), &parameters);
    let rows = Tensor::full(f32::INFINITY, (2, 16), &Device::Cpu).expect("cpu");
    let loss = head.forward(&parameters, &rows).expect("head").sum_all().expect("sum");
    let norm = optimizer.step(&parameters, &loss.backward().expect("backward"), 1e-2).expect("step");
    assert!(!norm.is_finite());
    assert_eq!(parameters.to_vec().expect("cpu"), before);
}
