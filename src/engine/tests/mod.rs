//! The engine over a world of slots.

mod frozen;
mod lanes;
mod lazy;
mod policies;
mod slow;
mod stage;
mod takeover;
