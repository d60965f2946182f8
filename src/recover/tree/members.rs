//! Who is of a tree beside its leader: found in /proc and in its cgroup, each remembered by a handle that was verified after it
//! was opened.

use crate::os::cgroup_tree::Cgroup;
use crate::os::children;
use crate::os::pidfd::PidFd;
use crate::os::proc::environ::{self, Has};
use crate::os::proc::{self, Stat};

/// The process that a tree came of.
#[derive(Debug)]
pub(super) struct Leader {
    pub(super) pid: u32,
    pub(super) fd: PidFd,
    /// Whether it leads its group, and its session.
    pub(super) leads: (bool, bool),
}

impl Leader {
    /// `stat` was read after the handle was opened.
    pub(super) fn new(pid: u32, fd: PidFd, stat: Option<&Stat>) -> Self {
        let mut leader = Self { pid, fd, leads: (false, false) };
        // Until it has exited its number is its own, so the stat was.
        if let Some(stat) = stat.filter(|_| !leader.fd.has_exited()) {
            leader.leads = leader.leads_by(stat);
        }
        leader
    }

    /// What its own stat says that it leads. A group that we are in ourselves is not to be ended.
    pub(super) fn leads_by(&self, stat: &Stat) -> (bool, bool) {
        let (own, number) = (proc::stat_self().ok(), i32::try_from(self.pid).unwrap_or(0));
        let group = stat.group == number && own.is_some_and(|own| own.group != number);
        let session = stat.session == number && own.is_some_and(|own| own.session != number);
        (group, session)
    }

    /// Whether a group has somebody in it that is named by its own handle: it led that one, and its number is its own still, reaped
    /// or not. So it is its session's too, if there is one of that number.
    pub(super) fn has_a_group(&self) -> bool {
        let number = i32::try_from(self.pid).unwrap_or(0);
        proc::stat_self().is_ok_and(|own| own.group != number && own.session != number) && self.fd.has_group()
    }

    fn has_led(&self, stat: &Stat) -> bool {
        let number = |number: i32| u32::try_from(number) == Ok(self.pid);
        self.leads.0 && number(stat.group) || self.leads.1 && number(stat.session)
    }
}

/// One that is known to be of the tree.
#[derive(Debug)]
struct Member {
    pid: u32,
    starttime: u64,
    /// When it was last seen.
    group: i32,
    fd: PidFd,
}

impl Member {
    /// Opens a handle on one that was seen, and keeps it if `proves` says of its stat, read after that, that it is of the tree.
    fn open(seen: &Stat, proves: impl FnOnce(&Stat, &PidFd) -> bool) -> Option<Self> {
        let fd = PidFd::open(seen.pid).ok()?;
        let now = proc::stat(seen.pid).ok()?;
        let same = now.starttime == seen.starttime && proves(&now, &fd) && !fd.has_exited();
        same.then_some(Self { pid: now.pid, starttime: now.starttime, group: now.group, fd })
    }
}

/// What a look over the tree found.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Found {
    /// Who was not known before.
    pub(super) found: usize,
    /// Orphans of which it is not known yet whose they are.
    pub(super) undecided: usize,
}

#[derive(Debug, Default)]
pub(super) struct Members(Vec<Member>);

impl Members {
    /// Numbers of those who have not exited.
    pub(super) fn alive(&self) -> impl Iterator<Item = u32> {
        self.0.iter().filter(|member| !member.fd.has_exited()).map(|member| member.pid)
    }

    /// To each; `but_group`: those have got it.
    pub(super) fn signal(&self, signal: libc::c_int, but_group: Option<u32>) {
        for member in &self.0 {
            if but_group.is_none_or(|group| i32::try_from(group) != Ok(member.group)) {
                let _ = member.fd.signal(signal, false);
            }
        }
    }

    /// Forgets those who have exited, and remembers those who can be seen.
    pub(super) fn look(&mut self, leader: &Leader, cgroup: Option<&Cgroup>, marks: &[String]) -> Found {
        self.0.retain(|member| !member.fd.has_exited());
        let all = proc::all();
        for member in &mut self.0 {
            if let Some(seen) = all.iter().find(|stat| (stat.pid, stat.starttime) == (member.pid, member.starttime)) {
                member.group = seen.group;
            }
        }
        let before = self.0.len();
        let own = std::process::id();
        let candidates = all.iter().filter(|stat| stat.pid != own && stat.pid != leader.pid && !matches!(stat.state, 'Z' | 'X'));
        let candidates: Vec<&Stat> = candidates.collect();
        let in_cgroup = cgroup.map(Cgroup::pids).unwrap_or_default();
        for seen in &candidates {
            if in_cgroup.contains(&seen.pid) {
                self.add(seen, |_, fd| cgroup.is_some_and(|cgroup| cgroup.holds(seen.pid, fd)));
            }
            if leader.has_led(seen) {
                self.add(seen, |now, _| leader.has_led(now) && leader.fd.holds_number());
            }
        }
        let undecided = self.add_orphans(&all, marks);
        self.add_children(&candidates, leader);
        Found { found: self.0.len() - before, undecided }
    }

    fn knows(&self, seen: &Stat) -> bool {
        self.0.iter().any(|member| (member.pid, member.starttime) == (seen.pid, seen.starttime))
    }

    fn add(&mut self, seen: &Stat, proves: impl FnOnce(&Stat, &PidFd) -> bool) {
        if !self.knows(seen) {
            self.0.extend(Member::open(seen, proves));
        }
    }

    /// Those that came to us and carry the tree's marks. Returns of how many it is not known yet.
    fn add_orphans(&mut self, all: &[Stat], marks: &[String]) -> usize {
        let orphans = children::orphans(all);
        if marks.is_empty() {
            return 0;
        }
        environ::keep(all);
        let mut undecided = 0;
        let orphans: Vec<&Stat> = orphans.iter().filter(|stat| !matches!(stat.state, 'Z' | 'X') && !self.knows(stat)).collect();
        for seen in orphans {
            match environ::has(seen, marks) {
                Has::Yes => self.add(seen, |now, _| now.parent == std::process::id()),
                Has::NotYet => undecided += 1,
                Has::No => {}
            }
        }
        undecided
    }

    /// Children of the leader and of those that are known, and theirs.
    fn add_children(&mut self, candidates: &[&Stat], leader: &Leader) {
        let children_of = |pid: u32| candidates.iter().filter(move |stat| stat.parent == pid);
        // While the parent is there its number is its own: a stat that names it, read before that is asked, means it.
        for seen in children_of(leader.pid) {
            self.add(seen, |now, _| now.parent == leader.pid && !leader.fd.has_exited());
        }
        let mut next = 0;
        while let Some(parent) = self.0.get(next) {
            let pid = parent.pid;
            for seen in children_of(pid) {
                let parent = &self.0[next].fd;
                let proves = |now: &Stat, _: &PidFd| now.parent == pid && !parent.has_exited();
                let child = if self.knows(seen) { None } else { Member::open(seen, proves) };
                self.0.extend(child);
            }
            next += 1;
        }
    }
}
