//! The parts of messages that have many fields: changed settings, and how a session fares.

use crate::format::{FileTime, LogFileMode};
use crate::outside::message::{
    MOST_ANSWER, MOST_PROVIDERS, MOST_TEXT, MessageError, MessageFault,
    fields::{Fields, Writer},
};
use crate::outside::status::{EnabledProvider, SessionStatus};
use crate::session::{
    AttachDamage, AttachStats, Clock, EventsLost, SessionProperties, SessionStats, Update,
};
use std::time::Duration;

/// Most bytes of a sink's error.
const MOST_ERROR: usize = 1024;
/// Most bytes of a provider's name.
const MOST_PROVIDER: usize = 128;

/// The largest status that can be made fits an answer.
const _: () = assert!(
    80 + 11 * 8 + 3 * (2 + MOST_TEXT) + 6 + MOST_PROVIDERS * (16 + 2 + MOST_PROVIDER)
        <= MOST_ANSWER as usize
);

impl Writer {
    pub(super) fn update(self, update: &Update) -> Self {
        let fields = [
            update.flush_interval.is_some(),
            update.log_file.is_some(),
            update.maximum_buffers.is_some(),
            update.minimum_buffers.is_some(),
            update.buffer_size.is_some(),
            update.clock.is_some(),
        ];
        let named = fields.iter().rev().fold(0, |bits, set| bits << 1 | u32::from(*set));
        self.u32(named)
            .u64(nanos(update.flush_interval.unwrap_or_default()))
            .u32(update.maximum_buffers.unwrap_or_default())
            .u32(update.minimum_buffers.unwrap_or_default())
            .u32(update.buffer_size.unwrap_or_default())
            .u8(clock_number(update.clock.unwrap_or_default()))
            .path(update.log_file.as_deref())
    }

    pub(super) fn status(self, status: &SessionStatus) -> Self {
        let SessionStatus { process_id, properties, sink_error, providers, .. } = status;
        let stats = &properties.stats;
        let mut writer = self
            .u32(*process_id)
            .u64(properties.id)
            .u16(properties.logger_id)
            .u32(properties.mode.0)
            .u8(clock_number(properties.clock))
            .u8(u8::from(stats.ring_file))
            .u32(properties.buffer_size)
            .u32(properties.minimum_buffers)
            .u32(properties.maximum_buffers)
            .u32(properties.flusher_thread_id)
            .u32(u32::try_from(properties.consumers).unwrap_or(u32::MAX))
            .u32(stats.buffers_free)
            .u32(stats.buffers_total)
            .u32(stats.buffer_size)
            .u32(stats.lanes)
            .u64(nanos(properties.flush_interval))
            .i64(properties.start_time.0)
            .u64(properties.real_time_buffers_lost);
        let damage = &properties.attached.damage;
        writer = writer.u64(stats.events_accepted);
        for count in stats.lost.by_cause() {
            writer = writer.u64(count);
        }
        for count in [
            stats.events_disabled,
            stats.events_after_stop,
            stats.buffers_written,
            stats.buffers_lost,
            properties.attached.processes.into(),
            properties.attached.detached,
            properties.attached.died,
            damage.messages,
            damage.headers,
            damage.lanes,
            damage.checksums,
            damage.records,
            damage.stamps,
            damage.sequences,
            damage.rings,
        ] {
            writer = writer.u64(count);
        }
        writer = writer
            .text(&properties.name)
            .path(properties.log_file.as_deref())
            .short_text(sink_error.as_deref().unwrap_or_default(), MOST_ERROR);
        let told = providers.len().min(MOST_PROVIDERS);
        writer = writer.u32(status.providers_enabled).u16(u16::try_from(told).unwrap_or_default());
        for provider in &providers[..told] {
            writer = writer.raw(&provider.guid.0).short_text(&provider.name, MOST_PROVIDER);
        }
        writer
    }
}

