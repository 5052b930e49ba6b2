use serde_json::json;

use super::*;

fn refused(schema: &Value) -> InvalidSchema {
    check_schema(schema).expect_err("refused")
}

fn too_complex(schema: &Value) -> TooComplex {
    match refused(schema) {
        InvalidSchema::TooComplex(fault) => fault,
        InvalidSchema::Invalid { problem, .. } => panic!("{problem}"),
    }
}

#[test]
fn nothing_is_fetched() {
    for target in [
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "other.json",
        "other.json#/a",
        "#anchor",
        "#/a%2fb",
        "",
    ] {
        let schema = json!({"properties": {"a": {"$ref": target}}});
        assert_eq!(too_complex(&schema), TooComplex::Remote(target.to_owned()));
    }
    let schema = json!({"$schema": "https://evil.example/schema"});
    assert!(matches!(refused(&schema), InvalidSchema::Invalid { .. }));
}

#[test]
fn recursion_is_refused_wherever_it_hides() {
    let schemas = [
        json!({"$ref": "#"}),
        json!({"properties": {"a": {"$ref": "#"}}}),
        json!({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}}}),
        json!({"items": {"$ref": "#/items"}}),
        json!({"properties": {"a": {"$defs": {"b": {"$ref": "#/properties/a/$defs/b"}}}}}),
    ];
    for schema in schemas {
        assert!(
            matches!(too_complex(&schema), TooComplex::Recursion(_)),
            "{schema}"
        );
    }
}

#[test]
fn references_that_multiply_are_counted_as_often_as_they_are_walked() {
    // Each level refers twice to the next: 2^12 walks.
    let mut definitions = serde_json::Map::new();
    for level in 0..12 {
        let next = json!({"$ref": format!("#/$defs/{}", level + 1)});
        definitions.insert(level.to_string(), json!({"anyOf": [next, next]}));
    }
    definitions.insert("12".to_owned(), json!({"type": "null"}));
    let schema = json!({"$ref": "#/$defs/0", "$defs": definitions});
    assert_eq!(too_complex(&schema), TooComplex::Parts);
}

