//! CRC-32 as in Ethernet and zlib: reflected, polynomial 0xEDB88320. Against damage, not against an adversary.

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut value = i as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[i] = value;
        i += 1;
    }
    table
};

/// Of all the parts, one after another.
pub(super) fn crc32(parts: &[&[u8]]) -> u32 {
    let bytes = parts.iter().flat_map(|part| part.iter());
    !bytes.fold(!0, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ crc >> 8)
}

#[cfg(test)]
mod tests {
    use super::crc32;

    #[test]
    fn it_is_the_crc_that_everybody_means() {
        assert_eq!(crc32(&[b"123456789"]), 0xcbf4_3926, "the check value of CRC-32/ISO-HDLC");
        assert_eq!(crc32(&[b"1234", b"", b"56789"]), 0xcbf4_3926, "parts are one text");
        assert_eq!(crc32(&[]), 0);
    }
}
