//! Who may read content and upload it: the cluster decides.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};

use super::Refusal;

/// Longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 16 << 10;

/// Lets the bearer of a token through who may `verb` on the URL path `path`, or on the Bundle
/// `bundle` itself.
pub(super) async fn check(
    client: &Client,
    headers: &HeaderMap,
    verb: &str,
    path: &str,
    bundle: &str,
) -> Result<(), Refusal> {
    let unauthorized = || Refusal::new(StatusCode::UNAUTHORIZED, "Unauthorized");
    let token = bearer(headers).ok_or_else(unauthorized)?;
    let user = authenticate(client, token)
        .await?
        .ok_or_else(unauthorized)?;
    let path_access = SubjectAccessReviewSpec {
        non_resource_attributes: Some(NonResourceAttributes {
            path: Some(path.to_owned()),
            verb: Some(verb.to_owned()),
        }),
        ..subject(&user)
    };
    let bundle_access = SubjectAccessReviewSpec {
        resource_attributes: Some(ResourceAttributes {
            group: Some("core.rukpak.io".to_owned()),
            version: Some("v1alpha1".to_owned()),
            resource: Some("bundles".to_owned()),
            name: Some(bundle.to_owned()),
            verb: Some(verb.to_owned()),
            ..ResourceAttributes::default()
        }),
        ..subject(&user)
    };
    for access in [path_access, bundle_access] {
        if is_allowed(client, access).await? {
            return Ok(());
        }
    }
    let name = user.username.unwrap_or_default();
    let text =
        format!("user {name:?} may neither {verb} {path:?} nor {verb} the bundle {bundle:?}");
    Err(Refusal::new(StatusCode::FORBIDDEN, text))
}

/// Whose token it is; `None` where it is nobody's.
async fn authenticate(client: &Client, token: &str) -> Result<Option<UserInfo>, Refusal> {
    let review = TokenReview {
        spec: TokenReviewSpec {
            token: Some(token.to_owned()),
            audiences: None,
        },
        ..TokenReview::default()
    };
    let reviews: Api<TokenReview> = Api::all(client.clone());
    let review = reviews.create(&PostParams::default(), &review).await;
    let status = review.map_err(|error| Refusal::away(&error))?.status;
    let status = status.filter(|status| status.authenticated == Some(true));
    Ok(status.and_then(|status| status.user))
}

async fn is_allowed(client: &Client, access: SubjectAccessReviewSpec) -> Result<bool, Refusal> {
    let review = SubjectAccessReview {
        spec: access,
        ..SubjectAccessReview::default()
    };
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    let review = reviews.create(&PostParams::default(), &review).await;
    let status = review.map_err(|error| Refusal::away(&error))?.status;
    Ok(status.is_some_and(|status| status.allowed))
}

fn subject(user: &UserInfo) -> SubjectAccessReviewSpec {
    SubjectAccessReviewSpec {
        user: user.username.clone(),
        uid: user.uid.clone(),
        groups: user.groups.clone(),
        extra: user.extra.clone(),
        ..SubjectAccessReviewSpec::default()
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    let is_one = scheme.eq_ignore_ascii_case("bearer") && token.len() <= MAX_TOKEN;
    (is_one && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("Bearer abc", Some("abc"))]
    #[case("bearer  abc ", Some("abc"))]
    #[case("Basic abc", None)]
    #[case("Bearer ", None)]
    #[case("abc", None)]
    fn only_bearers_are_asked_about(#[case] value: &str, #[case] token: Option<&str>) {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
        assert_eq!(bearer(&headers), token);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[test]
    fn no_token_of_any_length_is_sent_on() {
        let value = format!("Bearer {}", "a".repeat(MAX_TOKEN + 1));
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
        assert_eq!(bearer(&headers), None);
    }
}
