//! What an operator asks a monitor by signals: SIGTERM and SIGINT to stop, SIGHUP to read the configuration again.
//!
//! A terminal that is closed sends SIGHUP too. Where one of the standard streams was a terminal and is none any more, SIGHUP
//! means to stop: nobody is there who could read on, or press Ctrl-C. Under `nohup`, `setsid` or a service manager no stream is
//! a terminal, and SIGHUP means to reload.

use super::outward::Outward;
use super::shared::StopSignals;
use crate::config::Loaded;
use crate::notify::Notifier;
use hangwatch::monitor::Monitor;
use hangwatch::{Error, Result};
use signal_hook::consts::SIGHUP;
use signal_hook::iterator::Signals;
use std::io::{IsTerminal, stderr, stdin, stdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// The signals, caught from the start on, so that none is lost on workers that are being spawned.
pub(crate) struct Control {
    stops: Receiver<()>,
    reloads: Receiver<()>,
}

fn failed(e: std::io::Error) -> Error {
    Error::io("cannot handle signals", &e)
}

fn terminals() -> [bool; 3] {
    [stdin().is_terminal(), stdout().is_terminal(), stderr().is_terminal()]
}

impl Control {
    pub(crate) fn start(notifier: &Notifier) -> Result<Self> {
        let ((stop, stops), (reload, reloads)) = (channel(), channel());
        let mut hangups = Signals::new([SIGHUP]).map_err(failed)?;
        let (of_signal, of_hangup) = ((stop.clone(), notifier.clone()), (stop, notifier.clone()));
        StopSignals::new()?.call(move || ask_to_stop(&of_signal.0, &of_signal.1))?;
        let at_first = terminals();
        let thread = std::thread::Builder::new().name("hangwatch-hangups".into());
        let spawned = thread.spawn(move || {
            for _ in hangups.forever() {
                // The kernel takes the terminal away before it sends the signal.
                if at_first.iter().zip(terminals()).any(|(was, is)| *was && !is) {
                    ask_to_stop(&of_hangup.0, &of_hangup.1);
                } else {
                    let _ = reload.send(());
                }
            }
        });
        spawned.map_err(failed)?;
        Ok(Self { stops, reloads })
    }

    /// Waits for being asked to stop; `false` where nobody did so in time.
    pub(crate) fn stopped_within(&self, timeout: Duration) -> bool {
        self.stops.recv_timeout(timeout) != Err(RecvTimeoutError::Timeout)
    }

    /// From now on, and for what was asked before, calls `on_stop` at each wish to stop, and reads the configuration again at
    /// each wish to reload: what is good comes into force.
    pub(crate) fn serve(
        self,
        mut on_stop: impl FnMut() + Send + 'static,
        loaded: Loaded,
        outward: Outward,
        monitor: &Monitor,
        notifier: &Notifier,
    ) -> Result<()> {
        let Self { stops, reloads } = self;
        let (reloader, notifier) = (monitor.reloader(), notifier.clone());
        // A configuration on a disk that hangs must not hold up a stop.
        let thread = std::thread::Builder::new().name("hangwatch-reload".into());
        let reload = move || {
            for () in reloads {
                notifier.reloading();
                reloader.reload(loaded.reload().and_then(|again| {
                    outward.replace(&again)?;
                    again.log();
                    Ok(again.policies)
                }));
            }
        };
        thread.spawn(reload).map_err(failed)?;
        let thread = std::thread::Builder::new().name("hangwatch-stop".into());
        thread.spawn(move || stops.iter().for_each(|()| on_stop())).map(drop).map_err(failed)
    }
}

fn ask_to_stop(stop: &Sender<()>, notifier: &Notifier) {
    notifier.stopping();
    // Nobody receives it any more where the monitor has just ended by itself.
    let _ = stop.send(());
}
