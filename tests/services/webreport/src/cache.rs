// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Owns what outlives a report: a bounded cache of short summaries, oldest out first, as
// services keep of sessions, templates or compiled queries. It is small, but its entries
// are born in the middle of a report, and so lie between the blocks the report frees.

use std::collections::VecDeque;
use std::sync::Mutex;

const ENTRIES_MAX: usize = 12000;

pub struct Cache {
	entries: Mutex<VecDeque<String>>,
}

impl Cache {
	pub fn new() -> Cache {
		Cache { entries: Mutex::new(VecDeque::new()) }
	}

	pub fn keep(&self, entry: String) {
		let mut entries = self.entries.lock().unwrap();
		while entries.len() >= ENTRIES_MAX {
			entries.pop_front();
		}
		entries.push_back(entry);
	}

	pub fn len(&self) -> usize {
		self.entries.lock().unwrap().len()
	}
}
