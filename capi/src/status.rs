//! What calls answer: a number, and words for the last failure of the thread.

use etlring::message::TraceError;
use etlring::outside::{AttachError, AttachRefusal, DirectoryFault, OutsideError};
use etlring::reader::OpenError;
use etlring::session::{ControlError, Discarded, SessionError};
use std::any::Any;
use std::cell::Cell;
use std::ffi::{CStr, c_char};
use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Zero, or a number of `winerror.h`.
pub type Status = u32;

macro_rules! statuses {
    ($($name:ident = $number:literal),* $(,)?) => {
        $(
            #[doc = concat!("`ERROR_", stringify!($name), "`.")]
            pub const $name: Status = $number;
        )*

        /// Names as in `winerror.h`, without their `ERROR_`, and numbers.
        pub const ALL: &[(&str, Status)] = &[$((stringify!($name), $number)),*];

        fn name(status: Status) -> &'static CStr {
            let text = match status {
                OK => "ERROR_SUCCESS\0",
                $($name => concat!("ERROR_", stringify!($name), "\0"),)*
                _ => "?\0",
            };
            CStr::from_bytes_until_nul(text.as_bytes()).unwrap_or_default()
        }
    };
}

/// Done.
pub const OK: Status = 0;

statuses! {
    INVALID_FUNCTION = 1,
    ACCESS_DENIED = 5,
    INVALID_HANDLE = 6,
    NOT_ENOUGH_MEMORY = 8,
    BAD_FORMAT = 11,
    INVALID_DATA = 13,
    OUTOFMEMORY = 14,
    BAD_LENGTH = 24,
    GEN_FAILURE = 31,
    NOT_SUPPORTED = 50,
    INVALID_PARAMETER = 87,
    BROKEN_PIPE = 109,
    BUFFER_OVERFLOW = 111,
    DISK_FULL = 112,
    BAD_PATHNAME = 161,
    ALREADY_EXISTS = 183,
    INVALID_FLAG_NUMBER = 186,
    MORE_DATA = 234,
    NO_MORE_ITEMS = 259,
    ARITHMETIC_OVERFLOW = 534,
    INVALID_FLAGS = 1004,
    INTERNAL_ERROR = 1359,
    FILE_CORRUPT = 1392,
    NO_SYSTEM_RESOURCES = 1450,
    TIMEOUT = 1460,
    WMI_INSTANCE_NOT_FOUND = 4201,
}

/// Bytes of the longest message, its NUL included.
const LONGEST: usize = 1024;

thread_local! {
    /// An answer whose words are not put together before somebody asks: a writer that is refused
    /// must not pay for them. None of these has a destructor, so that a thread that ends can log.
    static PENDING: Cell<Option<TraceError>> = const { Cell::new(None) };
    static TEXT: [Cell<u8>; LONGEST] = const { [const { Cell::new(0) }; LONGEST] };
}

/// Why a call did not do it.
#[derive(Debug)]
pub struct Failure {
    status: Status,
    why: Why,
}

#[derive(Debug)]
enum Why {
    Words(String),
    Refused(TraceError),
}

impl Failure {
    pub(crate) fn new(status: Status, words: impl Into<String>) -> Self {
        Self { status, why: Why::Words(words.into()) }
    }

    /// A pointer that must not be NULL is.
    pub(crate) fn null(what: &str) -> Self {
        Self::new(INVALID_PARAMETER, format!("{what} is NULL"))
    }

    /// A session, provider, logger or reader that must not be NULL is.
    pub(crate) fn no_handle() -> Self {
        Self { status: INVALID_HANDLE, why: Why::Refused(TraceError::InvalidHandle) }
    }

    /// Remembers the words and gives the number.
    #[cold]
    fn tell(self) -> Status {
        match self.why {
            Why::Refused(error) => PENDING.set(Some(error)),
            Why::Words(words) => keep(&words),
        }
        self.status
    }
}

impl From<TraceError> for Failure {
    fn from(error: TraceError) -> Self {
        Self { status: error.code(), why: Why::Refused(error) }
    }
}

impl From<Discarded> for Failure {
    /// As `EventWrite` answers.
    fn from(discarded: Discarded) -> Self {
        match discarded {
            Discarded::TooLarge => TraceError::MoreData.into(),
            _ => TraceError::NotEnoughMemory.into(),
        }
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<OutsideError> for Failure {
    fn from(error: OutsideError) -> Self {
        let words = error.to_string();
        let status = match error {
            OutsideError::Unsupported | OutsideError::NotRealTime(_) => NOT_SUPPORTED,
            OutsideError::Name(_) => INVALID_PARAMETER,
            OutsideError::Directory(_, DirectoryFault::Relative | DirectoryFault::NoDirectory)
            | OutsideError::PathTooLong(..) => BAD_PATHNAME,
            OutsideError::Directory(..) | OutsideError::Denied(_) => ACCESS_DENIED,
            OutsideError::Planted(_) | OutsideError::InUse(_) => ALREADY_EXISTS,
            OutsideError::NotFound(_) | OutsideError::Dead(_) => WMI_INSTANCE_NOT_FOUND,
            OutsideError::NoAnswer(_) => TIMEOUT,
            OutsideError::HungUp(_) => BROKEN_PIPE,
            OutsideError::Message(_) | OutsideError::WrongAnswer(_) => INVALID_DATA,
            OutsideError::Refused(code, _) => code,
            OutsideError::Io { error, .. } => of_system(error),
            _ => GEN_FAILURE,
        };
        Self::new(status, words)
    }
}

impl From<AttachError> for Failure {
    fn from(error: AttachError) -> Self {
        let words = error.to_string();
        let status = match error {
            AttachError::Outside(error) => return error.into(),
            AttachError::Session(error) => return error.into(),
            AttachError::Config(_) => INVALID_PARAMETER,
            AttachError::Clock { .. } | AttachError::Counter | AttachError::Version(_) => {
                NOT_SUPPORTED
            }
            AttachError::Refused(AttachRefusal::Full) => NO_SYSTEM_RESOURCES,
            AttachError::Refused(AttachRefusal::Ring) => NOT_SUPPORTED,
            AttachError::Refused(AttachRefusal::Ending) => WMI_INSTANCE_NOT_FOUND,
            AttachError::Connection(_) => BROKEN_PIPE,
            _ => GEN_FAILURE,
        };
        Self::new(status, words)
    }
}

/// The number of an error of the system.
fn of_system(error: std::io::Error) -> Status {
    ControlError::Io { what: String::new(), error }.code()
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let words = error.to_string();
        match error {
            OpenError::Io(error) => Self::new(of_system(error), words),
            OpenError::NotALogfile(_) => Self::new(BAD_FORMAT, words),
            OpenError::Unsupported(_) | OpenError::TooLong(_) => Self::new(NOT_SUPPORTED, words),
            _ => Self::new(FILE_CORRUPT, words),
        }
    }
}

/// Runs the body of a call. What goes wrong becomes a number, a panic too.
#[inline]
pub(crate) fn call(body: impl FnOnce() -> Result<(), Failure>) -> Status {
    // Unwind safe: what a panic leaves half done is seen by nobody but the library itself, whose
    // types are made for that.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => OK,
        Ok(Err(failure)) => failure.tell(),
        Err(panic) => panicked(panic),
    }
}

