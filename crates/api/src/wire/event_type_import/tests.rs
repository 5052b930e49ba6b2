use proptest::prelude::*;

use super::*;

const DOCUMENT: &str = r"
openapi: 3.1.0
info: {title: Shop, version: '1'}
webhooks:
  pet.new:
    post:
      description: A pet came.
      x-svix-group-name: pet
      x-svix-feature-flags: [beta]
      requestBody:
        $ref: '#/components/requestBodies/Pet'
  pet.gone:
    $ref: '#/components/pathItems/Gone'
components:
  pathItems:
    Gone:
      post: {summary: A pet left., deprecated: true}
  requestBodies:
    Pet:
      content:
        application/json; charset=utf-8:
          schema: {$ref: '#/components/schemas/Pet'}
  schemas:
    Pet:
      type: object
      properties:
        mother: {$ref: '#/components/schemas/Pet'}
        owner: {$ref: '#/components/schemas/Owner'}
    Owner: {type: string}
    Unused: {type: integer}
";

fn imported(text: &str) -> ApiResult<Import> {
    let body = json!({ "specRaw": text }).to_string();
    let input: EventTypeImportOpenApiIn = serde_json::from_str(&body).expect("it is one");
    input.into_import()
}

#[test]
fn each_webhook_is_an_event_type_with_all_its_schema_refers_to() {
    let all = imported(DOCUMENT).expect("it can be read").event_types;
    let named = |name: &str| &all[&name.parse::<EventType>().expect("a name")];
    let new = named("pet.new");
    assert_eq!(new.description, "A pet came.");
    assert_eq!(new.group_name.as_deref(), Some("pet"));
    assert_eq!(new.feature_flag.as_deref(), Some("beta"));
    let pet = json!({
        "type": "object",
        "properties": {
            "mother": {"$ref": "#/$defs/Pet"},
            "owner": {"$ref": "#/$defs/Owner"},
        },
    });
    let schema = json!({
        "$ref": "#/$defs/Pet",
        "$defs": {"Pet": pet, "Owner": {"type": "string"}},
    });
    assert_eq!(new.schemas, Some(json!({ "1": schema })));
    let gone = named("pet.gone");
    assert_eq!(gone.description, "A pet left.");
    assert!(gone.deprecated && gone.schemas.is_none());
    assert_eq!(all.len(), 2);
}

#[test]
fn json_is_read_as_well() {
    let text = r#"{"x-webhooks": {"a.b": {"post": {}}}}"#;
    assert_eq!(imported(text).expect("it can be read").event_types.len(), 1);
}

fn refused(text: &str) -> String {
    format!("{:?}", imported(text).expect_err(text))
}

#[test]
fn what_cannot_be_imported_says_why() {
    for (text, why) in [
        ("", "must hold an OpenAPI document"),
        ("[]", "must hold an OpenAPI document"),
        ("a: [", "line"),
        ("openapi: 3.1.0", "neither `webhooks` nor `x-webhooks`"),
        ("webhooks: {a b: {post: {}}}", "a b"),
        ("webhooks: {a: {}}", "no operation"),
        ("webhooks: {a: {$ref: '#/b'}}", "is not in the document"),
        (
            "webhooks: {a: {$ref: 'http://x/'}}",
            "is not within the document",
        ),
        ("webhooks: {a: {$ref: '#/webhooks/a'}}", "refers to itself"),
        (
            "webhooks: {a: {post: {x-svix-feature-flags: [a, b]}}}",
            "one feature flag",
        ),
        (
            "webhooks: {a: {post: {requestBody: {content: {application/json: {schema: {$ref: '#/x'}}}}}}}",
            "is not one of",
        ),
    ] {
        let said = refused(text);
        assert!(said.contains(why), "{text}: {said}");
    }
}

#[test]
fn shared_schemas_do_not_multiply_without_bounds() {
    let large = "x".repeat(100_000);
    let body = json!({"content": {"application/json": {
        "schema": {"$ref": "#/components/schemas/Large"},
    }}});
    let webhooks: Map<_, _> = (0..100)
        .map(|n| (format!("e{n}"), json!({"post": {"requestBody": body}})))
        .collect();
    let document = json!({
        "webhooks": webhooks,
        "components": {"schemas": {"Large": {"description": large}}},
    });
    assert!(refused(&document.to_string()).contains("more than"));
}

#[test]
fn one_document_must_be_sent() {
    for body in ["{}", r#"{"spec": {}, "specRaw": ""}"#] {
        let input: EventTypeImportOpenApiIn = serde_json::from_str(body).expect("it is one");
        let refused = input.into_import().expect_err(body);
        assert!(format!("{refused:?}").contains("Generic"), "{refused:?}");
    }
}

/// What documents are made of.
fn member() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        Just(json!(true)),
        Just(json!("text")),
        prop::sample::select(vec![
            json!({"$ref": "#/components/schemas/A"}),
            json!({"$ref": "#/components/schemas/B"}),
            json!({"$ref": "#/webhooks/a.b"}),
            json!({"$ref": "#"}),
            json!({"$ref": "#/components/schemas/~1~0%41"}),
            json!({"$ref": "other.yaml#/A"}),
            json!({"$ref": 7}),
        ]),
    ];
    let names = vec![
        "post",
        "get",
        "requestBody",
        "content",
        "application/json",
        "schema",
        "schemas",
        "properties",
        "items",
        "A",
        "B",
        "$defs",
        "x-svix-feature-flags",
    ];
    leaf.prop_recursive(6, 48, 4, move |inner| {
        let object =
            prop::collection::btree_map(prop::sample::select(names.clone()), inner.clone(), 0..4);
        prop_oneof![
            object.prop_map(|all| json!(all)),
            prop::collection::vec(inner, 0..3).prop_map(Value::Array),
        ]
    })
}

proptest! {
    #[test]
    fn a_document_of_any_shape_is_read_or_refused(
        hook in member(),
        a in member(),
        b in member(),
    ) {
        let document = json!({
            "webhooks": {"a.b": hook, "c": {"post": {"requestBody": {"content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/A"}},
            }}}}},
            "components": {"schemas": {"A": a, "B": b}},
        });
        if let Ok(read) = imported(&document.to_string()) {
            for input in read.event_types.values() {
                let schemas = input.schemas.as_ref().map_or(0, |all| all.to_string().len());
                prop_assert!(schemas <= limit::IMPORT_BYTES_MAX);
            }
        }
    }

    #[test]
    fn a_text_that_was_cut_and_mended_is_read_or_refused(
        at in 0..DOCUMENT.len(),
        length in 0..40_usize,
        instead in r#"[\[\]{}"':,#&*!|>%@ \n\ta-z$/-]{0,12}"#,
    ) {
        let end = DOCUMENT.len().min(at + length);
        // The document is ASCII, so it can be cut anywhere.
        let text = format!("{}{instead}{}", &DOCUMENT[..at], &DOCUMENT[end..]);
        if let Ok(read) = imported(&text) {
            prop_assert!(read.event_types.len() <= 4);
        }
    }
}
