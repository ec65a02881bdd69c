//! A model's numbers as one safetensors file, and back.
//!
//! Fitted numbers are 64-bit tensors here and not JSON: a float that passes through text may come back in
//! another last bit.

use std::collections::HashSet;

use candle_core::Device;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::base::Base;
use super::lean::{EFFECTS, Lean, STATES};
use super::member::Member;
use super::model::{Model, ModelSpec};
use super::network::Network;
use super::shape::Shape;
use super::{ConfigError, TrainConfig, TrainLimits};
use crate::features::regression::Linear;
use crate::features::{Regressors, Scaler, VolatilityModel};
use crate::nn::Parameters;

/// Why bytes are not the model that a spec describes.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// Written by a version with another layout.
    #[error("artifact format {found}, this version reads {}", ModelSpec::FORMAT)]
    Format {
        /// What it says.
        found: u32,
    },
    /// A config that could not have been trained.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Not a safetensors file.
    #[error("not a safetensors file: {0}")]
    Safetensors(#[from] safetensors::SafeTensorError),
    /// A tensor is missing.
    #[error("tensor {name} is missing")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A tensor that the model does not have.
    #[error("tensor {name} is none of this model's")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// Shape or number type differ.
    #[error("tensor {name} is {found_type:?} {found:?}, the model needs {needed_type:?} {needed:?}")]
    Shape {
        /// Its name.
        name: String,
        /// Its number type.
        found_type: Dtype,
        /// Its shape.
        found: Vec<usize>,
        /// The number type asked for.
        needed_type: Dtype,
        /// The shape asked for.
        needed: Vec<usize>,
    },
    /// A NaN or an infinity.
    #[error("tensor {name} has a value that is not finite")]
    NotFinite {
        /// Its name.
        name: String,
    },
    /// The tensor library refused.
    #[error("network: {0}")]
    Network(#[from] candle_core::Error),
}

/// Numbers kept in a model's file beside its own: what they mean is their owner's affair, that they come back bit
/// by bit is this file's.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its name, one of its own in the file.
    pub name: String,
    /// As many numbers as its product.
    pub shape: Vec<usize>,
    /// Row after row; finite.
    pub numbers: Vec<f64>,
}

/// What the names of tables begin with in the file.
const TABLES: &str = "held_back.";

/// A tensor to write.
struct Named {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Named {
    fn doubles(name: String, shape: &[usize], numbers: impl IntoIterator<Item = f64>) -> Self {
        let bytes = numbers.into_iter().flat_map(f64::to_le_bytes).collect();
        Self { name, dtype: Dtype::F64, shape: shape.to_vec(), bytes }
    }
}

pub(super) fn write(model: &Model, tables: &[Table]) -> Result<Vec<u8>, ArtifactError> {
    let n_steps = model.shrinkage.len();
    let mut tensors = vec![Named::doubles("shrinkage".into(), &[n_steps], model.shrinkage.iter().copied())];
    tensors.push(Named::doubles("network_trust".into(), &[n_steps], model.network_trust.iter().copied()));
    for (idx, member) in model.members.iter().enumerate() {
        push_base(&member.base, idx, &mut tensors);
        push_network(member, idx, &mut tensors)?;
    }
    for Table { name, shape, numbers } in tables {
        tensors.push(Named::doubles(format!("{TABLES}{name}"), shape, numbers.iter().copied()));
    }
    let views = tensors.iter().map(|tensor| {
        TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes).map(|view| (tensor.name.as_str(), view))
    });
    Ok(safetensors::serialize(views.collect::<Result<Vec<_>, _>>()?, None)?)
}

fn push_base(base: &Base, member: usize, tensors: &mut Vec<Named>) {
    let n_steps = base.volatility.len();
    push_volatility(&base.volatility, format!("members.{member}.{ALONE}"), tensors);
    if !base.in_market.is_empty() {
        push_volatility(&base.in_market, format!("members.{member}.{IN_MARKET}"), tensors);
    }
    let shape = [n_steps, base.quantiles[0].len()];
    let quantiles = base.quantiles.iter().flatten().copied();
    tensors.push(Named::doubles(format!("members.{member}.typical"), &[1], [base.typical]));
    let Lean { usual, moves, widths } = &base.lean;
    let usual = usual.iter().flat_map(|(mean, deviation)| [*mean, *deviation]);
    tensors.push(Named::doubles(format!("members.{member}.lean.usual"), &[STATES, 2], usual));
    let effects = moves.iter().zip(widths).flat_map(|(moves, widths)| moves.iter().chain(widths).copied());
    tensors.push(Named::doubles(format!("members.{member}.lean.effects"), &[n_steps, 2 * EFFECTS], effects));
    tensors.push(Named::doubles(format!("members.{member}.quantiles"), &shape, quantiles));
}

