//! See `oracle/src/slots.rs`.
#![no_main]

#[global_allocator]
static COUNTING: hangwatch_oracle::memory::Counting = hangwatch_oracle::memory::Counting;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    hangwatch_oracle::target("slots").check(data);
});
