//! An error and its causes on one line, as conditions, events and logs show it.

use std::error::Error;
use std::fmt;

/// Shows an error followed by its causes, joined with `: ` ([`olm_error::Chain`]); an answer of the
/// Kubernetes API is shown by its message alone.
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        olm_error::Chain::with(self.0, answer).fmt(f)
    }
}

/// The text of an answer of the Kubernetes API, whose causes would only repeat it.
fn answer(error: &(dyn Error + 'static)) -> Option<String> {
    match error.downcast_ref::<kube::Error>()? {
        kube::Error::Api(status) if status.message.is_empty() => Some(status.reason.clone()),
        kube::Error::Api(status) => Some(status.message.clone()),
        kube::Error::Service(source) => Some(format!("cannot reach the API server: {source}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read `a`")]
    struct Read(#[source] kube::Error);

    #[test]
    fn an_answer_of_the_api_is_shown_by_its_message() {
        let status = Status::failure("configmaps \"a\" is forbidden", "Forbidden").boxed();
        let error = Read(kube::Error::Api(status));
        assert_eq!(
            Chain(&error).to_string(),
            "cannot read `a`: configmaps \"a\" is forbidden"
        );
    }
}
