//! Numbers and texts as bytes. A number is a varint: seven bits a byte, low ones first, the top bit says that more follow.
//! A difference is taken modulo 2^64 and folded, so that small ones of either sign are short.

/// Longer texts than any that a slot holds, lossy decoding included.
const MAX_TEXT: u64 = 1024;

/// What is wrong with a payload.
pub(super) type Malformed = String;

pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// `now` as its difference to `before`.
pub(super) fn put_difference(out: &mut Vec<u8>, now: u64, before: u64) {
    let difference = now.wrapping_sub(before) as i64;
    put(out, (difference << 1 ^ difference >> 63) as u64);
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Reads a payload from its front.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.0.split_first().ok_or("it ends within a value")?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn number(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a number is longer than 64 bits".into())
    }

    pub(super) fn difference(&mut self, before: u64) -> Result<u64, Malformed> {
        let folded = self.number()?;
        Ok(before.wrapping_add((folded >> 1) ^ (folded & 1).wrapping_neg()))
    }

    /// A number that must fit `T`.
    pub(super) fn small<T: TryFrom<u64>>(&mut self, what: &str) -> Result<T, Malformed> {
        let value = self.number()?;
        T::try_from(value).map_err(|_| format!("{what} is {value}"))
    }

    pub(super) fn text(&mut self) -> Result<String, Malformed> {
        let len = self.number()?;
        if len > MAX_TEXT || len > self.0.len() as u64 {
            return Err(format!("a text has {len} bytes, {} are left", self.0.len()));
        }
        let (text, rest): (&'a [u8], _) = self.0.split_at(len as usize);
        self.0 = rest;
        String::from_utf8(text.to_vec()).map_err(|_| "a text is not UTF-8".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_and_every_difference_comes_back() {
        for a in [0, 1, 127, 128, 300, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            put(&mut out, a);
            assert_eq!(Cursor(&out).number(), Ok(a));
            for b in [0, 1, a, a.wrapping_add(1), u64::MAX] {
                let mut out = Vec::new();
                put_difference(&mut out, a, b);
                assert_eq!(Cursor(&out).difference(b), Ok(a), "{a} from {b}");
            }
        }
    }

    #[test]
    fn small_differences_of_either_sign_are_one_byte() {
        for (now, before) in [(64, 1), (1, 64), (u64::MAX, 0), (0, u64::MAX)] {
            let mut out = Vec::new();
            put_difference(&mut out, now, before);
            assert_eq!(out.len(), 1, "{now} from {before}");
        }
    }

    #[test]
    fn what_is_no_number_or_text_is_malformed() {
        assert!(Cursor(&[0x80]).number().is_err(), "it ends within");
        assert!(Cursor(&[0xff; 10]).number().is_err(), "70 bits");
        assert!(Cursor(&[3, b'a', b'b']).text().is_err(), "the length lies");
        assert!(Cursor(&[0xff, 0xff, 0xff, 0xff, 0x0f]).text().is_err(), "4 GiB are not asked for");
        assert!(Cursor(&[1, 0xff]).text().is_err(), "not UTF-8");
    }
}