/// What the names of a base's volatility forecasts go on with.
const ALONE: &str = "volatility";
const IN_MARKET: &str = "volatility_in_market";

fn push_volatility(models: &[VolatilityModel], name: String, tensors: &mut Vec<Named>) {
    let of_model = |model: &VolatilityModel| {
        let Linear { intercept, coefficients } = &model.linear;
        std::iter::once(*intercept).chain(coefficients.iter().copied()).collect::<Vec<_>>()
    };
    let numbers: Vec<f64> = models.iter().flat_map(of_model).collect();
    let width = numbers.len() / models.len();
    tensors.push(Named::doubles(format!("{name}.weight"), &[models.len(), width], numbers));
    let ranges = models.iter().flat_map(|model| [model.range.0, model.range.1]);
    tensors.push(Named::doubles(format!("{name}.range"), &[models.len(), 2], ranges));
}

fn push_network(member: &Member, idx: usize, tensors: &mut Vec<Named>) -> Result<(), ArtifactError> {
    let Scaler { means, scales } = &member.scaler;
    let numbers = means.iter().chain(scales).copied();
    tensors.push(Named::doubles(format!("members.{idx}.scaler"), &[2, means.len()], numbers));
    let numbers = member.parameters.to_vec()?;
    let mut rest = numbers.as_slice();
    for (name, shape) in member.parameters.layout().tensors() {
        let (own, after) = rest.split_at(shape.iter().product());
        rest = after;
        let bytes = own.iter().flat_map(|number| number.to_le_bytes()).collect();
        tensors.push(Named { name: name.to_owned(), dtype: Dtype::F32, shape: shape.to_vec(), bytes });
    }
    Ok(())
}

pub(super) fn read(spec: ModelSpec, bytes: &[u8]) -> Result<(Model, Vec<Table>), ArtifactError> {
    if spec.format != ModelSpec::FORMAT {
        return Err(ArtifactError::Format { found: spec.format });
    }
    spec.config.check(&TrainLimits::NONE)?;
    let mut file = Reader { file: SafeTensors::deserialize(bytes)?, seen: HashSet::new() };
    let shrinkage = file.doubles("shrinkage".into(), &[spec.config.horizon.steps()])?;
    let network_trust = file.doubles("network_trust".into(), &[spec.config.horizon.steps()])?;
    let mut members = Vec::with_capacity(spec.config.ensemble);
    for idx in 0..spec.config.ensemble {
        members.push(read_member(&mut file, idx, &spec.config)?);
    }
    let tables = file.tables()?;
    file.finish()?;
    Ok((Model { spec, members, network_trust, shrinkage }, tables))
}

fn read_member(file: &mut Reader, idx: usize, config: &TrainConfig) -> Result<Member, ArtifactError> {
    let base = read_base(file, idx, config.horizon.steps(), config.levels.len())?;
    let width = config.features.iter().map(|group| group.width()).sum();
    let numbers = file.doubles(format!("members.{idx}.scaler"), &[2, width])?;
    let scaler = Scaler { means: numbers[..width].to_vec(), scales: numbers[width..].to_vec() };
    let (network, layout) = Network::new(config, width, &format!("members.{idx}."));
    let mut numbers = Vec::with_capacity(layout.len());
    for (name, shape) in layout.tensors() {
        numbers.extend(file.floats(name.to_owned(), shape)?);
    }
    let parameters = Parameters::from_vec(layout, numbers, &Device::Cpu)?;
    let shape = Shape::new(&base.quantiles, config.middle(), &Device::Cpu)?;
    Ok(Member { base, scaler, network, parameters, shape })
}

