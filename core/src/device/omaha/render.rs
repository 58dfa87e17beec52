//! Answers as bytes, in each dialect.
//!
//! One digest is written in two ways: a package's `hash_sha256` in hexadecimal digits, an action's `sha256` in base64.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use quick_xml::escape::escape;
use serde_json::{Value, json};

use super::{Answered, Check, Dialect, Offer, Response};
use crate::hex::hex;

/// The app that answers of protocol 2.0 are about, whatever was asked.
const V2_APP: &str = "{87efface-864d-49a5-9bb3-4b050a7c227a}";
/// The namespace of answers of protocol 2.0.
const V2_NAMESPACE: &str = "http://www.google.com/update2/response";

/// What stands before JSON of protocol 3.1, so that no browser runs it.
const NO_SCRIPT: &str = ")]}'\n";

impl Response<'_> {
    /// The content type of what [`Response::render`] gives.
    pub fn content_type(&self) -> &'static str {
        match self.dialect {
            Dialect::V2Xml | Dialect::V3Xml => "text/xml",
            Dialect::V3Json | Dialect::V31Json => "application/json",
        }
    }

    /// The answer in the dialect of the request.
    pub fn render(&self) -> String {
        match self.dialect {
            Dialect::V2Xml => self.v2(),
            Dialect::V3Xml => self.v3(),
            Dialect::V3Json => self.json("3.0").to_string(),
            Dialect::V31Json => format!("{NO_SCRIPT}{}", self.json("3.1")),
        }
    }

    /// Protocol 2.0 has one answer with and one without an update, whose every byte stands since the first server, spaces included.
    fn v2(&self) -> String {
        let seconds = self.day.seconds;
        let first = self.apps.first().and_then(|answered| answered.check);
        let Some(Check::Offered(offer)) = first else {
            return format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
                 {:6}<gupdate xmlns=\"{V2_NAMESPACE}\" protocol=\"2.0\">\n\
                 {:8}<daystart elapsed_seconds=\"{seconds}\"/>\n\
                 {:8}<app appid=\"{V2_APP}\" status=\"ok\">\n\
                 {:10}<ping status=\"ok\"/>\n\
                 {:10}<updatecheck status=\"noupdate\"/>\n\
                 {:8}</app>\n\
                 {:6}</gupdate>\n\
                 {:4}",
                "", "", "", "", "", "", "", ""
            );
        };
        let url = format!("{}{}", self.codebase, offer.package.name);
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             {:4}<gupdate xmlns=\"{V2_NAMESPACE}\" protocol=\"2.0\">\n\
             {:4}<daystart elapsed_seconds=\"{seconds}\"/>\n\
             {:4}<app appid=\"{V2_APP}\" status=\"ok\">\n\
             {:6}<ping status=\"ok\"/>\n\
             {:6}<updatecheck\n\
             {:6}codebase=\"{}\"\n\
             {:6}hash=\"{}\"\n\
             {:6}needsadmin=\"false\"\n\
             {:6}size=\"{}\"\n\
             {:6}status=\"ok\"/>\n\
             {:4}</app>\n\
             {:4}</gupdate>\n\
             {:2}",
            "",
            "",
            "",
            "",
            "",
            "",
            escape(url.as_str()),
            "",
            BASE64.encode(offer.package.sha1),
            "",
            "",
            offer.package.size,
            "",
            "",
            "",
            ""
        )
    }

    fn v3(&self) -> String {
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<response protocol=\"3.0\" server=\"windlass\">\
             <daystart elapsed_days=\"{}\" elapsed_seconds=\"{}\"/>",
            self.day.days, self.day.seconds
        );
        for answered in &self.apps {
            // Writing to a String cannot fail.
            let _ = write!(
                out,
                "<app appid=\"{}\" status=\"ok\">",
                escape(answered.app.id.as_str())
            );
            if answered.app.ping {
                out.push_str("<ping status=\"ok\"/>");
            }
            match answered.check {
                None => {}
                Some(Check::Offered(offer)) => out.push_str(&self.v3_offer(offer)),
                Some(_) => out.push_str("<updatecheck status=\"noupdate\"/>"),
            }
            for _ in &answered.app.events {
                out.push_str("<event status=\"ok\"/>");
            }
            out.push_str("</app>");
        }
        out.push_str("</response>\n");
        out
    }

    fn v3_offer(&self, offer: &Offer) -> String {
        let package = &offer.package;
        let version = escape(offer.version.as_str());
        let name = escape(package.name.as_str());
        let sha256 = hex(&package.sha256);
        let mut out = format!(
            "<updatecheck status=\"ok\"><urls><url codebase=\"{}\"/></urls><manifest version=\"{version}\"><actions>\
             <action event=\"update\" run=\"{name}\"/><action event=\"postinstall\"",
            escape(self.codebase)
        );
        for (name, value) in action(offer) {
            let _ = write!(out, " {name}=\"{}\"", escape(value.as_str()));
        }
        let _ = write!(
            out,
            "/></actions><packages><package name=\"{name}\" size=\"{}\" required=\"true\" hash=\"{}\" hash_sha256=\"{sha256}\" \
             fp=\"1.{sha256}\"/></packages></manifest></updatecheck>",
            package.size,
            BASE64.encode(package.sha1)
        );
        out
    }

    fn json(&self, protocol: &str) -> Value {
        let apps: Vec<Value> = self.apps.iter().map(|answered| self.json_app(answered)).collect();
        json!({ "response": {
            "protocol": protocol,
            "server": "windlass",
            "daystart": { "elapsed_days": self.day.days, "elapsed_seconds": self.day.seconds },
            "app": apps,
        }})
    }

    fn json_app(&self, answered: &Answered<'_>) -> Value {
        let mut app = json!({ "appid": answered.app.id, "status": "ok" });
        if answered.app.ping {
            app["ping"] = json!({ "status": "ok" });
        }
        match answered.check {
            None => {}
            Some(Check::Offered(offer)) => app["updatecheck"] = self.json_offer(offer),
            Some(_) => app["updatecheck"] = json!({ "status": "noupdate" }),
        }
        if !answered.app.events.is_empty() {
            app["event"] = answered.app.events.iter().map(|_| json!({ "status": "ok" })).collect();
        }
        app
    }

    fn json_offer(&self, offer: &Offer) -> Value {
        let package = &offer.package;
        let sha256 = hex(&package.sha256);
        let mut postinstall = json!({ "event": "postinstall" });
        for (name, value) in action(offer) {
            postinstall[name] = value.into();
        }
        json!({
            "status": "ok",
            "urls": { "url": [{ "codebase": self.codebase }] },
            "manifest": {
                "version": offer.version,
                "actions": { "action": [{ "event": "update", "run": package.name }, postinstall] },
                "packages": { "package": [{
                    "name": package.name,
                    "required": true,
                    "size": package.size,
                    "hash": BASE64.encode(package.sha1),
                    "hash_sha256": sha256,
                    "fp": format!("1.{sha256}"),
                }] },
            },
        })
    }
}

/// What is said of the step after the download: the attributes that `update_engine` reads.
fn action(offer: &Offer) -> Vec<(&'static str, String)> {
    let mut all = vec![
        ("ChromeOSVersion", offer.version.clone()),
        ("sha256", BASE64.encode(offer.package.sha256)),
        ("needsadmin", "false".to_owned()),
        ("IsDeltaPayload", offer.is_delta.to_string()),
        // A lab tries again at once; the device's own pause after a failure grows to days.
        ("DisablePayloadBackoff", "true".to_owned()),
    ];
    if let Some(metadata) = &offer.metadata {
        all.push(("MetadataSize", metadata.size.to_string()));
        if let Some(signature) = &metadata.signature {
            all.push(("MetadataSignatureRsa", signature.clone()));
        }
    }
    all
}
