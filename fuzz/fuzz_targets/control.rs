#![no_main]
//! What is said over a session's socket: any bytes are a message with one meaning, or none. What
//! was understood says the same when it is said again.

use etlring::outside::message::{
    Answer, Entry, HEAD, Head, Live, MOST_LIVE, MOST_REQUEST, Request,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // As the session takes a message from what has come so far.
    match Head::of(bytes, MOST_REQUEST) {
        Ok(Some(end)) => assert!(end <= bytes.len()),
        Ok(None) => assert!(Request::decode(bytes).is_err()),
        Err(error) => assert_eq!(Request::decode(bytes), Err(error)),
    }
    if let Ok(request) = Request::decode(bytes) {
        assert_eq!(request.encode(), bytes);
    }
    for offset in
        [Request::decode(bytes).err(), Answer::decode(bytes).err(), Entry::decode(bytes).err()]
    {
        assert!(offset.is_none_or(|error| error.offset as usize <= bytes.len()));
    }
    if let Ok(answer) = Answer::decode(bytes) {
        assert_eq!(answer.encode(), bytes);
    }
    if let Ok(entry) = Entry::decode(bytes) {
        assert_eq!(entry.encode(), bytes);
    }
    // What follows a session is believed no more than what asks it.
    match Live::decode(&bytes.to_vec().into(), MOST_LIVE) {
        Ok(live) => {
            assert_eq!(live.encode(), bytes);
            if let Live::Header(buffer) | Live::Buffer(buffer) = &live {
                assert_eq!(buffer.bytes().len(), bytes.len() - HEAD);
                assert!(buffer.records().count() <= buffer.bytes().len() / 8 + 1);
            }
        }
        Err(error) => assert!(error.offset as usize <= bytes.len()),
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(settings) = etlring::outside::Settings::parse(text) {
            let again = settings.to_string();
            assert_eq!(etlring::outside::Settings::parse(&again), Ok(settings));
        }
    }
});
