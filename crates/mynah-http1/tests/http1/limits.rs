//! How much of a head is read.

use mynah_http1::{BodyError, HeadError, HeadScanner, Limits, RequestHead};

const SMALL: Limits = Limits {
    request_line: 20,
    head: 60,
    fields: 3,
};

/// Scans byte by byte and all at once; both must come to the same.
fn scan(bytes: &[u8]) -> Result<Option<usize>, HeadError> {
    let whole = HeadScanner::new().scan(bytes, &SMALL);
    let mut scanner = HeadScanner::new();
    let found = (0..=bytes.len())
        .map(|len| scanner.scan(&bytes[..len], &SMALL))
        .find(|found| *found != Ok(None));
    assert_eq!(whole, found.unwrap_or(Ok(None)), "{}", bytes.escape_ascii());
    whole
}

/// A request line of so many bytes.
fn line(len: usize) -> String {
    format!("GET /{} HTTP/1.1", "x".repeat(len - 14))
}

#[test]
fn a_request_line_may_be_as_long_as_its_limit_wherever_a_read_ends() {
    let rest = "\r\nHost: a\r\n\r\n";
    assert!(scan((line(20) + rest).as_bytes()).is_ok_and(|len| len.is_some()));
    assert_eq!(scan((line(21) + rest).as_bytes()), Err(HeadError::RequestLineTooLong));
    assert_eq!(scan(line(20).as_bytes()), Ok(None));
    assert_eq!(scan((line(20) + "\r").as_bytes()), Ok(None));
    assert_eq!(scan(line(21).as_bytes()), Err(HeadError::RequestLineTooLong));
    assert_eq!(scan((line(21) + "\n").as_bytes()), Err(HeadError::RequestLineTooLong));
}

#[test]
fn a_head_may_be_as_long_as_its_limit() {
    let head = |len: usize| format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "v".repeat(len - 23));
    assert_eq!(scan(head(60).as_bytes()), Ok(Some(60)));
    assert_eq!(
        scan((head(60) + "behind it, more than the limit").as_bytes()),
        Ok(Some(60))
    );
    assert_eq!(scan(head(61).as_bytes()), Err(HeadError::HeadTooLong));
    assert_eq!(scan(head(80).as_bytes()), Err(HeadError::HeadTooLong));
}

#[test]
fn there_may_be_as_many_fields_as_the_limit_says() {
    let head = |fields: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "X: 1\r\n".repeat(fields));
    assert_eq!(scan(head(3).as_bytes()), Ok(Some(36)));
    assert_eq!(scan(head(4).as_bytes()), Err(HeadError::TooManyFields));
    let bytes = head(4).into_bytes();
    let parsed = RequestHead::parse(&bytes, &mut Vec::new(), &SMALL).map(|_| ());
    assert_eq!(parsed, Err(HeadError::TooManyFields));
}

#[test]
fn fields_past_those_that_fit_the_stack_are_read_too() {
    for count in [63, 64, 65, 511, 512] {
        let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(count - 1)).into_bytes();
        let mut list = Vec::new();
        let head = RequestHead::parse(&bytes, &mut list, &Limits::default()).unwrap();
        assert_eq!(head.fields().count(), count);
        assert!(head.fields().skip(1).all(|field| field == (b"X", b"1")));
    }
    let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(512)).into_bytes();
    let parsed = RequestHead::parse(&bytes, &mut Vec::new(), &Limits::default()).map(|_| ());
    assert_eq!(parsed, Err(HeadError::TooManyFields));
}

#[test]
fn a_head_limit_below_that_of_the_line_rules_alone() {
    let limits = Limits {
        request_line: 100,
        head: 10,
        fields: 1,
    };
    let bytes = [b'x'; 200];
    assert_eq!(HeadScanner::new().scan(&bytes, &limits), Err(HeadError::HeadTooLong));
    assert_eq!(
        HeadScanner::new().scan(&bytes[..11], &limits),
        Err(HeadError::HeadTooLong)
    );
}

#[test]
fn every_condition_has_a_place_a_name_and_a_status_of_its_own_kind() {
    for (index, error) in HeadError::ALL.into_iter().enumerate() {
        assert_eq!(error.index(), index);
        let status = match error {
            HeadError::RequestLineTooLong => 414,
            HeadError::HeadTooLong | HeadError::TooManyFields => 431,
            HeadError::TransferEncoding => 501,
            HeadError::Version => 505,
            _ => 400,
        };
        assert_eq!(error.status(), status);
    }
    let mut names: Vec<_> = HeadError::ALL.iter().map(|error| error.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), HeadError::ALL.len());
    for (index, error) in BodyError::ALL.into_iter().enumerate() {
        assert_eq!(error.index(), index);
        assert!(error.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
    }
}

/// A relay scans first, but a head that was not scanned must not be misread either.
#[test]
fn a_head_with_line_feeds_alone_is_refused_even_unscanned() {
    let heads: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX:\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        b"GET / HTTP/1.1\r\n\n",
        b"GET / HTTP/1.1\r\nHost:\n\n",
    ];
    for bytes in heads {
        let parsed = RequestHead::parse(bytes, &mut Vec::new(), &Limits::default()).map(|_| ());
        assert_eq!(parsed, Err(HeadError::BareLineFeed), "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_head_that_is_not_whole_or_more_than_that_is_refused() {
    let whole = b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n";
    for len in 0..whole.len() {
        assert!(
            RequestHead::parse(&whole[..len], &mut Vec::new(), &Limits::default()).is_err(),
            "{len}"
        );
    }
    let more = [whole.as_slice(), b"x"].concat();
    assert!(RequestHead::parse(&more, &mut Vec::new(), &Limits::default()).is_err());
}
