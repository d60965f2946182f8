//! Bytes of a worker as lines that are safe to show. Pure, and bounded whatever comes.

use hangwatch::tell::text::escaped;

/// A longer line is shown in pieces: no worker fills this process's memory, nor a screen with one line.
const MAX: usize = 16 * 1024;

/// What a worker wrote of a line that has not ended yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    open: Vec<u8>,
}

impl Lines {
    /// Hands every line that `bytes` end to `show`.
    pub(super) fn take(&mut self, mut bytes: &[u8], show: &mut impl FnMut(&str)) {
        while !bytes.is_empty() {
            // No further than the bound, so that the pieces are the same however the bytes come.
            let reach = &bytes[..bytes.len().min(MAX - self.open.len())];
            let end = reach.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(reach.len(), |end| end + 1);
            self.open.extend_from_slice(&reach[..end.unwrap_or(reach.len())]);
            bytes = &bytes[taken..];
            if end.is_some() {
                self.end(show, true);
            } else if self.open.len() == MAX {
                self.make_room(show);
            }
        }
    }

    /// No more is to come of the line that is open.
    pub(super) fn finish(&mut self, show: &mut impl FnMut(&str)) {
        self.end(show, false);
    }

    fn end(&mut self, show: &mut impl FnMut(&str), even_empty: bool) {
        let line = std::mem::take(&mut self.open);
        if even_empty || !line.is_empty() {
            show(&safe(last_state(&line)));
        }
    }

    fn make_room(&mut self, show: &mut impl FnMut(&str)) {
        // The last byte may be the beginning of "\r\n".
        let overwritten = self.open[..MAX - 1].iter().rposition(|byte| *byte == b'\r');
        match overwritten {
            Some(at) => drop(self.open.drain(..=at)),
            None => {
                let cut = whole_characters(&self.open);
                show(&safe(&self.open[..cut]));
                self.open.drain(..cut);
            }
        }
    }
}

/// Of a line that was written over itself, as progress bars do, what stood there in the end.
fn last_state(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|byte| *byte != b'\r').map_or(0, |at| at + 1);
    line[..end].rsplit(|byte| *byte == b'\r').next().unwrap_or_default()
}

/// Bytes before a character that was begun and may be completed by what comes.
fn whole_characters(bytes: &[u8]) -> usize {
    let rest = bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
    let is_begun = std::str::from_utf8(rest).is_err_and(|e| e.error_len().is_none());
    bytes.len() - if is_begun { rest.len() } else { 0 }
}

/// Control characters escaped but for the tab, and what is no UTF-8 replaced: a worker cannot drive the terminal.
fn safe(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.split('\t').map(escaped).collect::<Vec<_>>().join("\t")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut shown) = (Lines::default(), Vec::new());
        let mut show = |line: &str| shown.push(line.to_owned());
        for piece in pieces {
            lines.take(piece, &mut show);
        }
        lines.finish(&mut show);
        shown
    }

    #[test]
    fn a_line_that_comes_in_parts_is_shown_whole_and_the_last_one_without_its_end() {
        assert_eq!(shown(&[b"loading ", b"model\n\nst", b"ep 1"]), ["loading model", "", "step 1"]);
    }

    #[test]
    fn of_a_line_that_was_written_over_itself_its_last_state_is_shown() {
        assert_eq!(shown(&[b" 2%|\r 50%|==\r100%|====\n", b"windows\r", b"\nclears\r\r\n"]), ["100%|====", "windows", "clears"]);
    }

    #[test]
    fn a_terminal_escape_is_shown_and_not_sent_and_a_tab_stays() {
        assert_eq!(shown(&[b"\x1b[2J\tgr\xc3\xb6\xc3\x9fe\xff\x07\n"]), ["\\u{1b}[2J\tgr\u{f6}\u{df}e\u{fffd}\\u{7}"]);
    }

    #[test]
    fn a_line_without_end_is_shown_in_pieces_of_whole_characters() {
        let text = "\u{f6}".repeat(MAX);
        let pieces = shown(&[b"x", text.as_bytes()]);
        assert_eq!(pieces.concat(), format!("x{text}"), "no character is torn");
        assert!(pieces.iter().all(|piece| piece.len() <= MAX) && pieces.len() == 3);
    }

    #[test]
    fn a_progress_bar_without_end_takes_no_more_room_than_a_line() {
        let (mut lines, mut most) = (Lines::default(), 0);
        for step in 0..100_000 {
            lines.take(format!("\r{step} of 100000").as_bytes(), &mut |line| panic!("shown before its end: {line}"));
            most = most.max(lines.open.capacity());
        }
        assert!(most <= 2 * MAX, "{most}");
    }

    proptest! {
        #[test]
        fn the_lines_are_the_same_however_the_bytes_come(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'a'), any::<u8>()], 0..200),
            repeat in 1usize..400,
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8),
        ) {
            let bytes = bytes.repeat(repeat);
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let whole = shown(&[&bytes]);
            prop_assert!(whole.iter().all(|line| !line.contains(['\n', '\r', '\u{1b}'])), "nothing drives the terminal");
            prop_assert_eq!(shown(&pieces), whole);
        }
    }
}
