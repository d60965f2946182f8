//! Loom models of the protocol, and their mutants.
