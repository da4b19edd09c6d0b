//! Masking of client frames: RFC 6455, section 5.3.

/// A fresh, unpredictable masking key.
pub(super) fn new_key() -> [u8; 4] {
    rand::random()
}

/// Masks or unmasks `bytes`, which start `offset` bytes into the payload.
pub(super) fn apply(bytes: &mut [u8], mut key: [u8; 4], offset: usize) {
    key.rotate_left(offset % 4);
    // Sixteen bytes at a time: the compiler turns this into vector instructions.
    let [a, b, c, d] = key;
    let wide = u128::from_ne_bytes([a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d]);
    let (blocks, tail) = bytes.as_chunks_mut::<16>();
    for block in blocks {
        *block = (u128::from_ne_bytes(*block) ^ wide).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_and_offset_matches_the_rule_of_the_rfc() {
        let key = [0x6d, 0xb6, 0xb2, 0x80];
        for len in 0..70 {
            for offset in 0..9 {
                let plain: Vec<u8> = (0..len).map(|i| i as u8).collect();
                let mut masked = plain.clone();
                apply(&mut masked, key, offset);
                let expected: Vec<u8> =
                    plain.iter().enumerate().map(|(i, b)| b ^ key[(i + offset) % 4]).collect();
                assert_eq!(masked, expected, "len {len} offset {offset}");
            }
        }
    }
}
