//! Reading the objects of a flat `manifests` directory.

use olm_tree::{NodeKind, RelPath, Tree, TreeError};
use serde_json::Value;

use olm_error::Chain;

/// Directory of a bundle that holds its objects; the labels that could name another are ignored
/// by every known reader.
pub(crate) const DIRECTORY: &str = "manifests";

/// Largest manifest file, in bytes. The largest known one has 2.5 MB.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// Largest sum of all manifest files, in bytes. The largest known one is 6.8 MB. What is read takes
/// up to 16 times as much memory as its text.
const MAX_TOTAL_BYTES: u64 = 32 << 20;
/// Most files in the directory. The largest known number is 105.
const MAX_FILES: usize = 4096;
/// Most objects in the directory, after lists are flattened.
const MAX_OBJECTS: usize = 20_000;
/// Longest JSON text quoted in a message, in bytes.
const MAX_QUOTE: usize = 1024;

/// An object and the file it came from.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    /// Name of the file inside the `manifests` directory.
    pub(crate) file: String,
    /// Line on which its document starts, from 1.
    pub(crate) line: usize,
    /// The object: a JSON object with a `kind` that is a non-empty string.
    pub(crate) object: Value,
}

impl Manifest {
    /// `kind` of the object.
    pub(crate) fn kind(&self) -> &str {
        text(&self.object, &["kind"])
    }

    /// `apiVersion` of the object; empty where there is none.
    pub(crate) fn api_version(&self) -> &str {
        text(&self.object, &["apiVersion"])
    }

    /// Path of the file in the bundle, and the line of the object's document.
    pub(crate) fn place(&self) -> (String, usize) {
        (format!("{DIRECTORY}/{}", self.file), self.line)
    }

    /// `metadata.name` of the object; empty where there is none.
    pub(crate) fn name(&self) -> &str {
        text(&self.object, &["metadata", "name"])
    }
}

/// The string at `path` below `value`, or the empty string.
pub(crate) fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    path.iter()
        .try_fold(value, |value, key| value.get(key))
        .and_then(Value::as_str)
        .unwrap_or("")
}

/// Why the objects of a `manifests` directory cannot be read.
///
/// The texts are those of the file system and of the upstream readers, so causes are part of
/// them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestsError {
    /// The directory or a file in it cannot be read.
    #[error("{}", Chain::new(.0))]
    Tree(TreeError),
    /// There is a directory below `manifests`.
    #[error(
        "subdirectories are not allowed within the \"manifests\" directory of the bundle image \
         filesystem: found \"manifests/{0}\""
    )]
    Subdirectory(String),
    /// The content of a file is not a stream of objects.
    #[error("error parsing \"manifests/{file}\": {problem}")]
    File {
        /// Name of the file inside the directory.
        file: String,
        /// Line that it is about, or on which the document starts that it is in, from 1.
        line: usize,
        /// What is wrong with it.
        problem: ManifestProblem,
    },
    /// There are more files than anyone ships.
    #[error("the \"manifests\" directory holds more than {MAX_FILES} files")]
    TooManyFiles,
    /// The files together are larger than anyone ships.
    #[error("the files of the \"manifests\" directory exceed {MAX_TOTAL_BYTES} bytes")]
    TooLarge,
    /// There are more objects than anyone ships.
    #[error("the \"manifests\" directory holds more than {MAX_OBJECTS} objects")]
    TooManyObjects,
}

/// What is wrong with the content of a manifest file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestProblem {
    /// It is neither YAML nor JSON.
    #[error("{}", Chain::new(.0))]
    Syntax(olm_yaml::YamlError),
    /// A document is a scalar or a list.
    #[error("json: cannot unmarshal {0} into Go value of type map[string]interface {{}}")]
    NotAnObject(&'static str),
    /// An object does not say what it is.
    #[error("Object 'Kind' is missing in '{0}'")]
    MissingKind(String),
    /// An object cannot be decoded by the schema of its kind.
    #[error("cannot decode {kind}: {reason}")]
    Schema {
        /// Kind of the object.
        kind: &'static str,
        /// What does not fit.
        reason: String,
    },
}

/// Reads all objects of the `manifests` directory: files in name order, documents in file order,
/// lists flattened in place.
pub(crate) fn read(tree: &dyn Tree) -> Result<Vec<Manifest>, ManifestsError> {
    let (objects, errors) = read_all(tree)?;
    errors.into_iter().next().map_or(Ok(objects), Err)
}

