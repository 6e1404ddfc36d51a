//! Profile files whose content or metadata is mutated and whose checksum is right again.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use tidegauge_fuzz::{Parts, profile_decode};

fuzz_target!(|bytes: &[u8]| profile_decode(bytes));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let Some(mut parts) = Parts::split(&data[..size]) else {
        return fuzzer_mutate(data, size, max_size);
    };
    let room = max_size.saturating_sub(size);
    let part = if seed.is_multiple_of(8) {
        &mut parts.metadata
    } else {
        &mut parts.content
    };
    let length = part.len();
    if seed & 8 == 0 && length > 0 {
        // Lengths inside stay right when as many bytes are written as were there.
        let at = (seed >> 8) as usize % length;
        let end = (at + 1 + (seed >> 4) as usize % 16).min(length);
        let mut window = part[at..end].to_vec();
        let full = window.len();
        fuzzer_mutate(&mut window, full, full);
        part[at..end].copy_from_slice(&window);
    } else {
        part.resize(length + room, 0);
        let new = fuzzer_mutate(part, length, length + room);
        part.truncate(new);
    }
    let file = parts.join();
    if file.len() > max_size {
        return size;
    }
    data[..file.len()].copy_from_slice(&file);
    file.len()
});
