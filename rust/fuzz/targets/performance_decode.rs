//! States of performance whose content is mutated and whose checksum is right again.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use tidegauge_fuzz::{performance_decode, seal};

const CHECKSUM: usize = 32;

fuzz_target!(|bytes: &[u8]| performance_decode(bytes));

fuzz_mutator!(
    |data: &mut [u8], size: usize, max_size: usize, _seed: u32| {
        let Some(length) = size.checked_sub(CHECKSUM) else {
            return fuzzer_mutate(data, size, max_size);
        };
        let room = max_size.saturating_sub(CHECKSUM);
        let mut content = data[..length].to_vec();
        content.resize(room.max(length), 0);
        let new = fuzzer_mutate(&mut content, length, room.max(length));
        content.truncate(new);
        let sealed = seal(content);
        if sealed.len() > max_size {
            return size;
        }
        data[..sealed.len()].copy_from_slice(&sealed);
        sealed.len()
    }
);
