//! The protocol, dialect by dialect; laws; and bytes that mean harm.

use jiff::civil::date;
use proptest::prelude::*;
use rstest::rstest;

use super::*;

const XML: Option<&str> = Some("text/xml");
const JSON: Option<&str> = Some("application/json; charset=utf-8");

fn offer() -> Offer {
    Offer {
        version: "13505.63.0".to_owned(),
        app: None,
        package: Package {
            name: "update.gz".to_owned(),
            size: 1234,
            sha1: *b"0123456789abcdefghij",
            sha256: [0xa5; 32],
        },
        metadata: Some(Metadata {
            size: 77,
            signature: Some("c2lnbmF0dXJl".to_owned()),
        }),
        is_delta: false,
    }
}

fn day() -> DayStart {
    DayStart::of(date(2026, 11, 21).at(1, 2, 3, 999))
}

fn reply(content_type: Option<&str>, body: &str, offer: Option<&Offer>) -> String {
    let request = Request::parse(content_type, body.as_bytes()).unwrap();
    answer(&request, offer, day(), "http://localhost:8081/").render()
}

fn v2(version: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<o:gupdate xmlns:o="http://www.google.com/update2/request" version="ChromeOSUpdateEngine-0.1.0.0" protocol="2.0" ismachine="1">
    <o:os version="Indy" platform="Chrome OS" sp="{version}_i686"></o:os>
    <o:app appid="{{87efface-864d-49a5-9bb3-4b050a7c227a}}" version="{version}" lang="en-US" track="dev-channel" board="x86-generic">
        <o:ping active="0"></o:ping>
        <o:updatecheck></o:updatecheck>
    </o:app>
</o:gupdate>
"#
    )
}

fn v3_json(protocol: &str, app: &str) -> String {
    format!(
        r#"{{"request":{{"protocol":"{protocol}","updater":"x","app":[{{"appid":"one","version":"1.0",{app}}}]}}}}"#
    )
}

#[test]
fn the_first_servers_answers_are_the_same_to_the_byte() {
    let there = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
    <gupdate xmlns=\"http://www.google.com/update2/response\" protocol=\"2.0\">
    <daystart elapsed_seconds=\"3723\"/>
    <app appid=\"{87efface-864d-49a5-9bb3-4b050a7c227a}\" status=\"ok\">
      <ping status=\"ok\"/>
      <updatecheck
      codebase=\"http://localhost:8081/update.gz\"
      hash=\"MDEyMzQ1Njc4OWFiY2RlZmdoaWo=\"
      needsadmin=\"false\"
      size=\"1234\"
      status=\"ok\"/>
    </app>
    </gupdate>
  ";
    assert_eq!(reply(XML, &v2("ForcedUpdate"), Some(&offer())), there);
    let none = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
      <gupdate xmlns=\"http://www.google.com/update2/response\" protocol=\"2.0\">
        <daystart elapsed_seconds=\"3723\"/>
        <app appid=\"{87efface-864d-49a5-9bb3-4b050a7c227a}\" status=\"ok\">
          <ping status=\"ok\"/>
          <updatecheck status=\"noupdate\"/>
        </app>
      </gupdate>
    ";
    assert_eq!(reply(XML, &v2("0.8.64.1"), Some(&offer())), none);
    assert_eq!(reply(XML, &v2("forcedupdate"), Some(&offer())), none);
    assert_eq!(reply(None, &v2("ForcedUpdate"), None), none);
}

