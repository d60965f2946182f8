//! A segment's file as words, and what each word is called.

use std::path::Path;

/// Reads a file of whole words.
pub(crate) fn read(path: &Path) -> Vec<u64> {
    let bytes = std::fs::read(path).expect("the segment's file");
    assert_eq!(bytes.len() % 8, 0, "a segment is whole words");
    bytes.chunks_exact(8).map(|b| u64::from_le_bytes(b.try_into().expect("8 bytes"))).collect()
}

/// Writes them as a segment's file is: for its owner alone.
pub(crate) fn write(path: &Path, words: &[u64]) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).expect("a file in a temp dir");
    file.write_all(&bytes).expect("room for it");
}

/// Recomputes `hdr_check` after a change to the fixed words.
pub(crate) fn seal(words: &mut [u64]) {
    let fixed: &[u64; 32] = words[..32].try_into().expect("a header");
    words[31] = hangwatch::layout::header::check(fixed);
}

/// This boot's id as the header holds it.
pub(crate) fn boot_id() -> [u64; 2] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("Linux");
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    [0, 16].map(|at| u64::from_str_radix(&digits[at..at + 16], 16).expect("hex"))
}

/// A good segment of 4 slots, changed.
pub(crate) fn spoil(path: &Path, change: impl FnOnce(&mut Vec<u64>)) {
    let geometry = hangwatch::segment::Geometry { slots: 4, slot_size: 1024 };
    drop(hangwatch::segment::Segment::create(path, geometry).expect("a segment"));
    let mut words = read(path);
    change(&mut words);
    std::fs::remove_file(path).expect("it is there");
    write(path, &words);
}

/// The same, with a check that matches what it says.
pub(crate) fn forge(path: &Path, change: impl FnOnce(&mut Vec<u64>)) {
    spoil(path, |words| {
        change(words);
        seal(words);
    });
}
