//! Which bytes of a file a request asks for (RFC 9110 sections 13.1.5 and 14).
//!
//! One range is served. Several at once (`multipart/byteranges`) are answered with the whole file, which
//! section 14.2 allows and no player asks for.
//!
//! Does not belong here: reading the bytes (`file.rs`).

use std::ops::Range;

use headers::{ETag, HeaderMapExt, IfRange};
use http::HeaderMap;
use http::header::RANGE;
use http_range_header::{
    EndPosition, RangeUnsatisfiableError, StartPosition, SyntacticallyCorrectRange, parse_range_header,
};

/// What to answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// 200 and everything.
    Whole,
    /// 206 and these bytes, at least one.
    Part(Range<u64>),
    /// 416.
    Unsatisfiable,
}

/// What `headers` ask for, of a file of `len` bytes with the strong validator `etag`.
pub(crate) fn wanted(headers: &HeaderMap, len: u64, etag: &ETag) -> Wanted {
    let mut fields = headers.get_all(RANGE).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return Wanted::Whole;
    };
    // Section 13.1.5: another version of the file is sent whole. A validator that cannot be read is another.
    let same = match headers.typed_try_get::<IfRange>() {
        Ok(None) => true,
        Ok(Some(condition)) => !condition.is_modified(Some(etag), None),
        Err(_) => false,
    };
    if !same {
        return Wanted::Whole;
    }
    match parse_range_header(field.to_str().unwrap_or_default()) {
        Ok(parsed) => match parsed.ranges.as_slice() {
            [range] => resolve(range, len),
            _ => Wanted::Whole,
        },
        // Section 14.1.2: a suffix of no bytes can be read, but not satisfied.
        Err(RangeUnsatisfiableError::ZeroSuffix) => Wanted::Unsatisfiable,
        // Section 14.2: what cannot be read is ignored.
        Err(_) => Wanted::Whole,
    }
}

fn resolve(range: &SyntacticallyCorrectRange, len: u64) -> Wanted {
    let start = match range.start {
        StartPosition::Index(first) => first,
        // Section 14.1.2: a suffix longer than the file is the whole file.
        StartPosition::FromLast(count) => len.saturating_sub(count),
    };
    let end = match range.end {
        // Section 14.1.1: a range that ends before it begins is no range, and ignored.
        EndPosition::Index(last) if last < start => return Wanted::Whole,
        EndPosition::Index(last) => last.saturating_add(1).min(len),
        EndPosition::LastByte => len,
    };
    if start < len { Wanted::Part(start..end) } else { Wanted::Unsatisfiable }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Wanted::{Part, Unsatisfiable, Whole};

    fn ask(pairs: &[(&'static str, &str)], len: u64) -> Wanted {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        wanted(&headers, len, &"\"v1\"".parse().unwrap())
    }

    #[test]
    fn single_ranges_are_cut_to_the_file() {
        for (field, expected) in [
            ("bytes=0-0", Part(0..1)),
            ("bytes=0-", Part(0..100)),
            ("bytes=10-19", Part(10..20)),
            ("bytes=99-", Part(99..100)),
            ("bytes=90-18446744073709551615", Part(90..100)),
            ("bytes=-1", Part(99..100)),
            ("bytes=-500", Part(0..100)),
            ("bytes=100-", Unsatisfiable),
            ("bytes=100-200", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
        ] {
            assert_eq!(ask(&[("range", field)], 100), expected, "{field}");
        }
        assert_eq!(ask(&[("range", "bytes=0-")], 0), Unsatisfiable);
        assert_eq!(ask(&[("range", "bytes=-5")], 0), Unsatisfiable);
    }

    #[test]
    fn what_is_no_single_byte_range_is_ignored() {
        for field in [
            "bytes=20-10",
            "bytes=",
            "bytes=a-b",
            "bytes=1",
            "bytes=0-1,5-6",
            "items=0-5",
            "bytes=18446744073709551616-",
            "bytes=-1-2",
            "",
        ] {
            assert_eq!(ask(&[("range", field)], 100), Whole, "{field}");
        }
        assert_eq!(ask(&[], 100), Whole);
        assert_eq!(ask(&[("range", "bytes=0-1"), ("range", "bytes=2-3")], 100), Whole);
    }

    #[test]
    fn if_range_lets_only_the_same_version_through() {
        let range = ("range", "bytes=0-9");
        assert_eq!(ask(&[range, ("if-range", "\"v1\"")], 100), Part(0..10));
        for other in ["\"v2\"", "W/\"v1\"", "Fri, 20 Nov 2026 10:00:00 GMT", "v1"] {
            assert_eq!(ask(&[range, ("if-range", other)], 100), Whole, "{other}");
        }
    }
}
