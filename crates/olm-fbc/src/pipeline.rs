//! Reading files on one thread and their documents on others, without changing the order and with
//! little of it in memory at any moment.

use std::collections::VecDeque;
use std::io::Read;
use std::num::NonZero;
use std::ops::{ControlFlow, Range};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use olm_tree::{RelPath, TreeError};

use crate::Meta;
use crate::document::{self, Bad};
use crate::rewrite::Rewriter;
use crate::split::{Kind, SplitError, Splitter};

/// Text that is handed over at a time.
const BATCH: usize = 64 << 10;
/// Documents and files in such a piece at most.
const ITEMS: usize = 512;
/// Text that is under way; more only when a single piece has more.
const UNDER_WAY: usize = 512 << 10;
/// Pieces that are under way.
const BATCHES: usize = 16;
/// Most threads that decode.
const THREADS: usize = 4;
/// Stack of such a thread: both decoders recurse, as deep as their limits.
const STACK: usize = 4 << 20;

/// What comes out, in the order of the files.
#[derive(Debug)]
pub(crate) enum Event {
    /// A file begins.
    Begin(RelPath),
    /// A document, or what is wrong with it; `None` when it is empty.
    Document {
        line: usize,
        read: Result<Option<Meta>, Bad>,
    },
    /// The file cannot be opened.
    Unreadable(TreeError),
    /// The file cannot be read any further.
    Fault(SplitError),
    /// The file is at its end.
    End,
}

/// What goes in.
#[derive(Debug)]
enum Item {
    Document {
        kind: Kind,
        line: usize,
        text: Range<usize>,
    },
    Ready(Event),
}

/// Some items and the text of their documents.
#[derive(Debug, Default)]
struct Batch {
    text: Vec<u8>,
    items: Vec<Item>,
}

#[derive(Debug)]
struct Job {
    batch: Batch,
    reply: SyncSender<Vec<Event>>,
}

/// Takes files in, one after the other, and gives their events to a receiver.
pub(crate) struct Pipeline<'a> {
    /// Where the threads take their work from; `None` when there are none.
    jobs: Option<Sender<Job>>,
    rewriter: Rewriter,
    under_way: VecDeque<(usize, Receiver<Vec<Event>>)>,
    bytes: usize,
    batch: Batch,
    limits: &'a olm_yaml::Limits,
    deliver: &'a mut dyn FnMut(Event) -> ControlFlow<()>,
    stopped: bool,
}

/// Runs `work` with a pipeline; where that ends well, everything has come out at the end.
pub(crate) fn run<E>(
    limits: &olm_yaml::Limits,
    deliver: &mut dyn FnMut(Event) -> ControlFlow<()>,
    work: impl FnOnce(&mut Pipeline<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let (jobs, queue) = channel::<Job>();
    let queue = Mutex::new(queue);
    thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let mut threads = 0;
        for _ in 0..cores.min(THREADS) {
            let builder = thread::Builder::new()
                .name("catalog".to_owned())
                .stack_size(STACK);
            let spawned = builder.spawn_scoped(scope, || decode(&queue, limits));
            threads += usize::from(spawned.is_ok());
        }
        let mut pipeline = Pipeline {
            jobs: (threads > 0).then_some(jobs),
            rewriter: Rewriter::default(),
            under_way: VecDeque::new(),
            bytes: 0,
            batch: Batch::default(),
            limits,
            deliver,
            stopped: false,
        };
        work(&mut pipeline)?;
        pipeline.finish();
        Ok(())
    })
}

/// What a decoding thread does until there are no more jobs.
fn decode(queue: &Mutex<Receiver<Job>>, limits: &olm_yaml::Limits) {
    let mut rewriter = Rewriter::default();
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { batch, reply }) = job else {
            return;
        };
        // Whoever waited for it may have stopped.
        let _unwanted = reply.send(batch.events(&mut rewriter, limits));
    }
}

impl Batch {
    fn events(self, rewriter: &mut Rewriter, limits: &olm_yaml::Limits) -> Vec<Event> {
        let Self { text, items } = self;
        items
            .into_iter()
            .map(|item| match item {
                Item::Ready(event) => event,
                Item::Document {
                    kind,
                    line,
                    text: range,
                } => {
                    let text = text.get(range).unwrap_or_default();
                    let read = document::read(rewriter, text, kind, limits);
                    Event::Document { line, read }
                }
            })
            .collect()
    }
}

impl Pipeline<'_> {
    /// Whether the receiver wants no more.
    pub(crate) const fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Takes a whole file in; `count` is told of each of its documents and may break the work off.
    pub(crate) fn file<E>(
        &mut self,
        file: RelPath,
        source: Result<impl Read, TreeError>,
        mut count: impl FnMut() -> Result<(), E>,
    ) -> Result<(), E> {
        self.ready(Event::Begin(file));
        match source {
            Err(error) => self.ready(Event::Unreadable(error)),
            Ok(source) => {
                let mut splitter = Splitter::new(source, self.limits.max_bytes);
                while !self.stopped {
                    let start = self.batch.text.len();
                    match splitter.next(&mut self.batch.text) {
                        Ok(Some((kind, line))) => {
                            count()?;
                            let text = start..self.batch.text.len();
                            self.put(Item::Document { kind, line, text });
                        }
                        Ok(None) => break,
                        Err(error) => {
                            self.ready(Event::Fault(error));
                            break;
                        }
                    }
                }
            }
        }
        self.ready(Event::End);
        Ok(())
    }

    fn ready(&mut self, event: Event) {
        self.put(Item::Ready(event));
    }

    fn put(&mut self, item: Item) {
        self.batch.items.push(item);
        if self.batch.text.len() >= BATCH || self.batch.items.len() >= ITEMS {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        let length = batch.text.len();
        let Some(jobs) = &self.jobs else {
            let events = batch.events(&mut self.rewriter, self.limits);
            return self.deliver(events);
        };
        let (reply, events) = sync_channel(1);
        // The threads are there until there are no more jobs.
        let _taken = jobs.send(Job { batch, reply });
        self.under_way.push_back((length, events));
        self.bytes += length;
        while self.bytes > UNDER_WAY || self.under_way.len() > BATCHES {
            self.deliver_first();
        }
    }

    fn deliver_first(&mut self) {
        if let Some((length, events)) = self.under_way.pop_front() {
            self.bytes -= length;
            // A thread that ended without an answer has panicked; so will the scope.
            self.deliver(events.recv().unwrap_or_default());
        }
    }

    fn deliver(&mut self, events: Vec<Event>) {
        for event in events {
            if !self.stopped {
                self.stopped = (self.deliver)(event).is_break();
            }
        }
    }

    fn finish(&mut self) {
        self.hand_over();
        while !self.under_way.is_empty() {
            self.deliver_first();
        }
    }
}
