#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::single_range_in_vec_init,
    reason = "tests; a list of one range is what is meant"
)]

use std::ops::Range;

use proptest::prelude::*;
use rstest::rstest;

use super::{HEADER, Index, IndexBuilder, IndexError};

type Row = (&'static str, &'static str, &'static str, u16);

fn build(rows: &[Row]) -> (Vec<u8>, u64) {
    let mut builder = IndexBuilder::new();
    for (schema, package, name, length) in rows {
        builder
            .push(schema, package, name, u64::from(*length))
            .unwrap();
    }
    let mut bytes = Vec::new();
    builder.write("content", &mut bytes).unwrap();
    (bytes, builder.length())
}

fn open(rows: &[Row]) -> Index<Vec<u8>> {
    let (bytes, length) = build(rows);
    Index::open(bytes, "content", length).unwrap()
}

/// What a reader of the lines themselves would select.
fn naive(rows: &[Row], wanted: [Option<&str>; 3]) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let mut offset = 0;
    for (schema, package, name, length) in rows {
        let end = offset + u64::from(*length);
        let has = [*schema, *package, *name];
        let fits = wanted
            .iter()
            .zip(has)
            .all(|(wanted, has)| wanted.is_none_or(|wanted| wanted.is_empty() || wanted == has));
        if fits {
            match ranges.last_mut() {
                Some(last) if last.end == offset => last.end = end,
                _ => ranges.push(offset..end),
            }
        }
        offset = end;
    }
    ranges
}

fn value() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "a", "b", "olm.bundle", "ü", "x.v1.0.0"])
}

fn row() -> impl Strategy<Value = Row> {
    (value(), value(), value(), 1..300_u16)
}

proptest! {
    #[test]
    fn a_look_up_selects_what_a_reader_of_all_lines_would(
        rows in prop::collection::vec(row(), 0..1200),
        schema in prop::option::of(value()),
        package in prop::option::of(value()),
        name in prop::option::of(prop::sample::select(vec!["a", "", "nowhere", "x.v1.0.0"])),
    ) {
        let index = open(&rows);
        prop_assert_eq!(index.lines() as usize, rows.len());
        let selected = index.select(schema, package, name).unwrap();
        prop_assert_eq!(selected, naive(&rows, [schema, package, name]));
    }

    #[test]
    fn no_damage_makes_a_look_up_panic(
        rows in prop::collection::vec(row(), 1..40),
        at in any::<prop::sample::Index>(),
        with in any::<u8>(),
    ) {
        let (mut bytes, length) = build(&rows);
        let at = at.index(bytes.len());
        bytes[at] ^= with | 1;
        prop_assert!(Index::open(bytes.clone(), "content", length).is_err());
        // Even when someone fits the checksum to the damage.
        mend(&mut bytes);
        if let Ok(index) = Index::open(bytes, "content", length) {
            for (schema, package, name, _) in &rows {
                let _any = index.select(Some(schema), None, None);
                let _any = index.select(Some(schema), Some(package), Some(name));
                if let Ok(ranges) = index.select(None, None, Some(name)) {
                    prop_assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
                    prop_assert!(ranges.iter().all(|range| range.end <= length));
                }
            }
        }
    }
}

/// Writes the checksum that the rest asks for.
fn mend(bytes: &mut [u8]) {
    use sha2::Digest as _;
    let mut sum = sha2::Sha256::new();
    sum.update(&bytes[..super::HEAD]);
    sum.update(&bytes[HEADER..]);
    bytes[super::HEAD..HEADER].copy_from_slice(&sum.finalize());
}

#[test]
fn many_values_are_found_and_absent_ones_are_not() {
    let mut builder = IndexBuilder::new();
    for number in 0..20_000_u64 {
        let package = format!("p{}", number / 100);
        builder
            .push("olm.bundle", &package, &format!("b{number}"), 10)
            .unwrap();
    }
    let mut bytes = Vec::new();
    builder.write("c", &mut bytes).unwrap();
    let index = Index::open(bytes, "c", 200_000).unwrap();
    let select = |package: Option<&str>, name: Option<&str>| {
        index.select(Some("olm.bundle"), package, name).unwrap()
    };
    for number in [0_u64, 1, 9_999, 19_999] {
        let name = format!("b{number}");
        let from = number * 10;
        assert_eq!(select(None, Some(&name)), [from..from + 10]);
    }
    assert_eq!(select(Some("p7"), None), [7_000..8_000]);
    assert_eq!(select(Some("p7"), Some("b800")), []);
    assert_eq!(select(None, Some("b20000")), []);
    assert_eq!(select(None, None), [0..200_000]);
    let within = |name| {
        let schema = Some("olm.bundle");
        index.select_within(schema, Some("p7"), name, 99).unwrap()
    };
    assert_eq!(within(None), None, "a hundred lines are too many");
    assert_eq!(within(Some("b700")), Some(vec![7_000..7_010]));
}

