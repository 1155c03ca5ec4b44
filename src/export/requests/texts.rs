//! What error codes mean, in the words of the system.

/// The text of an error: a Win32 number, or one wrapped into an `HRESULT`.
pub(super) fn of_error(code: u32) -> Option<&'static str> {
    let win32 = if code >> 16 == 0x8007 { code & 0xFFFF } else { code };
    let at = TEXTS.binary_search_by_key(&win32, |(number, _)| *number).ok()?;
    TEXTS.get(at).map(|(_, text)| *text)
}

/// By number. What web servers meet; an error that is not here is shown as its number.
const TEXTS: &[(u32, &str)] = &[
    (0, "The operation completed successfully."),
    (1, "Incorrect function."),
    (2, "The system cannot find the file specified."),
    (3, "The system cannot find the path specified."),
    (5, "Access is denied."),
    (6, "The handle is invalid."),
    (8, "Not enough storage is available to process this command."),
    (13, "The data is invalid."),
    (14, "Not enough storage is available to complete this operation."),
    (15, "The system cannot find the drive specified."),
    (21, "The device is not ready."),
    (32, "The process cannot access the file because it is being used by another process."),
    (38, "Reached the end of the file."),
    (50, "The request is not supported."),
    (53, "The network path was not found."),
    (64, "The specified network name is no longer available."),
    (65, "Network access is denied."),
    (67, "The network name cannot be found."),
    (87, "The parameter is incorrect."),
    (109, "The pipe has been ended."),
    (111, "The file name is too long."),
    (112, "There is not enough space on the disk."),
    (120, "This function is not supported on this system."),
    (121, "The semaphore timeout period has expired."),
    (122, "The data area passed to a system call is too small."),
    (123, "The filename, directory name, or volume label syntax is incorrect."),
    (126, "The specified module could not be found."),
    (127, "The specified procedure could not be found."),
    (161, "The specified path is invalid."),
    (183, "Cannot create a file when that file already exists."),
    (193, "%1 is not a valid Win32 application."),
    (232, "The pipe is being closed."),
    (233, "No process is on the other end of the pipe."),
    (234, "More data is available."),
    (258, "The wait operation timed out."),
    (
        995,
        "The I/O operation has been aborted because of either a thread exit or an application \
         request.",
    ),
    (997, "Overlapped I/O operation is in progress."),
    (1059, "Circular service dependency was specified."),
    (1168, "Element not found."),
    (1223, "The operation was canceled by the user."),
    (1229, "An operation was attempted on a nonexistent network connection."),
    (1236, "The network connection was aborted by the local system."),
    (1314, "A required privilege is not held by the client."),
    (1326, "The user name or password is incorrect."),
    (1330, "The password for this account has expired."),
    (1331, "This user can't sign in because this account is currently disabled."),
    (
        1385,
        "Logon failure: the user has not been granted the requested logon type at this computer.",
    ),
    (1450, "Insufficient system resources exist to complete the requested service."),
    (1460, "This operation returned because the timeout period expired."),
    (1909, "The referenced account is currently locked out and may not be logged on to."),
    (0x8000_4001, "Not implemented"),
    (0x8000_4003, "Invalid pointer"),
    (0x8000_4004, "Operation aborted"),
    (0x8000_4005, "Unspecified error"),
    (0x8000_FFFF, "Catastrophic failure"),
    (0x8009_0308, "The token supplied to the function is invalid"),
    (0x8009_030C, "The logon attempt failed"),
    (0x8009_030E, "No credentials are available in the security package"),
    (0x8009_0311, "No authority could be contacted for authentication."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_sorted_and_found_both_ways() {
        assert!(TEXTS.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(of_error(2), Some("The system cannot find the file specified."));
        assert_eq!(of_error(0x8007_0002), of_error(2));
        assert_eq!(of_error(0x8000_4005), Some("Unspecified error"));
        assert_eq!((of_error(0x8007_FFFF), of_error(0xFFFF_FFFF)), (None, None));
    }
}
