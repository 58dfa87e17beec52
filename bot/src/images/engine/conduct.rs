//! One command from beginning to end: its container is made, attached, started, its streams are moved, its end is looked up, and the
//! container is removed on every way out.

use std::io::Write;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Engine;
use super::attach::{Input, Output, Streams};
use super::containers::{Container, Exited};
use super::error::{Cause, EngineError};
use super::run::RunOrder;
use crate::stop::Stopping;

/// How long output is waited for after the end of what wrote it.
const GRACE: Duration = Duration::from_secs(10);

/// What Ctrl-D sends.
const END_OF_TRANSMISSION: u8 = 4;

/// Where a command's streams go and come from.
pub struct Console<'a> {
    /// Standard output, or the terminal.
    pub out: &'a mut (dyn Write + Send),
    /// Standard error.
    pub err: &'a mut (dyn Write + Send),
    /// Standard input, in pieces; ended when the sender is gone.
    pub input: Option<mpsc::Receiver<Vec<u8>>>,
    /// The terminal's sizes (rows, columns): the first at once, each further one when it changes.
    pub sizes: Option<mpsc::Receiver<(u16, u16)>>,
}

/// What becomes of the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// It is removed.
    Remove,
    /// It stays; it does not run on.
    Keep,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    Exited(Exited),
    /// We were told to stop.
    Stopped,
}

impl Engine {
    /// Runs a command in a container of its own.
    ///
    /// # Errors
    /// The engine's; that output cannot be written. The container is removed also then, if the engine still can.
    pub async fn run(
        &self,
        order: &RunOrder,
        console: Console<'_>,
        afterwards: Afterwards,
        stop: &mut Stopping,
    ) -> Result<Ended, EngineError> {
        let doing = format!("run a command in {}", order.image);
        if stop.is_given() {
            return Ok(Ended::Stopped);
        }
        // Never dropped halfway: nobody would know the container that the engine then makes.
        let container = match self.create(order).await {
            Ok(container) => container,
            Err(error) => {
                self.remove_unknown(order).await;
                return Err(error);
            }
        };
        let result = if stop.is_given() {
            Ok(Ended::Stopped)
        } else {
            tokio::select! {
                result = conduct(&doing, &container, order, console) => result.map(Ended::Exited),
                () = stop.word() => Ok(Ended::Stopped),
            }
        };
        let cleared = match (afterwards, &result) {
            (Afterwards::Remove, _) => container.remove().await,
            (Afterwards::Keep, Ok(Ended::Exited(_))) => Ok(()),
            (Afterwards::Keep, Ok(Ended::Stopped) | Err(_)) => container.signal("SIGKILL").await,
        };
        // What went wrong first is what is told.
        let ended = result?;
        cleared?;
        Ok(ended)
    }

    /// Removes what an order may have left that failed before its container's id was known.
    async fn remove_unknown(&self, order: &RunOrder) {
        let name = windlass_core::image::label::INSTANCE;
        let Some(instance) = order.labels.get(name) else { return };
        // The first error is the one that is told.
        for facts in self
            .containers(&[format!("{name}={instance}")])
            .await
            .unwrap_or_default()
        {
            let _ = self.container(facts.id).remove().await;
        }
    }
}

async fn conduct(
    doing: &str,
    container: &Container,
    order: &RunOrder,
    console: Console<'_>,
) -> Result<Exited, EngineError> {
    let Console { out, err, input, sizes } = console;
    let (mut streams, writer) = container.attach(order.stdin, order.tty).await?;
    container.start().await?;
    let mut output = std::pin::pin!(pump(doing, &mut streams, out, err));
    let mut feeding = std::pin::pin!(feed(input, writer, order));
    let mut sizing = std::pin::pin!(resize(container, sizes));
    let mut waiting = std::pin::pin!(container.wait());
    let mut written = false;
    let exited = loop {
        tokio::select! {
            exited = &mut waiting => break exited?,
            result = &mut output, if !written => {
                written = true;
                match result {
                    Ok(()) => {}
                    // Podman resets it when a command ends that has not read all of its input.
                    Err(error) if order.stdin && matches!(error.cause(), Cause::Connection | Cause::Cut) => {
                        break tokio::time::timeout(GRACE, &mut waiting).await.map_err(|_| error)??;
                    }
                    Err(error) => return Err(error),
                }
            }
            () = &mut feeding => {}
            () = &mut sizing => {}
        }
    };
    if !written {
        tokio::time::timeout(GRACE, output)
            .await
            .map_err(|_| EngineError::timed_out(doing, GRACE))??;
    }
    Ok(exited)
}

async fn pump(
    doing: &str,
    streams: &mut Streams,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Result<(), EngineError> {
    while let Some(piece) = streams.next().await? {
        let written = match &piece {
            Output::Out(bytes) => out.write_all(bytes).and_then(|()| out.flush()),
            Output::Err(bytes) => err.write_all(bytes).and_then(|()| err.flush()),
        };
        written.map_err(|error| EngineError::local(doing, &error))?;
    }
    Ok(())
}

/// Ends only with the command.
async fn feed(input: Option<mpsc::Receiver<Vec<u8>>>, mut writer: Input, order: &RunOrder) {
    if let Some(mut pieces) = input {
        while let Some(piece) = pieces.recv().await {
            // A command need not read all that there is.
            if writer.write(&piece).await.is_err() {
                break;
            }
        }
    }
    // Half of a terminal cannot be closed: Docker takes the other with it. Its own sign for the end does.
    let _ = match (order.stdin, order.tty) {
        (true, true) => writer.write(&[END_OF_TRANSMISSION]).await,
        (true, false) => writer.end().await,
        (false, _) => Ok(()),
    };
    // The connection's other half must stay open for the output.
    std::future::pending::<()>().await;
}

/// Ends only with the command.
async fn resize(container: &Container, sizes: Option<mpsc::Receiver<(u16, u16)>>) {
    if let Some(mut sizes) = sizes {
        while let Some((rows, columns)) = sizes.recv().await {
            // A terminal of the wrong size is better than none.
            let _ = container.resize(rows, columns).await;
        }
    }
    std::future::pending::<()>().await;
}
