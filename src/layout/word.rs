//! Words that hold several values: the bit picture of each, and the only code that shifts.
//!
//! ```text
//!         63            48 47     40 39     32 31            16 15             0
//! owner   [  generation  ][   tag   ][  kind   ][             pid              ]
//! beat    [  generation  ][                      count                        ]
//! epoch   [             job                    ][     pass     ][    falls     ]
//! phase   [      id      ][      flags         ][            entry             ]
//!           flags, 47 to 32: [ section 12 ][ depth 3 ][ job open 1 ]
//! lease   [     seq      ][                 milliseconds                      ]
//! cmd     [  generation  ][   cmd   ][                 arg                    ]
//! ```

const LOW_48: u64 = (1 << 48) - 1;
const LOW_40: u64 = (1 << 40) - 1;

/// What an owner word says of its slot. An unknown tag is a value, never a panic: the bytes are not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// Nobody's: may be claimed.
    Free,
    /// A claimer is writing its identity; nothing else in the slot may be believed.
    Claiming,
    /// Owned: the hot words are the owner's.
    Live,
    /// Set aside by a supervisor for a child that has not attached yet; `pid` is the supervisor's.
    Reserved,
    /// Its owner could not be killed: never given again before the owner's exit is proven.
    Quarantined,
    /// Not written by this version.
    Unknown(u8),
}

impl Tag {
    const fn from_bits(bits: u8) -> Self {
        match bits {
            0 => Self::Free,
            1 => Self::Claiming,
            2 => Self::Live,
            3 => Self::Reserved,
            4 => Self::Quarantined,
            other => Self::Unknown(other),
        }
    }

    const fn bits(self) -> u8 {
        match self {
            Self::Free => 0,
            Self::Claiming => 1,
            Self::Live => 2,
            Self::Reserved => 3,
            Self::Quarantined => 4,
            Self::Unknown(other) => other,
        }
    }
}

/// What kind of thing reports through a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// A worker: one thread of a process that works.
    #[default]
    Worker,
    /// A further lane of a worker with several jobs in flight.
    Lane,
    /// A device that writes for itself, in a slot page of its own.
    Gpu,
    /// Not written by this version.
    Unknown(u8),
}

impl Kind {
    const fn from_bits(bits: u8) -> Self {
        match bits {
            0 => Self::Worker,
            1 => Self::Lane,
            2 => Self::Gpu,
            other => Self::Unknown(other),
        }
    }

    /// Its name, everywhere.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Lane => "lane",
            Self::Gpu => "gpu",
            Self::Unknown(_) => "unknown",
        }
    }

    const fn bits(self) -> u8 {
        match self {
            Self::Worker => 0,
            Self::Lane => 1,
            Self::Gpu => 2,
            Self::Unknown(other) => other,
        }
    }
}

/// The owner word. The pid is inside the word that is swapped, so a claimer that dies at once is still named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner(pub u64);

impl Owner {
    /// Packs an owner word.
    pub const fn new(generation: u16, tag: Tag, kind: Kind, pid: u32) -> Self {
        Self((generation as u64) << 48 | (tag.bits() as u64) << 40 | (kind.bits() as u64) << 32 | pid as u64)
    }

    /// How often the slot was claimed, modulo 2^16.
    pub const fn generation(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// What the slot is.
    pub const fn tag(self) -> Tag {
        Tag::from_bits((self.0 >> 40) as u8)
    }

    /// What reports through it.
    pub const fn kind(self) -> Kind {
        Kind::from_bits((self.0 >> 32) as u8)
    }

    /// The claimer's pid in the claimer's own pid namespace. For display and for probes; it never authorises a signal.
    pub const fn pid(self) -> u32 {
        self.0 as u32
    }

    /// The same generation, free.
    pub const fn freed(self) -> Self {
        Self::new(self.generation(), Tag::Free, Kind::Worker, 0)
    }
}

/// A beat (or `alive`) word: inequality means life, the generation says whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Beat(pub u64);

impl Beat {
    /// The first beat word of a generation: no beat yet.
    pub const fn start(generation: u16) -> Self {
        Self((generation as u64) << 48)
    }

