//! Atomics of the layout: the standard ones, or loom's when a model runs.
//!
//! Every ordering the protocol rests on has a name, a [`Site`]. In a build the name costs nothing; under loom a model may
//! weaken one site of the *production* code and must then fail. The list of sites is the list of mutants.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU64, Ordering};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::Ordering;
#[cfg(loom)]
pub(crate) use mutant::AtomicU64;

/// Lets others run; nothing is ordered by it.
pub(crate) fn yield_now() {
    #[cfg(not(loom))]
    std::thread::yield_now();
    #[cfg(loom)]
    loom::thread::yield_now();
}

/// Declares [`Site`] and the list of all sites from one list, so that none can be left out of the models.
macro_rules! sites {
    ($($(#[$pairs:meta])* $site:ident,)*) => {
        /// A place where an ordering stronger than `Relaxed` is needed, with its partner. Weaken one and a model turns red.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[cfg_attr(not(loom), allow(dead_code))]
        pub(crate) enum Site {
            $($(#[$pairs])* $site,)*
        }

        #[cfg(all(test, loom))]
        impl Site {
            /// Every site.
            pub(crate) const ALL: &[Self] = &[$(Self::$site),*];
        }
    };
}

sites! {
    /// Release store of `beat`: makes progress and stamps visible before it. Pairs with [`Site::HotAfterEpoch`].
    BeatStore,
    /// Release fence before `epoch` and `phase` change: the old count is gone. Pairs with [`Site::HotAfterEpoch`].
    BoundaryBefore,
    /// Release fence after them, before the new count's first word. Pairs with [`Site::HotRecheck`].
    BoundaryAfter,
    /// Acquire fence between `owner` and `beat`. Pairs with [`Site::LiveStore`].
    HotAfterOwner,
    /// Acquire fence between `beat`, `epoch`, `phase` and the words that are at least as new as the beat and belong to the
    /// other two. Pairs with [`Site::BeatStore`] and [`Site::BoundaryBefore`].
    HotAfterEpoch,
    /// Acquire fence before `epoch`, `phase` and `owner` are read again. Pairs with [`Site::BoundaryAfter`] and
    /// [`Site::ClaimFence`].
    HotRecheck,
    /// Release fence before the words of an info copy. Pairs with [`Site::LatchRecheck`].
    LatchBefore,
    /// Release store of `info_seq`. Pairs with [`Site::LatchAfterSeq`].
    LatchSeqStore,
    /// Acquire fence between `info_seq` and the copy's words. Pairs with [`Site::LatchSeqStore`].
    LatchAfterSeq,
    /// Acquire fence before `info_seq` is read again. Pairs with [`Site::LatchBefore`].
    LatchRecheck,
    /// Acquire of the claiming CAS: sees all that the last owner wrote. Pairs with [`Site::ReleaseCas`] and
    /// [`Site::ReclaimCas`].
    ClaimCas,
    /// Release fence after it: no word of the claimer is seen before CLAIMING. Pairs with [`Site::IdentityRecheck`] and
    /// [`Site::HotRecheck`].
    ClaimFence,
    /// Release store of the LIVE owner word. Pairs with [`Site::IdentityAfterOwner`] and [`Site::HotAfterOwner`].
    LiveStore,
    /// Release of the freeing CAS. Pairs with [`Site::ClaimCas`].
    ReleaseCas,
    /// Release of the CAS that frees a dead owner's slot: passes on what the proof of death showed. Pairs with
    /// [`Site::ClaimCas`].
    ReclaimCas,
    /// Acquire fence between `owner` and the identity words. Pairs with [`Site::LiveStore`].
    IdentityAfterOwner,
    /// Acquire fence before `owner` is read again. Pairs with [`Site::ClaimFence`].
    IdentityRecheck,
    /// Release store that makes a user phase's entry readable. Pairs with [`Site::EntryAfterReady`].
    EntryStore,
    /// Acquire fence after a user phase's first word. Pairs with [`Site::EntryStore`].
    EntryAfterReady,
}

/// The ordering in force at `site`.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) const fn at(_site: Site, ordering: Ordering) -> Ordering {
    ordering
}

/// A fence at `site`.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) fn fence(_site: Site, ordering: Ordering) {
    core::sync::atomic::fence(ordering);
}

#[cfg(loom)]
pub(crate) use mutant::{at, fence};

#[cfg(loom)]
pub(crate) mod mutant {
    //! Weakening one site of the production code, and a writer that dies at its next store, for the models.
    //!
    //! Thread locals of the standard library: a model's threads are coroutines of the one thread that runs it, so a mutant
    //! covers its whole model and no other test's, and what it is stays no part of the explored state.

    use super::{Ordering, Site};
    use std::cell::Cell;

    thread_local! {
        static WEAKENED: Cell<Option<Site>> = const { Cell::new(None) };
        static STORES_LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    }

    /// Weakens `site` (or none) until the next call.
    pub(crate) fn weaken(site: Option<Site>) {
        WEAKENED.set(site);
    }

    /// From now on only `stores` more stores take place, in the one thread of the model that stores: it has died, for all
    /// that anybody else can tell. `None` is a successor's life.
    pub(crate) fn die_after(stores: Option<usize>) {
        STORES_LEFT.set(stores);
    }

    pub(crate) fn at(site: Site, ordering: Ordering) -> Ordering {
        if WEAKENED.get() == Some(site) { Ordering::Relaxed } else { ordering }
    }

    pub(crate) fn fence(site: Site, ordering: Ordering) {
        if WEAKENED.get() != Some(site) {
            loom::sync::atomic::fence(ordering);
        }
    }

    /// Loom's atomic, whose stores end with their writer's life.
    #[derive(Debug)]
    pub(crate) struct AtomicU64(loom::sync::atomic::AtomicU64);

    impl AtomicU64 {
        pub(crate) fn new(value: u64) -> Self {
            Self(loom::sync::atomic::AtomicU64::new(value))
        }

        pub(crate) fn load(&self, ordering: Ordering) -> u64 {
            self.0.load(ordering)
        }

        pub(crate) fn store(&self, value: u64, ordering: Ordering) {
            match STORES_LEFT.get() {
                None => self.0.store(value, ordering),
                Some(0) => {}
                Some(left) => {
                    STORES_LEFT.set(Some(left - 1));
                    self.0.store(value, ordering);
                }
            }
        }

        pub(crate) fn compare_exchange(&self, current: u64, new: u64, ok: Ordering, not: Ordering) -> Result<u64, u64> {
            self.0.compare_exchange(current, new, ok, not)
        }
    }
}