impl Fields<'_> {
    fn clock(&mut self) -> Result<Clock, MessageError> {
        let at = self.at;
        match self.u8()? {
            0 => Ok(Clock::PerformanceCounter),
            1 => Ok(Clock::SystemTime),
            2 => Ok(Clock::CpuCycles),
            3 => Ok(Clock::FlusherTick),
            other => Err(MessageFault::Value("clock", other.into()).at(at)),
        }
    }

    pub(super) fn update(&mut self) -> Result<Update, MessageError> {
        let at = self.at;
        let named = self.u32()?;
        if named >> 6 != 0 {
            return Err(MessageFault::Value("settings", named.into()).at(at));
        }
        let has = |bit: u32| named >> bit & 1 == 1;
        // What is not named is zero: each change has one message.
        let given = |bit: u32, value: u64, at: usize| match value {
            _ if has(bit) => Ok(true),
            0 => Ok(false),
            other => Err(MessageFault::Value("a setting that is not named", other).at(at)),
        };
        let mut update = Update::new();
        let (at, nanos) = (self.at, self.u64()?);
        let interval = given(0, nanos, at)?.then(|| Duration::from_nanos(nanos));
        update.flush_interval = interval;
        for (bit, setting) in [
            (2, &mut update.maximum_buffers),
            (3, &mut update.minimum_buffers),
            (4, &mut update.buffer_size),
        ] {
            let (at, value) = (self.at, self.u32()?);
            *setting = given(bit, value.into(), at)?.then_some(value);
        }
        let (at, clock) = (self.at, self.clock()?);
        update.clock = given(5, clock_number(clock).into(), at)?.then_some(clock);
        let (at, path) = (self.at, self.path()?);
        let valid = if has(1) {
            path.as_ref().is_some_and(|path| path.is_absolute())
        } else {
            path.is_none()
        };
        update.log_file = path;
        if valid { Ok(update) } else { Err(MessageFault::Path.at(at)) }
    }

    fn lost(&mut self) -> Result<EventsLost, MessageError> {
        let mut counts = [0; 6];
        for count in &mut counts {
            *count = self.u64()?;
        }
        Ok(EventsLost::of_causes(counts))
    }

    fn attached(&mut self) -> Result<AttachStats, MessageError> {
        let (at, processes) = (self.at, self.u64()?);
        let processes = u32::try_from(processes)
            .map_err(|_| MessageFault::Value("processes", processes).at(at))?;
        Ok(AttachStats {
            processes,
            detached: self.u64()?,
            died: self.u64()?,
            damage: AttachDamage {
                messages: self.u64()?,
                headers: self.u64()?,
                lanes: self.u64()?,
                checksums: self.u64()?,
                records: self.u64()?,
                stamps: self.u64()?,
                sequences: self.u64()?,
                rings: self.u64()?,
            },
        })
    }

    pub(super) fn status(&mut self) -> Result<SessionStatus, MessageError> {
        let process_id = self.u32()?;
        let id = self.u64()?;
        let logger_id = self.u16()?;
        let mode = LogFileMode(self.u32()?);
        let clock = self.clock()?;
        let ring_file = self.flag("ring_file")?;
        let (buffer_size, minimum_buffers, maximum_buffers) =
            (self.u32()?, self.u32()?, self.u32()?);
        let flusher_thread_id = self.u32()?;
        let consumers = self.u32()? as usize;
        let (buffers_free, buffers_total) = (self.u32()?, self.u32()?);
        let (size_of_buffer, lanes) = (self.u32()?, self.u32()?);
        let flush_interval = Duration::from_nanos(self.u64()?);
        let start_time = FileTime(self.i64()?);
        let real_time_buffers_lost = self.u64()?;
        let stats = SessionStats {
            events_accepted: self.u64()?,
            lost: self.lost()?,
            events_disabled: self.u64()?,
            events_after_stop: self.u64()?,
            buffers_written: self.u64()?,
            buffers_lost: self.u64()?,
            buffers_free,
            buffers_total,
            buffer_size: size_of_buffer,
            lanes,
            ring_file,
        };
        let attached = self.attached()?;
        let name = self.text()?;
        let log_file = self.path()?;
        let sink_error = Some(self.short_text(MOST_ERROR)?).filter(|text| !text.is_empty());
        let providers_enabled = self.u32()?;
        let at = self.at;
        let told = usize::from(self.u16()?);
        if told > MOST_PROVIDERS {
            return Err(MessageFault::Value("providers", told as u64).at(at));
        }
        let mut providers = Vec::with_capacity(told);
        for _ in 0..told {
            providers.push(EnabledProvider {
                guid: self.guid()?,
                name: self.short_text(MOST_PROVIDER)?,
            });
        }
        let properties = SessionProperties {
            name,
            id,
            logger_id,
            mode,
            clock,
            buffer_size,
            minimum_buffers,
            maximum_buffers,
            flush_interval,
            log_file,
            start_time,
            flusher_thread_id,
            consumers,
            real_time_buffers_lost,
            attached,
            stats,
        };
        Ok(SessionStatus { process_id, properties, sink_error, providers, providers_enabled })
    }
}

fn nanos(interval: Duration) -> u64 {
    u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX)
}

fn clock_number(clock: Clock) -> u8 {
    match clock {
        Clock::PerformanceCounter => 0,
        Clock::SystemTime => 1,
        Clock::CpuCycles => 2,
        Clock::FlusherTick => 3,
    }
}
