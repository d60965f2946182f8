//! Judgement without a clock, a process or a mapping: the real writer on a slot of the heap, and time as an argument.

mod anything;
mod budgets;
mod gpu;
mod history;
mod inference;
mod leases;
mod machine;
mod origin;
mod restart;
mod sections;
mod verdicts;
mod world;
