//! Where networks are trained: the processor, or a GPU that Candle knows.

use std::fmt;
use std::str::FromStr;

use candle_core::Device;
use serde::{Deserialize, Serialize};

/// A device as settings name it: `cpu`, `cuda`, `cuda:1`, `metal`, `metal:1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceName {
    /// The processor, on the fused kernels. The only one on which the same seed gives the same bits everywhere.
    #[default]
    Cpu,
    /// An NVIDIA GPU by its number; needs a build with the feature `cuda`.
    Cuda(usize),
    /// One of Apple's GPUs by its number; needs a build with the feature `metal`.
    Metal(usize),
}

/// A device that can be trained on.
#[derive(Debug, Clone)]
pub struct TrainDevice(pub(super) Device);

impl TrainDevice {
    /// The processor.
    pub const CPU: Self = Self(Device::Cpu);
}

/// Why a device cannot be trained on.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// No such name.
    #[error("\"{found}\" is no device (cpu, cuda, cuda:1, metal and metal:1 are)")]
    Unknown {
        /// What was given.
        found: String,
    },
    /// The binary knows nothing of it.
    #[error(
        "cannot train on {name}: this binary was built without the feature {feature}; build it with \
             `--features {feature}`, or set worker.device to cpu"
    )]
    NotBuilt {
        /// The device.
        name: DeviceName,
        /// What to build with.
        feature: &'static str,
    },
    /// It does not open.
    #[error("cannot train on {name}: {source}; set worker.device to cpu to train on the processor")]
    Unavailable {
        /// The device.
        name: DeviceName,
        /// What Candle says.
        source: candle_core::Error,
    },
}

impl DeviceName {
    /// Opens the device.
    ///
    /// # Errors
    /// When the binary was built without it, or the machine has none.
    pub fn open(self) -> Result<TrainDevice, DeviceError> {
        let not_built = |feature| DeviceError::NotBuilt { name: self, feature };
        let opened = match self {
            Self::Cpu => return Ok(TrainDevice::CPU),
            Self::Cuda(_) if !cfg!(feature = "cuda") => return Err(not_built("cuda")),
            Self::Metal(_) if !cfg!(feature = "metal") => return Err(not_built("metal")),
            Self::Cuda(number) => Device::new_cuda(number),
            Self::Metal(number) => Device::new_metal(number),
        };
        opened.map(TrainDevice).map_err(|source| DeviceError::Unavailable { name: self, source })
    }
}

impl FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown { found: text.to_owned() };
        let (kind, number) = match text.split_once(':') {
            Some((kind, number)) => (kind, number.parse().map_err(|_| unknown())?),
            None => (text, 0),
        };
        match kind {
            "cpu" if kind == text => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(number)),
            "metal" => Ok(Self::Metal(number)),
            _ => Err(unknown()),
        }
    }
}

impl TryFrom<String> for DeviceName {
    type Error = DeviceError;

    fn try_from(text: String) -> Result<Self, DeviceError> {
        text.parse()
    }
}

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(0) => f.write_str("cuda"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal(0) => f.write_str("metal"),
            Self::Metal(number) => write!(f, "metal:{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_others_are_refused() {
        for name in ["cpu", "cuda", "cuda:1", "metal", "metal:3"] {
            assert_eq!(name.parse::<DeviceName>().expect("a device").to_string(), name);
        }
        assert_eq!("cuda:0".parse::<DeviceName>().expect("a device"), DeviceName::Cuda(0));
        for name in ["", "gpu", "cpu:0", "cuda:", "cuda:x", "cuda:-1", "CUDA"] {
            assert!(name.parse::<DeviceName>().is_err(), "{name}");
        }
    }

    #[test]
    fn a_device_that_the_binary_was_built_without_says_what_to_do() {
        let all = [
            (DeviceName::Cuda(0), "cuda", cfg!(feature = "cuda")),
            (DeviceName::Metal(0), "metal", cfg!(feature = "metal")),
        ];
        for (name, feature, _) in all.into_iter().filter(|(_, _, is_built)| !is_built) {
            let error = name.open().expect_err("not in this binary").to_string();
            assert!(error.contains(&format!("--features {feature}")) && error.contains("worker.device"), "{error}");
        }
        assert!(DeviceName::Cpu.open().is_ok());
    }
}
