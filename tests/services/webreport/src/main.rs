// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Owns the web service the tests and benchmarks guard: an ordinary Tokio and hyper program
// on the system's malloc, which knows nothing of memguard. It serves
//
//	/				a small page, for throughput
//	/report?kind=KIND&size=MIB	builds a report of about that size, default 46,
//				answers a summary; KIND is orders, pictures or scans
//	/quit				ends the program
//
// and prints "READY http://ADDRESS:PORT" when it listens.
//
//	webreport [ADDRESS:PORT]	default 127.0.0.1:0
//
// WEBREPORT_WORKERS is the number of worker threads, default 8.

mod cache;
mod page;
mod report;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::server::conn::AddrIncoming;
use hyper::service::{make_service_fn, service_fn};
use hyper::{Body, Method, Request, Response, Server, StatusCode};
use tokio::sync::Notify;

use cache::Cache;
use report::Kind;

const REPORT_SIZE_DEFAULT: usize = 46;
const REPORT_SIZE_MAX: usize = 1024;

struct Service {
	cache: Arc<Cache>,
	quit: Notify,
}

fn reply(status: StatusCode, text: String) -> Response<Body> {
	let mut response = Response::new(Body::from(text));
	*response.status_mut() = status;
	response
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
	query
		.split('&')
		.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// The report asked for and its size in MiB; None when the query makes no sense.
fn report_wanted(query: &str) -> Option<(Kind, usize)> {
	let kind = match parameter(query, "kind").unwrap_or("orders") {
		"orders" => Kind::Orders,
		"scans" => Kind::Scans,
		"pictures" => Kind::Pictures,
		_ => return None,
	};
	let size = match parameter(query, "size") {
		None => REPORT_SIZE_DEFAULT,
		Some(text) => text.parse().ok()?,
	};
	(1..=REPORT_SIZE_MAX).contains(&size).then(|| (kind, size))
}

async fn serve(
	service: Arc<Service>,
	request: Request<Body>,
) -> Result<Response<Body>, Infallible> {
	if request.method() != Method::GET {
		return Ok(reply(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".into()));
	}
	Ok(match request.uri().path() {
		"/" => reply(StatusCode::OK, page::render(request.headers())),
		"/report" => match report_wanted(request.uri().query().unwrap_or("")) {
			Some((kind, size)) => {
				reply(StatusCode::OK, report::build(kind, size, &service.cache).await)
			}
			None => reply(StatusCode::BAD_REQUEST, "no such kind or size\n".into()),
		},
		"/quit" => {
			service.quit.notify_one();
			reply(StatusCode::OK, "bye\n".into())
		}
		_ => reply(StatusCode::NOT_FOUND, "no such page\n".into()),
	})
}

async fn listen(address: SocketAddr) -> Result<(), String> {
	let service = Arc::new(Service { cache: Arc::new(Cache::new()), quit: Notify::new() });
	let incoming = AddrIncoming::bind(&address).map_err(|e| format!("{}: {}", address, e))?;
	println!("READY http://{}", incoming.local_addr());

	let shared = service.clone();
	let make = make_service_fn(move |_connection| {
		let shared = shared.clone();
		async move {
			Ok::<_, Infallible>(service_fn(move |request| serve(shared.clone(), request)))
		}
	});
	Server::builder(incoming)
		.serve(make)
		.with_graceful_shutdown(service.quit.notified())
		.await
		.map_err(|e| e.to_string())
}

fn worker_threads() -> Result<usize, String> {
	match std::env::var("WEBREPORT_WORKERS") {
		Err(_) => Ok(8),
		Ok(text) => match text.parse() {
			Ok(n) if (1..=256).contains(&n) => Ok(n),
			_ => Err(format!("WEBREPORT_WORKERS={}: wanted 1 to 256", text)),
		},
	}
}

fn run() -> Result<(), String> {
	let text = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".into());
	let address = text.parse().map_err(|_| format!("{}: wanted ADDRESS:PORT", text))?;
	let runtime = tokio::runtime::Builder::new_multi_thread()
		.worker_threads(worker_threads()?)
		.enable_all()
		.build()
		.map_err(|e| e.to_string())?;
	runtime.block_on(listen(address))
}

fn main() {
	if let Err(message) = run() {
		eprintln!("webreport: {}", message);
		std::process::exit(1);
	}
}
