//! Answers one request.

use std::net::SocketAddr;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use axum::response::Response;
use hyper::body::{Body as _, Bytes, Frame, Incoming};
use jiff::Timestamp;
use tokio::time::timeout;
use windlass_core::device::omaha::{self, BadRequest, Check, DayStart};
use windlass_core::escape::escaped;

use super::Shared;
use super::metered::Metered;
use super::parcel::Parcel;
use super::place::{Label, Place, Target};
use super::record::{Device, Report, What};
use crate::http::file::{self, ASK, Opened, host_of, not_allowed, plain};

/// How much of what a client sends too much is thrown away, and for how long, so that it sees why.
const MOST_THROWN: usize = 64 << 20;
const LINGER: Duration = Duration::from_secs(5);

/// Why there is no answer of the usual kind.
struct Refused(StatusCode, String);

pub(super) async fn answer(shared: &Arc<Shared>, peer: SocketAddr, request: Request<Incoming>) -> Response {
    let (head, body) = request.into_parts();
    let answered = respond(shared, peer, &head, body).await;
    let response = answered.unwrap_or_else(|Refused(status, text)| {
        let mut response = plain(status, ASK, format!("{text}\n"));
        if matches!(status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
            // What else it sends is not read.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    });
    tracing::debug!(
        http.status = response.status().as_u16(),
        "{} {} → {}",
        head.method,
        escaped(head.uri.path()),
        response.status().as_u16()
    );
    response
}

async fn respond(shared: &Arc<Shared>, peer: SocketAddr, head: &Parts, body: Incoming) -> Result<Response, Refused> {
    let missing = |text: &str| Refused(StatusCode::NOT_FOUND, text.to_owned());
    let place = Place::parse(head.uri.path()).ok_or_else(|| missing("there is nothing here"))?;
    match (&head.method, place) {
        (&Method::POST, Place::Update(target)) => update(shared, peer, head, body, target).await,
        // As the first server meant it.
        (&Method::GET | &Method::HEAD, Place::Update(_)) => {
            Err(missing("there is nothing to read here: devices post an Omaha request"))
        }
        (_, Place::Update(_)) => Ok(not_allowed("POST", "devices post an Omaha request here")),
        (&Method::GET | &Method::HEAD, Place::File(target, name)) => {
            let parcel = shared.offers.file(&target, &name);
            let parcel = parcel.ok_or_else(|| missing("there is no such file on offer"))?;
            download(shared, peer, head, target, &name, &parcel)
        }
        (_, Place::File(..)) => Ok(not_allowed("GET, HEAD", "files can be read, and nothing else")),
    }
}

/// Answers Omaha, and puts on record what was asked and told.
async fn update(
    shared: &Arc<Shared>,
    peer: SocketAddr,
    head: &Parts,
    body: Incoming,
    target: Target,
) -> Result<Response, Refused> {
    let body = read(shared.settings.patience, body).await?;
    let kind = head
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let request = omaha::Request::parse(kind, &body).map_err(|bad| Refused(status_of(&bad), bad.to_string()))?;
    let host = host(shared, head)?;

    let board = request.apps.iter().find_map(|app| app.board.as_deref());
    let found = shared.offers.for_device(&target, board);
    let (base, offer) = match &found {
        Some((base, shelf)) => (base, shelf.offer()),
        None => (&target, None),
    };
    let codebase = format!("http://{host}{}", base.path());
    let now = (shared.settings.now)();
    let response = omaha::answer(&request, offer, DayStart::of(now.datetime()), &codebase);

    let device = Device::of(&target, request.user.as_deref(), peer);
    let record = |what| {
        shared.sink.record(&Report {
            at: now.timestamp(),
            target: target.clone(),
            device: device.clone(),
            peer,
            what,
        });
    };
    for answered in &response.apps {
        let app = answered.app;
        for event in &app.events {
            record(What::Event {
                app: app.id.clone(),
                event: event.clone(),
            });
        }
        // By protocol 2.0 everything is answered as a check; one is on record where one was meant.
        let asked = app.check.is_some() || app.events.is_empty() && !app.ping;
        if let Some(check) = answered.check.filter(|_| asked) {
            let offered = match check {
                Check::Offered(offer) => Some(offer.version.clone()),
                Check::Nothing
                | Check::OtherApp
                | Check::NotForced
                | Check::SameVersion
                | Check::OtherPrefix
                | Check::Disabled => None,
            };
            record(What::Check {
                app: app.id.clone(),
                version: app.version.clone(),
                offered,
                why_not: check.why_not().map(str::to_owned),
            });
        }
    }
    let text = response.render();
    let answer = Response::builder()
        .status(StatusCode::OK)
        .header(header::CONTENT_TYPE, response.content_type())
        .header(header::CONTENT_LENGTH, text.len())
        .header(header::CACHE_CONTROL, ASK)
        .body(Body::from(text));
    Ok(answer.expect("all headers are plain text"))
}

/// By which name the device found this server.
fn host(shared: &Shared, head: &Parts) -> Result<String, Refused> {
    match host_of(&head.headers) {
        Some(host) => Ok(host.to_owned()),
        None if head.headers.contains_key(header::HOST) => {
            let text = "the request's 'Host' is no name of a server";
            Err(Refused(StatusCode::BAD_REQUEST, text.to_owned()))
        }
        None => Ok(shared.address.to_string()),
    }
}

fn status_of(bad: &BadRequest) -> StatusCode {
    match bad {
        // As the first server meant it.
        BadRequest::Empty => StatusCode::NOT_FOUND,
        BadRequest::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        BadRequest::Malformed(_) | BadRequest::Protocol(_) => StatusCode::BAD_REQUEST,
    }
}

/// Reads what a client sends, as far as it may be a request at all.
async fn read(patience: Duration, mut body: Incoming) -> Result<Vec<u8>, Refused> {
    match timeout(patience, read_whole(&mut body)).await {
        Err(_) => {
            let text = "the request took too long to come".to_owned();
            Err(Refused(StatusCode::REQUEST_TIMEOUT, text))
        }
        Ok(Err(refused)) => {
            // Closing while it still sends would take the answer away from it.
            tokio::spawn(timeout(LINGER, throw_away(body)));
            Err(refused)
        }
        Ok(Ok(bytes)) => Ok(bytes),
    }
}

async fn read_whole(body: &mut Incoming) -> Result<Vec<u8>, Refused> {
    let too_large = || Refused(StatusCode::PAYLOAD_TOO_LARGE, BadRequest::TooLarge.to_string());
    let most = omaha::MOST_BYTES;
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(frame) = next(body).await {
        let gone = |error: hyper::Error| Refused(StatusCode::BAD_REQUEST, format!("the request broke off: {error}"));
        // Trailers say nothing here.
        let Ok(data) = frame.map_err(gone)?.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > most {
            return Err(too_large());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Reads on, and keeps nothing.
async fn throw_away(mut body: Incoming) {
    let mut left = MOST_THROWN;
    while let Some(Ok(frame)) = next(&mut body).await {
        left = left.saturating_sub(frame.data_ref().map_or(1, Bytes::len));
        if left == 0 {
            return;
        }
    }
}

async fn next(body: &mut Incoming) -> Option<Result<Frame<Bytes>, hyper::Error>> {
    std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await
}

/// Sends a file, or a part of one, within the budget.
fn download(
    shared: &Arc<Shared>,
    peer: SocketAddr,
    head: &Parts,
    target: Target,
    name: &Label,
    parcel: &Arc<Parcel>,
) -> Result<Response, Refused> {
    if !parcel.is_unchanged() {
        let path = parcel.path().display();
        tracing::error!(path = %path, "{path} was written to after it was put on offer; it is not served any more");
        let text = "this file was written to after it was put on offer".to_owned();
        return Err(Refused(StatusCode::GONE, text));
    }
    let opened = Opened {
        file: parcel.file(),
        facts: parcel.facts(),
        kind: "application/octet-stream",
        lasts: ASK,
    };
    let report = |range: &Range<u64>| {
        let (from, wanted) = (range.start, range.end - range.start);
        let (shared, file) = (Arc::clone(shared), name.to_string());
        let device = Device::of(&target, None, peer);
        Box::new(move |sent| {
            shared.sink.record(&Report {
                at: Timestamp::now(),
                target,
                device,
                peer,
                what: What::Sent {
                    file,
                    from,
                    wanted,
                    sent,
                },
            });
        })
    };
    Ok(file::respond(&head.method, &head.headers, opened, |_, range| {
        let tell = report(&range);
        let budget = shared.settings.budget.clone();
        Body::new(Metered::new(Arc::clone(parcel), range, budget, tell))
    }))
}
