// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Owns the small page: a few dozen short-lived allocations, like any page from a template.

use std::collections::BTreeMap;

use hyper::HeaderMap;

pub fn render(headers: &HeaderMap) -> String {
	let mut values: BTreeMap<String, String> = BTreeMap::new();

	for (name, value) in headers {
		let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
		values.insert(name.as_str().to_uppercase(), text);
	}
	for i in 0..16 {
		values.insert(format!("item-{:02}", i), format!("{:>width$}", i * i, width = 8 + i));
	}

	let mut text = String::new();
	for (name, value) in &values {
		text.push_str(name);
		text.push_str(": ");
		text.push_str(value);
		text.push('\n');
	}
	text
}