#[test]
fn ping_check_and_events_come_in_one_request_of_3_0() {
    let body = r#"<?xml version="1.0" encoding="UTF-8"?>
<request requestid="{a}" sessionid="{b}" protocol="3.0" updater="ChromeOSUpdateEngine" userid="lab7" ismachine="1">
  <os version="Indy" platform="Chrome OS" sp="13000.1.0_x86_64"></os>
  <app appid="{E96281A6}" version="13000.1.0" track="stable-channel" board="eve" hardware_class="EVE A&amp;B" delta_okay="true">
    <ping active="1" a="-1" r="-1"></ping>
    <updatecheck targetversionprefix=""></updatecheck>
    <event eventtype="54" eventresult="1" previousversion="12000.0.0"></event>
    <event eventtype="3" eventresult="2"/>
  </app>
  <app appid="{E96281A6}_dlc" version="0.0.0.0"><ping active="1"/><updatecheck/></app>
</request>"#;
    let request = Request::parse(XML, body.as_bytes()).unwrap();
    assert_eq!(request.dialect, Dialect::V3Xml);
    assert_eq!(
        (request.session.as_deref(), request.user.as_deref()),
        (Some("{b}"), Some("lab7"))
    );
    let app = &request.apps[0];
    assert_eq!(app.board.as_deref(), Some("eve"));
    assert!(app.ping && app.check.is_some());
    let kinds: Vec<_> = app.events.iter().map(|event| (event.kind, event.result)).collect();
    assert_eq!(
        kinds,
        [
            (EventKind::Rebooted, EventResult::Success),
            (EventKind::UpdateComplete, EventResult::SuccessReboot)
        ]
    );
    assert_eq!(app.events[0].previous_version.as_deref(), Some("12000.0.0"));
    insta::assert_snapshot!(reply(XML, body, Some(&offer())).replace("><", ">\n<"), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <response protocol="3.0" server="windlass">
    <daystart elapsed_days="7264" elapsed_seconds="3723"/>
    <app appid="{E96281A6}" status="ok">
    <ping status="ok"/>
    <updatecheck status="ok">
    <urls>
    <url codebase="http://localhost:8081/"/>
    </urls>
    <manifest version="13505.63.0">
    <actions>
    <action event="update" run="update.gz"/>
    <action event="postinstall" ChromeOSVersion="13505.63.0" sha256="paWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU=" needsadmin="false" IsDeltaPayload="false" DisablePayloadBackoff="true" MetadataSize="77" MetadataSignatureRsa="c2lnbmF0dXJl"/>
    </actions>
    <packages>
    <package name="update.gz" size="1234" required="true" hash="MDEyMzQ1Njc4OWFiY2RlZmdoaWo=" hash_sha256="a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5" fp="1.a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5"/>
    </packages>
    </manifest>
    </updatecheck>
    <event status="ok"/>
    <event status="ok"/>
    </app>
    <app appid="{E96281A6}_dlc" status="ok">
    <ping status="ok"/>
    <updatecheck status="noupdate"/>
    </app>
    </response>
    "#);
}

#[test]
fn json_is_answered_in_json_and_3_1_not_as_a_script() {
    let said = r#""ping":{"rd":7000},"updatecheck":{},"event":[{"eventtype":"13","eventresult":1}]"#;
    let old = reply(JSON, &v3_json("3.0", said), Some(&offer()));
    let value: serde_json::Value = serde_json::from_str(&old).unwrap();
    let app = &value["response"]["app"][0];
    assert_eq!(value["response"]["daystart"]["elapsed_days"], 7264);
    assert_eq!(app["ping"]["status"], "ok");
    assert_eq!(app["event"].as_array().unwrap().len(), 1);
    let manifest = &app["updatecheck"]["manifest"];
    // The trap: the same digest in two ways.
    assert_eq!(manifest["packages"]["package"][0]["hash_sha256"], "a5".repeat(32));
    assert_eq!(
        manifest["actions"]["action"][1]["sha256"],
        "paWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU="
    );
    let new = reply(None, &v3_json("3.1", said), Some(&offer()));
    let new: serde_json::Value = serde_json::from_str(new.strip_prefix(")]}'\n").unwrap()).unwrap();
    assert_eq!(new["response"]["protocol"], "3.1");
    assert_eq!(new["response"]["app"], value["response"]["app"]);
    let silent = reply(JSON, &v3_json("3.0", r#""event":[{"eventtype":14}]"#), Some(&offer()));
    assert!(!silent.contains("updatecheck"), "{silent}");
}

#[rstest]
#[case("", "1.0", true)]
#[case("13505.", "13505.63.0", true)]
#[case("13505", "13505.63.0", true)]
#[case("13505.*", "13505.63.0", true)]
#[case("13505.6", "13505.63.0", false)]
#[case("13505", "135050.1", false)]
#[case("13505.63.0", "13505.63.0", true)]
#[case("13505.63.0.1", "13505.63.0", false)]
#[case(".", "1.0", true)]
fn prefixes_mean_whole_components(#[case] prefix: &str, #[case] version: &str, #[case] allowed: bool) {
    assert_eq!(prefix_allows(prefix, version), allowed);
}

#[rstest]
#[case(r#""updatecheck":{}"#, "offered")]
#[case(r#""updatecheck":{"targetversionprefix":"13505."}"#, "offered")]
#[case(
    r#""updatecheck":{"targetversionprefix":"1350"}"#,
    "the device wants versions with another beginning"
)]
#[case(
    r#""updatecheck":{"updatedisabled":true}"#,
    "the device says that it would not install an update"
)]
#[case(r#""ping":{}"#, "not asked")]
fn a_check_says_why_there_is_no_update(#[case] said: &str, #[case] expected: &str) {
    let request = Request::parse(JSON, v3_json("3.0", said).as_bytes()).unwrap();
    let offer = offer();
    let response = answer(&request, Some(&offer), day(), "http://x/");
    let came = response.apps[0]
        .check
        .map_or("not asked", |check| check.why_not().unwrap_or("offered"));
    assert_eq!(came, expected);
}

