//! The five products: every known body goes through its contract unchanged, with exactly the method
//! and the header fields the product sends, and the signature beside them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use watchfire_contracts::manifest::{Audience, Https, Instance, PingOn};
use watchfire_contracts::render::{Destination, Event, Prepared, Rendered, SignatureHeaders};
use watchfire_contracts::schema::FaultKind;
use watchfire_contracts::{Catalog, Contract};
use watchfire_domain::endpoint::{Auth, Method, Secrets, Settings};
use watchfire_domain::message::Urgency;
use watchfire_domain::outcome::SuccessRule;
use watchfire_domain::secret::{SecretText, SigningKey};
use watchfire_domain::time::Timestamp;

const PRODUCTS: [&str; 5] = [
    "defectdojo",
    "defense-com",
    "defguard",
    "dfend",
    "website-defender",
];

/// A body as the product puts it on the wire.
struct Fixture {
    contract: &'static str,
    event_type: String,
    body: String,
}

fn fixtures() -> Vec<Fixture> {
    let catalog = Catalog::embedded();
    let mut fixtures = Vec::new();
    for product in PRODUCTS {
        let contract = catalog.contract(product).expect("embedded");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures")
            .join(product);
        for entry in fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .expect("text");
            // `threat.update.note.json` is the variant `note` of `threat.update`.
            let begins = |event: &&str| name.starts_with(&format!("{event}."));
            let known = contract.event_types().map(|event| event.name.as_str());
            let event_type = known.filter(begins).max_by_key(|event| event.len());
            fixtures.push(Fixture {
                contract: product,
                event_type: event_type
                    .expect("an event type of the contract")
                    .to_owned(),
                body: fs::read_to_string(&path).expect("readable"),
            });
        }
    }
    fixtures
}

/// An endpoint as a test changes it.
struct Case {
    contract: Arc<Contract>,
    event_type: String,
    payload: Bytes,
    instance: Instance,
    method: Option<Method>,
    auth: Auth,
}

impl Case {
    fn new(contract: &str, event_type: &str) -> Self {
        Self::of(&Catalog::embedded(), contract, event_type)
    }

    fn of(catalog: &Catalog, contract: &str, event_type: &str) -> Self {
        let contract = catalog.contract(contract).expect("embedded").clone();
        let sample = &contract
            .event_type(event_type)
            .expect("an event type")
            .sample;
        Self {
            event_type: event_type.to_owned(),
            payload: Bytes::from(sample.clone()),
            contract,
            instance: Instance::default(),
            method: None,
            auth: Auth::None,
        }
    }

