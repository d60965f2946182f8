//! The tests of what is learnt.
