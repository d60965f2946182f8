//! Every ordering of the protocol is needed: weakened alone, it makes a model fall.

use super::harness::Model;
use super::{boundary, claim, hot, identity, latch, user_phase};
use crate::sync::Site;

/// The models that fall without `site`. A new site does not compile before it has one.
fn needed_by(site: Site) -> &'static [Model] {
    match site {
        Site::BeatStore => &[hot::BEAT],
        Site::BoundaryBefore => &[boundary::JOB, boundary::PHASE],
        Site::BoundaryAfter => &[boundary::JOB, boundary::PHASE],
        Site::HotAfterOwner => &[hot::OWNER],
        Site::HotAfterEpoch => &[hot::BEAT, boundary::JOB, boundary::PHASE],
        Site::HotRecheck => &[hot::OWNER, boundary::JOB, boundary::PHASE],
        Site::LatchBefore => &[latch::TORN],
        Site::LatchSeqStore => &[latch::TORN],
        Site::LatchAfterSeq => &[latch::TORN],
        Site::LatchRecheck => &[latch::TORN],
        Site::ClaimCas => &[claim::AFTER_RELEASE, claim::AFTER_RESERVE, claim::AFTER_RECLAIM],
        Site::ClaimFence => &[identity::IDENTITY, hot::OWNER],
        Site::LiveStore => &[identity::IDENTITY, hot::OWNER],
        Site::ReleaseCas => &[claim::AFTER_RELEASE, claim::AFTER_RESERVE],
        Site::ReclaimCas => &[claim::AFTER_RECLAIM],
        Site::IdentityAfterOwner => &[identity::IDENTITY],
        Site::IdentityRecheck => &[identity::IDENTITY],
        Site::EntryStore => &[user_phase::READY],
        Site::EntryAfterReady => &[user_phase::READY],
    }
}

#[test]
fn every_ordering_of_the_protocol_is_needed() {
    let survivors: Vec<String> = Site::ALL
        .iter()
        .flat_map(|&site| needed_by(site).iter().filter_map(move |model| model.falls_without(site).err()))
        .collect();
    assert!(survivors.is_empty(), "a weakened site makes each of its models fall: {survivors:#?}");
}
