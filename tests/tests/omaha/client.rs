//! A device on the crate `omaha_client`: its state machine asks, tells and decides; here is what it downloads and installs with.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use futures_util::future::{BoxFuture, LocalBoxFuture};
use futures_util::lock::Mutex;
use futures_util::{FutureExt as _, StreamExt as _};
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use omaha_client::app_set::VecAppSet;
use omaha_client::common::App;
use omaha_client::configuration::{Config, Updater};
use omaha_client::cup_ecdsa::{RequestMetadata, StandardCupv2Handler};
use omaha_client::http_request::{Body, Error, HttpRequest, Request, Response, empty_body, to_bytes};
use omaha_client::installer::{AppInstallResult, Installer, Plan, ProgressObserver};
use omaha_client::metrics::StubMetricsReporter;
use omaha_client::policy::StubPolicyEngine;
use omaha_client::protocol::request::OS;
use omaha_client::protocol::response;
use omaha_client::request_builder::RequestParams;
use omaha_client::state_machine::{StateMachineBuilder, StateMachineEvent};
use omaha_client::storage::MemStorage;
use omaha_client::time::StandardTimeSource;
use omaha_client::time::timers::StubTimer;
use sha2::{Digest as _, Sha256};
use windlass_core::hex::hex;

/// In how many bytes a part of a file is asked for.
const PART: u64 = 1 << 20;

/// What becomes of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It installs what it is offered.
    Good,
    /// It cannot.
    Broken,
}

/// What came of a check.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The payloads that were downloaded and found to be what was told.
    pub(crate) installed: Vec<Vec<u8>>,
    /// The states that the client went through.
    pub(crate) states: String,
}

/// Checks once, and installs what is offered.
pub(crate) fn check(url: &str, version: [u32; 4], fate: Fate) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(url, version, fate))
}

async fn run(url: &str, version: [u32; 4], fate: Fate) -> anyhow::Result<Outcome> {
    let installed = Rc::new(RefCell::new(Vec::new()));
    let device = Device {
        fate,
        installed: Rc::clone(&installed),
    };
    let config = Config {
        updater: Updater {
            name: "lab".to_owned(),
            version: [1, 0].into(),
        },
        os: OS::default(),
        service_url: url.to_owned(),
        omaha_public_keys: None,
    };
    let app = App::builder().id("{app}").version(version).build();
    let machine = StateMachineBuilder::new(
        StubPolicyEngine::<Download, _>::new(StandardTimeSource),
        Http,
        device,
        StubTimer,
        StubMetricsReporter,
        Rc::new(Mutex::new(MemStorage::new())),
        config,
        Rc::new(Mutex::new(VecAppSet::new(vec![app]))),
        None::<StandardCupv2Handler>,
    );
    let mut states = Vec::new();
    let mut events = std::pin::pin!(machine.oneshot_check().await);
    while let Some(event) = events.next().await {
        if let StateMachineEvent::StateChange(state) = event {
            states.push(format!("{state:?}"));
        }
    }
    Ok(Outcome {
        installed: installed.take(),
        states: states.join(" "),
    })
}

/// One connection for each request.
async fn fetch(request: Request<Body>) -> Result<Response<Vec<u8>>, Error> {
    let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let address: SocketAddr = authority.parse().map_err(Error::new_transport)?;
    let stream = tokio::net::TcpStream::connect(address)
        .await
        .map_err(Error::new_transport)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let ask = async move {
        let (mut head, body) = request.into_parts();
        head.headers
            .insert(HOST, authority.parse().expect("an authority is a header's value"));
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        head.uri = path.parse().expect("a path is an address");
        let answer = sender.send_request(Request::from_parts(head, body)).await?;
        drop(sender);
        let (head, body) = answer.into_parts();
        Ok::<_, Error>(Response::from_parts(head, to_bytes(body).await?.to_vec()))
    };
    let (answer, _) = futures_util::future::join(ask, connection).await;
    answer
}

struct Http;

impl HttpRequest for Http {
    fn request(&mut self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Vec<u8>>, Error>> {
        fetch(request).boxed()
    }
}

/// What is to be downloaded.
struct Download {
    url: String,
    size: u64,
    sha256: String,
}

impl Plan for Download {
    fn id(&self) -> String {
        self.sha256.clone()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Failed(String);

struct Device {
    fate: Fate,
    installed: Rc<RefCell<Vec<Vec<u8>>>>,
}

impl Device {
    async fn install(&self, plan: &Download) -> Result<(), Failed> {
        if self.fate == Fate::Broken {
            return Err(Failed("it is broken".to_owned()));
        }
        let mut payload = Vec::new();
        while (payload.len() as u64) < plan.size {
            let from = payload.len() as u64;
            let range = format!("bytes={from}-{}", (from + PART).min(plan.size) - 1);
            let request = Request::get(&plan.url).header("Range", range).body(empty_body());
            let request = request.map_err(|error| Failed(error.to_string()))?;
            let answer = fetch(request).await.map_err(|error| Failed(error.to_string()))?;
            if answer.status() != 206 {
                return Err(Failed(format!("{} instead of a part", answer.status())));
            }
            payload.extend_from_slice(answer.body());
        }
        if hex(&Sha256::digest(&payload)) != plan.sha256 {
            return Err(Failed("the payload is another one".to_owned()));
        }
        self.installed.borrow_mut().push(payload);
        Ok(())
    }
}

impl Installer for Device {
    type InstallPlan = Download;
    type InstallResult = ();
    type Error = Failed;

    fn perform_install<'a>(
        &'a mut self,
        plan: &'a Download,
        _: Option<&'a dyn ProgressObserver>,
    ) -> LocalBoxFuture<'a, ((), Vec<AppInstallResult<Failed>>)> {
        async move { ((), vec![self.install(plan).await.into()]) }.boxed_local()
    }

    fn perform_reboot(&mut self) -> LocalBoxFuture<'_, Result<(), anyhow::Error>> {
        async { Ok(()) }.boxed_local()
    }

    fn try_create_install_plan<'a>(
        &'a self,
        _: &'a RequestParams,
        _: Option<&'a RequestMetadata>,
        response: &'a response::Response,
        _: Vec<u8>,
        _: Option<Vec<u8>>,
    ) -> LocalBoxFuture<'a, Result<Download, Failed>> {
        let plan = || {
            let check = response.apps.first()?.update_check.as_ref()?;
            let package = check.get_all_packages().next()?;
            Some(Download {
                url: check.get_all_full_urls().next()?,
                size: package.size?,
                sha256: package.hash_sha256.clone()?,
            })
        };
        let plan = plan().ok_or_else(|| Failed("the answer names no package".to_owned()));
        async move { plan }.boxed_local()
    }
}
