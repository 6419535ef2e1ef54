//! Measures the CPU time of a load and the memory of idle streams.

use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::load::{IDLE_ASK, IDLE_BEFORE, IDLE_STREAMS, Load};
use super::measure::status;
use super::way::{Ask, Failure, Heard, Way};

/// Streams that are opened together. Too many might overflow the sandbox's queue of new connections.
const OPENED_TOGETHER: usize = 20;
const OPEN_LIMIT: Duration = Duration::from_secs(30);

type Calls = JoinSet<Result<Heard, Failure>>;

/// Runs the load one way and returns its cost: microseconds of this process's CPU time for each unit of the load.
///
/// - Errors: a call failed, or its text is not the whole answer.
pub async fn cpu_us(load: &Load, way: &Arc<dyn Way>) -> Result<f64, Failure> {
    let before_us = process_cpu_us();
    let mut calls = Calls::new();
    let mut answers = Vec::with_capacity(load.calls);
    for _ in 0..load.calls {
        if calls.len() == load.at_a_time
            && let Some(ended) = calls.join_next().await
        {
            answers.push(ended??);
        }
        start(&mut calls, way, load.ask, Heard::default());
    }
    while let Some(ended) = calls.join_next().await {
        answers.push(ended??);
    }
    let spent_us = process_cpu_us() - before_us;
    for answer in answers.iter().filter(|_| way.reads_text()) {
        let words = answer.text.split_whitespace().count();
        if words != load.words {
            return Err(format!("expected {} words, found {words}", load.words).into());
        }
    }
    Ok(spent_us / load.units() as f64)
}

fn start(calls: &mut Calls, way: &Arc<dyn Way>, ask: Ask, mut heard: Heard) {
    let way = Arc::clone(way);
    calls.spawn(async move {
        way.ask(ask, &mut heard).await?;
        Ok(heard)
    });
}

/// The resident memory of this process for each stream that is idle after its first text, in KiB.
///
/// Call it once in a process: memory that was freed before would hide some of it.
pub async fn resident_kib_per_stream(way: &Arc<dyn Way>) -> Result<f64, Failure> {
    let mut calls = Calls::new();
    open_idle(&mut calls, way, IDLE_BEFORE).await?;
    let before_kib = resident_kib();
    open_idle(&mut calls, way, IDLE_STREAMS).await?;
    let after_kib = resident_kib();
    if let Some(ended) = calls.try_join_next() {
        ended??;
        return Err("an idle stream ended".into());
    }
    Ok((after_kib - before_kib) / IDLE_STREAMS as f64)
}

async fn open_idle(calls: &mut Calls, way: &Arc<dyn Way>, streams: usize) -> Result<(), Failure> {
    for _ in 0..streams / OPENED_TOGETHER {
        let firsts: Vec<_> = (0..OPENED_TOGETHER)
            .map(|_| {
                let (first, first_text) = oneshot::channel();
                let heard = Heard {
                    first: Some(first),
                    ..Heard::default()
                };
                start(calls, way, IDLE_ASK, heard);
                first_text
            })
            .collect();
        for first in firsts {
            if timeout(OPEN_LIMIT, first).await?.is_err() {
                // The call has ended; its error is the reason.
                while let Some(ended) = calls.join_next().await {
                    ended??;
                }
            }
        }
    }
    Ok(())
}

/// User and system time of all threads of this process, including those that have ended.
fn process_cpu_us() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

fn resident_kib() -> f64 {
    status("self", "VmRSS").expect("Linux has it") as f64
}
