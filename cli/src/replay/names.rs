//! Names as small numbers, the same in all sessions of a replay: what is learnt of a phase in one is known in the next.

/// All names so far.
#[derive(Debug, Default)]
pub(crate) struct Names(Vec<String>);

impl Names {
    pub(crate) fn id(&mut self, name: &str) -> u16 {
        let known = self.0.iter().position(|known| known == name).unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        });
        u16::try_from(known).unwrap_or(u16::MAX)
    }
}
