//! Rules of compound constraints: expressions of the Common Expression Language over the properties
//! of one bundle.
//!
//! An expression sees the variable `properties`, a list of maps `{type, value}`, and the function
//! `semver_compare(a, b)`, which is -1, 0 or 1. Regular expressions (`matches`) are not offered: a
//! catalog could make their compilation arbitrarily dear.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, OnceLock};

use cel::common::ast::{EntryExpr, Expr};
use cel::parser::PrattParser;
use cel::{Context, ExecutionError, IdedExpr, Value};
use olm_semver::Version;
use serde::{Deserialize, Serialize};

use crate::model::Bundle;

/// Longest rule, in bytes.
const MAX_BYTES: usize = 4096;

/// Deepest nesting of brackets.
const MAX_NESTING: u16 = 16;

/// Most operators, calls and fields, those in texts included: reading a chain of them takes stack in
/// proportion.
const MAX_OPERATORS: usize = 256;

/// Deepest expression: evaluation takes stack in proportion.
const MAX_DEPTH: usize = 64;

/// Most loops (`exists`, `all`, `map`, `filter`) inside one another.
const MAX_LOOPS: u32 = 2;

/// Most steps that one evaluation may be estimated to take.
const MAX_STEPS: u64 = 4_000_000;

/// A rule that can be evaluated. Equal if the texts are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Rule {
    text: String,
    /// Read from the text when it is first needed.
    compiled: OnceLock<Arc<Result<Compiled, String>>>,
}

impl From<String> for Rule {
    fn from(text: String) -> Self {
        Self {
            text,
            compiled: OnceLock::new(),
        }
    }
}

impl From<Rule> for String {
    fn from(rule: Rule) -> Self {
        rule.text
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Rule {}

impl Rule {
    /// Checks that a text is a rule.
    ///
    /// # Errors
    /// What is wrong: over 4 KiB, nested too deeply, not an expression, or one that needs what is
    /// not offered.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rule = Self::from(text.to_owned());
        match rule.compiled().as_ref() {
            Ok(_) => Ok(rule),
            Err(error) => Err(error.clone()),
        }
    }

    fn compiled(&self) -> &Arc<Result<Compiled, String>> {
        self.compiled.get_or_init(|| Arc::new(compile(&self.text)))
    }

    /// The text it was parsed from.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a bundle meets the rule. A rule that fails, that is no yes or no, or that would take
    /// too long on this bundle, is not met.
    pub fn holds(&self, bundle: &Bundle) -> bool {
        self.holds_at(bundle, &mut 0)
    }

    /// The same, adding the steps that it may have taken.
    pub(crate) fn holds_at(&self, bundle: &Bundle, steps: &mut u64) -> bool {
        let Ok(compiled) = self.compiled().as_ref() else {
            return false;
        };
        let Properties { all, size, longest } = properties(bundle);
        *steps = steps.saturating_add(size);
        let items = longest.max(compiled.nodes);
        let most = items
            .saturating_pow(compiled.loops)
            .saturating_mul(compiled.nodes);
        if most > MAX_STEPS {
            return false;
        }
        *steps = steps.saturating_add(most);
        let Some(functions) = FUNCTIONS.as_ref() else {
            return false;
        };
        let mut context = functions.new_inner_scope();
        context.add_variable_from_value("properties", Value::List(Arc::new(all)));
        matches!(context.resolve(&compiled.expression), Ok(Value::Bool(true)))
    }
}

/// What every rule may call. Made once: there is much of it.
static FUNCTIONS: LazyLock<Option<Context<'static, 'static>>> = LazyLock::new(|| {
    let mut context = Context::default();
    let added = context.add_function("semver_compare", semver_compare);
    added.is_ok().then_some(context)
});

#[derive(Debug)]
struct Compiled {
    expression: IdedExpr,
    nodes: u64,
    loops: u32,
}

fn compile(text: &str) -> Result<Compiled, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("rule is longer than {MAX_BYTES} bytes"));
    }
    let is_operator = |byte: &u8| b"+-*/%<>=!.?:[({".contains(byte);
    if text.bytes().filter(|byte| is_operator(byte)).count() > MAX_OPERATORS {
        return Err(format!("rule has more than {MAX_OPERATORS} operators"));
    }
    // The parser does not count every way down.
    if nesting(text)? > MAX_NESTING {
        return Err(format!("rule is nested deeper than {MAX_NESTING}"));
    }
    let expression = PrattParser::new()
        .max_recursion_depth(MAX_NESTING)
        .error_recovery_limit(1)
        .max_expression_node_count(MAX_BYTES)
        .parse(text)
        .map_err(|error| format!("rule {text:?} is no expression: {}", first_line(&error)))?;
    let (nodes, loops) = measure(&expression)?;
    if expression.references().has_function("matches") {
        return Err("rule uses matches, which is not supported".to_owned());
    }
    Ok(Compiled {
        expression,
        nodes,
        loops,
    })
}

/// What a parser says, without the drawing below it.
fn first_line(error: &impl ToString) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("ERROR: ").unwrap_or(line).to_owned()
}