fn read_base(file: &mut Reader, member: usize, n_steps: usize, n_levels: usize) -> Result<Base, ArtifactError> {
    let volatility = read_volatility(file, &format!("members.{member}.{ALONE}"), Base::ALONE, n_steps)?;
    let name = format!("members.{member}.{IN_MARKET}");
    let in_market = match file.has(&format!("{name}.weight")) {
        true => read_volatility(file, &name, Base::IN_MARKET, n_steps)?,
        false => Vec::new(),
    };
    let quantiles = file.doubles(format!("members.{member}.quantiles"), &[n_steps, n_levels])?;
    let typical = file.doubles(format!("members.{member}.typical"), &[1])?[0];
    let usual = file.doubles(format!("members.{member}.lean.usual"), &[STATES, 2])?;
    let effects = file.doubles(format!("members.{member}.lean.effects"), &[n_steps, 2 * EFFECTS])?;
    let part = |first: usize| {
        let of_step = |row: &[f64]| std::array::from_fn(|idx| row[first + idx]);
        effects.chunks(2 * EFFECTS).map(of_step).collect()
    };
    let lean = Lean {
        // A file may say 0 or less; a deviation then divides by nothing.
        usual: std::array::from_fn(|idx| (usual[2 * idx], usual[2 * idx + 1].max(f64::MIN_POSITIVE))),
        moves: part(0),
        widths: part(EFFECTS),
    };
    let quantiles = quantiles.chunks(n_levels).map(<[f64]>::to_vec).collect();
    Ok(Base { volatility, in_market, typical, lean, quantiles })
}

fn read_volatility(
    file: &mut Reader,
    name: &str,
    regressors: Regressors,
    n_steps: usize,
) -> Result<Vec<VolatilityModel>, ArtifactError> {
    let width = 1 + regressors.len();
    let weight = file.doubles(format!("{name}.weight"), &[n_steps, width])?;
    let ranges = file.doubles(format!("{name}.range"), &[n_steps, 2])?;
    let model = |(idx, (row, range)): (usize, (&[f64], &[f64]))| VolatilityModel {
        regressors,
        horizon: idx + 1,
        linear: Linear { intercept: row[0], coefficients: row[1..].to_vec() },
        // A file may have them the wrong way round; `clamp` would panic on it.
        range: (range[0].min(range[1]), range[1].max(range[0])),
    };
    Ok(weight.chunks(width).zip(ranges.chunks(2)).enumerate().map(model).collect())
}

/// A file being read; it knows which tensors nobody asked for.
struct Reader<'a> {
    file: SafeTensors<'a>,
    seen: HashSet<String>,
}

impl Reader<'_> {
    fn has(&self, name: &str) -> bool {
        self.file.tensor(name).is_ok()
    }

    fn doubles(&mut self, name: String, shape: &[usize]) -> Result<Vec<f64>, ArtifactError> {
        self.numbers(name, shape, Dtype::F64, f64::from_le_bytes)
    }

    fn floats(&mut self, name: String, shape: &[usize]) -> Result<Vec<f32>, ArtifactError> {
        self.numbers(name, shape, Dtype::F32, f32::from_le_bytes)
    }

    /// Every table, in the order of their names.
    fn tables(&mut self) -> Result<Vec<Table>, ArtifactError> {
        let mut names: Vec<String> =
            self.file.names().into_iter().filter_map(|name| name.strip_prefix(TABLES)).map(str::to_owned).collect();
        names.sort();
        let table = |name: String| {
            let full = format!("{TABLES}{name}");
            let shape = self.file.tensor(&full)?.shape().to_vec();
            Ok(Table { numbers: self.doubles(full, &shape)?, name, shape })
        };
        names.into_iter().map(table).collect()
    }

    fn numbers<T: Copy + Into<f64>, const N: usize>(
        &mut self,
        name: String,
        needed: &[usize],
        needed_type: Dtype,
        number: fn([u8; N]) -> T,
    ) -> Result<Vec<T>, ArtifactError> {
        let view = self.file.tensor(&name).map_err(|_| ArtifactError::Missing { name: name.clone() })?;
        let (found_type, found) = (view.dtype(), view.shape().to_vec());
        if found_type != needed_type || found != needed {
            return Err(ArtifactError::Shape { name, found_type, found, needed_type, needed: needed.to_vec() });
        }
        let numbers: Vec<T> = view.data().as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect();
        match numbers.iter().all(|number| (*number).into().is_finite()) {
            true => {
                self.seen.insert(name);
                Ok(numbers)
            }
            false => Err(ArtifactError::NotFinite { name }),
        }
    }

    fn finish(self) -> Result<(), ArtifactError> {
        let stranger = self.file.names().into_iter().find(|name| !self.seen.contains(&**name));
        match stranger {
            Some(name) => Err(ArtifactError::Unknown { name: name.to_string() }),
            None => Ok(()),
        }
    }
}