#[test]
fn the_same_version_and_another_app_get_nothing_unless_they_say_so() {
    let mut offer = Offer {
        version: "1.0".to_owned(),
        ..offer()
    };
    let check = |said: &str, offer: &Offer| {
        let request = Request::parse(JSON, v3_json("3.1", said).as_bytes()).unwrap();
        let response = answer(&request, Some(offer), day(), "http://x/");
        response.apps[0].check.unwrap().why_not()
    };
    assert_eq!(check(r#""updatecheck":{}"#, &offer), Check::SameVersion.why_not());
    assert_eq!(check(r#""updatecheck":{"sameversionupdate":true}"#, &offer), None);
    offer.version = "2.0".to_owned();
    offer.app = Some("{ONE}".to_owned());
    assert_eq!(check(r#""updatecheck":{}"#, &offer), None);
    offer.app = Some("two".to_owned());
    assert_eq!(check(r#""updatecheck":{}"#, &offer), Check::OtherApp.why_not());
}

#[rstest]
#[case::no_xml("<request", "malformed")]
#[case::open("<request protocol=\"3.0\"><app appid=\"a\">", "ends too early")]
#[case::mismatched("<request protocol=\"3.0\"><app appid=\"a\"></request>", "malformed")]
#[case::two("<request protocol=\"3.0\"><app appid=\"a\"/></request><x/>", "follows its end")]
#[case::text_around("<request protocol=\"3.0\"><app appid=\"a\"/></request>x", "outside")]
#[case::other("<html/>", "not with 'request'")]
#[case::no_app("<request protocol=\"3.0\"/>", "about no app")]
#[case::no_id("<request protocol=\"3.0\"><app/></request>", "no id")]
#[case::id_of_markup("<request protocol=\"3.0\"><app appid=\"a&quot;&gt;\"/></request>", "no id")]
#[case::newline(
    "<request protocol=\"3.0\"><app appid=\"a\" version=\"1&#10;\"/></request>",
    "control characters"
)]
#[case::twice("<request protocol=\"3.0\"><app appid=\"a\" appid=\"b\"/></request>", "malformed")]
#[case::protocol("<request protocol=\"2.1\"><app appid=\"a\"/></request>", "'2.1' is not spoken")]
#[case::event(
    "<request protocol=\"3.0\"><app appid=\"a\"><event eventtype=\"x\"/></app></request>",
    "is no number"
)]
#[case::range(
    "<request protocol=\"3.0\"><app appid=\"a\"><event eventtype=\"-1\"/></app></request>",
    "out of range"
)]
#[case::untyped(
    "<request protocol=\"3.0\"><app appid=\"a\"><event/></app></request>",
    "no 'eventtype'"
)]
#[case::entity("<request protocol=\"3.0\"><app appid=\"&x;\"/></request>", "malformed")]
#[case::entity_in_text("<request protocol=\"3.0\">&x;<app appid=\"a\"/></request>", "is not known")]
#[case::doctype("<!DOCTYPE r [<!ENTITY a \"aa\">]><request protocol=\"3.0\"/>", "document type")]
#[case::file(
    "<!DOCTYPE r SYSTEM \"file:///etc/passwd\"><request protocol=\"3.0\"/>",
    "document type"
)]
#[case::late_doctype(
    "<request protocol=\"3.0\"><!DOCTYPE r><app appid=\"a\"/></request>",
    "document type"
)]
#[case::no_json("{", "malformed")]
#[case::words("hello", "malformed")]
#[case::list("[]", "malformed")]
#[case::json_protocol("{\"request\":{\"protocol\":\"4.0\",\"app\":[]}}", "'4.0' is not spoken")]
#[case::json_no_app("{\"request\":{\"protocol\":\"3.1\",\"app\":[]}}", "about no app")]
#[case::json_twice("{\"request\":{\"protocol\":\"3.1\",\"protocol\":\"3.1\",\"app\":[]}}", "duplicate")]
#[case::trailing("{\"request\":{\"protocol\":\"3.1\",\"app\":[{\"appid\":\"a\"}]}}}", "trailing")]
#[case::empty(" \n", "empty")]
fn nonsense_is_told(#[case] body: &str, #[case] expected: &str) {
    let said = Request::parse(None, body.as_bytes()).unwrap_err().to_string();
    assert!(said.contains(expected), "{said}");
    assert!(said.len() < 400, "{said}");
}