/// The same, with an error for each file that cannot be read to its end.
pub(crate) fn read_all(
    tree: &dyn Tree,
) -> Result<(Vec<Manifest>, Vec<ManifestsError>), ManifestsError> {
    let directory = RelPath::root().join(DIRECTORY).map_err(|error| {
        ManifestsError::Tree(TreeError::Io {
            path: RelPath::root(),
            source: std::io::Error::other(error),
        })
    })?;
    let entries = tree.list(&directory).map_err(ManifestsError::Tree)?;
    if entries.len() > MAX_FILES {
        return Err(ManifestsError::TooManyFiles);
    }
    if let Some(entry) = entries
        .iter()
        .find(|entry| entry.kind == NodeKind::Directory)
    {
        return Err(ManifestsError::Subdirectory(entry.name.clone()));
    }
    let mut objects = Vec::new();
    let mut errors = Vec::new();
    let mut total = 0_u64;
    // The objects of all files are held together, so all files share one bound on aliases.
    let mut limits = olm_yaml::Limits::default();
    for entry in entries {
        let path = directory.join(&entry.name).map_err(|error| {
            ManifestsError::Tree(TreeError::Io {
                path: directory.clone(),
                source: std::io::Error::other(error),
            })
        })?;
        let content = tree
            .read(&path, MAX_FILE_BYTES)
            .map_err(ManifestsError::Tree)?;
        total = total.saturating_add(content.len() as u64);
        if total > MAX_TOTAL_BYTES {
            return Err(ManifestsError::TooLarge);
        }
        match read_file(&entry.name, &content, &mut limits, &mut objects) {
            Err(error @ ManifestsError::File { .. }) => errors.push(error),
            other => other?,
        }
    }
    Ok((objects, errors))
}

/// Reads the objects of one file, and takes what its aliases expanded to from the limits.
fn read_file(
    file: &str,
    content: &[u8],
    limits: &mut olm_yaml::Limits,
    objects: &mut Vec<Manifest>,
) -> Result<(), ManifestsError> {
    let failure = |line, problem| ManifestsError::File {
        file: file.to_owned(),
        line,
        problem,
    };
    let mut documents = olm_yaml::documents(content, limits);
    for document in documents.by_ref() {
        let document =
            document.map_err(|error| failure(line_of(&error), ManifestProblem::Syntax(error)))?;
        // A stack instead of recursion: a list may hold lists.
        let mut pending = vec![document.value];
        while let Some(value) = pending.pop() {
            match value {
                Value::Null => {}
                Value::Object(mut fields) if fields.get("items").is_some_and(Value::is_array) => {
                    let items = list_items(&mut fields);
                    pending.extend(items.into_iter().rev());
                }
                Value::Object(fields) => {
                    let object = Value::Object(fields);
                    if text(&object, &["kind"]).is_empty() {
                        let problem = ManifestProblem::MissingKind(quote(&object));
                        return Err(failure(document.line, problem));
                    }
                    if objects.len() == MAX_OBJECTS {
                        return Err(ManifestsError::TooManyObjects);
                    }
                    objects.push(Manifest {
                        file: file.to_owned(),
                        line: document.line,
                        object,
                    });
                }
                other => {
                    let problem = ManifestProblem::NotAnObject(json_type(&other));
                    return Err(failure(document.line, problem));
                }
            }
        }
    }
    limits.max_expansion = documents.expansion_left();
    Ok(())
}

/// The line that an error of syntax is about; 1 where it is about the whole file.
pub(crate) const fn line_of(error: &olm_yaml::YamlError) -> usize {
    match error {
        olm_yaml::YamlError::Separator { line, .. }
        | olm_yaml::YamlError::Yaml { line, .. }
        | olm_yaml::YamlError::Json { line, .. }
        | olm_yaml::YamlError::TooDeep { line, .. } => *line,
        _ => 1,
    }
}

/// Takes the items out of a list object. Items of a typed list (`RoleList`) may leave out what
/// the list already says.
fn list_items(list: &mut serde_json::Map<String, Value>) -> Vec<Value> {
    let item_kind = list
        .get("kind")
        .and_then(Value::as_str)
        .and_then(|kind| kind.strip_suffix("List"))
        .filter(|kind| !kind.is_empty())
        .map(str::to_owned);
    let api_version = list.get("apiVersion").cloned();
    let Some(Value::Array(mut items)) = list.remove("items") else {
        return Vec::new();
    };
    if let Some(kind) = item_kind {
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            if !item.contains_key("kind") {
                item.insert("kind".to_owned(), Value::String(kind.clone()));
                if let Some(version) = &api_version {
                    item.entry("apiVersion").or_insert_with(|| version.clone());
                }
            }
        }
    }
    items
}

/// Compact JSON of an object, cut to a length that fits a condition message.
fn quote(object: &Value) -> String {
    let mut json = object.to_string();
    if json.len() > MAX_QUOTE {
        json.truncate(json.floor_char_boundary(MAX_QUOTE));
        json.push_str("...");
    }
    json
}

/// The name a Go decoder gives to the JSON type of `value`.
pub(crate) fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
