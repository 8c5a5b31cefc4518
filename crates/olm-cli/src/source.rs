//! Where a catalog is.

use std::io::BufRead;
use std::ops::ControlFlow;
use std::path::Path;

use olm_fbc::load::{Keep, Loaded, Loader, each_line};
use olm_fbc::{
    Item, Limits, LineError, Located, Lost, Meta, Reading, Receiver, read_lines, walk_into,
};
use olm_fs::DirTree;
use olm_registry::Reference;
use olm_tree::{RelPath, Tree};

use crate::args;
use crate::failure::Failure;
use crate::output::say;
use crate::registry::{self, Pulled};
use crate::served;

/// What the text of a source means.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source<'a> {
    /// A folder on this machine.
    Folder(&'a Path),
    /// An image of a registry.
    Image(Reference),
    /// A served catalog.
    Url(&'a str),
}

/// A catalog that can be read, once.
enum Opened {
    Folder(DirTree),
    Image(Pulled),
    Stream(Box<dyn BufRead + Send>),
}

impl<'a> Source<'a> {
    /// A URL by its scheme; a folder that exists, or is written as a path; else an image.
    fn parse(text: &'a str) -> Result<Self, Failure> {
        if text.starts_with("https://") || text.starts_with("http://") {
            return Ok(Self::Url(text));
        }
        let path = Path::new(text);
        if let Some(found) = olm_fs::metadata(path)? {
            return if found.is_dir() {
                Ok(Self::Folder(path))
            } else {
                Err(Failure::NotADirectory {
                    path: text.to_owned(),
                })
            };
        }
        if text.starts_with(['.', '/', '~']) {
            return Err(Failure::NotADirectory {
                path: text.to_owned(),
            });
        }
        text.parse()
            .map(Self::Image)
            .map_err(|error: olm_registry::ReferenceError| Failure::NoSource {
                text: text.to_owned(),
                problem: error.to_string(),
            })
    }
}

async fn open(from: &args::From) -> Result<Opened, Failure> {
    Ok(match Source::parse(&from.source)? {
        Source::Folder(path) => Opened::Folder(DirTree::open(path)?),
        Source::Image(reference) => Opened::Image(registry::pull(&reference, &from.access).await?),
        Source::Url(url) => Opened::Stream(served::get(url, &from.access).await?),
    })
}

/// A bundle that can be read.
#[derive(Debug)]
pub(crate) enum BundleTree {
    Folder(DirTree),
    Image(Pulled),
}

impl BundleTree {
    pub(crate) fn tree(&self) -> &dyn Tree {
        match self {
            Self::Folder(tree) => tree,
            Self::Image(pulled) => &pulled.tree,
        }
    }
}

/// Opens a bundle: a folder or an image.
pub(crate) async fn bundle(text: &str, access: &args::Access) -> Result<BundleTree, Failure> {
    match Source::parse(text)? {
        Source::Folder(path) => Ok(BundleTree::Folder(DirTree::open(path)?)),
        Source::Image(reference) => {
            let pulled = registry::pull_bundle(&reference, access).await?;
            Ok(BundleTree::Image(pulled))
        }
        Source::Url(url) => Err(Failure::Usage {
            message: format!("`{url}`: a bundle is a folder or an image"),
        }),
    }
}

/// Opens a bundle that is a folder.
pub(crate) fn bundle_folder(path: &str) -> Result<DirTree, Failure> {
    match olm_fs::metadata(Path::new(path))? {
        Some(found) if found.is_dir() => Ok(DirTree::open(Path::new(path))?),
        _ => Err(Failure::NotADirectory {
            path: path.to_owned(),
        }),
    }
}

/// Does work that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Failure::Interrupted)?
}

/// Loads a catalog, or one package of it.
pub(crate) async fn load(
    from: &args::From,
    keep: Keep,
    package: Option<&str>,
) -> Result<Loaded, Failure> {
    let opened = open(from).await?;
    let loader = Loader::new(keep, package);
    blocking(move || {
        let tree: &dyn Tree = match &opened {
            Opened::Folder(tree) => tree,
            Opened::Image(pulled) => &pulled.tree,
            Opened::Stream(_) => {
                let Opened::Stream(reader) = opened else {
                    return Err(Failure::Interrupted);
                };
                return Ok(loader.lines(reader)?);
            }
        };
        Ok(loader.tree(tree, &RelPath::root(), &Limits::default())?)
    })
    .await
}

