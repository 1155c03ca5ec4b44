//! What comes from C, and what the header has the caller promise of it.
//!
//! A value of these types cannot be made in Rust: it is an argument of a call from C, whose caller
//! has read the header. That is what each `SAFETY` here rests on.

use crate::status::{BAD_LENGTH, Failure, INVALID_PARAMETER};
use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::path::Path;
use std::slice;

/// NULL, or a text that ends with a NUL. Neither changes while `'a` lasts, the time of the call.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Text<'a>(*const c_char, PhantomData<&'a [u8]>);

impl<'a> Text<'a> {
    /// Its bytes; `None` for NULL.
    pub(crate) fn bytes(self) -> Option<&'a [u8]> {
        if self.0.is_null() {
            return None;
        }
        // SAFETY: not NULL, so it is a text with a NUL, constant for 'a.
        Some(unsafe { CStr::from_ptr(self.0) }.to_bytes())
    }

    /// As UTF-8; `what` names it if it is NULL or none.
    pub(crate) fn utf8(self, what: &str) -> Result<&'a str, Failure> {
        let bytes = self.bytes().ok_or_else(|| Failure::null(what))?;
        let not_utf8 = |_| Failure::new(INVALID_PARAMETER, format!("{what} is no UTF-8"));
        std::str::from_utf8(bytes).map_err(not_utf8)
    }

    /// As a path; `None` for NULL.
    pub(crate) fn path(self) -> Option<Result<&'a Path, Failure>> {
        #[cfg(unix)]
        let path = {
            use std::os::unix::ffi::OsStrExt;
            self.bytes().map(|bytes| Ok(Path::new(std::ffi::OsStr::from_bytes(bytes))))
        };
        #[cfg(not(unix))]
        let path = self.bytes().map(|_| self.utf8("path").map(Path::new));
        path
    }

    /// As a path that must be there.
    pub(crate) fn needed_path(self) -> Result<&'a Path, Failure> {
        self.path().unwrap_or_else(|| Err(Failure::null("path")))
    }
}

/// NULL, or units of UTF-16 that end with a zero. Neither changes while `'a` lasts.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Wide<'a>(*const u16, PhantomData<&'a [u16]>);

impl<'a> Wide<'a> {
    /// Where it lies; 0 for NULL.
    pub(crate) fn address(self) -> usize {
        self.0.addr()
    }

    /// Its units without the zero; `None` for NULL.
    pub(crate) fn units(self) -> Option<&'a [u16]> {
        if self.0.is_null() {
            return None;
        }
        let mut len = 0;
        loop {
            // SAFETY: not NULL, so units are there up to the zero, which is not passed.
            let unit = unsafe { self.0.add(len) };
            // SAFETY: as above, aligned.
            if unsafe { unit.read() } == 0 {
                break;
            }
            len += 1;
        }
        // SAFETY: so many were just read; they are constant for 'a.
        Some(unsafe { slice::from_raw_parts(self.0, len) })
    }

    /// Appends the text; nothing for NULL. Halves of pairs that stand alone become U+FFFD.
    pub(crate) fn append_to(self, out: &mut String) {
        let units = self.units().unwrap_or_default().iter().copied();
        out.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
    }
}

/// NULL, or the first of as many elements as the count beside it says. They do not change while
/// `'a` lasts.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Array<'a, T>(*const T, PhantomData<&'a [T]>);

impl<'a, T> Array<'a, T> {
    /// The elements; NULL only if there is none.
    ///
    /// # Safety
    ///
    /// `count` is the one beside it, and values of `T` are there.
    pub(crate) unsafe fn of(self, count: usize) -> Result<&'a [T], Failure> {
        if count == 0 {
            return Ok(&[]);
        }
        if self.0.is_null() {
            return Err(Failure::null("data"));
        }
        // SAFETY:
        // - not NULL, so `count` elements are there, constant for 'a;
        // - an array of C is one allocation, of less than isize::MAX bytes, aligned.
        Ok(unsafe { slice::from_raw_parts(self.0, count) })
    }
}

/// A structure whose first member is its size, and which later versions may make longer.
///
/// # Safety
///
/// It is `repr(C)`, starts with a `usize`, holds no reference, and all bytes zero are a value of it.
pub unsafe trait Growing: Copy {
    /// Its size in the first version: nobody may pass less.
    const FIRST_BYTES: usize;
}

/// NULL, or a [`Growing`] structure of the caller's version, to be read.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Given<'a, T>(*const T, PhantomData<&'a T>);

