#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mio_websocket_fuzz::targets::proxy::run(input));
