//! Which requests have failed (`failureDefinitions`).

use crate::export::requests::Request;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What makes a request one that failed. A request has to fulfil one of the conditions; without
/// any, every request has failed.
///
/// ```
/// use etlring::export::requests::{FailureRules, StatusCode};
/// let rules = FailureRules { status: "400-499,500.19".parse()?, ..FailureRules::default() };
/// assert!(rules.has_status(StatusCode { status: 404, substatus: 7 }));
/// assert!(rules.has_status(StatusCode { status: 500, substatus: 19 }));
/// assert!(!rules.has_status(StatusCode { status: 500, substatus: 0 }));
/// # Ok::<(), etlring::export::requests::ParseRulesError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailureRules {
    /// Status codes (`statusCodes`).
    pub status: StatusRanges,
    /// The least time that is too long (`timeTaken`).
    pub time_taken: Option<Duration>,
    /// The level of events that make a request fail, with all that are more severe (`verbosity`):
    /// 1 critical error, 2 error, 3 warning.
    pub verbosity: Option<u8>,
}

/// Ranges of status codes, as a configuration lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusRanges(pub Vec<StatusRange>);

/// Status codes from one to another, or one with its substatus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRange {
    /// The first status.
    pub first: u16,
    /// The last status.
    pub last: u16,
    /// The only substatus that counts.
    pub substatus: Option<u16>,
}

/// A status and its substatus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusCode {
    /// As HTTP has it.
    pub status: u16,
    /// What IIS adds.
    pub substatus: u16,
}

/// Why a request has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which condition it fulfils.
    pub reason: FailureReason,
    /// The status that did it, or the final one; 0 if there is none.
    pub trigger: StatusCode,
}

/// Which condition a request fulfils.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureReason {
    /// Its status.
    StatusCode,
    /// It took too long.
    TimeTaken,
    /// An event is severe enough.
    Verbosity,
}

impl FailureReason {
    /// As documents have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::StatusCode => "STATUS_CODE",
            Self::TimeTaken => "TIME_TAKEN",
            Self::Verbosity => "VERBOSITY",
        }
    }
}

impl FailureRules {
    /// Whether there are conditions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.status.0.is_empty() && self.time_taken.is_none() && self.verbosity.is_none()
    }

    /// Whether a status is one of those.
    #[must_use]
    pub fn has_status(&self, code: StatusCode) -> bool {
        self.status.0.iter().any(|range| range.holds(code))
    }

    /// Whether and why a request has failed: by its status, by its time, by its events, in this
    /// order. Of the status that a module set for an error and the final one, the first one that
    /// fulfils the condition is the trigger.
    #[must_use]
    pub fn judge(&self, request: &Request) -> Option<Failure> {
        let both = [request.error_status, request.status];
        let last = request.status.or(request.error_status).unwrap_or_default();
        let of = |reason, trigger| Some(Failure { reason, trigger });
        if self.is_empty() {
            return of(FailureReason::StatusCode, last);
        }
        if let Some(code) = both.into_iter().flatten().find(|code| self.has_status(*code)) {
            return of(FailureReason::StatusCode, code);
        }
        let taken = u128::try_from(request.duration()).unwrap_or(0).saturating_mul(100);
        if self.time_taken.is_some_and(|limit| taken >= limit.as_nanos()) {
            return of(FailureReason::TimeTaken, last);
        }
        let worst = request.worst_level();
        if self.verbosity.zip(worst).is_some_and(|(verbosity, worst)| worst <= verbosity) {
            return of(FailureReason::Verbosity, last);
        }
        None
    }
}

impl StatusRange {
    fn holds(self, code: StatusCode) -> bool {
        (self.first..=self.last).contains(&code.status)
            && self.substatus.is_none_or(|substatus| substatus == code.substatus)
    }
}

impl fmt::Display for StatusCode {
    /// `404.7`, `200`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.substatus {
            0 => write!(f, "{}", self.status),
            substatus => write!(f, "{}.{substatus}", self.status),
        }
    }
}

/// The text is no list of status codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseRulesError {
    /// The part that is none.
    pub part: String,
}

impl fmt::Display for ParseRulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no status code such as 404, 404.2 or 400-599", self.part)
    }
}

impl std::error::Error for ParseRulesError {}

impl FromStr for StatusRanges {
    type Err = ParseRulesError;

    /// Parts between commas: `404`, `404.2`, `400-599`. Statuses are 100 to 999.
    fn from_str(text: &str) -> Result<Self, ParseRulesError> {
        let ranges = text.split(',').map(|part| {
            range(part.trim()).ok_or_else(|| ParseRulesError { part: part.trim().to_owned() })
        });
        ranges.collect::<Result<_, _>>().map(Self)
    }
}

fn range(part: &str) -> Option<StatusRange> {
    let number = |digits: &str| {
        let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|_| all_digits)
    };
    let status = |digits: &str| number(digits).filter(|status| (100..=999).contains(status));
    if let Some((first, last)) = part.split_once('-') {
        let (first, last) = (status(first.trim())?, status(last.trim())?);
        return (first <= last).then_some(StatusRange { first, last, substatus: None });
    }
    let (code, substatus) = match part.split_once('.') {
        Some((code, substatus)) => (code, Some(number(substatus)?)),
        None => (part, None),
    };
    let code = status(code)?;
    Some(StatusRange { first: code, last: code, substatus })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_status_codes_are_read() {
        let read = |text: &str| text.parse::<StatusRanges>();
        let range = |first, last, substatus| StatusRange { first, last, substatus };
        assert_eq!(
            read("400-599, 404.2,200").unwrap().0,
            [range(400, 599, None), range(404, 404, Some(2)), range(200, 200, None)]
        );
        for wrong in
            ["", "4o4", "404.", "599-400", "99", "1000", "404.70000", "-400", "404,", "+404"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
