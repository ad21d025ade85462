//! What a list proves, and what it does not.

use protocol::dto::{InstanceRow, NodeRow};

use super::*;

fn row(id: &str) -> String {
    format!("data: {{\"instance_id\":\"{id}\",\"chute_id\":\"c1\",\"config_id\":null,\"novelty\":[]}}\n\n")
}

fn read(stream: &str, end: StreamEnd) -> Listing<InstanceRow> {
    let mut parser = ListingParser::new(Timestamp::UNIX_EPOCH);
    parser.feed(stream.as_bytes());
    parser.finish(end)
}

fn ids(listing: &Listing<InstanceRow>) -> Vec<&str> {
    listing.items.iter().map(|row| row.instance_id.as_str()).collect()
}

fn doubt<T>(listing: &Listing<T>) -> &str {
    listing.completeness.doubt().unwrap_or_default()
}

#[test]
fn whole_rows_and_a_clean_end_are_complete() {
    let listing = read(&(row("i1") + &row("i2")), StreamEnd::Clean);
    assert_eq!(ids(&listing), ["i1", "i2"]);
    assert!(listing.proves_absence_of("i3"));
    assert!(!listing.proves_absence_of("i1"));
}

#[test]
fn silence_is_not_an_empty_list() {
    let listing = read("", StreamEnd::Clean);
    assert!(doubt(&listing).contains("NO_ITEMS"));
    assert!(!listing.proves_absence_of("i1"));
    assert!(listing.came_empty(), "and yet it came to its end");
    let doubtful = [read("", StreamEnd::Cut("reset".into())), read("<html>\n", StreamEnd::Clean), read("data: {}\n", StreamEnd::Clean)];
    assert!(doubtful.iter().all(|listing| !listing.came_empty()));
}

#[test]
fn an_empty_list_that_says_so_is_complete() {
    for stream in ["data: NO_ITEMS\n\n", "data: NO_ITEMS"] {
        let listing = read(stream, StreamEnd::Clean);
        assert_eq!(listing.completeness, Completeness::Complete);
        assert!(listing.proves_absence_of("i1"));
    }
    assert!(!read("data: NO_ITE", StreamEnd::Clean).proves_absence_of("i1"));
}

#[test]
fn a_cut_stream_keeps_its_rows_but_proves_nothing() {
    let listing = read(&row("i1"), StreamEnd::Cut("connection reset".into()));
    assert_eq!(ids(&listing), ["i1"]);
    assert!(doubt(&listing).contains("connection reset"));
    let emptied = read("data: NO_ITEMS\n\n", StreamEnd::Cut("timed out".into()));
    assert!(!emptied.proves_absence_of("i1"));
}

#[test]
fn a_cut_in_the_middle_of_a_row_is_noticed_even_after_a_clean_end() {
    let stream = row("i1") + &row("i2");
    for end in row("i1").len() + 1..stream.len() - 2 {
        let listing = read(&stream[..end], StreamEnd::Clean);
        assert_eq!(ids(&listing), ["i1"], "cut at {end}");
        assert!(doubt(&listing).contains("middle of a row"), "cut at {end}");
    }
}

#[test]
fn rows_and_the_empty_mark_together_are_doubtful() {
    let listing = read(&(row("i1") + "data: NO_ITEMS\n\n"), StreamEnd::Clean);
    assert!(doubt(&listing).contains("too"));
}

#[test]
fn a_bad_row_is_counted_and_still_exists() {
    let bad = "data: {\"instance_id\":\"i2\",\"chute_id\":7}\n\n";
    let listing = read(&(row("i1") + bad + &row("i3")), StreamEnd::Clean);
    assert_eq!(ids(&listing), ["i1", "i3"]);
    assert_eq!(listing.bad_rows, 1);
    assert!(!listing.proves_absence_of("i2"), "its row came");
    assert!(listing.proves_absence_of("i4"), "one bad row does not blind us to the rest");
}

#[test]
fn a_bad_row_without_an_id_makes_the_list_doubtful() {
    for bad in ["data: {\"chute_id\":\"c1\"}\n\n", "data: {broken\n\n", "data: [1]\n\n"] {
        let listing = read(&(row("i1") + bad), StreamEnd::Clean);
        assert_eq!((listing.items.len(), listing.bad_rows), (1, 1), "{bad}");
        assert!(!listing.proves_absence_of("i9"), "{bad}");
    }
}

#[test]
fn foreign_text_makes_the_list_doubtful() {
    let listing = read(&(row("i1") + "<html>502 Bad Gateway</html>\n"), StreamEnd::Clean);
    assert!(doubt(&listing).contains("no row"), "{:?}", listing.completeness);
}

#[test]
fn the_last_row_of_an_id_counts() {
    let newer = row("i1").replace("\"config_id\":null", "\"config_id\":\"cfg\"");
    let listing = read(&(row("i1") + &row("i2") + &newer), StreamEnd::Clean);
    assert_eq!(ids(&listing), ["i1", "i2"]);
    assert!(listing.items[0].config_id.is_some());
}

#[test]
fn comments_and_carriage_returns_are_tolerated() {
    let stream = format!(": keep-alive\r\n{}", row("i1").replace('\n', "\r\n"));
    assert_eq!(read(&stream, StreamEnd::Clean).completeness, Completeness::Complete);
}

#[test]
fn an_endless_row_is_given_up() {
    let mut parser = ListingParser::<InstanceRow>::new(Timestamp::UNIX_EPOCH);
    let chunk = vec![b'x'; 1 << 20];
    let taken = (0..100).take_while(|_| parser.feed(&chunk)).count();
    assert!(taken <= 8, "{taken} MiB were kept");
    assert!(doubt(&parser.finish(StreamEnd::Clean)).contains("longer than"));
}

#[test]
fn gpus_are_identified_by_their_uuid() {
    let mut parser = ListingParser::<NodeRow>::new(Timestamp::UNIX_EPOCH);
    parser.feed(b"data: {\"uuid\":\"0123456789abcdef0123456789abcdef\",\"seed\":0}\n\n");
    let listing = parser.finish(StreamEnd::Clean);
    assert!(!listing.proves_absence_of("0123456789abcdef0123456789abcdef"));
    assert!(listing.proves_absence_of("ffffffffffffffffffffffffffffffff"));
}

proptest::proptest! {
    #[test]
    fn it_does_not_matter_where_the_bytes_are_cut(cuts in proptest::collection::vec(0usize..400, 0..8)) {
        let stream = row("i1") + "data: {\"instance_id\":\"i2\"}\n\n" + &row("i3") + "data: tail";
        let whole = read(&stream, StreamEnd::Clean);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let mut parser = ListingParser::new(Timestamp::UNIX_EPOCH);
        for pair in cuts.windows(2) {
            parser.feed(&stream.as_bytes()[pair[0]..pair[1]]);
        }
        proptest::prop_assert_eq!(parser.finish(StreamEnd::Clean), whole);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let mut parser = ListingParser::<InstanceRow>::new(Timestamp::UNIX_EPOCH);
        parser.feed(&bytes);
        let listing = parser.finish(StreamEnd::Clean);
        proptest::prop_assert!(!listing.completeness.is_complete());
    }
}
