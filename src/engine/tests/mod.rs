//! The engine over a world of slots.

mod frozen;
mod gpu;
mod lanes;
mod lazy;
mod policies;
mod slow;
mod stage;
mod takeover;
