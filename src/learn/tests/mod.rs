//! What is learnt, from words to suspicions.

mod anything;
mod bounds;
mod bytes;
mod gaps;
mod lazy;
mod robust;
mod thresholds;
mod unlearnt;
mod world;
