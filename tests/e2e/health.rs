//! What the health checks for Argo CD in the documentation make of objects.

use anyhow::{Context as _, Result, ensure};
use mlua::{Lua, LuaSerdeExt as _};
use serde::Serialize;
use serde_json::{Value, json};

/// The page with the scripts: the first is for Operators, the second for the other kinds.
const PAGE: &str = include_str!("../../docs/gitops.md");

fn script(place: usize) -> Result<&'static str> {
    let mut scripts = PAGE.split("```lua\n").skip(1);
    let text = scripts.nth(place).context("a script is missing")?;
    text.split("```").next().context("a script has no end")
}

/// `STATUS: MESSAGE` of the health of an object, in a Lua with no more libraries than Argo CD
/// gives it.
pub(crate) fn health<K: Serialize>(object: &K) -> Result<String> {
    let object = serde_json::to_value(object)?;
    let place = usize::from(object["kind"] != "Operator");
    let libraries = mlua::StdLib::TABLE;
    let run = || -> mlua::Result<(String, Option<String>)> {
        let lua = Lua::new_with(libraries, mlua::LuaOptions::default())?;
        let script = script(place).map_err(mlua::Error::external)?;
        lua.globals().set("obj", lua.to_value(&object)?)?;
        let found: mlua::Table = lua.load(script).eval()?;
        Ok((found.get("status")?, found.get("message")?))
    };
    let found = run().map_err(|error| anyhow::anyhow!("the script fails: {error}\n{object}"))?;
    let (status, message) = found;
    let known = ["Healthy", "Progressing", "Degraded", "Suspended"];
    ensure!(known.contains(&status.as_str()), "no health: {status}");
    Ok(format!("{status}: {}", message.unwrap_or_default()))
}

/// Fails unless the object has this health.
pub(crate) fn is<K: Serialize>(object: &K, expected: &str) -> Result<()> {
    let found = health(object)?;
    let begins = found.strip_prefix(expected);
    ensure!(
        begins.is_some_and(|rest| rest.starts_with(':')),
        "not {expected} but {found}\n{}",
        olm_tests::wait::yaml(object)
    );
    Ok(())
}

/// What holds for every object at any time: without a status, and with one of an older spec, it is
/// not known yet how it is.
pub(crate) fn is_known_when_looked_at<K: Serialize>(object: &K) -> Result<()> {
    let object = serde_json::to_value(object)?;
    let edited = |edit: &dyn Fn(&mut Value)| {
        let mut object = object.clone();
        edit(&mut object);
        object
    };
    is(
        &edited(&|object| object["status"] = json!({})),
        "Progressing",
    )?;
    let bare = edited(&|object| {
        object.as_object_mut().unwrap().remove("status");
    });
    is(&bare, "Progressing")?;
    let next = edited(&|object| {
        let generation = object["metadata"]["generation"].as_i64().unwrap();
        object["metadata"]["generation"] = json!(generation + 1);
    });
    is(&next, "Progressing")
}
