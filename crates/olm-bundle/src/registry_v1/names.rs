//! Names of generated objects: the truncating join and the hash of a permission.
//!
//! The names are those upstream generates, to the byte: an operator that was installed by it is
//! found and kept, not installed a second time beside the old one.

use serde::Serialize;

use crate::hash;

/// Length at which a joined name is cut. A base and a suffix of exactly this length together are
/// not cut, so the result may have one byte more.
const MAX_JOINED: usize = 63;

/// Joins `base` and `suffix` by a dash and cuts `base` where the two exceed 63 bytes.
pub(crate) fn join(base: &str, suffix: &str) -> String {
    let base = if base.len() + suffix.len() > MAX_JOINED {
        let room = MAX_JOINED.saturating_sub(suffix.len() + 1);
        &base[..base.floor_char_boundary(room)]
    } else {
        base
    };
    format!("{base}-{suffix}")
}

/// SHA-224 of the value as Go encodes it in JSON, as a number in base 36.
///
/// `None` only for values that have no JSON form, which none of this crate's types is.
pub(crate) fn hash<T: Serialize>(value: &T) -> Option<String> {
    let mut json = go_json(value)?;
    json.push('\n');
    Some(hash::sha224_base36(json.as_bytes()))
}

/// JSON as Go's encoder writes it. The five characters that Go escapes and Rust does not can
/// only stand inside strings, so they are replaced in the finished text.
pub(crate) fn go_json<T: Serialize>(value: &T) -> Option<String> {
    let json = serde_json::to_string(value).ok()?;
    let mut escaped = String::with_capacity(json.len() + 1);
    for character in json.chars() {
        match character {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            other => escaped.push(other),
        }
    }
    Some(escaped)
}

/// Name of the Service for the webhooks of a Deployment.
pub(crate) fn service(deployment: &str) -> String {
    join(&deployment.replace('.', "-"), "service")
}

/// Name of the certificate of a webhook Service, and of the Secret that holds it.
pub(crate) fn certificate(service: &str) -> String {
    join(service, "cert")
}

