//! How good a forecast is: metrics, baselines, walk-forward, calibration.
