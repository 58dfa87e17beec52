//! The update server alone, for a device that is told to update by somebody else.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::cli::payload::terminal::Session;
use crate::devices::flash::Parcels;
use crate::devices::server::{Log, Offers, PAYLOAD, Parcel, STATEFUL, Server, Settings, Shelf, Target, Update};
use crate::exit::{Broken, Exit};
use crate::output::Output;

/// Serves a payload until somebody says to stop.
pub(super) fn serve(
    parcels: &Parcels,
    listen: IpAddr,
    port: u16,
    session: &Session,
    out: &mut Output,
) -> anyhow::Result<Exit> {
    let open = |path| Parcel::open(path, None).map(Arc::new);
    let update = Update {
        version: parcels.version.clone().unwrap_or_default(),
        app: None,
        metadata: None,
        is_delta: parcels.is_delta,
    };
    let mut shelf = Shelf::default().with_payload(update, open(&parcels.payload)?);
    if let Some(stateful) = &parcels.stateful {
        shelf = shelf.with_stateful(open(stateful)?);
    }
    let offers = Offers::default();
    offers.put(Target::Anybody, shelf);
    let settings = Settings {
        listen: SocketAddr::new(listen, port),
        ..Settings::default()
    };
    session.runtime().block_on(async {
        let server = Server::bind(settings, offers, Arc::new(Log))
            .await
            .map_err(Broken::from)?;
        let address = server.address();
        out.line(format!("http://{address}/update"))?;
        out.say(format!("serving http://{address}/{PAYLOAD}"));
        if parcels.stateful.is_some() {
            out.say(format!("serving http://{address}/{STATEFUL}"));
        }
        server.serve(session.stopping()).await;
        Ok(session.interrupted())
    })
}
