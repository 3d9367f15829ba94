#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| (testing_fuzz::target("sessions").unwrap().run)(data));
