#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| thidua_fuzz::rules(data));