#[test]
fn every_bound_holds_at_its_value_and_one_beyond() {
    let parts = |count: usize| json!({"allOf": vec![json!({}); count - 1]});
    assert_eq!(check_schema(&parts(limit::SCHEMA_PARTS_MAX)), Ok(()));
    assert_eq!(
        too_complex(&parts(limit::SCHEMA_PARTS_MAX + 1)),
        TooComplex::Parts
    );

    let patterns = |count: usize| json!({"allOf": vec![json!({"pattern": "a"}); count]});
    assert_eq!(check_schema(&patterns(limit::SCHEMA_PATTERNS_MAX)), Ok(()));
    assert_eq!(
        too_complex(&patterns(limit::SCHEMA_PATTERNS_MAX + 1)),
        TooComplex::Patterns
    );

    let bytes = |count: usize| json!({"title": "a".repeat(count - r#"{"title":""}"#.len())});
    assert_eq!(check_schema(&bytes(limit::SCHEMA_BYTES_MAX)), Ok(()));
    assert_eq!(
        too_complex(&bytes(limit::SCHEMA_BYTES_MAX + 1)),
        TooComplex::Bytes
    );

    let chain = |length: usize| {
        let mut definitions = serde_json::Map::new();
        for level in 0..length {
            definitions.insert(
                level.to_string(),
                json!({"$ref": format!("#/$defs/{}", level + 1)}),
            );
        }
        definitions.insert(length.to_string(), json!({}));
        json!({"$ref": "#/$defs/0", "$defs": definitions})
    };
    let max = limit::SCHEMA_DEPTH_MAX;
    assert_eq!(check_schema(&chain(max - 2)), Ok(()));
    assert_eq!(too_complex(&chain(max - 1)), TooComplex::Depth);
}

#[test]
fn depth_counts_through_definitions_that_were_measured_before() {
    // Each definition is shallow by itself and begins where the one before it ended.
    let nested =
        |levels: usize, end: Value| (0..levels).fold(end, |inner, _| json!({ "not": inner }));
    let mut definitions = serde_json::Map::new();
    definitions.insert("0".to_owned(), nested(30, json!({})));
    for level in 1..20 {
        let before = json!({"$ref": format!("#/$defs/{}", level - 1)});
        definitions.insert(level.to_string(), nested(30, before));
    }
    let in_order = (0..20).map(|level| json!({"$ref": format!("#/$defs/{level}")}));
    let schema = json!({"allOf": in_order.collect::<Vec<_>>(), "$defs": definitions});
    assert_eq!(too_complex(&schema), TooComplex::Depth);
}

#[test]
fn patterns_are_linear_and_small() {
    assert_eq!(check_schema(&json!({"pattern": "^(a+)+$"})), Ok(()));
    let text = json!(format!("{}b", "a".repeat(100_000)));
    let schema = Schema::compile(&json!({"pattern": "^(a+)+$"})).expect("valid");
    assert_eq!(schema.validate(&text).len(), 1);
    for pattern in ["(?=a)b", "(a)\\1", "(\\w{1000}){1000}", "["] {
        let schema = json!({"pattern": pattern});
        assert!(
            matches!(refused(&schema), InvalidSchema::Invalid { .. }),
            "{pattern}"
        );
    }
}

#[test]
fn keywords_that_move_the_ground_are_refused() {
    for keyword in [
        "$anchor",
        "$dynamicRef",
        "$dynamicAnchor",
        "$recursiveRef",
        "$id",
        "id",
    ] {
        let schema = json!({"properties": {"a": {keyword: "x"}}});
        assert_eq!(too_complex(&schema), TooComplex::Keyword(keyword));
    }
    let names =
        json!({"$id": "https://a.example/", "properties": {"id": {}, "$id": {}, "$ref": {}}});
    assert_eq!(check_schema(&names), Ok(()));
}

#[test]
fn a_schema_that_breaks_its_draft_names_the_place() {
    let InvalidSchema::Invalid { path, .. } =
        refused(&json!({"properties": {"a": {"type": "text"}}}))
    else {
        panic!("invalid");
    };
    assert_eq!(path, "/properties/a/type");
    let dangling = json!({"$ref": "#/$defs/a"});
    assert_eq!(
        too_complex(&dangling),
        TooComplex::Dangling("#/$defs/a".to_owned())
    );
}

#[test]
fn faults_name_the_path_and_never_the_value() {
    let schema = Schema::compile(&json!({
        "required": ["id"],
        "properties": {"a": {"items": {"type": "integer"}}, "b": {"enum": ["x", "y"]}},
    }));
    let faults = schema
        .expect("valid")
        .validate(&json!({"a": [1, "canary"], "b": "canary"}));
    let mut texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
    texts.sort();
    assert_eq!(
        texts,
        [
            "\"id\" is a required property",
            "/a/1: value is not of type \"integer\"",
            "/b: value is not one of \"x\" or \"y\"",
        ]
    );
}

#[test]
fn a_new_value_of_an_enumeration_is_told_from_other_faults() {
    let check = |schema: Value, payload: Value, kind| {
        let faults = Schema::compile(&schema).expect("valid").validate(&payload);
        let kinds: Vec<_> = faults.iter().map(|fault| fault.kind).collect();
        assert_eq!(kinds, [kind], "{schema} {payload}");
    };
    let risk = json!({"enum": ["low", "high"]});
    check(risk.clone(), json!("extreme"), FaultKind::UnknownValue);
    check(risk.clone(), json!(5), FaultKind::Schema);
    check(json!({"const": "a"}), json!("b"), FaultKind::Schema);
    check(
        json!({"anyOf": [{"type": "null"}, risk]}),
        json!("extreme"),
        FaultKind::UnknownValue,
    );
    check(
        json!({"anyOf": [{"type": "null"}, {"type": "string"}]}),
        json!(1),
        FaultKind::Schema,
    );
}

#[test]
fn faults_are_limited_in_number() {
    let schema = Schema::compile(&json!({"items": {"type": "null"}})).expect("valid");
    let faults = schema.validate(&json!(vec![1; 100]));
    assert_eq!(faults.len(), limit::SCHEMA_FAULTS_MAX);
}
