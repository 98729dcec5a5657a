// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Owns a report: loads rows, parses, groups, tabulates, renders and binds them, answers a
// summary and drops everything. A step takes the blocks of the step before it and makes
// others of about the same size in sum, so not much more than the size of the report is
// live at any time. But every step is a task of its own and waits for its data now and
// then, and the steps which only compute run on Tokio's threads for blocking work. So the
// work moves between the threads: what one allocated another one frees, and one arena
// after the other has to hold a good part of a report for a while.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task;
use tokio::time;

use crate::cache::Cache;

const KEEP_ONE_IN: u64 = 43;
const KEEP_CHARS: usize = 100;
const BATCH_BYTES: usize = 8 << 20;
const KEYS: u64 = 2000;
const VOLUME_BYTES: usize = 120_000;

/// Counts reports, so that each one has other data, and the same in every run.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// What a report is about decides how large its blocks are. Where the small blocks of one
/// were, between entries of the cache, the large ones of the next do not fit.
#[derive(Clone, Copy)]
pub enum Kind {
	Orders,
	Pictures,
	Scans,
}

struct Row {
	key: String,
	fields: Vec<String>,
	body: Vec<u8>,
}

struct Record {
	key: String,
	line: String,
}

type Groups = HashMap<String, Vec<String>>;
type Tables = BTreeMap<String, Vec<Vec<String>>>;

/// The xorshift generator: all a test service needs of randomness.
struct Random(u64);

impl Random {
	fn new(seed: u64) -> Random {
		Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
	}

	fn next(&mut self) -> u64 {
		self.0 ^= self.0 << 13;
		self.0 ^= self.0 >> 7;
		self.0 ^= self.0 << 17;
		self.0
	}

	fn below(&mut self, limit: u64) -> u64 {
		(self.next() >> 16) % limit
	}
}

/// Where a step is: a pause is due after every batch of bytes, and now and then a short
/// piece of what it made goes to the cache.
struct Pace {
	random: Random,
	cache: Arc<Cache>,
	bytes: usize,
}

impl Pace {
	fn new(serial: u64, step: u64, cache: &Arc<Cache>) -> Pace {
		Pace { random: Random::new(serial << 8 | step), cache: cache.clone(), bytes: 0 }
	}

	fn made(&mut self, text: &str, bytes: usize) {
		self.bytes += bytes;
		if self.random.below(KEEP_ONE_IN) == 0 {
			self.cache.keep(text.chars().take(KEEP_CHARS).collect());
		}
	}

	/// What a service does most of the time: wait for somebody else.
	async fn pause(&mut self) {
		if self.bytes >= BATCH_BYTES {
			self.bytes = 0;
			time::sleep(Duration::from_micros(500 + self.random.below(4000))).await;
		}
	}
}

impl Row {
	fn read(random: &mut Random, kind: Kind) -> Row {
		let length = match kind {
			Kind::Orders => random.below(64),
			Kind::Pictures => 30_000 + random.below(60_000),
			Kind::Scans => 200_000 + random.below(300_000),
		};
		let fields = (0..4 + random.below(8))
			.map(|_| {
				let width = 16 + random.below(96) as usize;
				format!("{:0width$x}", random.next(), width = width)
			})
			.collect();
		Row {
			key: format!("key-{:08x}", random.below(KEYS)),
			fields,
			body: vec![b'a' + random.below(26) as u8; length as usize],
		}
	}

	fn bytes(&self) -> usize {
		let fields: usize = self.fields.iter().map(|field| field.len() + 40).sum();
		self.body.len() + fields + 160
	}
}

async fn load(mut pace: Pace, kind: Kind, wanted: usize) -> Vec<Row> {
	let mut rows = Vec::new();
	let mut loaded = 0;

	while loaded < wanted {
		let row = Row::read(&mut pace.random, kind);
		loaded += row.bytes();
		pace.made(&row.fields[0], row.bytes());
		pace.pause().await;
		rows.push(row);
	}
	rows
}

fn parse(mut pace: Pace, rows: Vec<Row>) -> Vec<Record> {
	let mut records = Vec::with_capacity(rows.len());

	for row in rows {
		let body = String::from_utf8_lossy(&row.body);
		let line = [&row.fields.join("|"), &*body].join("|");
		pace.made(&line, line.len());
		records.push(Record { key: row.key.to_uppercase(), line });
	}
	records
}

async fn group(mut pace: Pace, records: Vec<Record>) -> Groups {
	let mut groups = Groups::new();

	for record in records {
		let line = record.line.to_uppercase();
		pace.made(&line, line.len());
		pace.pause().await;
		groups.entry(record.key).or_default().push(line);
	}
	groups
}

fn tabulate(mut pace: Pace, groups: Groups) -> Tables {
	let mut tables = Tables::new();

	for (key, lines) in groups {
		let bytes = lines.iter().map(String::len).sum();
		let table: Vec<Vec<String>> = lines
			.into_iter()
			.map(|line| line.split('|').map(String::from).collect())
			.collect();
		pace.made(&table[0][0], bytes);
		tables.insert(key, table);
	}
	tables
}

async fn render(mut pace: Pace, tables: Tables) -> Vec<String> {
	let mut sections = Vec::new();

	for (key, table) in tables {
		let cells: usize = table.iter().flatten().map(|cell| cell.len() + 4).sum();
		let mut text = String::with_capacity(cells + table.len() * 5 + key.len() + 10);
		text.push_str(&format!("<h2>{}</h2>\n", key));
		for row in table {
			text.push_str("<tr>");
			for cell in row {
				text.push_str("<td>");
				text.push_str(&cell);
			}
			text.push_str("\n");
		}
		pace.made(&text, text.len());
		pace.pause().await;
		sections.push(text);
	}
	sections
}

async fn bind(mut pace: Pace, sections: Vec<String>) -> Vec<Vec<u8>> {
	let mut volumes = Vec::new();
	let mut volume = Vec::with_capacity(VOLUME_BYTES);

	for section in sections {
		if !volume.is_empty() && volume.len() + section.len() > VOLUME_BYTES {
			volumes.push(volume);
			volume = Vec::with_capacity(VOLUME_BYTES);
		}
		volume.extend_from_slice(section.as_bytes());
		pace.made(&section, section.len());
		pace.pause().await;
	}
	volumes.push(volume);
	volumes
}

/// Runs a step which waits, in a task of its own.
async fn step<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
	task::spawn(work).await.expect("a step does not panic")
}

/// Runs a step which only computes, where it does not keep others from running.
async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
	task::spawn_blocking(work).await.expect("a step does not panic")
}

pub async fn build(kind: Kind, size: usize, cache: &Arc<Cache>) -> String {
	let serial = SERIAL.fetch_add(1, Ordering::Relaxed) + 1;
	let start = Instant::now();
	let pace = |number| Pace::new(serial, number, cache);
	let (parse_pace, tabulate_pace) = (pace(2), pace(4));

	let rows = step(load(pace(1), kind, size << 20)).await;
	let count = rows.len();
	let records = compute(move || parse(parse_pace, rows)).await;
	let groups = step(group(pace(3), records)).await;
	let tables = compute(move || tabulate(tabulate_pace, groups)).await;
	let sections = step(render(pace(5), tables)).await;
	let volumes = step(bind(pace(6), sections)).await;

	format!(
		"report {}: {} rows, {} volumes, {} bytes, {} ms, {} cached\n",
		serial,
		count,
		volumes.len(),
		volumes.iter().map(Vec::len).sum::<usize>(),
		start.elapsed().as_millis(),
		cache.len(),
	)
}
