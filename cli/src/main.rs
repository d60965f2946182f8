//! The hangwatch binary.

#[cfg(test)]
mod config;

fn main() {}