#[test]
fn limits_hold() {
    let parse = |body: String| Request::parse(None, body.as_bytes()).map_err(|error| error.to_string());
    let inside = |part: &str| format!("<request protocol=\"3.0\"><app appid=\"a\">{part}</app></request>");
    assert_eq!(
        Request::parse(XML, &vec![b' '; MOST_BYTES + 1]),
        Err(BadRequest::TooLarge)
    );
    assert!(parse("<a>".repeat(MOST_BYTES / 3)).is_err());
    assert!(parse(inside(&"<x>".repeat(DEEPEST))).unwrap_err().contains("deep"));
    assert!(
        parse(inside(&"<x/>".repeat(MOST_ELEMENTS)))
            .unwrap_err()
            .contains("elements")
    );
    assert!(
        parse(inside(&"<event eventtype=\"3\"/>".repeat(MOST_EVENTS + 1)))
            .unwrap_err()
            .contains("events")
    );
    assert!(parse(inside(&"<event eventtype=\"3\"/>".repeat(MOST_EVENTS))).is_ok());
    let apps = "<app appid=\"a\"/>".repeat(MOST_APPS + 1);
    assert!(
        parse(format!("<request protocol=\"3.0\">{apps}</request>"))
            .unwrap_err()
            .contains("apps")
    );
    let many: Vec<String> = (0..=MOST_ATTRIBUTES).map(|at| format!(" a{at}=\"\"")).collect();
    let many = many.concat();
    assert!(
        parse(inside(&format!("<x{many}/>")))
            .unwrap_err()
            .contains("attributes")
    );
    let long = "1".repeat(MOST_WORD + 1);
    assert!(parse(format!("<request protocol=\"3.0\"><app appid=\"{long}\"/></request>")).is_err());
    assert!(
        parse(v3_json("3.0", &format!("\"x\":{}{}", "[".repeat(40), "]".repeat(40))))
            .unwrap_err()
            .contains("deep")
    );
    // Brackets in a text are no depth.
    assert!(parse(v3_json("3.0", &format!("\"x\":\"\\\"{}\"", "[".repeat(40)))).is_ok());
}

fn event(kind: u32, result: u32) -> Event {
    Event {
        kind: kind.into(),
        result: result.into(),
        error_code: None,
        previous_version: None,
        next_version: None,
        download_ms: None,
    }
}

#[rstest]
#[case(&[(13, 1)], Stage::Downloading)]
#[case(&[(13, 1), (14, 1)], Stage::Downloaded)]
#[case(&[(13, 1), (14, 1), (3, 2)], Stage::Updated)]
#[case(&[(13, 1), (14, 1), (3, 1), (54, 1)], Stage::Rebooted)]
#[case(&[(13, 1), (14, 1), (3, 0)], Stage::Failed { error_code: None })]
#[case(&[(13, 1), (14, 0)], Stage::Failed { error_code: None })]
#[case(&[(13, 1), (14, 1), (3, 2), (3, 0)], Stage::RolledBack { error_code: None })]
#[case(&[(3, 1), (54, 1), (3, 0)], Stage::RolledBack { error_code: None })]
#[case(&[(3, 0)], Stage::Failed { error_code: None })]
#[case(&[(13, 1), (3, 9), (77, 0)], Stage::Downloading)]
#[case(&[(3, 2), (3, 0), (13, 1)], Stage::Downloading)]
fn events_tell_how_far_an_update_is(#[case] events: &[(u32, u32)], #[case] expected: Stage) {
    let stage = events.iter().fold(Stage::Silent, |stage, (kind, result)| {
        stage.after(&event(*kind, *result))
    });
    assert_eq!(stage, expected);
}

