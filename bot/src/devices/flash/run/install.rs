//! What is installed goes through the tunnel: our server, the way back to it, the driver's part, and a watch on what moves.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use windlass_core::device::flash::{Event, SlotRule};

use super::Run;
use crate::devices::driver::{DriverError, Meter, Work};
use crate::devices::flash::goods::Goods;
use crate::devices::flash::server::OwnServer;
use crate::devices::flash::watch::{Progress, Watch};
use crate::devices::tunnel::Tunnel;

/// How often progress is told.
const TICK: Duration = Duration::from_millis(250);

impl Run<'_> {
    pub(super) async fn serve(&mut self) -> Result<Event, DriverError> {
        let goods = self.goods()?;
        let server = OwnServer::start(
            self.record.device.as_str(),
            self.order.port,
            self.order.budget.clone(),
            |offers, target| goods.offer(offers, target),
        );
        let server = server.await.map_err(|error| DriverError::lab(error.to_string()))?;
        let port = server.port();
        // Kept first: it is to be closed if the tunnel does not come up.
        self.server = Some(server);
        let limit = self.order.limits.command;
        self.tunnel = Some(Tunnel::open(self.ssh()?, port, self.order.port, limit).await?);
        Ok(Event::Served)
    }

    fn goods(&self) -> Result<Arc<Goods>, DriverError> {
        self.goods
            .clone()
            .ok_or_else(|| DriverError::lab("nothing was read that could be installed"))
    }

    pub(super) async fn install(&mut self) -> Result<Event, DriverError> {
        self.touched = true;
        let slot = self.through_the_tunnel(Part::Install).await?;
        slot.map(Event::Installed)
            .ok_or_else(|| DriverError::lab("the driver names no slot"))
    }

    pub(super) async fn add_stateful(&mut self) -> Result<Event, DriverError> {
        self.through_the_tunnel(Part::Stateful).await?;
        Ok(Event::StatefulAdded)
    }

    /// Has the driver do its part, while the tunnel stands, something moves, and progress is told.
    async fn through_the_tunnel(&mut self, part: Part) -> Result<Option<SlotRule>, DriverError> {
        let goods = self.goods()?;
        let base = match (&self.server, &self.tunnel) {
            (Some(server), Some(tunnel)) => Some(server.base(tunnel.port())),
            _ => None,
        };
        // Borrowed apart, since the tunnel is waited for meanwhile.
        let ssh = self
            .ssh
            .as_ref()
            .ok_or_else(|| DriverError::lab("there is no way to the device"))?;
        let (before, log) = (self.before.as_ref(), self.log.as_ref());
        let work = Work {
            ssh,
            limits: &self.order.limits,
            goods: &goods,
            base: base.as_deref(),
            before: before.ok_or_else(|| DriverError::lab("nobody has looked at the device"))?,
            log: log.ok_or_else(|| DriverError::lab("there is no log"))?,
            budget: &self.order.budget,
            meter: &self.meter,
        };
        let cut = async {
            match &mut self.tunnel {
                Some(tunnel) => tunnel.cut().await,
                None => std::future::pending().await,
            }
        };
        let doing = async {
            match part {
                Part::Install => self.driver.install(&work).await.map(Some),
                Part::Stateful => self.driver.add_stateful(&work).await.map(|()| None),
            }
        };
        tokio::select! {
            done = doing => done,
            error = cut => Err(DriverError::lab(format!("the tunnel was cut: {error}"))),
            after = stalled(&goods, &self.meter, self.order.limits.stall, self.watch) => {
                Err(DriverError::lab(format!("nothing has moved for {} s", after.as_secs())))
            }
        }
    }

    pub(super) async fn close_server(&mut self) {
        if let Some(tunnel) = self.tunnel.take() {
            tunnel.close().await;
        }
        if let Some(server) = self.server.take() {
            self.record.events.extend(server.events());
            server.close().await;
        }
        self.fetched = self.goods.as_ref().map_or(0, |goods| goods.fetched());
    }
}

/// What a driver does through the tunnel.
#[derive(Debug, Clone, Copy)]
enum Part {
    Install,
    Stateful,
}

/// Tells progress; comes back when nothing has moved for so long, with how long.
async fn stalled(goods: &Goods, meter: &Meter, limit: Duration, watch: &dyn Watch) -> Duration {
    let mut last = None;
    let mut moved = Instant::now();
    loop {
        let progress = Progress {
            sent: goods.fetched() + meter.sent(),
            total: goods.payload.size() + goods.stateful.as_ref().map_or(0, |stateful| stateful.size()),
            device: meter.device(),
        };
        if last != Some(progress) {
            last = Some(progress);
            moved = Instant::now();
            watch.progress(progress);
        } else if moved.elapsed() > limit {
            return limit;
        }
        tokio::time::sleep(TICK).await;
    }
}
