//! A file of `hangwatch record` as a session. It has no labels, and signs of progress are as the polls saw them.

use super::names::Names;
use super::session::{Key, Session, Sign, Then};
use crate::trace_file;
use hangwatch::record::{Cut, Frame, Reader, TraceError};
use hangwatch::snapshot::SlotSnapshot;
use hangwatch::{Error, Phase, Result};
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

/// The session, its older half first where there is one, and what was cut off its end.
pub(crate) fn file(path: &Path, names: &mut Names) -> Result<(Session, Option<Cut>)> {
    let open = |path: &Path| File::open(path).map_err(|e| Error::io(format!("cannot read trace '{}'", path.display()), &e));
    let older = trace_file::older(path);
    let (mut reader, mut polls) = if older.exists() {
        let of = |e: TraceError| e.of(older.display());
        let mut reader = Reader::new(open(&older)?).map_err(of)?;
        let polls = reader.by_ref().collect::<std::result::Result<Vec<Frame>, _>>().map_err(of)?;
        reader.go_on(open(path)?).map_err(|e| e.of(path.display()))?;
        (reader, polls)
    } else {
        (Reader::new(open(path)?).map_err(|e| e.of(path.display()))?, Vec::new())
    };
    for frame in reader.by_ref() {
        polls.push(frame.map_err(|e| e.of(path.display()))?);
    }
    let (header, cut) = (reader.header(), reader.cut());
    let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    Ok((of_frames(name, header.poll_interval_ns, polls, names), cut))
}

/// The session that these polls are.
pub(super) fn of_frames(name: String, interval_ns: u64, polls: Vec<Frame>, names: &mut Names) -> Session {
    let mut session =
        Session { name, interval_ns, has_our_budgets: false, workers: Vec::new(), polls, signs: Vec::new(), labels: Vec::new() };
    let mut last: HashMap<u32, (SlotSnapshot, Option<u64>)> = HashMap::new();
    let most = session.polls.iter().flat_map(|frame| &frame.slots).map(|slot| slot.index + 1).max().unwrap_or(0);
    session.workers = (0..most).map(|slot| format!("slot {slot}")).collect();
    for frame in &session.polls {
        for slot in &frame.slots {
            let before = last.get(&slot.index);
            let then = sign(before.map(|(before, mark)| (before, *mark)), slot, names);
            let mark = before.filter(|(before, _)| is_same_count(before, slot)).and_then(|(_, mark)| *mark);
            let done = slot.hot.and_then(|hot| hot.done());
            last.insert(slot.index, (slot.clone(), mark.max(done)));
            if let Some(then) = then {
                session.signs.push(Sign { at: frame.host.monotonic_ns, slot: slot.index, then, words: None });
            }
            if let Some(name) = slot.info.as_ref().map(|info| &info.name).filter(|name| !name.is_empty()) {
                session.workers[slot.index as usize].clone_from(name);
            }
        }
    }
    session
}

/// Whether both are of one count: one phase, and one pass, of one owner's job.
fn is_same_count(before: &SlotSnapshot, now: &SlotSnapshot) -> bool {
    let count = |slot: &SlotSnapshot| slot.hot.map(|hot| (hot.owner, hot.epoch.job(), hot.epoch.pass(), hot.phase));
    count(before) == count(now)
}

/// What a change of words is a sign of, if it is one. Where a count reports progress, only what passes its mark is: a worker
/// that beats, or falls back and climbs again, has not ended its silence.
fn sign(before: Option<(&SlotSnapshot, Option<u64>)>, now: &SlotSnapshot, names: &mut Names) -> Option<Then> {
    let was = before.and_then(|(before, _)| before.hot);
    let Some(hot) = now.hot else {
        let left = Then { working: false, left: true, key: Key::default(), steady: false };
        return was.filter(|was| was.owner != now.owner).map(|_| left);
    };
    let same_owner = was.is_some_and(|was| was.owner == hot.owner);
    let words = |hot: &hangwatch::layout::HotWords| (hot.beat, hot.epoch, hot.phase, hot.progress);
    if same_owner && was.as_ref().map(words) == Some(words(&hot)) {
        return None;
    }
    if let Some((before, Some(mark))) = before
        && is_same_count(before, now)
        && hot.done().is_none_or(|done| done <= mark)
    {
        return None;
    }
    let phase = Phase::from_id(hot.phase.id());
    let name = match (phase.row(), &now.user_phase) {
        (Some(row), _) => row.name,
        (None, Some(user)) => &user.name,
        (None, None) => "unknown",
    };
    let model = now.info.as_ref().map_or("", |info| info.model.as_str());
    let rest = hot.done().is_some();
    let key = Key { model: names.id(model), phase: names.id(name), rest };
    let working = !matches!(phase, Phase::Idle | Phase::Ending | Phase::Ended);
    Some(Then { working, left: false, key, steady: rest })
}
