//! `Accept-Encoding`: which stored form of a content a reader prefers.
//!
//! Rules: RFC 9110 section 12.5.3.

use http::{HeaderMap, header};

/// Names that are read of one request; what a client really sends has five or so.
const MAX_NAMES: usize = 32;

/// A stored form of the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encoding {
    /// The bytes themselves.
    Identity,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl Encoding {
    /// The name in `Accept-Encoding` and `Content-Encoding`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// Chooses the form to answer with among those that are stored; `None` when the reader refuses all
/// of them ([`not_acceptable`](super::content::not_acceptable)).
///
/// The best is the one with the highest weight in `Accept-Encoding`; among equals the first of
/// `available` wins, so list them by preference. A request for a range gets the plain bytes unless
/// it refuses them: ranges count bytes of the chosen form, and readers mean the plain one.
pub fn negotiate(headers: &HeaderMap, available: &[Encoding]) -> Option<Encoding> {
    let accepted = weights(headers);
    let weight = |encoding| weight_of(&accepted, encoding);
    if headers.contains_key(header::RANGE)
        && available.contains(&Encoding::Identity)
        && weight(Encoding::Identity) > 0
    {
        return Some(Encoding::Identity);
    }
    let mut best = None;
    for &encoding in available {
        let weight = weight(encoding);
        if weight > best.map_or(0, |(_, best)| best) {
            best = Some((encoding, weight));
        }
    }
    best.map(|(encoding, _)| encoding)
}

/// The names and weights (in thousandths) of `Accept-Encoding`.
fn weights(headers: &HeaderMap) -> Vec<(String, u16)> {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let items = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','));
    items.take(MAX_NAMES).filter_map(weighted).collect()
}

/// `name` or `name;q=0.5`; `None` where the weight is none.
fn weighted(item: &str) -> Option<(String, u16)> {
    let mut parts = item.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let mut name = name.to_ascii_lowercase();
    if name == "x-gzip" {
        "gzip".clone_into(&mut name);
    }
    let mut weight = 1000;
    for part in parts {
        if let Some(text) = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")) {
            weight = parse_weight(text)?;
        }
    }
    Some((name, weight))
}

fn parse_weight(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

fn weight_of(accepted: &[(String, u16)], encoding: Encoding) -> u16 {
    let named = |name: &str| {
        let found = accepted.iter().find(|(other, _)| other == name);
        found.map(|(_, weight)| *weight)
    };
    match named(encoding.name()).or_else(|| named("*")) {
        Some(weight) => weight,
        // Plain bytes are acceptable unless refused, but lose against anything that was named.
        None if encoding == Encoding::Identity => 1,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use http::HeaderValue;
    use rstest::rstest;

    use super::*;

    const FORMS: [Encoding; 3] = [Encoding::Zstd, Encoding::Gzip, Encoding::Identity];

    fn asked(accept: Option<&str>) -> HeaderMap {
        let mut asked = HeaderMap::new();
        if let Some(accept) = accept {
            let value = HeaderValue::from_str(accept).unwrap();
            asked.insert(header::ACCEPT_ENCODING, value);
        }
        asked
    }

    #[rstest]
    #[case::nothing_asked(None, Encoding::Identity)]
    #[case::empty(Some(""), Encoding::Identity)]
    #[case::best_of_ours(Some("gzip, zstd"), Encoding::Zstd)]
    #[case::only_gzip(Some("gzip"), Encoding::Gzip)]
    #[case::old_name(Some("x-gzip"), Encoding::Gzip)]
    #[case::weights(Some("gzip;q=1.0, zstd;q=0.5"), Encoding::Gzip)]
    #[case::plain_is_preferred(Some("identity, gzip;q=0.5"), Encoding::Identity)]
    #[case::star(Some("*"), Encoding::Zstd)]
    #[case::star_for_the_rest(Some("zstd;q=0, *"), Encoding::Gzip)]
    #[case::refused(Some("gzip;q=0, zstd;q=0"), Encoding::Identity)]
    #[case::unknown(Some("br"), Encoding::Identity)]
    #[case::bad_weight(Some("gzip;q=7"), Encoding::Identity)]
    #[case::after_too_many_names(
        Some("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z,0,1,2,3,4,5,gzip"),
        Encoding::Identity
    )]
    fn chooses_the_form_the_reader_prefers(#[case] accept: Option<&str>, #[case] wanted: Encoding) {
        let mut asked = asked(accept);
        assert_eq!(negotiate(&asked, &FORMS), Some(wanted));
        asked.insert(header::RANGE, HeaderValue::from_static("bytes=0-"));
        assert_eq!(negotiate(&asked, &FORMS), Some(Encoding::Identity));
    }

    #[rstest]
    #[case("identity;q=0", &[Encoding::Identity], None)]
    #[case("*;q=0", &FORMS, None)]
    #[case("br, *;q=0", &FORMS, None)]
    #[case("identity;q=0, gzip", &FORMS, Some(Encoding::Gzip))]
    #[case("identity;q=0, gzip", &[Encoding::Identity], None)]
    fn nothing_is_chosen_where_the_reader_refuses_all_forms(
        #[case] accept: &str,
        #[case] forms: &[Encoding],
        #[case] wanted: Option<Encoding>,
    ) {
        let mut asked = asked(Some(accept));
        assert_eq!(negotiate(&asked, forms), wanted);
        asked.insert(header::RANGE, HeaderValue::from_static("bytes=0-"));
        assert_eq!(negotiate(&asked, forms), wanted);
    }
}
