//! The engine over a world of slots.
