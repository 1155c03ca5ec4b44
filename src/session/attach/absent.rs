//! What stands in for attaching where there are no sockets with a name in the file system: nobody
//! is ever attached.

use crate::session::setting::{Counts, Setting};
use crate::session::shared::Shared;
use crate::session::stats::{AttachStats, SessionStats};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Nobody.
#[derive(Debug, Default)]
pub(crate) struct Hub;

impl Hub {
    #[expect(clippy::unused_self, reason = "as where there is somebody")]
    pub(crate) fn sums(&self) -> SessionStats {
        SessionStats::default()
    }

    #[expect(clippy::unused_self, reason = "as where there is somebody")]
    pub(crate) fn stats(&self) -> AttachStats {
        AttachStats::default()
    }

    #[expect(clippy::unused_self, reason = "as where there is somebody")]
    pub(crate) fn flush(&self, _: Duration) -> bool {
        true
    }

    #[expect(clippy::unused_self, reason = "as where there is somebody")]
    pub(crate) fn end(&self, _: Duration) {}

    #[expect(clippy::unused_self, reason = "as where there is somebody")]
    pub(crate) fn close(&self) -> VecDeque<()> {
        VecDeque::new()
    }

    #[expect(clippy::unused_self, reason = "as where there is somebody")]
    pub(crate) fn tell(&self, _: &Setting) {}
}

/// Where nothing comes in.
#[derive(Debug)]
pub(crate) struct Inlet;

impl Inlet {
    pub(crate) fn new(_: u32, _: u16) -> Self {
        Self
    }
}

/// What no flusher has in place of a log.
#[derive(Debug)]
pub(crate) enum Sender {}

impl Sender {
    pub(crate) fn belongs_to(&mut self, _: &Arc<Shared>) {
        match *self {}
    }

    pub(crate) fn is_gone(&self) -> bool {
        match *self {}
    }

    pub(crate) fn write(&mut self, _: usize, _: &[u8], _: bool) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn sent(&self) -> u64 {
        match *self {}
    }

    pub(crate) fn taken(&self) -> u64 {
        match *self {}
    }

    pub(crate) fn flush_wanted(&self) -> u64 {
        match *self {}
    }

    pub(crate) fn flushed(&mut self, _: &Counts, _: u64) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn end(&mut self, _: &Counts) -> io::Result<()> {
        match *self {}
    }
}
