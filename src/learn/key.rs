//! What gaps are told apart by.

use crate::layout::fnv1a64;
use crate::layout::phase::{Class, Phase, Sign};
use crate::layout::word::Kind;
use crate::observe::Observation;

/// Where in a phase a gap lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// From the phase's entry to its first sign of progress, or its end, where this worker meets this input shape for the
    /// first time since it loaded: kernels are compiled, caches are filled.
    Cold = 0,
    /// The same, for a shape that it has met.
    First = 1,
    /// Between two signs of progress.
    Rest = 2,
    /// From the last unit of a known total to the phase's end.
    Tail = 3,
    /// Between two beats of a helper thread.
    Alive = 4,
}

impl Part {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Cold, Self::First, Self::Rest, Self::Tail, Self::Alive];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::First => "first",
            Self::Rest => "rest",
            Self::Tail => "tail",
            Self::Alive => "alive",
        }
    }
}

/// One kind of gap.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The phase's name. A name, not a number: a user phase's number may differ in the next segment.
    pub phase: String,
    /// Where in the phase.
    pub part: Part,
    /// Size × batch as a power of two, rounded down; 0 where neither is said, [`Key::ANY_SIZE`] in a model's summary.
    pub bucket: u8,
    /// The model, as the worker names it: whoever runs one model in two ways (compiled, quantised) tells them apart by its name.
    /// Empty in the summary of all models, and where no model is named.
    pub model: String,
    /// Its own number, that of its model's summary, that of the summary of all models.
    ids: [u64; 3],
}

/// The longest name that a key keeps. The slot holds no longer ones, but a name that is no text grows as it is made one.
pub(super) const MAX_NAME: usize = 96;

fn cut(mut name: String) -> String {
    let end = (0..=name.len().min(MAX_NAME)).rev().find(|&end| name.is_char_boundary(end));
    name.truncate(end.unwrap_or(0));
    name
}

impl Key {
    /// The bucket that stands for all of them.
    pub const ANY_SIZE: u8 = u8::MAX;

    pub(super) fn new(phase: String, part: Part, bucket: u8, model: String) -> Self {
        let (phase, model) = (cut(phase), cut(model));
        let id = |bucket: u8, model: &str| fnv1a64(words(&phase).chain(words(model)).chain([part as u64, u64::from(bucket)]));
        let ids = [id(bucket, &model), id(Self::ANY_SIZE, &model), id(Self::ANY_SIZE, "")];
        Self { phase, part, bucket, model, ids }
    }

    /// A number for it: two keys that share one share a threshold, which at 64 bits nobody meets by chance.
    pub(super) fn id(&self) -> u64 {
        self.ids[0]
    }

    /// It stands for keys that are looked up first.
    pub fn is_summary(&self) -> bool {
        self.bucket == Self::ANY_SIZE
    }

    /// The key of the model's gaps of any size, which this one adds to.
    pub(super) fn of_any_size(&self) -> Self {
        Self::new(self.phase.clone(), self.part, Self::ANY_SIZE, self.model.clone())
    }

    /// Its number.
    pub(super) fn id_of_any_size(&self) -> u64 {
        self.ids[1]
    }

    /// The key of all models' gaps, which this one adds to.
    pub(super) fn of_any_model(&self) -> Self {
        Self::new(self.phase.clone(), self.part, Self::ANY_SIZE, String::new())
    }

    /// Its number.
    pub(super) fn id_of_any_model(&self) -> u64 {
        self.ids[2]
    }
}

/// A text as words, with its length, so that two texts in a row cannot be cut elsewhere.
pub(super) fn words(text: &str) -> impl Iterator<Item = u64> + '_ {
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
    std::iter::once(text.len() as u64).chain(text.as_bytes().chunks(8).map(word))
}

/// Size × batch as a power of two; a batch that is not said is one.
pub(super) fn bucket(size: u64, batch: u64) -> u8 {
    let product = u128::from(size) * u128::from(batch.max(1));
    product.checked_ilog2().unwrap_or(0) as u8
}

/// The phase's name, as a key holds it. A device counts in other units than its host, at another pace: a phase of its own.
pub(super) fn phase_name(o: &Observation) -> String {
    let name = match (o.phase.row(), &o.user_phase) {
        (Some(row), _) => row.name.into(),
        (None, Some(user)) if !user.name.is_empty() => user.name.clone(),
        (None, _) => format!("phase {}", o.phase.id()),
    };
    if o.owner.kind() == Kind::Gpu { format!("{name} on a gpu") } else { name }
}

/// Whether the worker should advance in it at all.
pub(super) fn is_timed(o: &Observation) -> bool {
    match (o.phase.row(), &o.user_phase) {
        (Some(row), _) => row.class != Class::Idle && row.restarts_on != Sign::Nothing,
        (None, Some(user)) => user.class == Class::Work,
        (None, None) => true,
    }
}

/// Whether the phase waits for a disk or a network, whose slowness has a longer tail than a computation's.
pub(super) fn waits(phase: &str) -> bool {
    [Phase::Starting, Phase::Loading, Phase::Downloading, Phase::DownloadingAux]
        .iter()
        .any(|waiting| waiting.row().is_some_and(|row| row.name == phase))
}
