//! Secrets with certificates that an issuer in the cluster made for an object.
//!
//! They carry no owner's labels, but the object that asks for one is who it is for: where that is
//! the owner's, so is the Secret. Without this, a bundle whose certificates come from elsewhere from
//! its next version on could not be upgraded, since both keep them under one name.

use std::collections::HashSet;

use serde_json::Value;

use crate::identity::ObjectKey;

/// What an issuer notes on a Secret, by its documentation, and what kind of object it names in the
/// Secret's namespace.
const NOTES: [(&str, &str, &str); 2] = [
    (
        "cert-manager.io/certificate-name",
        "cert-manager.io",
        "Certificate",
    ),
    (
        "service.beta.openshift.io/originating-service-name",
        "",
        "Service",
    ),
];

/// Whether `live` is a Secret that was made for one of the `known` objects.
pub(crate) fn is_issued_for(live: &Value, known: &HashSet<ObjectKey<'_>>) -> bool {
    if live["apiVersion"] != "v1" || live["kind"] != "Secret" {
        return false;
    }
    let metadata = &live["metadata"];
    let namespace = metadata["namespace"].as_str();
    NOTES.iter().any(|(note, group, kind)| {
        metadata["annotations"][note]
            .as_str()
            .is_some_and(|name| known.contains(&(*group, *kind, namespace, name)))
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const ISSUED: &str = "cert-manager.io/certificate-name";
    const SERVED: &str = "service.beta.openshift.io/originating-service-name";

    #[rstest]
    #[case::of_our_certificate("Secret", "a", ISSUED, "cert", true)]
    #[case::of_our_service("Secret", "a", SERVED, "svc", true)]
    #[case::of_anothers_certificate("Secret", "a", ISSUED, "svc", false)]
    #[case::of_another_namespace("Secret", "b", ISSUED, "cert", false)]
    #[case::a_note_that_says_nothing("Secret", "a", "note", "cert", false)]
    #[case::no_secret("ConfigMap", "a", ISSUED, "cert", false)]
    fn whose_certificate_a_secret_holds_is_noted_on_it(
        #[case] kind: &str,
        #[case] namespace: &str,
        #[case] note: &str,
        #[case] name: &str,
        #[case] expected: bool,
    ) {
        let known = HashSet::from([
            ("cert-manager.io", "Certificate", Some("a"), "cert"),
            ("", "Service", Some("a"), "svc"),
        ]);
        let live = json!({"apiVersion": "v1", "kind": kind, "metadata": {
            "namespace": namespace, "name": "cert", "annotations": {note: name}}});
        assert_eq!(is_issued_for(&live, &known), expected);
    }
}
