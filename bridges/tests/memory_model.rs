//! The memory bridge against a slow and obvious model of it.
//!
//! Seeded sequences of publish, take, begin, ack, nack, reject, drop, subscribe, leave and the passing of time; after every
//! step both must hold the same messages in the same places. `ROADSHOW_SEED` repeats one sequence, `ROADSHOW_SEQUENCES` asks
//! for more of them.

use std::time::Duration;

use bytes::Bytes;
use roadshow_bridges::memory::{MemoryBridgeSettings, MemoryBus, MemoryBusSettings, MemoryEventBridge};
use roadshow_bridges::{
    Deliveries, Delivery, Envelope, ErrorKind, EventBridge, Identity, Kind, MessageId, Overflow, Published, Subject,
    Subscription,
};

const SUBJECTS: [&str; 3] = ["t.evt.a", "t.evt.b", "t.cmd.c"];
const CAPACITY: usize = 6;
const BATCH_MAX: usize = 64;
const STARTS_MAX: u32 = 3;
const STEPS: usize = 300;
const SEQUENCES: u64 = 256;

/// SplitMix64: small, seeded, good enough to choose steps.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Message {
    id: u128,
    starts: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum GroupName {
    Shared,
    Durable,
    Own,
}

struct ModelGroup {
    uid: usize,
    subject: usize,
    name: GroupName,
    members: usize,
    ready: Vec<Message>,
    /// Due time in ms, and the message; in the order in which they were put back.
    delayed: Vec<(u64, Message)>,
}

struct ModelSeat {
    uid: usize,
    group: usize,
    window: usize,
    batch: Vec<Message>,
    deliveries: Deliveries,
}

struct Held {
    seat: usize,
    group: usize,
    message: Message,
    begun: bool,
    delivery: Delivery,
}