    /// Whose beat.
    pub const fn generation(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// Beats since the claim, modulo 2^48 (78 hours at one a nanosecond; readers compare for inequality).
    pub const fn count(self) -> u64 {
        self.0 & LOW_48
    }
}

/// The epoch word: to which job and pass the progress word belongs, and how often progress fell back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Packs an epoch.
    pub const fn new(job: u32, pass: u16, falls: u16) -> Self {
        Self((job as u64) << 32 | (pass as u64) << 16 | falls as u64)
    }

    /// Number of the job since the claim; 0 before the first.
    pub const fn job(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Number of the pass within the job.
    pub const fn pass(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// How often progress fell back within the pass, modulo 2^16.
    pub const fn falls(self) -> u16 {
        self.0 as u16
    }

    /// The next job, first pass.
    pub const fn next_job(self) -> Self {
        Self::new(self.job().wrapping_add(1), 0, 0)
    }

    /// The next pass of the same job.
    pub const fn next_pass(self) -> Self {
        Self::new(self.job(), self.pass().wrapping_add(1), 0)
    }

    /// The same pass, with one fall more.
    #[inline(always)]
    pub const fn next_fall(self) -> Self {
        Self(self.0 & !0xffff | (self.0.wrapping_add(1) & 0xffff))
    }
}

/// The phase word. `entry` grows whenever the word changes, so leaving and coming back between two polls is seen; id and
/// flags are those of before where it is the same section again, so a return is told from another entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PhaseWord(pub u64);

impl PhaseWord {
    /// Flag: a job is open (between `begin_job` and `end_job`).
    pub const JOB_OPEN: u16 = 1;

    /// The most sections that can stand around the one shown.
    pub const MAX_DEPTH: u16 = 7;
    /// The highest section number; the next is 1, as 0 is the section of a fresh claim.
    pub const MAX_SECTION: u16 = 0xfff;

    /// Packs flags; what does not fit is cut.
    pub const fn flags_of(job_open: bool, depth: u16, section: u16) -> u16 {
        (section & Self::MAX_SECTION) << 4 | (depth & Self::MAX_DEPTH) << 1 | job_open as u16
    }

    /// Packs a phase word.
    pub const fn new(id: u16, flags: u16, entry: u32) -> Self {
        Self((id as u64) << 48 | (flags as u64) << 32 | entry as u64)
    }

    /// The phase's id: a row of [`phase`](super::phase), or 256 + the index of a user phase.
    pub const fn id(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// Flags, as [`PhaseWord::flags_of`] packs them.
    pub const fn flags(self) -> u16 {
        (self.0 >> 32) as u16
    }

    /// How many sections are open around this one.
    pub const fn depth(self) -> u16 {
        self.flags() >> 1 & Self::MAX_DEPTH
    }

    /// The section's number: unique among the last 4095 that the owner began.
    pub const fn section(self) -> u16 {
        self.flags() >> 4
    }

    /// Whether both words are of one section, which may have been left and come back to. Who numbers none comes back to none,
    /// but to that of a fresh claim: an old age brought back by mistake would accuse, a new one only forgives.
    pub const fn is_same_section(self, other: Self) -> bool {
        let is_known = self.section() != 0 || self.id() == 0 && self.flags() == 0;
        is_known && self.id() == other.id() && self.flags() == other.flags()
    }

    /// How often a phase was entered, or come back to, since the claim, modulo 2^32.
    pub const fn entry(self) -> u32 {
        self.0 as u32
    }

    /// Whether a job is open.
    pub const fn job_open(self) -> bool {
        self.flags() & Self::JOB_OPEN != 0
    }
}

/// The lease word: a new `seq` is a new lease, counted by the reader's clock from first sight. 0 ms ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lease(pub u64);

impl Lease {
    /// Packs a lease; longer than 2^48 ms is clamped.
    pub const fn new(seq: u16, ms: u64) -> Self {
        Self((seq as u64) << 48 | if ms > LOW_48 { LOW_48 } else { ms })
    }

    /// Grows with every lease, modulo 2^16.
    pub const fn seq(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// How long the worker may be silent, in milliseconds; not trusted, clamped by policy.
    pub const fn ms(self) -> u64 {
        self.0 & LOW_48
    }
}

/// What a monitor asks of a worker through the command word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Command {
    /// Nothing.
    #[default]
    None,
    /// Stop, please: finish or abandon the job and exit.
    Stop,
    /// Not known to this version: ignored.
    Unknown(u8),
}

/// The command word. A command for another generation is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cmd(pub u64);

impl Cmd {
    /// Packs a command for the owner of `generation`.
    pub const fn new(generation: u16, command: Command, arg: u64) -> Self {
        let bits = match command {
            Command::None => 0,
            Command::Stop => 1,
            Command::Unknown(other) => other,
        };
        Self((generation as u64) << 48 | (bits as u64) << 40 | arg & LOW_40)
    }

    /// Whom it addresses.
    pub const fn generation(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// What it asks.
    pub const fn command(self) -> Command {
        match (self.0 >> 40) as u8 {
            0 => Command::None,
            1 => Command::Stop,
            other => Command::Unknown(other),
        }
    }

    /// Its argument: 40 bits.
    pub const fn arg(self) -> u64 {
        self.0 & LOW_40
    }
}

/// Which owner and job an info record speaks of.
pub const fn gen_tag(generation: u16, job: u32) -> u64 {
    (generation as u64) << 32 | job as u64
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_every_word_comes_back_as_it_was_packed() {
        let o = Owner::new(0xabcd, Tag::Quarantined, Kind::Gpu, 0xdead_beef);
        assert_eq!((o.generation(), o.tag(), o.kind(), o.pid()), (0xabcd, Tag::Quarantined, Kind::Gpu, 0xdead_beef));
        assert_eq!(o.0, 0xabcd_0402_dead_beef, "the bit picture is the layout");
        let e = Epoch::new(0x1234_5678, 0x9abc, 0xffff);
        assert_eq!((e.job(), e.pass(), e.falls()), (0x1234_5678, 0x9abc, 0xffff));
        assert_eq!(e.next_fall(), Epoch::new(0x1234_5678, 0x9abc, 0), "a wrapping fall must not touch the pass");
        assert_eq!(e.next_pass(), Epoch::new(0x1234_5678, 0x9abd, 0));
        assert_eq!(e.next_job(), Epoch::new(0x1234_5679, 0, 0));
        let p = PhaseWord::new(7, PhaseWord::JOB_OPEN, u32::MAX);
        assert_eq!((p.id(), p.flags(), p.entry(), p.job_open()), (7, 1, u32::MAX, true));
        let p = PhaseWord::new(5, PhaseWord::flags_of(true, 6, 0xabc), 2);
        assert_eq!((p.depth(), p.section(), p.job_open(), p.flags()), (6, 0xabc, true, 0xabcd));
        assert!(p.is_same_section(PhaseWord::new(5, 0xabcd, 9)) && !p.is_same_section(PhaseWord::new(5, 0xabdd, 2)));
        assert!(!PhaseWord::new(5, 1, 2).is_same_section(PhaseWord::new(5, 1, 2)), "no number is nobody's");
        assert!(PhaseWord::default().is_same_section(PhaseWord::new(0, 0, 2)), "but for the section of a fresh claim");
        let p = PhaseWord::new(0, PhaseWord::flags_of(false, 8, 0x1fff), 0);
        assert_eq!((p.depth(), p.section(), p.job_open()), (0, 0xfff, false), "what does not fit touches no other field");
        let l = Lease::new(3, u64::MAX);
        assert_eq!((l.seq(), l.ms()), (3, (1 << 48) - 1), "a lease too long for its field is clamped, not wrapped into seq");
        let c = Cmd::new(9, Command::Stop, u64::MAX);
        assert_eq!((c.generation(), c.command(), c.arg()), (9, Command::Stop, (1 << 40) - 1));
        assert_eq!(Beat::start(7).generation(), 7);
        assert_eq!(Beat::start(7).count(), 0);
    }

    #[test]
    fn any_64_bits_are_a_value_and_survive_packing() {
        for bits in [0, 1, u64::MAX, 0x00ff_ff00_0000_0000, 0x8000_0000_0000_0000] {
            let o = Owner(bits);
            assert_eq!(Owner::new(o.generation(), o.tag(), o.kind(), o.pid()), o);
        }
    }
}