#[test]
fn lines_that_were_taken_back_are_not_found() {
    let mut builder = IndexBuilder::new();
    builder.push("s", "p", "kept", 10).unwrap();
    builder.push("s", "q", "gone", 20).unwrap();
    builder.truncate(1);
    builder.truncate(5);
    builder.push("s", "p", "next", 30).unwrap();
    assert_eq!((builder.lines(), builder.length()), (2, 40));
    let mut bytes = Vec::new();
    builder.write("c", &mut bytes).unwrap();
    let index = Index::open(bytes, "c", 40).unwrap();
    assert_eq!(index.select(Some("s"), None, None).unwrap(), [0..40]);
    assert_eq!(index.select(None, Some("q"), None).unwrap(), []);
    assert_eq!(index.select(None, None, Some("next")).unwrap(), [10..40]);
}

#[test]
fn packages_that_were_taken_back_are_not_found_and_the_others_move_up() {
    let mut builder = IndexBuilder::new();
    for (schema, package, name, length) in [
        ("olm.package", "", "q", 1),
        ("olm.package", "", "p", 10),
        ("olm.package", "", "q", 20),
        ("olm.bundle", "q", "p", 30),
        ("olm.bundle", "p", "p.v1", 40),
        ("olm.bundle", "", "q", 50),
        ("other", "", "", 60),
    ] {
        builder.push(schema, package, name, length).unwrap();
    }
    let packages = ["q".to_owned(), "none".to_owned()].into();
    assert_eq!(builder.take_back(1, &packages), [1..11, 61..211]);
    assert_eq!((builder.lines(), builder.length()), (5, 161));
    let mut bytes = Vec::new();
    builder.write("c", &mut bytes).unwrap();
    let index = Index::open(bytes, "c", 161).unwrap();
    let named = |name| index.select(None, None, Some(name)).unwrap();
    assert_eq!(named("q"), [0..1, 51..101]);
    assert_eq!(named("p"), [1..11]);
    assert_eq!(index.select(None, Some("q"), None).unwrap(), []);
    assert_eq!(index.select(None, Some("p"), None).unwrap(), [11..51]);
}

#[test]
fn an_index_of_nothing_selects_nothing() {
    let index = open(&[]);
    assert_eq!(index.select(None, None, None).unwrap(), []);
    assert_eq!(index.select(Some("a"), None, None).unwrap(), []);
}

#[rstest]
#[case::empty(0, "it is too short")]
#[case::within_the_header(HEADER - 1, "it is too short")]
#[case::header_alone(HEADER, "its size is not what its header says")]
#[case::within_the_lines(HEADER + 5, "its size is not what its header says")]
fn a_torn_index_is_refused(#[case] length: usize, #[case] expected: &str) {
    let (mut bytes, content) = build(&[("s", "p", "n", 7)]);
    bytes.truncate(length);
    match Index::open(bytes, "content", content) {
        Err(IndexError::Damaged { what }) => assert_eq!(what, expected),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_index_of_other_content_or_another_version_is_refused() {
    let (bytes, length) = build(&[("s", "p", "n", 7)]);
    let open = |bytes: &[u8], content: &str, length| {
        Index::open(bytes.to_vec(), content, length).unwrap_err()
    };
    assert!(matches!(
        open(&bytes, "other", length),
        IndexError::OtherContent
    ));
    assert!(matches!(
        open(&bytes, "content", length + 1),
        IndexError::OtherContent
    ));
    let mut newer = bytes.clone();
    newer[8] = 2;
    assert!(matches!(
        open(&newer, "content", length),
        IndexError::Foreign
    ));
    let text = b"{\"by_schema\":{}}".repeat(40);
    assert!(matches!(
        open(&text, "content", length),
        IndexError::Foreign
    ));
}