impl<T: Growing> Given<'_, T> {
    /// The structure as this version knows it: what an older one does not have is zero, what only
    /// a newer one has must be.
    pub(crate) fn get(self, what: &str) -> Result<T, Failure> {
        if self.0.is_null() {
            return Err(Failure::null(what));
        }
        // SAFETY: not NULL, so a structure that starts with its size is there, aligned.
        let size = unsafe { self.0.cast::<usize>().read() };
        if size < T::FIRST_BYTES {
            return Err(bad_length::<T>(what, size));
        }
        // SAFETY: so many bytes are there, says the structure itself; they may be padding.
        let bytes: &[MaybeUninit<u8>] = unsafe { slice::from_raw_parts(self.0.cast(), size) };
        let known = size.min(size_of::<T>());
        // SAFETY: a caller of a later version has set all of it, as the header asks.
        if bytes[known..].iter().any(|byte| unsafe { byte.assume_init() } != 0) {
            let words = format!("{what} has members set that this version does not know");
            return Err(Failure::new(INVALID_PARAMETER, words));
        }
        let mut value = MaybeUninit::<T>::zeroed();
        value.as_bytes_mut_here()[..known].copy_from_slice(&bytes[..known]);
        // SAFETY: zero is a value of it, and members were copied whole from a value of C, where
        // all bits are numbers, and pointers are what the header says.
        Ok(unsafe { value.assume_init() })
    }
}

/// NULL, or the place of a [`Growing`] structure of the caller's version, its size set.
#[derive(Debug)]
#[repr(transparent)]
pub struct Wanted<'a, T>(*mut T, PhantomData<&'a mut T>);

impl<T: Growing> Wanted<'_, T> {
    /// Whether the caller does not want it.
    pub(crate) fn is_null(&self) -> bool {
        self.0.is_null()
    }

    /// Fills in as much as the caller knows; the size stays.
    #[inline]
    pub(crate) fn put(self, what: &str, value: T) -> Result<(), Failure> {
        if self.0.is_null() {
            return Err(Failure::null(what));
        }
        // SAFETY: not NULL, so a place whose size is set is there, aligned.
        let size = unsafe { self.0.cast::<usize>().read() };
        if size < T::FIRST_BYTES {
            return Err(bad_length::<T>(what, size));
        }
        let known = size.min(size_of::<T>());
        let mut value = MaybeUninit::new(value);
        let members = &value.as_bytes_mut_here()[size_of::<usize>()..known];
        // SAFETY: the place has `size` bytes, the first member among them.
        let place = unsafe { self.0.cast::<MaybeUninit<u8>>().add(size_of::<usize>()) };
        // SAFETY:
        // - `members` is as long as what is copied;
        // - `place` has as much room: `known` is at most `size`;
        // - the caller's place and our value are different memory.
        unsafe { place.copy_from_nonoverlapping(members.as_ptr(), members.len()) };
        Ok(())
    }
}

#[cold]
fn bad_length<T: Growing>(what: &str, size: usize) -> Failure {
    let least = T::FIRST_BYTES;
    Failure::new(BAD_LENGTH, format!("{what}->size is {size}, must be {least} or more"))
}

/// The bytes of a value, its padding among them.
trait AsBytes {
    fn as_bytes_mut_here(&mut self) -> &mut [MaybeUninit<u8>];
}

impl<T> AsBytes for MaybeUninit<T> {
    #[inline]
    fn as_bytes_mut_here(&mut self) -> &mut [MaybeUninit<u8>] {
        let bytes = self.as_mut_ptr().cast();
        // SAFETY: a value is as many bytes as it is large, none of which need be initialised; the
        // borrow is that of `self`.
        unsafe { slice::from_raw_parts_mut(bytes, size_of::<T>()) }
    }
}

/// Where a pointer goes that the caller gets: NULL, or a place with anything in it.
pub type Place<'a, T> = Option<&'a mut MaybeUninit<Option<Box<T>>>>;

/// Gives the caller what it will free.
pub(crate) fn give<T>(place: Place<'_, T>, what: &str, value: T) -> Result<(), Failure> {
    place.ok_or_else(|| Failure::null(what))?.write(Some(Box::new(value)));
    Ok(())
}

/// A structure of the header: its name there, its size, and its members with their offsets.
pub type Layout = (&'static str, usize, &'static [(&'static str, usize)]);

/// What the compiler knows of a structure, to be compared with the header.
macro_rules! layout {
    ($name:literal: $type:ty { $($member:ident),* $(,)? }) => {
        ($name, size_of::<$type>(), &[$((stringify!($member), std::mem::offset_of!($type, $member))),*])
    };
}
pub(crate) use layout;
