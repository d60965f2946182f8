//! Bytes as choices. At their end every choice is 0, so any bytes are a whole script.

pub(crate) struct Draw<'a>(pub(crate) &'a [u8]);

impl<'a> Draw<'a> {
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    /// Up to `count` bytes, as they are.
    pub(crate) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Eight bytes, little-endian.
    pub(crate) fn raw(&mut self) -> u64 {
        let mut word = [0; 8];
        let bytes = self.bytes(8);
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    }

    /// Any 64 bits, and often the few that matter.
    pub(crate) fn word(&mut self) -> u64 {
        match self.byte() % 8 {
            0 | 1 => self.raw(),
            2 => 0,
            3 => u64::MAX,
            4 => u64::from(self.byte()),
            5 => 1 << (self.byte() % 64),
            6 => u64::from(self.byte()) << 48 | u64::from(self.byte()),
            _ => u64::from(self.byte()) << 32 | u64::from(self.byte()),
        }
    }
}