/// A catalog as resolution sees it, under a name.
pub(crate) async fn model(from: &args::From, name: &str) -> Result<olm_resolver::Catalog, Failure> {
    let opened = open(from).await?;
    let name = name.to_owned();
    blocking(move || {
        let mut items = Items(Vec::new());
        let tree: &dyn Tree = match &opened {
            Opened::Folder(tree) => tree,
            Opened::Image(pulled) => &pulled.tree,
            Opened::Stream(_) => {
                let Opened::Stream(reader) = opened else {
                    return Err(Failure::Interrupted);
                };
                let items = read_lines(reader, Reading::default());
                return Ok(olm_resolver::Catalog::read(&name, 0, items)?);
            }
        };
        let report = walk_into(tree, &RelPath::root(), &Limits::default(), &mut items)?;
        for broken in &report.broken {
            say(&format!("warning: {}", olm_error::Chain::new(broken)));
        }
        Ok(olm_resolver::Catalog::read(&name, 0, items.0)?)
    })
    .await
}

/// Collects documents in the form that resolution reads, which is small.
struct Items(Vec<Result<Item, LineError>>);

impl Receiver for Items {
    fn meta(&mut self, meta: Located<Meta>) -> ControlFlow<()> {
        self.0
            .extend(read_lines(meta.item.line.as_bytes(), Reading::default()));
        ControlFlow::Continue(())
    }

    fn end(&mut self, _: Lost<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// The documents of one package as they are. What cannot be read is said.
pub(crate) async fn package(from: &args::From, package: &str) -> Result<Vec<Meta>, Failure> {
    let opened = open(from).await?;
    let package = package.to_owned();
    blocking(move || {
        let mut wanted = Wanted {
            package,
            metas: Vec::new(),
        };
        let tree: &dyn Tree = match &opened {
            Opened::Folder(tree) => tree,
            Opened::Image(pulled) => &pulled.tree,
            Opened::Stream(_) => {
                let Opened::Stream(reader) = opened else {
                    return Err(Failure::Interrupted);
                };
                each_line(reader, |line, meta| match meta {
                    Ok(meta) => wanted.take(meta),
                    Err(problem) => say(&format!(
                        "warning: line {line}: {}",
                        olm_error::Chain::new(&problem)
                    )),
                })?;
                return Ok(wanted.metas);
            }
        };
        let report = walk_into(tree, &RelPath::root(), &Limits::default(), &mut wanted)?;
        for broken in &report.broken {
            say(&format!("warning: {}", olm_error::Chain::new(broken)));
        }
        Ok(wanted.metas)
    })
    .await
}

/// Collects the documents of one package.
struct Wanted {
    package: String,
    metas: Vec<Meta>,
}

impl Wanted {
    fn take(&mut self, meta: Meta) {
        if meta.package_name() == self.package {
            self.metas.push(meta);
        }
    }
}

impl Receiver for Wanted {
    fn meta(&mut self, meta: Located<Meta>) -> ControlFlow<()> {
        self.take(meta.item);
        ControlFlow::Continue(())
    }

    fn end(&mut self, _: Lost<'_>) -> ControlFlow<()> {
        // A package that is not whole is shown as far as it goes.
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::Source;
    use rstest::rstest;

    #[rstest]
    #[case("https://catalogd/catalogs/c/all.json", "Url")]
    #[case("http://127.0.0.1:1/all.json", "Url")]
    #[case("src", "Folder")]
    #[case(".", "Folder")]
    #[case("quay.io/operatorhubio/catalog:latest", "Image")]
    #[case("catalog", "Image")]
    #[case("Cargo.toml", "\"Cargo.toml\" is not a directory")]
    #[case("./nothing", "\"./nothing\" is not a directory")]
    #[case("/nothing/here", "\"/nothing/here\" is not a directory")]
    #[case("ftp://x", "neither a folder nor an image nor a URL")]
    #[case("A B", "neither a folder nor an image nor a URL")]
    fn a_source_is_told_by_its_text(#[case] text: &str, #[case] expected: &str) {
        let found = match Source::parse(text) {
            Ok(source) => format!("{source:?}"),
            Err(failure) => failure.text(),
        };
        assert!(found.contains(expected), "{found}");
    }
}
