//! All numbers of a network in one flat buffer, each tensor a named stretch of it.
//!
//! One buffer means: one gradient, one optimizer pass, one copy to keep the best epoch, and weights
//! that lie in the order in which the kernels read them.

use super::init::{Generator, uniform};
use candle_core::{Device, Result, Tensor, Var};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// Names, shapes and places of the tensors of a network, in the order they were added.
#[derive(Debug, Clone, Default)]
pub struct ParameterLayout {
    entries: Vec<Entry>,
    len: usize,
}

#[derive(Debug, Clone)]
struct Entry {
    name: String,
    shape: Vec<usize>,
    start: usize,
    /// First values are uniform in `[-bound, bound)`.
    bound: f32,
}

impl Entry {
    fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Where one tensor lies in the flat buffer.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) start: usize,
    pub(super) shape: Vec<usize>,
}

impl Slot {
    pub(super) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    pub(super) fn range(&self) -> std::ops::Range<usize> {
        self.start..self.start + self.len()
    }
}

impl ParameterLayout {
    /// Appends a tensor; its first values will be uniform in `[-bound, bound)`.
    pub(super) fn add(&mut self, name: String, shape: &[usize], bound: f32) -> Slot {
        let slot = Slot { start: self.len, shape: shape.to_vec() };
        self.len += slot.len();
        self.entries.push(Entry { name, shape: shape.to_vec(), start: slot.start, bound });
        slot
    }

    /// How many numbers in all.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no tensor was added.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Name and shape of each tensor, in order.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.entries.iter().map(|entry| (entry.name.as_str(), entry.shape.as_slice()))
    }
}

