//! How much work a schema can cause, counted before it is compiled.
//!
//! Every subschema counts once for each way that leads to it, as a validator walks it once for each
//! way. Recursion is refused: together with alternatives it takes time exponential in the depth of
//! the payload, and events are not recursive.

use std::collections::HashMap;

use serde_json::{Map, Value};
use watchfire_domain::limit;

/// Why a schema is refused before it is compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooComplex {
    #[error("the schema has more than {max} bytes", max = limit::SCHEMA_BYTES_MAX)]
    Bytes,
    #[error(
        "the schema has more than {max} parts, counted wherever they are referred to",
        max = limit::SCHEMA_PARTS_MAX
    )]
    Parts,
    #[error(
        "the schema has more than {max} patterns",
        max = limit::SCHEMA_PATTERNS_MAX
    )]
    Patterns,
    #[error(
        "the schema is more than {max} levels deep, references followed",
        max = limit::SCHEMA_DEPTH_MAX
    )]
    Depth,
    #[error("the reference {0:?} leads back to where it stands")]
    Recursion(String),
    #[error("the reference {0:?} leads out of the schema; only \"#/…\" is allowed")]
    Remote(String),
    #[error("the reference {0:?} leads nowhere")]
    Dangling(String),
    #[error("the keyword {0:?} is not supported")]
    Keyword(&'static str),
}

/// Keywords whose value is a schema.
const ONE: &[&str] = &[
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Keywords whose value is a list of schemas.
const LIST: &[&str] = &["allOf", "anyOf", "items", "oneOf", "prefixItems"];
/// Keywords whose value is an object of schemas that apply.
const MAP: &[&str] = &[
    "dependencies",
    "dependentSchemas",
    "patternProperties",
    "properties",
];
/// Keywords whose value is an object of schemas that apply only where they are referred to.
const DEFINITIONS: &[&str] = &["$defs", "definitions"];
/// Keywords that move the place references count from, or find their target at run time.
const REFUSED: &[&str] = &[
    "$anchor",
    "$dynamicAnchor",
    "$dynamicRef",
    "$recursiveAnchor",
    "$recursiveRef",
];

/// Refuses a schema that could cause too much work.
pub(super) fn check(schema: &Value) -> Result<(), TooComplex> {
    let bytes = serde_json::to_vec(schema).map_or(usize::MAX, |bytes| bytes.len());
    if bytes > limit::SCHEMA_BYTES_MAX {
        return Err(TooComplex::Bytes);
    }
    let mut walk = Walk {
        root: schema,
        sizes: HashMap::new(),
        patterns: 0,
    };
    walk.size(schema, 0)?;
    walk.definitions(schema)?;
    if walk.patterns > limit::SCHEMA_PATTERNS_MAX {
        return Err(TooComplex::Patterns);
    }
    Ok(())
}

/// The size of a schema with everything it leads to.
#[derive(Clone, Copy)]
struct Size {
    parts: usize,
    height: usize,
}

/// A walk over a schema.
struct Walk<'a> {
    root: &'a Value,
    /// Of each schema that was visited; `None` while it is being visited.
    sizes: HashMap<*const Value, Option<Size>>,
    patterns: usize,
}

impl<'a> Walk<'a> {
    /// The size of a schema that stands `depth` levels below the first one.
    fn size(&mut self, schema: &'a Value, depth: usize) -> Result<Size, TooComplex> {
        if depth >= limit::SCHEMA_DEPTH_MAX {
            return Err(TooComplex::Depth);
        }
        let mut size = Size {
            parts: 1,
            height: 1,
        };
        let Value::Object(keywords) = schema else {
            return Ok(size);
        };
        let target = reference(keywords);
        match self.sizes.get(&std::ptr::from_ref(schema)) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => {
                return Err(TooComplex::Recursion(target.unwrap_or_default().to_owned()));
            }
            None => {}
        }
        self.sizes.insert(std::ptr::from_ref(schema), None);
        self.check_keywords(schema, keywords)?;
        for child in applied(keywords) {
            size.add(self.size(child, depth + 1)?)?;
        }
        if let Some(target) = target {
            size.add(self.referred(target, depth + 1)?)?;
        }
        self.sizes.insert(std::ptr::from_ref(schema), Some(size));
        Ok(size)
    }

    fn referred(&mut self, target: &str, depth: usize) -> Result<Size, TooComplex> {
        let is_local = target == "#" || target.starts_with("#/");
        let pointer = target
            .strip_prefix('#')
            .filter(|_| is_local && !target.contains('%'));
        let pointer = pointer.ok_or_else(|| TooComplex::Remote(target.to_owned()))?;
        let dangling = || TooComplex::Dangling(target.to_owned());
        let schema = self.root.pointer(pointer).ok_or_else(dangling)?;
        self.size(schema, depth).map_err(|error| match error {
            TooComplex::Recursion(_) => TooComplex::Recursion(target.to_owned()),
            other => other,
        })
    }

    /// Definitions nobody refers to are compiled all the same.
    fn definitions(&mut self, schema: &'a Value) -> Result<(), TooComplex> {
        let Value::Object(keywords) = schema else {
            return Ok(());
        };
        for child in values(keywords, DEFINITIONS) {
            self.size(child, 0)?;
            self.definitions(child)?;
        }
        for child in applied(keywords) {
            self.definitions(child)?;
        }
        Ok(())
    }

    fn check_keywords(
        &mut self,
        schema: &Value,
        keywords: &Map<String, Value>,
    ) -> Result<(), TooComplex> {
        if let Some(refused) = REFUSED.iter().find(|name| keywords.contains_key(**name)) {
            return Err(TooComplex::Keyword(refused));
        }
        let is_root = std::ptr::eq(schema, self.root);
        for name in ["$id", "id"] {
            if !is_root && keywords.get(name).is_some_and(Value::is_string) {
                return Err(TooComplex::Keyword(name));
            }
        }
        let names = keywords.get("patternProperties").and_then(Value::as_object);
        self.patterns += names.map_or(0, Map::len);
        self.patterns += usize::from(keywords.contains_key("pattern"));
        Ok(())
    }
}

impl Size {
    /// Takes in what is one level below.
    fn add(&mut self, child: Self) -> Result<(), TooComplex> {
        self.parts += child.parts;
        self.height = self.height.max(child.height + 1);
        if self.parts > limit::SCHEMA_PARTS_MAX {
            return Err(TooComplex::Parts);
        }
        if self.height > limit::SCHEMA_DEPTH_MAX {
            return Err(TooComplex::Depth);
        }
        Ok(())
    }
}

fn reference(keywords: &Map<String, Value>) -> Option<&str> {
    keywords.get("$ref")?.as_str()
}

/// The schemas that a schema applies.
fn applied(keywords: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let one = ONE.iter().filter_map(|name| keywords.get(*name));
    let list = LIST
        .iter()
        .filter_map(|name| keywords.get(*name)?.as_array())
        .flatten();
    one.chain(list).chain(values(keywords, MAP))
}

/// The members of the objects that these keywords hold.
fn values<'a>(
    keywords: &'a Map<String, Value>,
    names: &'static [&str],
) -> impl Iterator<Item = &'a Value> + use<'a> {
    let objects = names
        .iter()
        .filter_map(|name| keywords.get(*name)?.as_object());
    objects.flat_map(Map::values)
}
