use super::*;
use crate::layout::word::{Kind, Tag};
use crate::os::pidfd::PidFd;
use crate::os::tests::{Subject, skip};

impl Probes {
    fn exits_held(&self) -> usize {
        self.exits.held()
    }
}

fn owner(pid: u32) -> Owner {
    Owner::new(1, Tag::Live, Kind::Worker, pid)
}

fn identity_of(child: &Subject) -> Identity {
    Identity {
        pidfd_ino: child.inode(),
        pid_namespace: identity::pid_namespace() as u32,
        tid: child.pid(),
        ..Identity::default()
    }
}

fn asked(probes: &mut Probes, index: u32, child: &Subject, look: bool) -> Probe {
    probes.process(index, owner(child.pid()), || Some((owner(child.pid()), identity_of(child))), look)
}

#[test]
fn what_a_look_found_stands_until_the_next_one() {
    let child = Subject::sleeping();
    child.stop();
    let mut probes = Probes::new(1).expect("probes");
    probes.begin(0);
    assert_eq!(asked(&mut probes, 0, &child, true).process, Process::Stopped);
    child.resume();
    probes.turns = Turns::default();
    assert_eq!(asked(&mut probes, 0, &child, true).process, Process::Stopped, "it had no turn");
    probes.begin(0);
    assert_eq!(asked(&mut probes, 0, &child, true).process, Process::Running);
}

#[test]
fn nothing_stands_of_a_slot_that_is_not_past_half_a_budget() {
    let child = Subject::sleeping();
    child.stop();
    let mut probes = Probes::new(1).expect("probes");
    probes.begin(0);
    assert_eq!(asked(&mut probes, 0, &child, false), Probe::default(), "nobody looks");
    assert_eq!(asked(&mut probes, 0, &child, true).process, Process::Stopped);
    child.resume();
    assert_eq!(asked(&mut probes, 0, &child, false), Probe::default(), "or it would be held up for ever");
    probes.turns = Turns::default();
    assert_eq!(asked(&mut probes, 0, &child, true), Probe::default());
}

#[test]
fn an_exit_goes_before_what_a_look_found() {
    let mut child = Subject::sleeping();
    child.stop();
    let mut probes = Probes::new(1).expect("probes");
    probes.begin(0);
    assert_eq!(asked(&mut probes, 0, &child, true).process, Process::Stopped);
    child.kill();
    assert_eq!(asked(&mut probes, 0, &child, true).process, Process::Zombie, "seen by a look before it is taken in");
    child.end();
    probes.begin(0);
    assert_eq!(asked(&mut probes, 0, &child, false).process, Process::Gone, "looks or not");
}

#[test]
fn an_exit_is_seen_without_a_look() {
    let child = Subject::sleeping();
    let mut probes = Probes::new(1).expect("probes");
    probes.begin(0);
    assert_eq!(asked(&mut probes, 0, &child, false), Probe::default());
    child.kill();
    probes.begin(0);
    assert_eq!(asked(&mut probes, 0, &child, false).process, Process::Zombie);
}

#[test]
fn of_a_process_in_a_pid_namespace_that_cannot_be_seen_nothing_is_known() {
    let child = Subject::sleeping();
    let mut probes = Probes::new(1).expect("probes");
    // Without the kernel's name for it there is its number alone, which means another process here or none.
    let theirs = Identity { pid_namespace: 1, pidfd_ino: 0, ..identity_of(&child) };
    probes.begin(0);
    let ask = |probes: &mut Probes| probes.process(0, owner(child.pid()), || Some((owner(child.pid()), theirs)), true);
    assert_eq!(ask(&mut probes), Probe::default());
    child.kill();
    probes.begin(0);
    assert_eq!(ask(&mut probes), Probe::default(), "the number here is not the one there");
}

#[test]
fn a_process_in_a_pid_namespace_below_is_watched_by_its_inode_whatever_its_number_is_there() {
    let child = Subject::sleeping();
    if child.inode() == 0 || PidFd::open_inode(child.inode()).is_err() {
        return skip("a_process_in_a_pid_namespace_below_is_watched_by_its_inode: the kernel finds no process by its inode");
    }
    let mut probes = Probes::new(2).expect("probes");
    let theirs = Identity { pid_namespace: 1, tid: 7, ..identity_of(&child) };
    let ask = |probes: &mut Probes, index: u32| probes.process(index, owner(7), || Some((owner(7), theirs)), true);
    child.stop();
    probes.begin(0);
    assert_eq!(ask(&mut probes, 0).process, Process::Stopped, "it is looked at by the number that it has here");
    ask(&mut probes, 1);
    assert_eq!(probes.exits_held(), 1, "its slots share one descriptor");
    child.kill();
    probes.begin(0);
    assert_eq!(probes.exited(), [0, 1]);
    assert_eq!(ask(&mut probes, 0).process, Process::Zombie);
    assert_eq!(ask(&mut probes, 1).process, Process::Zombie);
    assert_eq!(probes.exits_held(), 0);
}

#[test]
fn slots_of_one_process_share_its_descriptor_until_the_last_is_given_back() {
    let child = Subject::sleeping();
    let mut probes = Probes::new(2).expect("probes");
    probes.begin(0);
    let watch = |probes: &mut Probes, index: usize| {
        asked(probes, index as u32, &child, false);
        match probes.slots[index].as_ref().map(|known| known.exit) {
            Some(Exit::Watched(watch)) => watch,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(watch(&mut probes, 0), watch(&mut probes, 1));
    probes.forget(0);
    child.kill();
    probes.begin(0);
    assert_eq!(asked(&mut probes, 1, &child, false).process, Process::Zombie, "the other slot still learns of the exit");
}

#[test]
fn all_slots_of_a_process_that_exited_are_named_and_no_others() {
    let (child, other) = (Subject::sleeping(), Subject::sleeping());
    let mut probes = Probes::new(4).expect("probes");
    probes.begin(0);
    for (index, child) in [(0, &child), (1, &other), (3, &child)] {
        asked(&mut probes, index, child, false);
    }
    assert!(probes.exited().is_empty());
    child.kill();
    probes.begin(0);
    assert_eq!(probes.exited(), [0, 3]);
}

#[test]
fn sixty_four_look_at_a_poll_and_all_of_them_in_turn() {
    let mut turns = Turns::default();
    let mut had = vec![0; 200];
    for poll in 0..8 {
        turns.begin();
        let looked: Vec<usize> = (0..200).filter(|&index| turns.take(index)).collect();
        assert!(looked.len() <= MAX_LOOKS, "poll {poll}: {looked:?}");
        for index in looked {
            had[index] += 1;
        }
    }
    assert!(had.iter().all(|&n| n == 2), "eight polls of 64, 64, 64 and the rest: {had:?}");
}

#[test]
fn few_that_want_to_look_do_so_at_every_poll_wherever_they_stand() {
    let mut turns = Turns::default();
    for _ in 0..3 {
        turns.begin();
        assert!([7, 50_000, 99_999].into_iter().all(|index| turns.take(index)));
        turns.begin();
        assert!((0..MAX_LOOKS).all(|index| turns.take(index)), "as many as may");
    }
}

#[test]
fn a_poll_reads_the_clock_that_goes_on_in_suspend() {
    let mut probes = Probes::new(1).expect("probes");
    let before = clock::boottime_ns();
    let host = probes.begin(7);
    assert_eq!(host.monotonic_ns, 7);
    assert!(host.boottime_ns >= before);
    assert_eq!(host.cpu_pressure_us.is_some(), CpuPressure::open().total_us().is_some());
}
