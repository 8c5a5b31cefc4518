//! From the events of the YAML library to a JSON value: keys as text, YAML 1.1 scalars, merge
//! keys, and budgets against inflated documents.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::scalar::{from_float, resolve_plain};

/// Bytes of text for each node that aliases may add.
const TEXT_PER_NODE: usize = 64;

/// What one stream may still create. Without aliases a stream cannot have more nodes than bytes,
/// so that only expanding aliases ever meets these bounds.
#[derive(Debug)]
pub(crate) struct Budget {
    nodes: Cell<usize>,
    text: Cell<usize>,
}

impl Budget {
    /// For a stream of `size` bytes whose aliases may add `expansion` nodes, and 64 bytes of text
    /// for each of them.
    pub(crate) fn new(size: usize, expansion: usize) -> Self {
        Self {
            nodes: Cell::new(size.saturating_add(1).saturating_add(expansion)),
            // An escape of two bytes can stand for a character of three.
            text: Cell::new(
                size.saturating_mul(2)
                    .saturating_add(expansion.saturating_mul(TEXT_PER_NODE)),
            ),
        }
    }

    /// Nodes that aliases may still add, with their text. What the stream itself did not need of
    /// its allowance counts too, so that this can be more than at the start.
    pub(crate) fn expansion_left(&self) -> usize {
        self.nodes.get().min(self.text.get() / TEXT_PER_NODE)
    }

    fn spend<E: de::Error>(&self, text: usize) -> Result<(), E> {
        match (
            self.nodes.get().checked_sub(1),
            self.text.get().checked_sub(text),
        ) {
            (Some(nodes), Some(text)) => {
                self.nodes.set(nodes);
                self.text.set(text);
                Ok(())
            }
            _ => Err(E::custom("aliases expand to too much")),
        }
    }
}

/// Builds one value of a document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Build<'a> {
    /// The text of the document, to tell plain scalars from quoted ones.
    pub(crate) input: &'a [u8],
    pub(crate) budget: &'a Budget,
    /// Levels that may still be opened.
    pub(crate) depth: usize,
}

impl Build<'_> {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        let depth = self
            .depth
            .checked_sub(1)
            .ok_or_else(|| E::custom("nested too deep"))?;
        Ok(Self { depth, ..self })
    }

    /// Whether text that the library borrowed from the input was written without quotes and
    /// without `!!str`. The library borrows only what stands in the input unchanged.
    fn is_plain(&self, borrowed: &str) -> bool {
        let Some(offset) = (borrowed.as_ptr() as usize).checked_sub(self.input.as_ptr() as usize)
        else {
            return false;
        };
        let Some(mut before) = self.input.get(..offset) else {
            return false;
        };
        if before.ends_with(b"\"") || before.ends_with(b"'") {
            return false;
        }
        // Properties of a node stand before it on its line: an anchor, a tag, in either order.
        loop {
            before = without_trailing_blanks(before);
            let start = before
                .iter()
                .rposition(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r' | b',' | b'[' | b'{'))
                .map_or(0, |at| at + 1);
            let (rest, token) = before.split_at(start);
            match token {
                b"!!str" | b"!" | b"!<tag:yaml.org,2002:str>" => return false,
                [b'&', _, ..] => before = rest,
                _ => return true,
            }
        }
    }
}

/// Without blanks at the end; line ends stay.
fn without_trailing_blanks(text: &[u8]) -> &[u8] {
    let kept = text
        .iter()
        .rposition(|b| !matches!(b, b' ' | b'\t'))
        .map_or(0, |at| at + 1);
    text.get(..kept).unwrap_or(text)
}

impl<'de> DeserializeSeed<'de> for Build<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Build<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON can hold")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        self.budget.spend(0)?;
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        self.budget.spend(0)?;
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        self.budget.spend(0)?;
        Ok(Value::from(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        self.budget.spend(0)?;
        Ok(Value::from(value))
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Value, E> {
        self.budget.spend(0)?;
        #[expect(
            clippy::cast_precision_loss,
            reason = "Go reads integers over 64 bits as floats"
        )]
        Ok(from_float(value as f64))
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Value, E> {
        self.budget.spend(0)?;
        #[expect(
            clippy::cast_precision_loss,
            reason = "Go reads integers over 64 bits as floats"
        )]
        Ok(from_float(value as f64))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        self.budget.spend(0)?;
        Ok(from_float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.budget.spend(value.len())?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_borrowed_str<E: de::Error>(self, value: &'de str) -> Result<Value, E> {
        if let Some(resolved) = resolve_plain(value)
            && self.is_plain(value)
        {
            self.budget.spend(0)?;
            return Ok(resolved);
        }
        self.visit_str(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        self.budget.spend(0)?;
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = elements.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.budget.spend(0)?;
        let inner = self.deeper()?;
        let mut map = Map::new();
        let mut merged = Vec::new();
        while let Some(key) = entries.next_key_seed(Key(inner))? {
            let value = entries.next_value_seed(inner)?;
            match key {
                KeyKind::Merge => merged.push(value),
                KeyKind::Text(key) => {
                    map.insert(key, value);
                }
            }
        }
        for value in merged {
            merge(&mut map, value).map_err(de::Error::custom)?;
        }
        Ok(Value::Object(map))
    }
}

/// Fills in the keys that `map` does not have.
fn merge(map: &mut Map<String, Value>, value: Value) -> Result<(), &'static str> {
    const SHAPE: &str = "map merge requires map or sequence of maps as the value";
    let sources = match value {
        Value::Object(source) => vec![Value::Object(source)],
        Value::Array(sources) => sources,
        _ => return Err(SHAPE),
    };
    for source in sources {
        let Value::Object(source) = source else {
            return Err(SHAPE);
        };
        for (key, value) in source {
            map.entry(key).or_insert(value);
        }
    }
    Ok(())
}

/// Reads a key.
struct Key<'a>(Build<'a>);

enum KeyKind {
    Merge,
    Text(String),
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = KeyKind;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<KeyKind, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = KeyKind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key that is text, a number or a boolean")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<KeyKind, E> {
        self.visit_string(value.to_string())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<KeyKind, E> {
        self.visit_string(value.to_string())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<KeyKind, E> {
        self.visit_string(value.to_string())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<KeyKind, E> {
        self.visit_string(match from_float(value) {
            Value::Null => value.to_string(),
            number => number.to_string(),
        })
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<KeyKind, E> {
        self.visit_string(value.to_owned())
    }

    fn visit_borrowed_str<E: de::Error>(self, value: &'de str) -> Result<KeyKind, E> {
        if value == "<<" && self.0.is_plain(value) {
            return Ok(KeyKind::Merge);
        }
        if let Some(resolved) = resolve_plain(value)
            && self.0.is_plain(value)
        {
            return self.visit_string(resolved.to_string());
        }
        self.visit_string(value.to_owned())
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<KeyKind, E> {
        self.0.budget.spend(value.len())?;
        Ok(KeyKind::Text(value))
    }
}
