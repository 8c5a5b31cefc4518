//! `WWW-Authenticate`: what a registry asks for (RFC 9110, 11.3; distribution "token" spec).

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// Longest header that is looked at.
const MAX_HEADER: usize = 16 << 10;

/// How a registry wants to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

/// The challenge to answer: a bearer one before basic.
pub(crate) fn of(headers: &HeaderMap) -> Option<Challenge> {
    let mut found = None;
    for value in headers.get_all(WWW_AUTHENTICATE) {
        let Ok(text) = value.to_str() else { continue };
        if text.len() > MAX_HEADER {
            continue;
        }
        for challenge in parse(text) {
            if matches!(challenge, Challenge::Bearer { .. }) {
                return Some(challenge);
            }
            found = Some(challenge);
        }
    }
    found
}

/// All challenges of one header that are understood.
fn parse(text: &str) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    let mut scheme = String::new();
    let mut parameters: Vec<(String, String)> = Vec::new();
    for item in items(text) {
        let (head, value) = match item.split_once('=') {
            Some((head, value)) => (head.trim(), Some(unquote(value.trim()))),
            None => (item.trim(), None),
        };
        // `SCHEME NAME=VALUE` begins a challenge, as does a lone `SCHEME`.
        let (new, name) = match (head.split_once(char::is_whitespace), &value) {
            (Some((new, name)), _) => (Some(new), name.trim()),
            (None, None) => (Some(head), ""),
            (None, Some(_)) => (None, head),
        };
        if let Some(new) = new {
            finish(&scheme, &mut parameters, &mut challenges);
            new.clone_into(&mut scheme);
        }
        if let Some(value) = value {
            parameters.push((name.to_ascii_lowercase(), value));
        }
    }
    finish(&scheme, &mut parameters, &mut challenges);
    challenges
}

fn finish(scheme: &str, parameters: &mut Vec<(String, String)>, out: &mut Vec<Challenge>) {
    let mut take = |name: &str| {
        let at = parameters.iter().position(|(key, _)| key == name)?;
        Some(parameters.swap_remove(at).1)
    };
    if scheme.eq_ignore_ascii_case("basic") {
        out.push(Challenge::Basic);
    } else if scheme.eq_ignore_ascii_case("bearer")
        && let Some(realm) = take("realm")
    {
        let (service, scope) = (take("service"), take("scope"));
        out.push(Challenge::Bearer {
            realm,
            service,
            scope,
        });
    }
    parameters.clear();
}

/// Splits at commas outside quotes.
fn items(text: &str) -> Vec<&str> {
    let mut items = Vec::new();
    let (mut begin, mut quoted, mut escaped) = (0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                items.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    items.push(&text[begin..]);
    items.retain(|item| !item.trim().is_empty());
    items
}

fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut escaped = false;
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            out.push(c);
            escaped = false;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        }
    }

    #[rstest::rstest]
    #[case::docker_hub(
        r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a:pull,push""#,
        Some(bearer("https://auth.docker.io/token", Some("registry.docker.io"), Some("repository:a:pull,push")))
    )]
    #[case::unquoted_and_odd_spacing(
        "bearer  realm=https://x/t , service = y",
        Some(bearer("https://x/t", Some("y"), None))
    )]
    #[case::basic(r#"Basic realm="Registry""#, Some(Challenge::Basic))]
    #[case::lone_basic("Basic", Some(Challenge::Basic))]
    #[case::bearer_is_preferred(
        r#"Basic realm="a", Bearer realm="https://b",service="c""#,
        Some(bearer("https://b", Some("c"), None))
    )]
    #[case::bearer_without_realm("Bearer service=x", None)]
    #[case::unknown(r#"Negotiate abc, Digest realm="x""#, None)]
    #[case::escapes(r#"Bearer realm="a\"b,c""#, Some(bearer("a\"b,c", None, None)))]
    #[case::open_quote(r#"Bearer realm="a"#, Some(bearer("\"a", None, None)))]
    #[case::junk(",,=,= =,\"", None)]
    fn challenges_are_read(#[case] header: &str, #[case] expected: Option<Challenge>) {
        let mut headers = HeaderMap::new();
        if let Ok(value) = header.parse() {
            headers.insert(WWW_AUTHENTICATE, value);
        }
        assert_eq!(of(&headers), expected);
    }
}
