//! One run: start, generate, break, heal, wait until it is quiet, judge, show.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::checker::{self, Evidence, Sample, Verdict};
use crate::clock::unix_ms;
use crate::options::Options;
use crate::system::{Pids, System, sample};
use crate::workload::Load;
use crate::{history, ledger};

/// How long the system may take to finish what it has after the generator stopped.
const QUIET_MAX: Duration = Duration::from_secs(75);
/// How long the ledger must have been silent.
const SILENCE: Duration = Duration::from_secs(4);
/// How many samples are kept; ten hours of eight nodes.
const SAMPLES_MAX: usize = 300_000;

/// What the nodes held so far.
type Samples = Arc<Mutex<Vec<Sample>>>;

/// Runs it and says whether everything held.
pub(crate) async fn run(options: &Options, binary: &Path, folder: &Path) -> io::Result<bool> {
    let (steps, whole_ms) = options.schedule();
    println!(
        "seed {}, {:?}, {} s; faults:",
        options.seed,
        options.transport,
        whole_ms / 1_000
    );
    steps.iter().for_each(|step| println!("  {step}"));
    let mut system = System::start(binary, folder, options.transport, options.nodes).await?;
    let samples = Samples::default();
    let sampler = sampler(system.pids.clone(), samples.clone());
    let (begun, begun_ms) = (Instant::now(), unix_ms());
    let stop = CancellationToken::new();
    let load = Load {
        seed: options.seed,
        per_second: options.rate,
        calls_per_mille: options.calls_per_mille(),
        node: (0, system.nodes[0].http),
        slow: system.slow.clone(),
        stop: stop.clone(),
    };
    let generator = tokio::spawn(load.run());
    let (mut broken, mut connections) = (Vec::new(), Vec::new());
    for step in steps {
        sleep_until(begun + Duration::from_millis(step.at_ms)).await; // allow-sleep: the schedule says when
        connections.push(system.connections());
        let done = system.suffer(step).await?;
        println!("  done: {} in {} ms", step.fault, done.to_ms - done.from_ms);
        broken.push(done);
    }
    sleep_until(begun + Duration::from_millis(whole_ms)).await; // allow-sleep: the schedule says how long
    connections.push(system.connections());
    stop.cancel();
    let acts = generator.await.map_err(io::Error::other)?;
    history::write(&folder.join("history.jsonl"), &acts)?;
    let mut evidence = Evidence {
        transport: options.transport,
        acts,
        lines: Vec::new(),
        broken,
        samples: Vec::new(),
        span_ms: (begun_ms, unix_ms()),
    };
    let quiet_after = until_quiet(&system, &mut evidence, &samples).await;
    println!("quiet after {:.1} s", quiet_after.as_secs_f64());
    sampler.abort();
    let bad_ends = system.stop().await;
    evidence.lines = ledger::read(&system.ledger);
    Ok(report(&system, &evidence, &connections, bad_ends))
}

/// Samples the nodes' memory once a second until it is aborted.
fn sampler(pids: Pids, samples: Samples) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut beat = interval(Duration::from_secs(1));
        loop {
            beat.tick().await;
            let now = sample(&pids);
            let mut samples = samples.lock().expect("nobody panics with it");
            if samples.len() < SAMPLES_MAX {
                samples.extend(now);
            }
        }
    })
}

/// Waits until everything that was acknowledged is done and the ledger is silent, but not for ever.
async fn until_quiet(system: &System, evidence: &mut Evidence, samples: &Samples) -> Duration {
    let begun = Instant::now();
    let (mut beat, mut changed) = (interval(Duration::from_millis(500)), begun);
    loop {
        beat.tick().await;
        let lines = ledger::read(&system.ledger);
        if lines.len() != evidence.lines.len() {
            changed = Instant::now();
        }
        evidence.lines = lines;
        evidence
            .samples
            .clone_from(&samples.lock().expect("nobody panics with it"));
        let silent = changed.elapsed() >= SILENCE;
        if (silent && checker::is_quiet(evidence)) || begun.elapsed() >= QUIET_MAX {
            return begun.elapsed();
        }
    }
}

fn report(system: &System, evidence: &Evidence, connections: &[u64], bad_ends: Vec<String>) -> bool {
    println!();
    let mut verdicts = checker::check(evidence);
    verdicts.push(Verdict {
        name: "END",
        demand: "every node ends cleanly when it is asked to",
        counts: vec![("nodes", system.nodes.len() as u64)],
        offenders: bad_ends,
    });
    verdicts.iter().for_each(|verdict| println!("{}", verdict.shown()));
    println!();
    let times = checker::recovery_times(evidence);
    for ((broken, took), pair) in times.iter().zip(connections.windows(2)) {
        let took = took.map_or("not seen".to_owned(), |ms| format!("{:.1} s", ms as f64 / 1_000.0));
        println!(
            "recovery after {}: {took}, {} new connections",
            broken.fault,
            pair[1] - pair[0]
        );
    }
    for (node, lines, errors) in system.logged() {
        println!("log of {node}: {lines} lines, {errors} errors");
    }
    verdicts.iter().all(Verdict::holds)
}