/// Name of the issuer of a certificate.
pub(crate) fn issuer(certificate: &str) -> String {
    join(certificate, "selfsigned-issuer")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::registry_v1::csv::Permission;

    #[rstest]
    #[case::rules(
        "memcached-operator.v0.0.1-op",
        json!({"serviceAccountName": "op", "rules": [
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]}),
        "memcached-operator-11fsg7v8m5wv8gioqomjkgwp55bc3tb4a1ninhqvab2x"
    )]
    #[case::promoted_rules(
        "memcached-operator.v0.0.1-op",
        json!({"serviceAccountName": "op", "rules": [
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
            {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]}]}),
        "memcached-operator.-dd11waf1qsr7twkkf4qql8pm1vfr6twyz3tncoc3v9p"
    )]
    #[case::no_rules(
        "a.v1-default",
        json!({}),
        "a.v1-default-13nr4ju4s7dcvb397jw50p5sf63zsmvshg28rk87pxom"
    )]
    #[case::empty_rules(
        "a.v1-default",
        json!({"rules": []}),
        "a.v1-default-zyt4cis79f30vvme3ag97low4k97tlgem68ayw1vzeg"
    )]
    #[case::escapes_and_missing_verbs(
        "a.v1-sa",
        json!({"serviceAccountName": "sa", "rules": [
            {"verbs": ["get"], "nonResourceURLs": ["/a?b<c>&d"]},
            {"apiGroups": [], "resources": ["x"], "unknown": 1}]}),
        "a.v1-sa-274nlo7ir76t3ddpzsdqftdqmdbvaoxpqvikjp912zqf"
    )]
    #[case::exactly_63_bytes_are_not_cut(
        "abcdefg.v1.2.3-abcd",
        json!({"serviceAccountName": "op", "rules": [
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]}),
        "abcdefg.v1.2.3-abcd-11fsg7v8m5wv8gioqomjkgwp55bc3tb4a1ninhqvab2x"
    )]
    fn names_a_permission_as_upstream_does(
        #[case] base: &str,
        #[case] permission: Value,
        #[case] expected: &str,
    ) {
        let permission: Permission = serde_json::from_value(permission).unwrap();
        assert_eq!(join(base, &hash(&permission).unwrap()), expected);
    }

    /// A permission with a rule per line: verbs, API group (`-` for the core group), resources and
    /// names of resources, the entries of each with commas between them.
    fn permission(account: &str, rules: &str) -> Permission {
        let list = |text: &str| -> Vec<String> { text.split(',').map(str::to_owned).collect() };
        let rules: Vec<Value> = rules
            .lines()
            .map(|rule| {
                let parts: Vec<&str> = rule.split_whitespace().collect();
                let group = if parts[1] == "-" { "" } else { parts[1] };
                let mut rule = json!({"verbs": list(parts[0]), "apiGroups": [group],
                                      "resources": list(parts[2])});
                if let Some(names) = parts.get(3) {
                    rule["resourceNames"] = json!(list(names));
                }
                rule
            })
            .collect();
        serde_json::from_value(json!({"serviceAccountName": account, "rules": rules})).unwrap()
    }

    const ARGOCD: &str = "\
* - configmaps,endpoints,events,namespaces,persistentvolumeclaims,pods,secrets,serviceaccounts,services,services/finalizers
get - pods,pods/log
* apps daemonsets,deployments,replicasets,statefulsets
update apps deployments/finalizers argocd-operator
* apps.openshift.io deploymentconfigs
* argoproj.io applications,appprojects
* argoproj.io argocdexports,argocdexports/finalizers,argocdexports/status
* argoproj.io argocds,argocds/finalizers,argocds/status
* autoscaling horizontalpodautoscalers
* batch cronjobs,jobs
get,list,watch config.openshift.io clusterversions
* monitoring.coreos.com prometheuses,servicemonitors
* networking.k8s.io ingresses
create,delete,get,list,patch,update,watch oauth.openshift.io oauthclients
* rbac.authorization.k8s.io *
* rbac.authorization.k8s.io clusterrolebindings,clusterroles
* route.openshift.io routes,routes/custom-host
* template.openshift.io templateconfigs,templateinstances,templates
create authentication.k8s.io tokenreviews
create authorization.k8s.io subjectaccessreviews";
    const WEBHOOK: &str = "\
create,delete,get,list,patch,update,watch webhook.operators.coreos.io webhooktests
update webhook.operators.coreos.io webhooktests/finalizers
get,patch,update webhook.operators.coreos.io webhooktests/status
create authentication.k8s.io tokenreviews
create authorization.k8s.io subjectaccessreviews";
    /// What the scaffold of operators asks for in its own namespace.
    const ELECTION: &str = "\
get,list,watch,create,update,patch,delete - configmaps
get,list,watch,create,update,patch,delete coordination.k8s.io leases
create,patch - events";

    /// Names that clusters have in which upstream installed these operators.
    #[rstest]
    #[case::argocd_cluster(
        "argocd-operator.v0.6.0",
        ARGOCD,
        false,
        "argocd-operator.v0-1dhiybrldl1gyksid1dk2dqjsc72psdybc7iyvse5gpx"
    )]
    #[case::argocd(
        "argocd-operator.v0.6.0",
        ELECTION,
        false,
        "argocd-operator.v0-22gmilmgp91wu25is5i2ec598hni8owq3l71bbkl7iz3"
    )]
    #[case::argocd_promoted(
        "argocd-operator.v0.6.0",
        ELECTION,
        true,
        "argocd-operator.v0.-3gkm3u8zfarktdile5wekso69zs9bgzb988mhjm0y6p"
    )]
    #[case::webhook_cluster(
        "webhook-operator.v0.0.5",
        WEBHOOK,
        false,
        "webhook-operator.v-119edugfdvz48oyy2ctmbp4ec5c4a7zbv5k03vg4y3ve"
    )]
    #[case::webhook_promoted(
        "webhook-operator.v0.0.5",
        ELECTION,
        true,
        "webhook-operator.v-1zfvwth88plw3th2midra1jqduroo1q7omiagjujsiu3"
    )]
    fn names_the_permissions_of_published_operators_as_upstream_does(
        #[case] description: &str,
        #[case] rules: &str,
        #[case] promoted: bool,
        #[case] expected: &str,
    ) {
        let package = description.split_once('.').unwrap().0;
        let account = format!("{package}-controller-manager");
        let more = if promoted {
            "\nget,list,watch - namespaces"
        } else {
            ""
        };
        let permission = permission(&account, &format!("{rules}{more}"));
        let name = join(
            &format!("{description}-{account}"),
            &hash(&permission).unwrap(),
        );
        assert_eq!(name, expected);
    }

    #[derive(Serialize)]
    struct Sample {
        #[serde(rename = "Str")]
        text: &'static str,
        #[serde(rename = "Num")]
        number: i32,
        #[serde(rename = "Obj")]
        object: Value,
        #[serde(rename = "Arr")]
        array: [i32; 2],
        #[serde(rename = "B")]
        flag: bool,
        #[serde(rename = "N")]
        null: Option<i32>,
    }

    #[test]
    fn hashes_any_value_as_upstream_does() {
        let sample = Sample {
            text: "foobar",
            number: 22,
            object: json!({"Foo": "bar"}),
            array: [0, 1],
            flag: true,
            null: None,
        };
        assert_eq!(
            hash(&sample).unwrap(),
            "gta1bt5sybll5qjqxdiekmjm7py93glrinmnrfb31fj"
        );
    }

    #[rstest]
    #[case(json!({}), "16jfjhihxbzhfhs1k5mimq740kvioi98pfbea9q6qtf9")]
    #[case(json!(null), "2im0kl1kwvzn46sr4cdtkvmdzrlurvj51xdzhwdht8l0")]
    #[case(json!("a"), "1lu1qv1451mq7gv9upu1cx8ffffi07rel5xvbvvc44dh")]
    #[case(json!("b"), "1ija85ah4gd0beltpfhszipkxfyqqxhp94tf2mjfgq61")]
    fn hashes_simple_values_as_upstream_does(#[case] value: Value, #[case] expected: &str) {
        assert_eq!(hash(&value).unwrap(), expected);
    }

    #[rstest]
    #[case(
        "my.object.thing.has.a.really.really.really.really.really.long.name",
        "suffix",
        "my.object.thing.has.a.really.really.really.really.really-suffix"
    )]
    #[case("short", "suffix", "short-suffix")]
    #[case("ab", &"s".repeat(70), &format!("-{}", "s".repeat(70)))]
    fn joins_names_within_63_bytes(
        #[case] base: &str,
        #[case] suffix: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(join(base, suffix), expected);
    }

    #[rstest]
    #[case(
        "my.deployment.thing",
        "my-deployment-thing-service",
        "my-deployment-thing-service-cert"
    )]
    #[case(
        "my.object.thing.has.a.really.really.really.really.really.long.name",
        "my-object-thing-has-a-really-really-really-really-reall-service",
        "my-object-thing-has-a-really-really-really-really-reall-se-cert"
    )]
    fn names_service_and_certificate_of_a_deployment(
        #[case] deployment: &str,
        #[case] expected_service: &str,
        #[case] expected_certificate: &str,
    ) {
        assert_eq!(service(deployment), expected_service);
        assert_eq!(certificate(expected_service), expected_certificate);
        assert!(issuer(expected_certificate).len() <= 63);
    }
}