/// The model, and the real bridge beside it.
struct World {
    bus: MemoryBus,
    bridge: MemoryEventBridge,
    random: Random,
    groups: Vec<ModelGroup>,
    seats: Vec<ModelSeat>,
    held: Vec<Held>,
    dead: Vec<u128>,
    lost: u64,
    dropped: u64,
    now_ms: u64,
    next: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut settings = MemoryBusSettings::default();
        settings.starts_max = STARTS_MAX;
        let bus = MemoryBus::new(settings);
        let bridge = MemoryEventBridge::new(bus.clone(), MemoryBridgeSettings::default());
        let random = Random(seed);
        let (groups, seats, held, dead) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self {
            bus,
            bridge,
            random,
            groups,
            seats,
            held,
            dead,
            lost: 0,
            dropped: 0,
            now_ms: 0,
            next: 1,
        }
    }

    fn uid(&mut self) -> usize {
        self.next += 1;
        self.next
    }

    async fn step(&mut self) -> String {
        match self.random.below(100) {
            0..35 => self.publish().await,
            35..60 => self.take(),
            60..68 => self.begin(),
            68..86 => self.settle(),
            86..92 => self.subscribe().await,
            92..95 => self.leave(),
            _ => self.pass_time().await,
        }
    }

    async fn publish(&mut self) -> String {
        let subject = self.random.below(SUBJECTS.len());
        let kind = if subject == 2 { Kind::Command } else { Kind::Event };
        let id = self.uid() as u128;
        let name = Subject::foreign(SUBJECTS[subject]).expect("a subject");
        let envelope = Envelope::new(kind, name, Identity::root(MessageId::from_u128(id)), Bytes::new());
        let result = self.bridge.publish(envelope).await;
        let targets: Vec<_> = (0..self.groups.len())
            .filter(|at| self.groups[*at].subject == subject)
            .collect();
        let full = |group: &ModelGroup| group.ready.len() + group.delayed.len() >= CAPACITY;
        if targets
            .iter()
            .any(|at| self.groups[*at].name != GroupName::Own && full(&self.groups[*at]))
        {
            assert_eq!(result.expect_err("a group is full").kind(), ErrorKind::Exhausted);
            return format!("publish {id} to {subject}: full");
        }
        let expected = if targets.is_empty() && kind == Kind::Command {
            Published::Unroutable
        } else {
            Published::Accepted
        };
        assert_eq!(result.expect("nothing is full"), expected);
        for at in targets {
            let group = &mut self.groups[at];
            // The newcomer is the last one to be dropped: when all others wait for their delay.
            group.ready.push(Message { id, starts: 0 });
            while !group.ready.is_empty() && group.ready.len() + group.delayed.len() > CAPACITY {
                group.ready.remove(0);
                self.dropped += 1;
            }
        }
        format!("publish {id} to {subject}")
    }

    fn take(&mut self) -> String {
        if self.seats.is_empty() {
            return "take from nobody".to_owned();
        }
        let at = self.random.below(self.seats.len());
        let seat = &mut self.seats[at];
        let real = seat.deliveries.try_next();
        let group = self
            .groups
            .iter_mut()
            .find(|group| group.uid == seat.group)
            .expect("a seat keeps its group");
        if seat.batch.is_empty() {
            let out = self.held.iter().filter(|held| held.seat == seat.uid).count();
            let share = group.ready.len().div_ceil(group.members);
            let count = (seat.window - out).min(BATCH_MAX).min(share);
            seat.batch.extend(group.ready.drain(..count));
        }
        let expected = if seat.batch.is_empty() {
            None
        } else {
            Some(seat.batch.remove(0))
        };
        let got = real.as_ref().map(|delivery| delivery.envelope().identity.id.as_u128());
        assert_eq!(got, expected.map(|message| message.id), "what seat {} takes", seat.uid);
        if let (Some(delivery), Some(message)) = (real, expected) {
            self.held.push(Held {
                seat: seat.uid,
                group: seat.group,
                message,
                begun: false,
                delivery,
            });
        }
        format!("seat {} takes {expected:?}", seat.uid)
    }

    fn begin(&mut self) -> String {
        if self.held.is_empty() {
            return "begin nothing".to_owned();
        }
        let at = self.random.below(self.held.len());
        let held = &mut self.held[at];
        if !held.begun {
            held.begun = true;
            held.message.starts += 1;
        }
        assert_eq!(held.delivery.begin(), held.message.starts);
        format!("begin {:?}", held.message)
    }

    fn settle(&mut self) -> String {
        if self.held.is_empty() {
            return "settle nothing".to_owned();
        }
        let held = self.held.remove(self.random.below(self.held.len()));
        let choice = self.random.below(6);
        let step = format!("settle {:?} by {choice}", held.message);
        // Due times end in 5 and the clock stands at tens, so that nothing is due at the very moment that is asked for.
        let delay = 10 * (1 + self.random.below(5) as u64) - 5;
        match choice {
            0 | 1 => {
                held.delivery.ack();
                return step;
            }
            2 => {
                held.delivery.reject("broken");
                self.dead.push(held.message.id);
                return step;
            }
            3 => held.delivery.nack(Duration::ZERO),
            4 => held.delivery.nack(Duration::from_millis(delay)),
            _ => drop(held.delivery),
        }
        let due = (choice == 4).then_some(self.now_ms + delay);
        self.not_done(held.group, held.message, held.begun, due);
        step
    }

    fn not_done(&mut self, group: usize, message: Message, begun: bool, due: Option<u64>) {
        if begun && message.starts >= STARTS_MAX {
            self.dead.push(message.id);
            return;
        }
        let Some(group) = self.groups.iter_mut().find(|candidate| candidate.uid == group) else {
            self.lost += 1;
            return;
        };
        match due {
            Some(due) => group.delayed.push((due, message)),
            None if begun => group.ready.push(message),
            None => group.ready.insert(0, message),
        }
    }

    async fn subscribe(&mut self) -> String {
        if self.seats.len() == 8 {
            return "enough subscribers".to_owned();
        }
        let subject = self.random.below(SUBJECTS.len());
        let name = [GroupName::Shared, GroupName::Durable, GroupName::Own][self.random.below(3)];
        let window = 1 + self.random.below(5);
        let base = Subscription::new(Subject::foreign(SUBJECTS[subject]).expect("a subject"));
        let subscription = match name {
            GroupName::Shared => base.group("shared"),
            GroupName::Durable => base.durable("durable"),
            GroupName::Own => base.overflow(Overflow::DropOldest),
        };
        let deliveries = self
            .bridge
            .subscribe(subscription.window(window).capacity(CAPACITY))
            .await
            .expect("there is room");
        let same = |group: &ModelGroup| group.subject == subject && group.name == name && name != GroupName::Own;
        let group = match self.groups.iter_mut().find(|group| same(group)) {
            Some(group) => {
                group.members += 1;
                group.uid
            }
            None => {
                let uid = self.uid();
                let (ready, delayed) = (Vec::new(), Vec::new());
                self.groups.push(ModelGroup {
                    uid,
                    subject,
                    name,
                    members: 1,
                    ready,
                    delayed,
                });
                uid
            }
        };
        let uid = self.uid();
        self.seats.push(ModelSeat {
            uid,
            group,
            window,
            batch: Vec::new(),
            deliveries,
        });
        format!("seat {uid} subscribes to {subject} as {name:?}")
    }

    fn leave(&mut self) -> String {
        if self.seats.is_empty() {
            return "nobody leaves".to_owned();
        }
        let seat = self.seats.remove(self.random.below(self.seats.len()));
        seat.deliveries.cancel();
        let at = self
            .groups
            .iter()
            .position(|group| group.uid == seat.group)
            .expect("a seat keeps its group");
        let group = &mut self.groups[at];
        group.ready.splice(0..0, seat.batch);
        group.members -= 1;
        if group.members == 0 && group.name != GroupName::Durable {
            self.lost += (group.ready.len() + group.delayed.len()) as u64;
            self.groups.remove(at);
        }
        format!("seat {} leaves", seat.uid)
    }

    async fn pass_time(&mut self) -> String {
        let ms = 10 * (1 + self.random.below(4) as u64);
        self.now_ms += ms;
        tokio::time::advance(Duration::from_millis(ms)).await;
        for group in &mut self.groups {
            let now = self.now_ms;
            // A stable sort: equal times keep the order in which they were put back.
            group.delayed.sort_by_key(|(due, _)| *due);
            let count = group.delayed.iter().take_while(|(due, _)| *due <= now).count();
            group
                .ready
                .extend(group.delayed.drain(..count).map(|(_, message)| message));
        }
        // The bus' timer is a task: it gets its turns until it has caught up.
        for _ in 0..100 {
            if self.agrees().is_ok() {
                break;
            }
            tokio::task::yield_now().await;
        }
        format!("{ms} ms pass")
    }

    fn agrees(&self) -> Result<(), String> {
        let real: Vec<_> = self
            .bus
            .groups()
            .iter()
            .map(|g| (g.subject.to_string(), g.members, g.ready, g.delayed))
            .collect();
        let subject = |group: &ModelGroup| SUBJECTS[group.subject].to_owned();
        let model: Vec<_> = self
            .groups
            .iter()
            .map(|g| (subject(g), g.members, g.ready.len(), g.delayed.len()))
            .collect();
        let stats = self.bus.stats();
        let dead: Vec<_> = self
            .bus
            .dead_letters()
            .iter()
            .map(|letter| letter.id.as_u128())
            .collect();
        let real = (real, dead, stats.lost, stats.dropped);
        let model = (model, self.dead.clone(), self.lost, self.dropped);
        if real == model {
            Ok(())
        } else {
            Err(format!("real {real:?}\nmodel {model:?}"))
        }
    }
}

async fn run(seed: u64) {
    let mut world = World::new(seed);
    let mut steps = Vec::new();
    for _ in 0..STEPS {
        let step = world.step().await;
        steps.push(step);
        if let Err(difference) = world.agrees() {
            let last = steps
                .iter()
                .rev()
                .take(12)
                .rev()
                .cloned()
                .collect::<Vec<_>>()
                .join("\n");
            panic!("after step {} of seed {seed}:\n{last}\n{difference}", steps.len());
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn random_sequences_agree_with_the_model() {
    let sequences = number("ROADSHOW_SEQUENCES").unwrap_or(SEQUENCES);
    let seeds = match number("ROADSHOW_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..sequences,
    };
    for seed in seeds {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        let sequence = std::panic::AssertUnwindSafe(|| runtime.expect("a runtime").block_on(run(seed)));
        if let Err(panic) = std::panic::catch_unwind(sequence) {
            eprintln!("repeat it with ROADSHOW_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}
