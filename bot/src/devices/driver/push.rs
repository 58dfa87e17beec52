//! Files sent to a device over ssh: a file at its place, or the content of a slot.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};
use windlass_core::device::flash::{look, shell};

use super::{DriverError, Meter, Work};
use crate::devices::server::Budget;

/// A file that is read within the budget, and counted.
pub(super) struct Counted<'a, R> {
    from: R,
    budget: &'a Budget,
    meter: &'a Meter,
    waits: Option<Pin<Box<Sleep>>>,
}

impl<'a, R> Counted<'a, R> {
    pub(super) fn new(from: R, work: &'a Work<'_>) -> Self {
        Self {
            from,
            budget: work.budget,
            meter: work.meter,
            waits: None,
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Counted<'_, R> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(waits) = &mut self.waits {
            std::task::ready!(waits.as_mut().poll(context));
            self.waits = None;
        }
        let before = into.filled().len();
        std::task::ready!(Pin::new(&mut self.from).poll_read(context, into))?;
        let read = (into.filled().len() - before) as u64;
        self.meter.add_sent(read);
        let now = Instant::now();
        // These bytes are paid for before the next ones are read.
        let from = self.budget.draw(now, read);
        if from > now {
            self.waits = Some(Box::pin(sleep_until(from)));
        }
        Poll::Ready(Ok(()))
    }
}

/// Sends the payload into a new file of a folder on the device; its path there comes back.
pub(super) async fn file(work: &Work<'_>, spool: &str, suffix: &str) -> Result<String, DriverError> {
    let path = format!(
        "{}/windlass-{}{suffix}",
        spool.trim_end_matches('/'),
        work.ssh.address().name
    );
    let quoted = shell::quote(&path);
    let take = format!("umask 077; rm -f {quoted}; cat >{quoted} && echo size=$(wc -c <{quoted})");
    let mut size = None;
    let payload = tokio::fs::File::open(work.goods.payload.path()).await;
    let payload = payload.map_err(|error| DriverError::lab(format!("the payload cannot be read: {error}")))?;
    let mut payload = Counted::new(payload, work);
    let hear = |line: &str| size = look::variable(line, "size").or(size.take());
    let (status, complaints) = work.ssh.feed(&take, &mut payload, work.limits.install, hear).await?;
    if status != 0 {
        return Err(DriverError::lab(format!(
            "the payload cannot be copied to '{path}': {complaints}"
        )));
    }
    if size.as_deref().and_then(|size| size.parse().ok()) != Some(work.goods.payload.size()) {
        return Err(DriverError::lab(format!("the payload did not come to '{path}' whole")));
    }
    Ok(path)
}

/// Removes the file that [`file`] sent; where that fails it stays.
pub(super) async fn remove(work: &Work<'_>, path: &str) {
    let remove = shell::command(&["rm", "-f", path]);
    if let Err(error) = work.ssh.says(&remove).await {
        work.log.line(&format!("'{path}' stays on the device: {error}"));
    }
}