#[test]
fn the_day_begins_at_midnight_and_the_days_in_2007() {
    let days = |year, month, day| DayStart::of(date(year, month, day).at(23, 59, 59, 0));
    assert_eq!(
        days(2007, 1, 1),
        DayStart {
            days: 0,
            seconds: 86_399
        }
    );
    assert_eq!(days(2008, 1, 1).days, 365);
    assert_eq!(days(2000, 1, 1).days, 0);
}

/// Bytes that come near to a request.
fn near() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "<request protocol=\"3.0\">",
        "</request>",
        "<o:gupdate protocol='2.0'>",
        "</o:gupdate>",
        "<app appid=\"a\">",
        "<app ",
        "/>",
        "</app>",
        "<updatecheck/>",
        "<event eventtype=\"3\"/>",
        "<!DOCTYPE a [",
        "<!ENTITY a \"",
        "]>",
        "&a;",
        "&#0;",
        "&#x110000;",
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
        "<?",
        "?>",
        "{\"request\":",
        "{\"protocol\":\"3.1\",",
        "\"app\":[",
        "{\"appid\":\"a\",",
        "\"event\":[{\"eventtype\":13}]",
        "\"updatecheck\":{}",
        "}",
        "]",
        "null",
        "1e999",
        "\\u0000",
        "\"",
        "=",
        "\u{feff}",
    ]);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(words, 0..30).prop_map(|words| words.concat().into_bytes()),
    ]
}

proptest! {
    #[test]
    fn no_bytes_panic_and_every_answer_is_well_formed(body in near(), kind in prop::option::of("text/xml|application/json|text/plain|")) {
        if let Ok(request) = Request::parse(kind.as_deref(), &body) {
            let offer = offer();
            let response = answer(&request, Some(&offer), day(), "http://x/");
            let text = response.render();
            match request.dialect {
                Dialect::V2Xml | Dialect::V3Xml => {
                    let mut reader = quick_xml::Reader::from_str(&text);
                    while !matches!(reader.read_event().unwrap(), quick_xml::events::Event::Eof) {}
                }
                Dialect::V3Json | Dialect::V31Json => {
                    let text = text.strip_prefix(")]}'\n").unwrap_or(&text);
                    serde_json::from_str::<serde_json::Value>(text).unwrap();
                }
            }
        }
    }

    #[test]
    fn a_prefix_of_whole_components_always_allows(parts in prop::collection::vec(0_u32..10_000, 1..5), keep in 0_usize..5, dot in any::<bool>()) {
        let version = parts.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
        let mut prefix = parts.iter().take(keep).map(u32::to_string).collect::<Vec<_>>().join(".");
        if dot && !prefix.is_empty() {
            prefix.push('.');
        }
        prop_assert!(prefix_allows(&prefix, &version));
        if keep > 0 && !dot {
            let digit = format!("{prefix}0");
            prop_assert_eq!(prefix_allows(&digit, &version), false);
        }
    }

    #[test]
    fn numbers_of_events_come_back(kind in any::<u32>(), result in any::<u32>()) {
        prop_assert_eq!(u32::from(EventKind::from(kind)), kind);
        prop_assert_eq!(u32::from(EventResult::from(result)), result);
        let event = event(kind, result);
        let text = serde_json::to_string(&event).unwrap();
        prop_assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
    }

    #[test]
    fn both_forms_of_3_0_say_the_same(kind in 0_u32..100, result in 0_u32..10, code in any::<i32>(), version in "[0-9]{1,4}(\\.[0-9]{1,3}){0,3}", ping in any::<bool>()) {
        let ping_xml = if ping { "<ping/>" } else { "" };
        let ping_json = if ping { "\"ping\":{}," } else { "" };
        let xml = format!("<request protocol=\"3.0\"><app appid=\"a\" version=\"{version}\">{ping_xml}<updatecheck/><event eventtype=\"{kind}\" eventresult=\"{result}\" errorcode=\"{code}\"/></app></request>");
        let json = format!("{{\"request\":{{\"protocol\":\"3.0\",\"app\":[{{\"appid\":\"a\",\"version\":\"{version}\",{ping_json}\"updatecheck\":{{}},\"event\":[{{\"eventtype\":{kind},\"eventresult\":{result},\"errorcode\":{code}}}]}}]}}}}");
        let (xml, json) = (Request::parse(None, xml.as_bytes()).unwrap(), Request::parse(None, json.as_bytes()).unwrap());
        prop_assert_eq!(xml.apps, json.apps);
    }
}
