//! `olmctl bundle render`.

use std::io::{self, Write};
use std::path::Path;

use olm_bundle::plain_v0;
use olm_bundle::registry_v1::{self, CertificateProvider, Config, RenderOptions};
use olm_tree::Tree;
use serde_json::{Map, Value};

use super::place::place;
use crate::args::{BundleRender, DocumentForm, Provider};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::source;

/// Largest file with a configuration, in bytes.
const MAX_CONFIG: u64 = 4 << 20;

/// What a bundle turns into.
struct Printed {
    objects: Vec<Value>,
    /// What is not among them, and what is otherwise than shipped.
    notes: Vec<String>,
}

/// Prints the objects of a bundle in the order in which they are made.
pub(super) async fn run(args: BundleRender) -> Result<Outcome, Failure> {
    let opened = source::bundle(&args.source, &args.access).await?;
    let form = args.output;
    let printed = source::blocking(move || {
        let tree = opened.tree();
        match registry_v1::load(tree) {
            Ok(bundle) => registry(&bundle, &args),
            Err(error) => plain(tree, &args).unwrap_or_else(|| Err(error.into())),
        }
    })
    .await?;
    for note in &printed.notes {
        output::say(&format!("note: {note}"));
    }
    let mut out = output::stdout();
    for object in &printed.objects {
        write(object, form, &mut out)?;
    }
    out.flush()?;
    Ok(Outcome::Fine)
}

fn registry(bundle: &registry_v1::Bundle, args: &BundleRender) -> Result<Printed, Failure> {
    let namespace = args
        .install_namespace
        .clone()
        .unwrap_or_else(|| bundle.default_install_namespace());
    let value = configuration(args.config.as_deref(), args.watch_namespace.as_deref())?;
    let options = RenderOptions {
        config: Config::parse(bundle, &value, Some(&namespace))?,
        ..RenderOptions::new(
            namespace,
            match args.certificate_provider {
                Provider::CertManager => CertificateProvider::CertManager,
                Provider::ServiceCa => CertificateProvider::ServiceCa,
                Provider::Own => CertificateProvider::Own,
            },
        )
    };
    let rendered = registry_v1::render(bundle, &options)?;
    let mut notes = rendered.notices;
    notes.extend(rendered.certificates.iter().map(|certificate| {
        format!(
            "rukpak makes the Secret `{}/{}` for Service `{}`, and writes its authority into the \
             objects that call it",
            certificate.namespace, certificate.secret, certificate.service
        )
    }));
    // Whatever names no namespace here is known to live in none.
    let placed = place(rendered.objects, None)?;
    Ok(Printed {
        objects: placed.objects,
        notes,
    })
}

/// The objects of a plain bundle; none where it looks like one of the other format.
fn plain(tree: &dyn Tree, args: &BundleRender) -> Option<Result<Printed, Failure>> {
    let objects = plain_v0::load(tree).ok()?;
    if objects
        .iter()
        .any(|object| object["kind"] == "ClusterServiceVersion")
    {
        return None;
    }
    let objects = plain_v0::distinct(objects);
    let placed = match place(objects, args.install_namespace.as_deref()) {
        Ok(placed) => placed,
        Err(error) => return Some(Err(error.into())),
    };
    let mut notes = placed.notes;
    if args.watch_namespace.is_some() || args.config.is_some() {
        notes.push("a plain bundle cannot be configured: what is said is ignored".to_owned());
    }
    Some(Ok(Printed {
        objects: placed.objects,
        notes,
    }))
}

/// The configuration of a file, with the namespaces of the command line.
fn configuration(file: Option<&Path>, watch: Option<&str>) -> Result<Value, Failure> {
    let mut value = Value::Null;
    if let Some(file) = file {
        let bytes = olm_fs::read_capped(file, MAX_CONFIG)?;
        let documents = olm_yaml::documents(&bytes, &olm_yaml::Limits::default()).next();
        if let Some(document) = documents {
            let document = document.map_err(|source| Failure::ConfigFile {
                file: file.display().to_string(),
                source,
            })?;
            value = document.value;
        }
    }
    let Some(watch) = watch else {
        return Ok(value);
    };
    if value.is_null() {
        value = Value::Object(Map::new());
    }
    if let Value::Object(members) = &mut value {
        let given = members.insert("watchNamespace".to_owned(), Value::from(watch));
        if given.is_some_and(|given| given != watch) {
            return Err(Failure::Usage {
                message: "--watch-namespace says something else than the file of --config"
                    .to_owned(),
            });
        }
    }
    Ok(value)
}

fn write(object: &Value, form: DocumentForm, out: &mut dyn Write) -> Result<(), Failure> {
    match form {
        DocumentForm::Json => {
            serde_json::to_writer_pretty(&mut *out, object).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
        }
        DocumentForm::Yaml => {
            out.write_all(b"---\n")?;
            out.write_all(olm_yaml::to_string(object)?.as_bytes())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    #[test]
    fn the_command_line_and_the_file_make_one_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yaml");
        olm_fs::write_atomic(&file, b"deploymentConfig: {}\nwatchNamespace: a\n").unwrap();
        let both = json!({"deploymentConfig": {}, "watchNamespace": "a"});
        assert_eq!(configuration(None, None).unwrap(), Value::Null);
        assert_eq!(configuration(Some(&file), None).unwrap(), both);
        assert_eq!(configuration(Some(&file), Some("a")).unwrap(), both);
        assert_eq!(
            configuration(None, Some("b")).unwrap(),
            json!({"watchNamespace": "b"})
        );
        let error = configuration(Some(&file), Some("b")).unwrap_err();
        assert!(matches!(error, Failure::Usage { .. }));
    }
}
