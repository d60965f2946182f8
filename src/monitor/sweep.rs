//! Slot after slot, for a program that wants to be told why it cannot have one: a file that was cut or overwritten is an error here,
//! and nothing that was read of it is given out.

use super::view::{View, Viewer};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::word::Tag;
use crate::policy::PolicySet;
use crate::segment::{Presence, Segment};

/// An error where the memory must not be touched.
pub fn check(segment: &Segment) -> Result<()> {
    let presence = segment.presence();
    if presence.is_readable() { Ok(()) } else { Err(lost(segment, presence)) }
}

fn lost(segment: &Segment, presence: Presence) -> Error {
    let why = match presence {
        Presence::Truncated => "it was cut short",
        _ => "its header was overwritten",
    };
    let what = format!("cannot read segment '{}'", segment.path().display());
    Error::new(ErrorKind::BadSegment, what, why).hint("open it again: its name may lead to a new one by now")
}

impl Viewer {
    /// Slot `index` as it is now, taken or free.
    pub fn read(&mut self, index: u32, policies: &PolicySet) -> Result<View> {
        check(self.segment())?;
        self.look_anew();
        let slots = self.segment().len();
        let Some(view) = self.view(index, policies) else {
            let what = format!("cannot read slot {index} of segment '{}'", self.segment().path().display());
            return Err(Error::new(ErrorKind::NotFound, what, format!("it has {slots} slots, numbered from 0")));
        };
        self.whole(view)
    }

    /// The first slot from `from` on that is anybody's. A sweep that begins at 0 looks anew.
    pub fn next(&mut self, from: u32, policies: &PolicySet) -> Result<Option<View>> {
        check(self.segment())?;
        if from == 0 {
            self.look_anew();
        }
        let is_taken =
            |segment: &Segment, index: u32| segment.slot(index).is_some_and(|slot| slot.peek_owner().tag() != Tag::Free);
        let mut found = None;
        for index in from..self.segment().len() {
            if is_taken(self.segment(), index) {
                found = self.taken(index, policies);
                if found.is_some() {
                    break;
                }
            }
        }
        self.whole(found)
    }

    /// Every slot that is anybody's.
    pub fn sweep(&mut self, policies: &PolicySet) -> Result<Vec<View>> {
        let (mut views, mut from) = (Vec::new(), 0);
        while let Some(view) = self.next(from, policies)? {
            from = view.snapshot.index + 1;
            views.push(view);
        }
        Ok(views)
    }

    /// Lost on the way: what was read is nobody's word.
    fn whole<T>(&self, read: T) -> Result<T> {
        if self.is_whole() { Ok(read) } else { Err(lost(self.segment(), self.segment().presence())) }
    }
}