/// Why bytes are not the parameters that a layout asks for.
#[derive(Debug, thiserror::Error)]
pub enum ParametersError {
    /// Not a safetensors file.
    #[error("not a safetensors file: {0}")]
    Format(#[from] safetensors::SafeTensorError),
    /// A tensor is missing.
    #[error("tensor {name} is missing")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A tensor that the network does not have.
    #[error("tensor {name} is none of this network's")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// Shape or number type differ.
    #[error("tensor {name} is {dtype:?} {found:?}, the network needs F32 {needed:?}")]
    Shape {
        /// Its name.
        name: String,
        /// Its number type.
        dtype: Dtype,
        /// Its shape.
        found: Vec<usize>,
        /// The shape asked for.
        needed: Vec<usize>,
    },
    /// A NaN or an infinity.
    #[error("tensor {name} has a value that is not finite")]
    NotFinite {
        /// Its name.
        name: String,
    },
    /// The device could not hold or give them.
    #[error(transparent)]
    Device(#[from] candle_core::Error),
}

/// The numbers of a network: one trainable vector, seen through its layout.
///
/// A clone shares the same numbers.
#[derive(Debug, Clone)]
pub struct Parameters {
    layout: ParameterLayout,
    flat: Var,
}

impl Parameters {
    /// First values, uniform as PyTorch's are, drawn in the layout's order.
    ///
    /// # Errors
    /// When the device cannot hold them.
    pub fn init(layout: ParameterLayout, generator: &mut Generator, device: &Device) -> Result<Self> {
        let mut numbers = Vec::with_capacity(layout.len);
        for entry in &layout.entries {
            numbers.extend((0..entry.len()).map(|_| uniform(generator, entry.bound)));
        }
        Self::from_vec(layout, numbers, device)
    }

    /// Given values, in the layout's order.
    ///
    /// # Errors
    /// When their count is not the layout's, or the device cannot hold them.
    pub fn from_vec(layout: ParameterLayout, numbers: Vec<f32>, device: &Device) -> Result<Self> {
        let flat = Var::from_vec(numbers, layout.len, device)?;
        Ok(Self { layout, flat })
    }

    /// The layout these numbers follow.
    pub fn layout(&self) -> &ParameterLayout {
        &self.layout
    }

    /// All numbers as one trainable vector; gradients and optimizer work on it.
    pub fn flat(&self) -> &Var {
        &self.flat
    }

    /// A copy of all numbers, to come back to with [`set`](Self::set).
    ///
    /// # Errors
    /// When the device cannot give them.
    pub fn to_vec(&self) -> Result<Vec<f32>> {
        self.flat.to_vec1()
    }

    /// Replaces all numbers.
    ///
    /// # Errors
    /// When their count is not the layout's.
    pub fn set(&self, numbers: &[f32]) -> Result<()> {
        self.flat.set(&Tensor::from_slice(numbers, self.layout.len, self.flat.device())?)
    }

    /// A copy of all numbers on a device.
    ///
    /// # Errors
    /// When either device fails.
    pub fn on(&self, device: &Device) -> Result<Self> {
        Self::from_vec(self.layout.clone(), self.to_vec()?, device)
    }

    /// One tensor by name, as a view that gradients flow through; none where the layout has no such name.
    ///
    /// # Errors
    /// When Candle refuses the view.
    pub fn tensor(&self, name: &str) -> Result<Option<Tensor>> {
        let entry = self.layout.entries.iter().find(|entry| entry.name == name);
        entry.map(|entry| self.view(entry.start, &entry.shape)).transpose()
    }

    /// Whether the kernels can work on these numbers; else Candle's own operations do.
    pub(super) fn on_cpu(&self) -> bool {
        self.flat.device().is_cpu()
    }

    pub(super) fn slot(&self, slot: &Slot) -> Result<Tensor> {
        self.view(slot.start, &slot.shape)
    }

    fn view(&self, start: usize, shape: &[usize]) -> Result<Tensor> {
        self.flat.narrow(0, start, shape.iter().product())?.reshape(shape)
    }

    /// The numbers as a safetensors file that `torch.nn` modules load with `load_state_dict`.
    ///
    /// # Errors
    /// When the device cannot give them.
    pub fn to_safetensors(&self) -> std::result::Result<Vec<u8>, ParametersError> {
        let bytes: Vec<u8> = self.to_vec()?.iter().flat_map(|number| number.to_le_bytes()).collect();
        let mut views = Vec::with_capacity(self.layout.entries.len());
        for entry in &self.layout.entries {
            let stretch = &bytes[4 * entry.start..4 * (entry.start + entry.len())];
            views.push((entry.name.as_str(), TensorView::new(Dtype::F32, entry.shape.clone(), stretch)?));
        }
        Ok(safetensors::serialize(views, None)?)
    }

    /// Reads a safetensors file, whoever wrote it, PyTorch included.
    ///
    /// # Errors
    /// When a tensor is missing, unknown, of another shape or type, or not finite.
    pub fn from_safetensors(
        layout: ParameterLayout,
        bytes: &[u8],
        device: &Device,
    ) -> std::result::Result<Self, ParametersError> {
        let file = SafeTensors::deserialize(bytes)?;
        if let Some(name) = file.names().into_iter().find(|name| layout.entries.iter().all(|e| e.name != **name)) {
            return Err(ParametersError::Unknown { name: name.to_string() });
        }
        let mut numbers = Vec::with_capacity(layout.len);
        for entry in &layout.entries {
            let name = || entry.name.clone();
            let view = file.tensor(&entry.name).map_err(|_| ParametersError::Missing { name: name() })?;
            if view.dtype() != Dtype::F32 || view.shape() != entry.shape {
                let (found, needed) = (view.shape().to_vec(), entry.shape.clone());
                return Err(ParametersError::Shape { name: name(), dtype: view.dtype(), found, needed });
            }
            numbers.extend(view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
            if numbers[entry.start..].iter().any(|number| !number.is_finite()) {
                return Err(ParametersError::NotFinite { name: name() });
            }
        }
        Ok(Self::from_vec(layout, numbers, device)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::seeded;

    fn layout() -> ParameterLayout {
        let mut layout = ParameterLayout::default();
        layout.add("weight".into(), &[2, 3], 0.5);
        layout.add("bias".into(), &[2], 0.5);
        layout
    }

    #[test]
    fn a_file_gives_back_the_same_numbers() {
        let parameters = Parameters::init(layout(), &mut seeded(1), &Device::Cpu).expect("cpu");
        let bytes = parameters.to_safetensors().expect("cpu");
        let again = Parameters::from_safetensors(layout(), &bytes, &Device::Cpu).expect("same layout");
        assert_eq!(parameters.to_vec().expect("cpu"), again.to_vec().expect("cpu"));
        assert_eq!(again.tensor("weight").expect("view").expect("named").dims(), [2, 3]);
    }

    #[test]
    fn a_file_of_another_network_is_refused_by_what_differs() {
        let read = |numbers: Vec<f32>, layout| {
            let written = Parameters::from_vec(self::layout(), numbers, &Device::Cpu).expect("8 numbers");
            let bytes = written.to_safetensors().expect("cpu");
            Parameters::from_safetensors(layout, &bytes, &Device::Cpu).expect_err("refused").to_string()
        };
        let mut wider = ParameterLayout::default();
        wider.add("weight".into(), &[3, 2], 0.5);
        wider.add("bias".into(), &[2], 0.5);
        assert_eq!(read(vec![0.0; 8], wider), "tensor weight is F32 [2, 3], the network needs F32 [3, 2]");
        let mut more = layout();
        more.add("head.weight".into(), &[1], 0.5);
        assert_eq!(read(vec![0.0; 8], more), "tensor head.weight is missing");
        assert_eq!(read(vec![0.0; 8], ParameterLayout::default()).split(' ').next_back(), Some("network's"));
        let nan = vec![0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, f32::NAN];
        assert_eq!(read(nan, layout()), "tensor bias has a value that is not finite");
    }
}
