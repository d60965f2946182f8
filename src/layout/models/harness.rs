//! Runs a model to its end, or to the invariant that it breaks, and counts what it met.

use crate::sync::{Site, mutant};
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Once};

/// A model: its name is the sentence it proves.
#[derive(Clone, Copy)]
pub(super) struct Model {
    name: &'static str,
    body: fn(&Arc<Tally>),
    /// At most this many preemptions in an execution; `None` explores all. Stale values count as none.
    preemptions: Option<usize>,
}

/// Declares models: each is a function, a constant to name it by, and the test that it holds.
macro_rules! models {
    ($($(#[$why:meta])* $constant:ident = $body:ident $(within $preemptions:literal preemptions)?;)*) => {
        $(
            $(#[$why])*
            pub(super) const $constant: Model = Model::new(stringify!($body), $body)$(.within($preemptions))?;
        )*

        mod hold {
            $(
                #[test]
                fn $body() {
                    super::$constant.holds();
                }
            )*
        }
    };
}
pub(super) use models;

/// What the executions of a model met. Standard atomics: no part of the explored state.
#[derive(Default)]
pub(super) struct Tally {
    executions: AtomicUsize,
    met: AtomicUsize,
    broken: Mutex<Option<&'static str>>,
}

impl Tally {
    /// Counts a reading if it met what the model is about.
    pub(super) fn reading(&self, nontrivial: bool) {
        self.met.fetch_add(nontrivial.into(), Relaxed);
    }

    /// Ends the model unless `invariant` holds.
    pub(super) fn must(&self, holds: bool, invariant: &'static str) {
        if !holds {
            *self.broken.lock().unwrap_or_else(|e| e.into_inner()) = Some(invariant);
            panic!("broken: {invariant}");
        }
    }
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Panics of mutants are what we want: they print nothing.
fn hush_mutants() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                loud(info);
            }
        }));
    });
}

impl Model {
    pub(super) const fn new(name: &'static str, body: fn(&Arc<Tally>)) -> Self {
        Self { name, body, preemptions: None }
    }

    pub(super) const fn within(self, preemptions: usize) -> Self {
        Self { preemptions: Some(preemptions), ..self }
    }

    fn run(self) -> (Result<(), Option<&'static str>>, Arc<Tally>) {
        let tally = Arc::new(Tally::default());
        let in_model = Arc::clone(&tally);
        mutant::die_after(None);
        let end = panic::catch_unwind(AssertUnwindSafe(|| {
            let mut explorer = loom::model::Builder::new();
            explorer.preemption_bound = self.preemptions;
            explorer.check(move || {
                in_model.executions.fetch_add(1, Relaxed);
                (self.body)(&in_model);
            });
        }));
        let broken = *tally.broken.lock().unwrap_or_else(|e| e.into_inner());
        (end.map_err(|_| broken), tally)
    }

    /// The code as it stands passes, in more than one execution, and met what the model is about.
    #[expect(clippy::print_stdout, reason = "the number of executions is the evidence")]
    pub(super) fn holds(self) {
        let (end, tally) = self.run();
        let (executions, met) = (tally.executions.load(Relaxed), tally.met.load(Relaxed));
        println!("{}: {executions} executions, {met} non-trivial readings", self.name);
        assert!(end.is_ok(), "{}: {}", self.name, end.unwrap_err().unwrap_or("panicked outside its invariants"));
        assert!(executions > 1, "{}: explored one execution only: it races nothing", self.name);
        assert!(met > 0, "{}: never met what it is about", self.name);
    }

    /// It breaks an invariant of its own, and does not merely panic.
    pub(super) fn falls(self) -> Result<(), String> {
        hush_mutants();
        QUIET.set(true);
        let (end, tally) = self.run();
        QUIET.set(false);
        match end {
            Err(Some(_invariant)) => Ok(()),
            Err(None) => Err(format!("{}: panicked outside its invariants", self.name)),
            Ok(()) => Err(format!("{}: the mutant survived {} executions", self.name, tally.executions.load(Relaxed))),
        }
    }

    /// It falls with one site of the production code weakened.
    pub(super) fn falls_without(self, site: Site) -> Result<(), String> {
        mutant::weaken(Some(site));
        let end = self.falls();
        mutant::weaken(None);
        end.map_err(|e| format!("{site:?}: {e}"))
    }
}

mod guards {
    use super::Model;

    #[test]
    #[should_panic(expected = "races nothing")]
    fn a_model_of_one_execution_proves_nothing() {
        Model::new("alone", |tally| tally.reading(true)).holds();
    }

    #[test]
    #[should_panic(expected = "never met what it is about")]
    fn a_model_that_meets_nothing_proves_nothing() {
        fn body(tally: &super::Arc<super::Tally>) {
            let word = super::Arc::new(crate::sync::AtomicU64::new(0));
            let other = super::Arc::clone(&word);
            let reader = loom::thread::spawn(move || other.load(super::Relaxed));
            word.store(1, super::Relaxed);
            tally.reading(reader.join().unwrap() == 2);
        }
        Model::new("blind", body).holds();
    }

    #[test]
    fn a_mutant_falls_by_an_invariant_and_by_nothing_else() {
        assert!(Model::new("survives", |_| {}).falls().is_err(), "a mutant that survives is an error");
        assert!(Model::new("crashes", |_| panic!()).falls().is_err(), "a crash is no proof that an invariant broke");
        assert!(Model::new("breaks", |tally| tally.must(false, "anything")).falls().is_ok());
    }
}
