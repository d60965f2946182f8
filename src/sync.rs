//! Atomics of the layout: the standard ones, or loom's when a model runs.
//!
//! Every ordering the protocol rests on has a name, a [`Site`]. In a build the name costs nothing; under loom a model may
//! weaken one site of the *production* code and must then fail. The list of sites is the list of mutants.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU64, Ordering};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};

/// A place where an ordering stronger than `Relaxed` is needed, with its partner. Weaken one and a model turns red.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(not(loom), allow(dead_code))]
pub(crate) enum Site {
    /// Release store of `beat`: makes progress and stamps visible before it. Pairs with [`Site::HotAfterBeat`].
    BeatStore,
    /// Release fence before `epoch` and `phase` change. Pairs with [`Site::HotAfterEpoch`].
    BoundaryBefore,
    /// Release fence after them, before the new count's first store. Pairs with [`Site::HotRecheck`].
    BoundaryAfter,
    /// Acquire fence between `owner` and `beat`. Pairs with [`Site::LiveStore`].
    HotAfterOwner,
    /// Acquire fence between `beat` and the words that are at least as new. Pairs with [`Site::BeatStore`].
    HotAfterBeat,
    /// Acquire fence between `epoch`, `phase` and the words that belong to them. Pairs with [`Site::BoundaryBefore`].
    HotAfterEpoch,
    /// Acquire fence before `epoch`, `phase` and `owner` are read again. Pairs with [`Site::BoundaryAfter`].
    HotRecheck,
    /// Release fence before the words of an info copy. Pairs with [`Site::LatchRecheck`].
    LatchBefore,
    /// Release store of `info_seq`. Pairs with [`Site::LatchAfterSeq`].
    LatchSeqStore,
    /// Acquire fence between `info_seq` and the copy's words. Pairs with [`Site::LatchSeqStore`].
    LatchAfterSeq,
    /// Acquire fence before `info_seq` is read again. Pairs with [`Site::LatchBefore`].
    LatchRecheck,
    /// AcqRel of the claiming CAS: sees all that the last owner wrote. Pairs with [`Site::ReleaseCas`].
    ClaimCas,
    /// Release fence after it: no identity word is seen before CLAIMING. Pairs with [`Site::IdentityRecheck`].
    ClaimFence,
    /// Release store of the LIVE owner word. Pairs with [`Site::IdentityAfterOwner`] and [`Site::HotAfterOwner`].
    LiveStore,
    /// Release of the freeing CAS. Pairs with [`Site::ClaimCas`].
    ReleaseCas,
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
    //! Weakening one site of the production code, for the models.

    use super::{Ordering, Site};
    use std::sync::Mutex;

    // A std lock, not loom's: which site is weakened is no part of the explored state.
    static WEAKENED: Mutex<Option<Site>> = Mutex::new(None);

    fn weakened(site: Site) -> bool {
        *WEAKENED.lock().unwrap_or_else(|e| e.into_inner()) == Some(site)
    }

    /// Weakens `site` (or none) until the next call.
    pub(crate) fn weaken(site: Option<Site>) {
        *WEAKENED.lock().unwrap_or_else(|e| e.into_inner()) = site;
    }

    pub(crate) fn at(site: Site, ordering: Ordering) -> Ordering {
        if weakened(site) { Ordering::Relaxed } else { ordering }
    }

    pub(crate) fn fence(site: Site, ordering: Ordering) {
        if !weakened(site) {
            loom::sync::atomic::fence(ordering);
        }
    }
}
