//! Measurements of the whole, written as figures.