/// The same for a call that has no status to answer with.
#[inline]
pub(crate) fn call_or<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(answer) => answer,
        Err(panic) => {
            panicked(panic);
            otherwise
        }
    }
}

#[cold]
fn panicked(panic: Box<dyn Any + Send>) -> Status {
    let words = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(words), _) => *words,
        (None, Some(words)) => words,
        (None, None) => "no message",
    };
    keep_fmt(format_args!("panic in the library: {words}"));
    // Its destructor may panic in turn.
    std::mem::forget(panic);
    INTERNAL_ERROR
}

fn keep(words: &str) {
    keep_fmt(format_args!("{words}"));
}

fn keep_fmt(words: fmt::Arguments<'_>) {
    PENDING.set(None);
    TEXT.with(|text| {
        let mut out = Text { text, len: 0 };
        // A message that is too long is cut.
        let _ = out.write_fmt(words);
        text[out.len].set(0);
    });
}

/// The thread's message while it is written. One byte stays for the NUL.
struct Text<'a> {
    text: &'a [Cell<u8>; LONGEST],
    len: usize,
}

impl Write for Text<'_> {
    fn write_str(&mut self, words: &str) -> fmt::Result {
        for c in words.chars() {
            let c = if c == '\0' { '?' } else { c };
            if self.len + c.len_utf8() >= LONGEST {
                return Err(fmt::Error);
            }
            let mut utf8 = [0; 4];
            for byte in c.encode_utf8(&mut utf8).bytes() {
                self.text[self.len].set(byte);
                self.len += 1;
            }
        }
        Ok(())
    }
}

/// `etlring_last_message`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_last_message() -> *const c_char {
    call_or(c"".as_ptr(), || {
        if let Some(error) = PENDING.get() {
            keep_fmt(format_args!("{error}"));
        }
        // Without a destructor it stays until the thread's memory is gone.
        TEXT.with(|text| text.as_ptr().cast())
    })
}

/// `etlring_status_name`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_status_name(status: Status) -> *const c_char {
    name(status).as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last() -> String {
        TEXT.with(|text| {
            etlring_last_message();
            let bytes = text.iter().map(Cell::get).take_while(|byte| *byte != 0);
            String::from_utf8(bytes.collect()).unwrap()
        })
    }

    #[test]
    fn a_panic_becomes_a_number() {
        assert_eq!(call(|| panic!("number {}", 7)), INTERNAL_ERROR);
        assert_eq!(last(), "panic in the library: number 7");
        assert_eq!(call(|| std::panic::panic_any(7)), INTERNAL_ERROR);
        assert_eq!(last(), "panic in the library: no message");
        assert_eq!(call_or(5, || panic!("again")), 5);
        assert_eq!(last(), "panic in the library: again");
    }

    #[test]
    fn the_last_failure_counts_and_success_does_not() {
        assert_eq!(call(|| Err(Failure::new(BAD_LENGTH, "short"))), BAD_LENGTH);
        assert_eq!(call(|| Err(TraceError::MoreData.into())), MORE_DATA);
        assert_eq!(last(), TraceError::MoreData.to_string());
        assert_eq!(call(|| Err(Failure::null("data"))), INVALID_PARAMETER);
        assert_eq!(call(|| Ok(())), OK);
        assert_eq!(last(), "data is NULL");
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        for pad in 0..4 {
            let words = format!("{}{}\0", "x".repeat(pad), "\u{1d11e}".repeat(LONGEST));
            call(|| Err(Failure::new(GEN_FAILURE, words.as_str())));
            let cut = last();
            assert!(words.starts_with(&cut), "{cut}");
            assert!((LONGEST - 4..LONGEST).contains(&cut.len()), "{}", cut.len());
        }
        call(|| Err(Failure::new(GEN_FAILURE, "a\0b")));
        assert_eq!(last(), "a?b");
    }

    #[test]
    fn numbers_have_names() {
        assert_eq!(name(OK), c"ERROR_SUCCESS");
        assert_eq!(name(6), c"ERROR_INVALID_HANDLE");
        assert_eq!(name(7), c"?");
    }
}
