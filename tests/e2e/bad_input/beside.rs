//! What works goes on beside what does not.

use crate::packages::package;
use crate::user::User;
use anyhow::Result;
use serde_json::json;

/// Something else, started and finished while others fail.
pub(super) async fn goes_on(user: &User<'_>, name: &str) -> Result<()> {
    user.publish(name, &[package(name, &["1.0.0"])]).await?;
    user.ask(name, json!({"packageName": name})).await?;
    user.installed(name, "1.0.0").await?;
    Ok(())
}