    fn render(&self) -> Rendered {
        let mut settings: Settings =
            serde_json::from_str(r#"{"url":"https://a.example/"}"#).expect("settings");
        settings.method = self.method;
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("valid");
        let mut secrets = Secrets::with_key(key);
        secrets.auth = self.auth.clone();
        let prepared = Prepared::new(Destination {
            contract: &self.contract,
            instance: &self.instance,
            settings: &settings,
            secrets: &secrets,
            signature_headers: SignatureHeaders::Webhook,
        });
        let event = Event {
            message_id: "msg_000000000000000000000000000".parse().expect("id"),
            event_type: &self.event_type.parse().expect("name"),
            payload: &self.payload,
            raw_body: None,
            now: Timestamp::from_unix_seconds(1_700_000_000),
        };
        prepared
            .expect("prepared")
            .render(&event)
            .expect("rendered")
    }

    /// The request line's method and every header but the signature's.
    #[track_caller]
    fn check(&self, method: &str, expect: &[(&str, &str)]) {
        let rendered = self.render();
        assert_eq!(rendered.method.as_str(), method);
        let headers = rendered.headers.iter().map(|(name, value)| {
            (
                name.as_str().to_owned(),
                value.to_str().expect("text").to_owned(),
            )
        });
        let (signature, product): (Vec<_>, Vec<_>) =
            headers.partition(|(name, _)| name.starts_with("webhook-"));
        assert_eq!(signature.len(), 3);
        let product: BTreeMap<_, _> = product.into_iter().collect();
        let expect = expect.iter();
        let expect = expect.map(|(name, value)| (name.to_lowercase(), (*value).to_owned()));
        assert_eq!(product, expect.collect());
    }
}

const JSON: (&str, &str) = ("Content-Type", "application/json");
const OURS: (&str, &str) = ("User-Agent", "Watchfire/0.1.0");

#[test]
fn every_known_body_goes_out_as_the_product_sends_it() {
    let catalog = Catalog::embedded();
    let fixtures = fixtures();
    assert!(fixtures.len() > 40);
    for fixture in fixtures {
        let wire: Value = serde_json::from_str(&fixture.body).expect("JSON");
        // What the product posts to us is its own event; dfend's wrapper is the contract's.
        let posted = match fixture.contract {
            "dfend" => wire["event"].to_string(),
            _ => fixture.body.clone(),
        };
        let mut case = Case::of(&catalog, fixture.contract, &fixture.event_type);
        case.payload = Bytes::from(posted.clone());
        let body = case.render().body;
        let name = format!("{} {}", fixture.contract, fixture.event_type);
        assert_eq!(
            serde_json::from_slice::<Value>(&body).expect("JSON"),
            wire,
            "{name}"
        );
        match fixture.contract {
            "dfend" => assert_eq!(body, format!("{{\"event\":{posted}}}"), "{name}"),
            _ => assert_eq!(body, posted, "{name}"),
        }
    }
}

#[test]
fn every_known_body_is_valid_by_its_schema() {
    let catalog = Catalog::embedded();
    for fixture in fixtures() {
        let wire: Value = serde_json::from_str(&fixture.body).expect("JSON");
        let posted = if fixture.contract == "dfend" {
            &wire["event"]
        } else {
            &wire
        };
        let contract = catalog.contract(fixture.contract).expect("embedded");
        let faults = contract.validate(&fixture.event_type, posted);
        assert_eq!(faults, [], "{} {}", fixture.contract, fixture.event_type);
    }
}

#[test]
fn bodies_that_the_documents_do_not_show_are_valid_too() {
    let catalog = Catalog::embedded();
    let check = |contract: &str, event_type: &str, body: &str| {
        let body = serde_json::from_str(body).expect("JSON");
        let contract = catalog.contract(contract).expect("embedded");
        assert_eq!(contract.validate(event_type, &body), [], "{event_type}");
    };
    // defguard 1.4 and 2.0 as released.
    let user = r#"{"authorized_apps":[],"email":"janedoe@email.pl","email_mfa_enabled":false,"enrolled":false,"first_name":"jane","groups":[],"id":12,"is_active":true,"is_admin":false,"last_name":"doe","ldap_pass_requires_change":false,"mfa_enabled":false,"mfa_method":"None","phone":null,"totp_enabled":false,"username":"jdoe"}"#;
    check("defguard", "user_created", user);
    check("defguard", "user_modified", user);
    check(
        "defguard",
        "user_keys",
        r#"{"email":"janedoe@email.pl","pgp_key":"-----BEGIN","serial":"12345678","ssh_key":"ssh-rsa","username":"jdoe"}"#,
    );
    // Website Defender as released.
    check(
        "website-defender",
        "auto_ban",
        r#"{"event_type":"auto_ban","client_ip":"192.168.1.100","reason":"rate limit abuse","banned_for":"2h0m0s","timestamp":"2026-02-20T10:30:00Z"}"#,
    );
    // DefectDojo since 3.1.0.
    let sample = &catalog.contract("defectdojo").expect("embedded");
    let sample = &sample.event_type("scan_added").expect("listed").sample;
    let mut body: Value = serde_json::from_str(sample).expect("JSON");
    for list in [
        "new_duplicate",
        "reactivated_duplicate",
        "untouched_duplicate",
    ] {
        body["findings"][list] = serde_json::json!([]);
    }
    body["disclaimer"] = serde_json::json!("Confidential");
    check("defectdojo", "scan_added", &body.to_string());
    // DefectDojo 2.39 sent no title and perhaps no description; before 2.49.1 the user was a text.
    check(
        "defectdojo",
        "finding_added",
        r#"{"description":null,"user":"Admin User (admin)"}"#,
    );
}

#[test]
fn a_value_that_no_event_type_has_is_new_and_one_of_another_is_a_fault() {
    let catalog = Catalog::embedded();
    let kinds = |contract: &str, event_type: &str, member: &str, text: &str| {
        let contract = catalog.contract(contract).expect("embedded");
        let sample = &contract.event_type(event_type).expect("listed").sample;
        let mut payload: Value = serde_json::from_str(sample).expect("JSON");
        payload[member] = Value::from(text);
        let faults = contract.validate(event_type, &payload);
        let kinds = faults.into_iter().map(|fault| fault.kind);
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(
        kinds("dfend", "NEW_DEVICE", "level", "FATAL"),
        [FaultKind::UnknownValue]
    );
    assert_eq!(
        kinds("dfend", "NEW_DEVICE", "level", "INFO"),
        [FaultKind::Schema]
    );
    assert_eq!(
        kinds("dfend", "NEW_DEVICE", "type", "BAD_ACTOR"),
        [FaultKind::Schema]
    );
    let threat = |text| kinds("defense-com", "threat.update", "trigger_action", text);
    assert_eq!(threat("merged"), [FaultKind::UnknownValue]);
    assert_eq!(threat("closed"), [FaultKind::Schema]);
}

#[test]
fn dfend_sends_json_and_nothing_else() {
    let mut case = Case::new("dfend", "IMPOSSIBLE_TRAVEL");
    case.check("POST", &[JSON, OURS]);
    for (method, expect) in [(Method::Put, "PUT"), (Method::Patch, "PATCH")] {
        case.method = Some(method);
        case.check(expect, &[JSON, OURS]);
    }
}

#[test]
fn defectdojo_names_itself_its_instance_and_the_event() {
    let mut case = Case::new("defectdojo", "scan_added");
    let headers = |version, instance| {
        [
            ("User-Agent", version),
            ("X-DefectDojo-Event", "scan_added"),
            ("X-DefectDojo-Instance", instance),
            ("Accept", "application/json"),
            JSON,
        ]
    };
    case.check(
        "POST",
        &headers("DefectDojo-3.2.0", "http://localhost:8080"),
    );
    case.instance = Instance {
        instance_url: Some("https://dojo.example".to_owned()),
        product_version: Some("3.1.0".to_owned()),
    };
    let headers = headers("DefectDojo-3.1.0", "https://dojo.example");
    case.check("POST", &headers);
    case.auth = Auth::Header {
        name: "Auth".to_owned(),
        value: SecretText::new("Token xxx".to_owned()),
    };
    case.check(
        "POST",
        &[headers.as_slice(), &[("Auth", "Token xxx")]].concat(),
    );
}

#[test]
fn website_defender_looks_like_a_go_program() {
    let case = Case::new("website-defender", "auto_ban");
    case.check("POST", &[JSON, ("User-Agent", "Go-http-client/1.1")]);
}

#[test]
fn defguard_gets_with_a_body_and_posts_where_the_endpoint_says_so() {
    let mut case = Case::new("defguard", "user_created");
    let event = ("X-Defguard-Event", "user_created");
    case.check("GET", &[JSON, OURS, event]);
    assert_eq!(case.render().body, case.payload);
    case.method = Some(Method::Post);
    let bearer = |token: &str| Auth::Bearer {
        token: SecretText::new(token.to_owned()),
    };
    case.auth = bearer("s3cret");
    case.check(
        "POST",
        &[JSON, OURS, event, ("Authorization", "Bearer s3cret")],
    );
    case.auth = bearer("");
    case.check("POST", &[JSON, OURS, event]);
}

#[test]
fn defense_com_authenticates_with_a_name_and_a_password() {
    let mut case = Case::new("defense-com", "threat.create");
    case.check("POST", &[JSON, OURS]);
    case.auth = Auth::Basic {
        username: "user".to_owned(),
        password: SecretText::new("pass".to_owned()),
    };
    case.check(
        "POST",
        &[JSON, OURS, ("Authorization", "Basic dXNlcjpwYXNz")],
    );
}

#[test]
fn deliveries_are_made_and_repeated_as_documented() {
    let catalog = Catalog::embedded();
    let check = |name: &str, success: SuccessRule, timeout: u64, delays: &[u64]| {
        let delivery = &catalog
            .contract(name)
            .expect("embedded")
            .manifest()
            .delivery;
        let seconds: Vec<_> = delivery
            .retry
            .delays()
            .iter()
            .map(Duration::as_secs)
            .collect();
        assert_eq!(delivery.success, success, "{name}");
        assert_eq!(delivery.timeout.as_secs(), timeout, "{name}");
        assert_eq!(seconds, delays, "{name}");
    };
    check(
        "dfend",
        SuccessRule::Success2xx,
        10,
        &[5, 10, 20, 40, 80, 160],
    );
    check("defectdojo", SuccessRule::Success2xx, 10, &[]);
    check("website-defender", SuccessRule::Success2xx, 5, &[]);
    check("defguard", SuccessRule::AnyResponse, 15, &[]);
    check(
        "defense-com",
        SuccessRule::Success2xx,
        10,
        &[60, 120, 180, 240, 300],
    );
}

#[test]
fn endpoints_people_and_pings_are_as_documented() {
    let catalog = Catalog::embedded();
    let manifest = |name: &str| catalog.contract(name).expect("embedded").manifest();
    for name in PRODUCTS {
        let required = matches!(name, "dfend" | "defense-com");
        let https = if required {
            Https::Required
        } else {
            Https::Optional
        };
        assert_eq!(manifest(name).endpoint.https, https, "{name}");
        assert_eq!(
            manifest(name).ping.is_some(),
            name == "defectdojo",
            "{name}"
        );
    }
    assert_eq!(manifest("defense-com").notify.exhausted, Audience::Admins);
    assert_eq!(manifest("dfend").notify.exhausted, Audience::Nobody);
    let ping = manifest("defectdojo").ping.as_ref().expect("pings");
    assert_eq!(ping.on, [PingOn::Create, PingOn::Edit, PingOn::Activate]);
    assert_eq!(ping.success, SuccessRule::Below400);
}

#[test]
fn each_product_says_which_record_a_message_is_about_and_how_urgent_it_is() {
    let catalog = Catalog::embedded();
    let check = |contract: &str, event_type: &str, record: Option<&str>, urgency: Urgency| {
        let contract: &Contract = catalog.contract(contract).expect("embedded");
        let sample = &contract.event_type(event_type).expect("listed").sample;
        let payload = serde_json::from_str(sample).expect("JSON");
        let facts = contract.facts(event_type, &payload);
        assert_eq!(facts.record_key.as_deref(), record, "{event_type}");
        assert_eq!(facts.urgency, urgency, "{event_type}");
    };
    let (urgent, ordinary) = (Urgency::Urgent, Urgency::Ordinary);
    check("dfend", "IMPOSSIBLE_TRAVEL", Some("idn_4fJ9c"), urgent);
    check("dfend", "NEW_DEVICE", Some("idn_4fJ9c"), ordinary);
    check("defectdojo", "ping", None, ordinary);
    check(
        "defectdojo",
        "scan_added",
        Some("http://localhost:8080/test/90"),
        ordinary,
    );
    check(
        "defectdojo",
        "finding_closed",
        Some("http://localhost:8080/finding/232"),
        ordinary,
    );
    check(
        "defectdojo",
        "sla_breach",
        Some("http://localhost:8080/finding/232"),
        urgent,
    );
    check(
        "website-defender",
        "auto_ban",
        Some("192.168.1.100"),
        ordinary,
    );
    check("defguard", "user_deleted", Some("jdoe"), ordinary);
    let threat = Some("Threat/0f9c8b7a-1234-5678-9abc-def012345678");
    check("defense-com", "threat.create", threat, urgent);
    let ticket = Some("Support Ticket/11223344-5566-7788-99aa-bbccddeeff00");
    check("defense-com", "support_ticket.update", ticket, ordinary);
}

#[test]
fn a_body_of_another_event_type_is_a_fault() {
    let catalog = Catalog::embedded();
    let check = |contract: &str, of: &str, given_as: &str| {
        let contract = catalog.contract(contract).expect("embedded");
        let sample = &contract.event_type(of).expect("listed").sample;
        let payload = serde_json::from_str(sample).expect("JSON");
        assert!(
            !contract.validate(given_as, &payload).is_empty(),
            "{of} as {given_as}"
        );
    };
    check("dfend", "NEW_DEVICE", "BAD_DEVICE");
    check("defense-com", "threat.create", "threat.closed");
    check("defense-com", "threat.create", "support_ticket.create");
    check("website-defender", "auto_ban", "brute_force");
    check("defectdojo", "product_added", "scan_added");
    check("defguard", "user_deleted", "user_created");
    check("dfend", "NEW_DEVICE", "something.else");
}
