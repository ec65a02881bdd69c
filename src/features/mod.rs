//! Bars to numbers a network can learn from: returns, range volatility, scaled windows.
