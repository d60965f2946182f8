//! Keys that hold one of a few words.

use super::value::{Field, Kind, Value};

/// What a learnt threshold that is passed does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Adaptive {
    /// Nothing.
    Off,
    /// A warning: a guess never harms a worker.
    #[default]
    Suspect,
    /// What a budget does.
    Act,
}

impl Adaptive {
    /// Its words, in the order of the variants.
    pub const WORDS: &[&str] = &["off", "suspect", "act"];
    const ALL: [Self; 3] = [Self::Off, Self::Suspect, Self::Act];
}

impl Field for Adaptive {
    const KIND: Kind = Kind::Choice(Self::WORDS);

    fn to_value(self) -> Value {
        Value::Choice(Self::WORDS[self as usize])
    }

    fn from_value(value: Value) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.to_value() == value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stands_for_its_variant_and_back() {
        for (choice, word) in [(Adaptive::Off, "off"), (Adaptive::Suspect, "suspect"), (Adaptive::Act, "act")] {
            assert_eq!(choice.to_value(), Value::Choice(word));
            assert_eq!(Adaptive::from_value(Value::Choice(word)), Some(choice));
            assert_eq!(Adaptive::KIND.choose(&word.to_uppercase()), Some(Value::Choice(word)));
        }
        assert_eq!(Adaptive::KIND.choose("offside"), None);
        assert_eq!(Kind::Flag.choose("off"), None, "a flag is no choice");
    }
}