/// Deepest nesting of brackets, and of operators that stand before their operand. What makes it hard
/// to see where a text ends is refused: no rule needs it.
fn nesting(text: &str) -> Result<u16, String> {
    if text.contains('\\') || text.contains("'''") || text.contains("\"\"\"") {
        return Err(
            "rule uses escapes or texts of several lines, which is not supported".to_owned(),
        );
    }
    let (mut open, mut prefix, mut deepest) = (0_u16, 0_u16, 0_u16);
    let mut quote = None;
    let mut before = 0;
    for byte in text.bytes() {
        if let Some(end) = quote {
            if byte == end {
                quote = None;
            }
            continue;
        }
        match byte {
            b'\'' | b'"' => quote = Some(byte),
            b'(' | b'[' | b'{' => open = open.saturating_add(1),
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            b'/' if before == b'/' => return Err("rule has a comment".to_owned()),
            _ => {}
        }
        before = byte;
        prefix = match byte {
            b'!' | b'-' | b'?' => prefix.saturating_add(1),
            _ if byte.is_ascii_whitespace() => prefix,
            _ => 0,
        };
        deepest = deepest.max(open).max(prefix);
    }
    Ok(deepest)
}

/// Number of nodes, and of loops inside one another.
fn measure(expression: &IdedExpr) -> Result<(u64, u32), String> {
    let (mut nodes, mut most_loops) = (0, 0);
    let mut pending = vec![(expression, 1, 0)];
    while let Some((expression, depth, loops)) = pending.pop() {
        nodes += 1;
        most_loops = most_loops.max(loops);
        if depth > MAX_DEPTH || loops > MAX_LOOPS {
            return Err("rule is nested too deeply".to_owned());
        }
        let mut push = |child, loops| pending.push((child, depth + 1, loops));
        match &expression.expr {
            Expr::Call(call) => {
                for child in call.target.as_deref().into_iter().chain(&call.args) {
                    push(child, loops);
                }
            }
            Expr::Comprehension(inner) => {
                push(&inner.iter_range, loops);
                push(&inner.accu_init, loops);
                push(&inner.loop_cond, loops + 1);
                push(&inner.loop_step, loops + 1);
                push(&inner.result, loops);
            }
            Expr::List(list) => list.elements.iter().for_each(|child| push(child, loops)),
            Expr::Select(select) => push(&select.operand, loops),
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        push(&entry.key, loops);
                        push(&entry.value, loops);
                    }
                }
            }
            Expr::Struct(_) => {
                return Err("rule makes a message, which is not supported".to_owned());
            }
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        }
    }
    Ok((nodes, most_loops))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the form of a function of a rule"
)]
fn semver_compare(a: Arc<String>, b: Arc<String>) -> Result<i64, ExecutionError> {
    let parse = |text: &str| {
        Version::parse_tolerant(text)
            .map_err(|error| ExecutionError::function_error("semver_compare", error))
    };
    Ok(parse(&a)?.cmp(&parse(&b)?) as i64)
}

/// The properties of a bundle as a rule sees them.
struct Properties {
    all: Vec<Value>,
    /// How much there is of them, in values and bytes of texts.
    size: u64,
    /// The length of the longest list that a loop may go through.
    longest: u64,
}

/// The properties of a bundle as a rule sees them: those that the model keeps as such, then others.
fn properties(bundle: &Bundle) -> Properties {
    let mut all = Vec::new();
    let (mut size, mut longest) = (0, 0);
    if let Ok(version) = &bundle.version {
        let mut value = vec![
            ("packageName", bundle.package.clone()),
            ("version", version.to_string()),
        ];
        if !bundle.release.is_empty() && version.build() != bundle.release {
            value.push(("release", bundle.release.clone()));
        }
        all.push(property("olm.package", texts(value)));
    }
    for api in bundle.provides.iter() {
        let value = texts([
            ("group", api.group.clone()),
            ("version", api.version.clone()),
            ("kind", api.kind.clone()),
        ]);
        all.push(property("olm.gvk", value));
    }
    for label in &bundle.labels {
        all.push(property("olm.label", texts([("label", label.clone())])));
    }
    size += 4 * all.len() as u64;
    for (type_, text) in &bundle.properties {
        if let Ok(value) = serde_json::from_str(text) {
            size += text.len() as u64;
            all.push(property(type_, from_json(&value, &mut longest)));
        }
    }
    Properties {
        size,
        longest: longest.max(all.len() as u64),
        all,
    }
}

fn property(type_: &str, value: Value) -> Value {
    HashMap::from([
        ("type".to_owned(), Value::String(Arc::new(type_.to_owned()))),
        ("value".to_owned(), value),
    ])
    .into()
}

fn texts(fields: impl IntoIterator<Item = (&'static str, String)>) -> Value {
    let fields = fields.into_iter();
    fields
        .map(|(key, text)| (key.to_owned(), Value::String(Arc::new(text))))
        .collect::<HashMap<String, Value>>()
        .into()
}

/// Takes stack in proportion to the depth, which reading JSON has limited. Notes the length of the
/// longest list or map.
fn from_json(value: &serde_json::Value, longest: &mut u64) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::UInt(number),
            _ => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::String(Arc::new(text.clone())),
        serde_json::Value::Array(items) => {
            *longest = (*longest).max(items.len() as u64);
            let items = items.iter().map(|item| from_json(item, longest));
            Value::List(Arc::new(items.collect()))
        }
        serde_json::Value::Object(fields) => {
            *longest = (*longest).max(fields.len() as u64);
            let fields = fields.iter();
            fields
                .map(|(key, value)| (key.clone(), from_json(value, longest)))
                .collect::<HashMap<String, Value>>()
                .into()
        }
    }
}
