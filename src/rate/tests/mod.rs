//! Rates without a clock, a slot or a process: observations as a monitor would make them, at a pace that a test sets.

mod anything;
mod guards;
mod lazy;
mod memory;
mod reasons;
mod stage;
